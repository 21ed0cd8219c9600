#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "node/content/store/content_store.h"
#include "node/protocol/keys.h"
#include "node/protocol/limits.h"
#include "node/protocol/ticket.h"
#include "sdk/core/submitter.h"
#include "sdk/src/job_book.h"

// A submitter as blocking calls: what Session and the command line are built on.
namespace shoal {

struct ClientConfig {
  Ticket ticket;
  std::filesystem::path state;  // key, books of jobs and peers, content; see places.h
  // A line for people. Called on the client's own thread; must not call the client.
  std::function<void(const std::string&)> notice;
  // Lets others dial it, under a key of its own that is nobody's afterwards, so that they can fetch
  // what it shares and what it has fetched. It submits no jobs.
  bool shares = false;
};

struct ClientError {
  enum class Kind : std::uint8_t {
    kState,    // a file or folder of this user's
    kNetwork,  // sockets of this machine
    kRefused,  // see `why`
    kTimeout,
    kInterrupted,  // by interrupt()
  };
  Kind kind = Kind::kRefused;
  std::optional<JobRefused::Why> why;
  std::string what;  // a sentence for people
};
template <class T>
using ClientResult = Result<T, ClientError>;
// How a job is handed over.
struct Handover {
  bool wait_for_quorum = false;              // rather than be refused
  std::size_t stewards = limits::kStewards;  // at most so many are asked to keep it
  bool receipts = true;                      // let them come from the start
};
// Nothing: as long as it takes.
using Patience = std::optional<std::chrono::milliseconds>;

// Safe to use from several threads; one at a time may take the receipts of a job. Links stay up
// from call to call.
class Client {
 public:
  static ClientResult<std::unique_ptr<Client>> open(ClientConfig config);
  // Waits a moment for jobs that are being closed.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  const KeyPair& key() const;
  ContentStore& content();

  // --- the book ---
  JobBook::Entry remembered(const JobId& job);
  std::vector<JobId> matching(std::string_view hex_prefix);
  void forget(const JobId& job);
  // The jobs that it may mean: of the book, or else of this key in the pool. A whole id is taken as
  // it is, since a job may have been submitted from another machine.
  ClientResult<std::vector<JobId>> find(std::string_view hex_prefix);

  // --- jobs ---
  Signed sign(Manifest manifest) const;
  // Program and inputs must be in content() by then, and stay there until the job is accepted. The
  // job is in the book before this returns.
  ClientResult<JobAccepted> submit(const Signed& manifest, const Handover& how,
                                   Patience patience = {});
  // A job of the book, or one of this key that the pool knows: that is in the book afterwards.
  ClientResult<JobAccepted> attach(const JobId& job, bool receipts = true, Patience patience = {});

  // All receipts at hand, at least one; each has been checked. Taking them gives the steward credit
  // for more. kRefused where the steward has lost the job.
  ClientResult<std::vector<Receipt>> next_receipts(const JobId& job, Patience patience);
  // What was wrong with receipts that were skipped.
  std::vector<std::string> take_complaints(const JobId& job);

  // An output above limits::kInlineOutputBytes, fetched into content().
  void want_output(const JobId& job, const ContentId& output, std::uint64_t length,
                   const std::vector<NodeId>& holders);
  ClientResult<void> wait_output(const ContentId& output, Patience patience);
  void drop_output(const ContentId& output);

  // --- contents without a job ---
  // Serves it, as long as this client lives. It must be in content().
  void share(const ContentName& content);
  // Fetches it into content(), from whoever in the pool has it; `wait`: for somebody who has it,
  // after those who were found have not. `progress` is called on the caller's thread.
  ClientResult<void> fetch(const ContentName& content, ExchangeWait wait,
                           const std::function<void(const ExchangeProgress&)>& progress);

  ClientResult<void> control(const JobId& job, ControlCommand command, std::int32_t priority = 0);
  // Nothing in it where no worker that can be reached leads the job.
  ClientResult<std::optional<JobStatus>> status(const JobId& job);
  ClientResult<std::vector<JobStatus>> jobs();  // of this submitter
  ClientResult<WorkersReady> workers();

  // Every receipt was taken: signs the snapshot, and the job is over. Forgets it, and its inputs.
  ClientResult<Snapshot> close(const JobId& job, Patience patience);
  // The same, without waiting for it.
  void close_later(const JobId& job);

  // Ends all waiting, now and later, with kInterrupted. Not from a signal handler.
  void interrupt();

 private:
  Client();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal
