#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "node/content/core/exchange.h"
#include "node/protocol/limits.h"
#include "node/protocol/messages.h"
#include "node/protocol/rng.h"
#include "node/protocol/ticket.h"
#include "node/protocol/time.h"
#include "node/protocol/transport.h"

// A submitter's session as a state machine: finds peers through the doors of its ticket, chooses
// the stewards of its jobs and signs the term that names them, hands the jobs over, serves their
// content, fetches receipts and large outputs, and checks every signature itself. It believes
// neither coordinators nor stewards.
//
// Who keeps a job is what the best chain of terms says that was shown here (terms.h). Receipts are
// read from the leader where it is linked, else from any other steward; each proves itself, so it
// does not matter who sent it, and what was delivered once stands.
namespace shoal {

struct SubmitterConfig {
  PoolId pool;
  std::vector<Ticket::Door> doors;
  // Workers met before, the likeliest first: asked for peers where the doors do not answer.
  std::vector<Ticket::Door> remembered = {};
  UnixMs unix_ms_at_zero = 0;
  std::uint16_t port = 0;    // where it listens, for peers that it asks to dial; 0: nowhere
  bool takes_calls = false;  // others may dial it: to fetch what it shares
  // How they can; announced to the coordinators while something is shared. Id and time are filled
  // in.
  std::optional<NodeRecord> record = {};
  std::uint64_t session = 0;  // this process's own number: others may use the key at once
  Duration search = 3s;       // how long to look for peers before saying that there are none
};

struct SubmitterStarted {};
struct SubmitterDeadline {};

// --- what the application asks ---
struct SubmitJob {  // stewards are chosen; answered by JobAccepted or JobRefused
  Signed manifest;
  bool wait_for_quorum = false;  // false: refuse at once if fewer than quorum workers are known
  std::size_t stewards = limits::kStewards;  // at most so many are asked to keep it; at least one
};
struct AttachJob {  // a job submitted earlier, perhaps by another process. Answered by JobAccepted
  JobId job;
  std::optional<Signed> manifest;      // if remembered; else the pool is asked
  std::vector<Ticket::Door> stewards;  // as far as remembered; they are asked before others are
  TermChain terms = {};                // if remembered
};
struct WantReceipts {  // deliver receipts as they come, about `credit_bytes` ahead of TakenReceipts
  JobId job;
  std::uint64_t credit_bytes = 8 << 20;
};
struct TakenReceipts {  // the application has consumed up to this ReceiptReady::number
  JobId job;
  std::uint64_t number = 0;
};
struct WantOutput {  // fetch a large output from its holders; answered by OutputReady
  JobId job;
  ContentId content;
  std::uint64_t length = 0;
  std::vector<NodeId> holders;
};
struct ShareContent {  // serve it to all who ask, and let the pool know where it is
  ContentId content;
  std::uint64_t length = 0;
};
struct FetchContent {  // from whoever in the pool has it; answered by ContentReady
  ContentId content;
  std::uint64_t length = 0;
  Duration patience = 5s;  // without any progress
  ExchangeWait wait = {};  // after that, for others
};
struct LeavePool {};  // take back what the coordinators were told; see has_left()
struct ControlJob {
  Signed control;
};
struct WantStatus {  // of one job, or of all of this submitter's (job zero); answered by
                     // StatusReady
  JobId job;
  NodeId submitter;
  std::vector<Ticket::Door> also = {};  // to be asked beside those that are known here
};
struct WantWorkers {};  // answered by WorkersReady
struct CloseJob {       // all receipts are taken: sign and send the final snapshot
  JobId job;
};

// --- what it tells the application ---
struct JobAccepted {  // all of its stewards have it durably; or, after AttachJob, one of them is
                      // there
  JobId job;
  std::vector<Ticket::Door> stewards;  // the leader first; to be remembered with the id, as are
  TermChain terms;
  std::optional<Signed> manifest;  // where it came from the pool; it is the one of this id
};
struct StewardsChanged {  // of a job that was accepted: to be remembered instead
  JobId job;
  std::vector<Ticket::Door> stewards;
  TermChain terms;
};
struct JobRefused {
  enum class Why : std::uint8_t {
    kNoPeers,
    kNoCoordinator,
    kOtherPool,
    kQuorumTooLarge,
    kUnknownKernel,
    kNotTrusted,
    kStewardRefused,
    kUnknownJob
  };
  JobId job;
  Why why = Why::kNoPeers;
  std::string what;  // a sentence for people: what happened, and what to do
};
struct ReceiptReady {  // every signature, seal and proof in it has been checked
  JobId job;
  Receipt receipt;
  std::vector<Range> fresh = {};  // its units that had not ended before: the others keep their end
  NodeId from = {};               // the steward whose count `receipt.sequence` is
  std::uint64_t number = 0;       // rises by one with each receipt that is delivered of the job
};
struct ReceiptBad {  // a steward sent what does not hold; another one is asked, if there is any
  JobId job;
  std::string what;
};
struct StatusReady {
  JobId job;
  std::vector<JobStatus> jobs;
};
struct WorkersReady {
  struct Seen {
    NodeRecord record;
    NodeId owner;  // owner_of() the record
    std::string address;
    std::optional<WorkerStatus> status;
    std::optional<LinkPath> path;  // of the link to it; nothing: it was not reached
  };
  std::vector<Seen> workers;
  std::size_t coordinators_up = 0;
  std::uint64_t nodes_known = 0;
};
struct OutputReady {
  JobId job;
  ContentId content;
  std::string error;  // empty: it is complete in the content store
};
struct ContentReady {
  ContentId content;
  std::string error;  // empty: it is complete in the content store
};
struct ContentUnderWay {  // now and then, while it is fetched
  ContentId content;
  ExchangeProgress progress;
};
struct JobClosed {
  JobId job;
  Snapshot snapshot;
};
struct PeerMet {  // a worker of the pool was there: to be remembered
  Ticket::Door peer;
};
struct Notice {  // progress in finding peers, links lost and found again
  std::string text;
};

using SubmitterEvent =
    std::variant<SubmitterStarted, SubmitterDeadline, LinkUp, LinkLost, Received, BulkSent, Probed,
                 ContentOpened, BlockStored, BlockRead, SubmitJob, AttachJob, WantReceipts,
                 TakenReceipts, WantOutput, ShareContent, FetchContent, LeavePool, ControlJob,
                 WantStatus, WantWorkers, CloseJob>;
using SubmitterAction =
    std::variant<Dial, Probe, Send, Drop, Tell, OpenContent, StoreBlock, ReadBlock, JobAccepted,
                 StewardsChanged, JobRefused, ReceiptReady, ReceiptBad, StatusReady, WorkersReady,
                 OutputReady, ContentReady, ContentUnderWay, JobClosed, PeerMet, Notice>;
using SubmitterActions = std::vector<SubmitterAction>;

// Not thread-safe; never blocks. As Peer.
class Submitter {
 public:
  Submitter(SubmitterConfig, const Signer&, const SignatureChecker&, Rng);
  ~Submitter();
  Submitter(Submitter&&) noexcept;
  [[nodiscard]] SubmitterActions step(Instant now, SubmitterEvent event);
  [[nodiscard]] std::optional<Instant> next_deadline() const;
  // After LeavePool: nobody is left who knows of it and could be told otherwise.
  bool has_left() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal
