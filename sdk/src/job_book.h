#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "node/protocol/messages.h"
#include "node/protocol/ticket.h"
#include "node/state/key_file.h"

namespace shoal {

// What a submitter remembers of its jobs, so that another process can come back to them: for each
// job ID.manifest (signer, signature and body, as they were signed), ID.steward (a line of text for
// each steward, the leader first: node, endpoint) and ID.terms (the chain that names them). Files
// are replaced in one step, so that several processes may share a book. Calls block on the disk.
// Not thread-safe.
class JobBook {
 public:
  explicit JobBook(std::filesystem::path folder) : folder_(std::move(folder)) {}

  struct Entry {
    JobId job;
    std::optional<Signed> manifest;
    std::vector<Ticket::Door> stewards;
    TermChain terms;
  };

  // Written and in place, but not yet forced to the disk: that would make every submission wait
  // for it. See settle().
  Result<void, StateError> remember(const JobId&, const Signed& manifest);
  Result<void, StateError> remember_stewards(const JobId&, const std::vector<Ticket::Door>&,
                                             const TermChain&);
  // What is there of the job. A file that is damaged is as good as missing.
  Entry find(const JobId&) const;
  // The jobs whose id starts so.
  std::vector<JobId> matching(std::string_view hex_prefix) const;
  std::vector<JobId> jobs() const { return matching({}); }
  void forget(const JobId&);
  // What was written since the last time, and forces it to the disk: from then on a power failure
  // does not cost the book either. The second half is slow and needs no book, hence any thread.
  std::vector<std::filesystem::path> take_unsettled() { return std::exchange(unsettled_, {}); }
  static void settle(const std::vector<std::filesystem::path>& files);

 private:
  Result<void, StateError> write(const std::filesystem::path& file, std::string_view bytes);
  std::filesystem::path file(const JobId&, std::string_view ending) const;

  std::filesystem::path folder_;
  std::vector<std::filesystem::path> unsettled_;
};

}  // namespace shoal
