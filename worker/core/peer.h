#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "node/content/core/content_actions.h"
#include "node/content/core/refusals.h"
#include "node/content/core/traffic.h"
#include "node/protocol/limits.h"
#include "node/protocol/messages.h"
#include "node/protocol/rng.h"
#include "node/protocol/ticket.h"
#include "node/protocol/time.h"
#include "node/protocol/transport.h"

// A worker as a state machine: member of a pool, computer of units, steward of jobs, holder of
// content. It does no input or output and knows no clock, so that the same code runs on a real
// network and, by the thousand, in the simulator.
namespace shoal {

struct PeerConfig {
  PoolId pool;
  std::vector<Ticket::Door> doors;
  NodeRecord record;  // about this node; node, pool and sequence are filled in by the peer
  std::vector<NodeId> trusted_submitters;  // whose native programs may run here
  bool native_from_anyone = false;
  // Kinds of kernels that cannot run here, and why ("this system has no user namespaces").
  std::map<KernelKind, std::string> cannot_run;
  std::uint64_t upload_rate = 0;    // of contents, bytes a second; 0: no limit
  std::uint64_t download_rate = 0;  // likewise
  TrafficCaps traffic_caps;         // likewise, a month
  Traffic traffic;                  // what contents have cost this month before this start
  std::vector<ContentName> pinned;  // the donor keeps them, and serves them to all who ask
  Refusals refused;                 // of the donor: see Refuse
  std::set<std::string> programs;   // names of what is installed here, for Manifest::needs
  // Unix time at Instant{0} of this node's clock.
  UnixMs unix_ms_at_zero = 0;
  Duration lease = limits::kLease;
  Duration batch_target = limits::kBatchTarget;
  Duration announce_every = limits::kAnnounceEvery;
};

// What must survive a restart.
enum class FactKind : std::uint8_t {
  kManifest = 1,   // Signed manifest of a job that this node keeps; sequence 0
  kReceipt = 2,    // encoded Receipt; sequence = Receipt::sequence
  kControl = 3,    // encoded signed Control; sequence = Control::sequence
  kSnapshot = 4,   // encoded signed Snapshot; sequence 0
  kPeer = 5,       // Signed NodeRecord of a peer; job zero; sequence = its place of so many
  kTerms = 6,      // encode_chain() of a job that this node keeps; 0: in force; 1: those before
  kEnded = 7,      // when a job that this node keeps ended: sequence = Unix time in ms
  kTask = 8,       // Signed manifest of a job that this node works for; sequence 0
  kTaskTerms = 9,  // encode_chain() of such a job; sequence 0
  kPaper = 10,     // Signed grant that this node was given; sequence = the node's own count
  kBatch = 11,     // encoded KeptBatch that this node committed; sequence = its first unit
  kPart = 12,      // Signed manifest of a job that this node has or had a part in; sequence 0
  kMade = 13,      // ids of large outputs that it computed for it; sequence = its own count
  kCopied = 14,    // ids of contents that it fetched as copies; likewise
  kPartEnds = 15,  // when all that goes: sequence = Unix time in ms
  // A worker that keeps a copy for a job that this node keeps: key = node id in `about`; sequence =
  // of the receipt whose large outputs are meant, and their name (CopyBook::name_of())
  kHolder = 16,
};
inline constexpr FactKind kLastFactKind = FactKind::kHolder;
struct StoredFact {
  FactKind kind = FactKind::kManifest;
  JobId job;
  std::uint64_t sequence = 0;
  NodeId about;  // kHolder only
  Bytes bytes;
};
// What a restarted node remembers. Receipts are given without their outputs' bytes being kept.
struct RecoveredState {
  std::vector<StoredFact> facts;
};

// Signed as stored in a StoredFact (signer | signature | body).
Bytes pack_signed(const Signed&);
std::optional<Signed> unpack_signed(ByteView);

// --- events ---
struct Started {};
struct Leaving {};  // the node is about to end, and says so
struct DeadlineReached {};
struct PortMapped {      // a router lets others in to this node at that endpoint
  std::string endpoint;  // empty: it does no more
};
struct StoreDone {
  std::uint64_t token = 0;
  std::string error;  // empty: durable
};
struct ReceiptsLoaded {
  JobId job;
  NodeId reader;
  std::vector<Bytes> receipts;  // encoded, in order of sequence
};
struct ComputeDone {  // every unit of the chunk is in exactly one of `done` and `failed`
  struct Run {
    Range range;
    PackedOutputs outputs;
  };
  struct FailedUnit {
    UnitIndex unit = 0;
    FailureKind kind = FailureKind::kThrew;
    std::string message;
    std::string stderr_end;
    std::optional<UnitCost> cost = {};
  };
  std::uint64_t chunk = 0;
  std::vector<Run> done;
  std::vector<FailedUnit> failed;
  std::uint64_t compute_ns = 0;  // thread time, without waiting
};
struct StateSaved {  // by a unit of the chunk that goes on running
  std::uint64_t chunk = 0;
  UnitIndex unit = 0;
  Bytes state;
};
struct CompareDone {
  JobId job;
  UnitIndex unit = 0;
  std::vector<Hash256> digests;
  bool all_match = false;
  std::string error;  // not empty: the comparison itself failed
};
// What was to be started for the job was not: its program or inputs are on the disk no more, or not
// as they were.
struct ContentsLost {
  JobId job;
};
// What the donor lends from now on.
struct Lend {
  enum class What : std::uint8_t {
    kAll,
    kWhatIsHeld,  // nothing that is new; what it has in hand, it keeps
    kWhatRuns,    // no more than what runs already; the rest goes back
    kNothing,     // what runs goes back too
  };
  What what = What::kAll;
};
// All that the donor refuses from now on. Its jobs are neither kept nor computed nor copied for,
// and what is kept for them goes; its contents are dropped, not fetched, and not served.
struct Refuse {
  Refusals refusals;
};
using PeerEvent =
    std::variant<Started, Leaving, Lend, Refuse, DeadlineReached, LinkUp, LinkLost, Received,
                 BulkSent, Probed, PortMapped, StoreDone, ReceiptsLoaded, ComputeDone, StateSaved,
                 CompareDone, ContentsLost, ContentOpened, BlockStored, BlockRead>;

// --- actions ---
struct Store {  // one group: all of it durable, then StoreDone
  std::uint64_t token = 0;
  std::vector<StoredFact> facts;
  bool awaited = true;  // if not, its StoreDone may come with the next event, or 100 ms late
};
// Nothing of it is needed any more. Takes effect in the order of Store and Erase.
struct Erase {
  enum class What : std::uint8_t {
    kKept,    // what this node kept as a steward of the job
    kWorked,  // what it kept as a worker for it
    kHeld,    // which contents it holds for it
  };
  JobId job;
  What what = What::kKept;
};
// Whether the fact goes with it.
bool covers(const Erase&, const StoredFact&);
// What a fact goes with; nothing: it stays.
std::optional<Erase::What> goes_with(FactKind);
struct LoadReceipts {  // of `job`, sequences above `after`, about `bytes_max`, at least one
  JobId job;
  NodeId reader;
  std::uint64_t after = 0;
  std::size_t bytes_max = 0;
};
struct StartCompute {  // `range` of the job; its program and inputs are complete in the content
                       // store
  std::uint64_t chunk = 0;
  JobId job;
  std::shared_ptr<const Manifest> manifest;
  Range range;
};
struct CancelCompute {  // its ComputeDone is not wanted any more and may not come
  std::uint64_t chunk = 0;
};
struct KeepState {  // for when the unit is computed here; what was saved here itself is worth more
  JobId job;
  UnitIndex unit = 0;
  Bytes state;
};
struct StartCompare {
  JobId job;
  std::shared_ptr<const Manifest> manifest;
  UnitIndex unit = 0;
  PackedOutputs candidates;
};
struct ForgetJob {  // this node has no more part in it: executors and caches may go
  JobId job;
};
struct DropContent {  // no job needs it any more; what the donor pinned stays
  ContentId id;
  bool refused = false;  // he will not have it, pinned or not
};
using PeerAction = std::variant<Dial, Probe, Send, Drop, Tell, Store, Erase, LoadReceipts,
                                StartCompute, CancelCompute, KeepState, StartCompare, ForgetJob,
                                OpenContent, StoreBlock, ReadBlock, DropContent>;
using PeerActions = std::vector<PeerAction>;

// Not thread-safe. Never blocks, reads a clock, opens a socket, or starts a thread. One call of
// step returns all its actions, to be performed in their order. `signer` and `checker` must outlive
// the peer. Time must not go backwards.
class Peer {
 public:
  Peer(PeerConfig, const Signer& signer, const SignatureChecker& checker, Rng, RecoveredState);
  ~Peer();
  Peer(Peer&&) noexcept;

  [[nodiscard]] PeerActions step(Instant now, PeerEvent event);
  // When to call step with DeadlineReached at the latest.
  [[nodiscard]] std::optional<Instant> next_deadline() const;
  // Ends the process where the peer's own tables contradict each other. Slow: for tests.
  void check_invariants() const;

  WorkerStatus status() const;
  // Nothing runs, and nothing that was committed waits to be shown.
  bool nothing_in_hand() const;
  // After Leaving: all who had to be told have been, or cannot be reached.
  bool has_left() const;
  Reachability reachability() const;
  // The node's record of now, for its Hello. It is signed nowhere else: so the node knows its own.
  Signed sign_record(Instant now);
  // The relays of this node and where it is dialled: what changes in the record.
  const std::vector<Via>& via() const;
  const std::vector<std::string>& endpoints() const;
  // What must not be evicted: that of the jobs that it keeps or works for, and what is pinned.
  std::set<ContentId> contents_needed() const;
  const Traffic& traffic() const;  // of this month
  // Of all jobs that this node keeps; JobStatus::leads says which of them it leads.
  std::vector<JobStatus> jobs_led() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal
