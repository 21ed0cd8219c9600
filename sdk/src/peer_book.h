#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "node/protocol/ticket.h"
#include "node/state/key_file.h"

namespace shoal {

// The workers of one pool that a submitter has met: a way in when no coordinator answers. A text
// file named after the pool, a line for each worker (node, endpoint), the last met first, so many
// as are worth trying. Several processes may share it: what each adds is added to what is there.
// Calls block on the disk. Not thread-safe.
class PeerBook {
 public:
  static constexpr std::size_t kPeers = 64;

  PeerBook(const std::filesystem::path& folder, const PoolId& pool)
      : file_(folder / to_hex(pool)) {}

  // What is there. A line that is damaged is left out.
  std::vector<Ticket::Door> peers() const;
  // A worker that was there just now; it is written by save(), if that changes anything.
  void met(const Ticket::Door& peer);
  Result<void, StateError> save();

 private:
  std::filesystem::path file_;
  std::vector<Ticket::Door> met_;  // since the last save, the last one first
};

}  // namespace shoal
