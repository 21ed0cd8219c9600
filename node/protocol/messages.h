#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "node/protocol/facts.h"
#include "node/protocol/reach_messages.h"

// What nodes say to each other. One struct a message, one schema file a conversation
// (rendezvous.capnp, jobs.capnp, work.capnp, verification.capnp, results.capnp, content.capnp,
// stewards.capnp, reach.capnp), one envelope (message.capnp). The sender is known from the link's
// CURVE key, never from the payload.
namespace shoal {

// --- Rendezvous
// -----------------------------------------------------------------------------------

// First on every link, from both sides. The receiver checks `node` against the link's CURVE key and
// `pool` against its own; either wrong: Refused, and the link is dropped.
struct Hello {
  std::uint32_t version = 1;
  PoolId pool;
  NodeId node;
  Role role = Role::kWorker;
  std::optional<Signed> record;  // NodeRecord
  // Of a submitter, whose key may be in use by several processes at once: a random number of this
  // one. 0: there is one process of the key, whichever it is. See peer_name().
  std::uint64_t session = 0;
  friend bool operator==(const Hello&, const Hello&) = default;
};

enum class RefusalReason : std::uint8_t {
  kOtherPool = 0,
  kOtherVersion = 1,
  kWrongKey = 2,
  kTooBusy = 3,
  kNotAllowed = 4,
  kBadMessage = 5,
};
struct Refused {
  RefusalReason reason = RefusalReason::kBadMessage;
  std::string detail;
  friend bool operator==(const Refused&, const Refused&) = default;
};

struct Announce {  // to a coordinator
  Signed record;
  friend bool operator==(const Announce&, const Announce&) = default;
};
struct Announced {
  std::string observed_address;  // the asker's IP address as the coordinator saw it
  std::uint32_t ttl_s = 0;
  friend bool operator==(const Announced&, const Announced&) = default;
};
struct SampleRequest {  // to a coordinator, or to any peer
  std::uint32_t count = 0;
  std::uint64_t cookie = 0;  // from the last reply: only what changed since. 0: a fresh sample
  friend bool operator==(const SampleRequest&, const SampleRequest&) = default;
};
struct Sample {
  std::vector<Signed> records = {};
  std::uint64_t cookie = 0;
  std::uint64_t nodes_known = 0;
  friend bool operator==(const Sample&, const Sample&) = default;
};
struct Leave {  // "forget my record"
  friend bool operator==(const Leave&, const Leave&) = default;
};

// --- Stewards
// -------------------------------------------------------------------------------------

struct Endorsement {  // a further signature under a Term
  NodeId signer;
  Signature signature;
  friend bool operator==(const Endorsement&, const Endorsement&) = default;
};
struct SignedTerm {
  Signed term;  // Term
  std::vector<Endorsement> endorsements = {};
  friend bool operator==(const SignedTerm&, const SignedTerm&) = default;
};
// From the submitter's latest term to the one in force (terms.h).
using TermChain = std::vector<SignedTerm>;

// "These keep the job now": between stewards, and from a new leader to workers.
struct TermNotice {
  JobId job;
  TermChain terms = {};
  std::vector<Signed> records = {};  // NodeRecords of the stewards, as far as the sender has them
  friend bool operator==(const TermNotice&, const TermNotice&) = default;
};
struct Heartbeat {  // leader to its followers while a job of theirs is running
  friend bool operator==(const Heartbeat&, const Heartbeat&) = default;
};
struct Enlist {  // leader to a worker: be a steward of this job
  Signed manifest;
  TermChain terms = {};
  friend bool operator==(const Enlist&, const Enlist&) = default;
};
struct EnlistReply {  // accepted: manifest, program and inputs are durable there
  JobId job;
  bool accepted = false;
  std::string detail;
  friend bool operator==(const EnlistReply&, const EnlistReply&) = default;
};
struct EndorseRequest {  // leader to follower: sign this Term too
  Signed term;
  friend bool operator==(const EndorseRequest&, const EndorseRequest&) = default;
};
struct Endorse {  // and its answer; silence is a no
  JobId job;
  std::uint64_t epoch = 0;
  Endorsement endorsement;
  friend bool operator==(const Endorse&, const Endorse&) = default;
};

// Steward to a worker that has a part in the job: hold these too, somebody who did is gone. With a
// receipt its large outputs, without one the job's program and inputs.
struct Keep {
  JobId job;
  TermChain terms = {};  // which make the sender a steward
  Bytes receipt = {};    // encoded Receipt, from the sender's ledger; empty: program and inputs
  std::vector<Signed> holders = {};  // NodeRecords: of whom they can be had
  friend bool operator==(const Keep&, const Keep&) = default;
};
struct Kept {  // and its answer, once they are there and it has been written down what for
  JobId job;
  ContentId output;  // the first of the receipt's; zero: program and inputs
  NodeId holder;     // who answers; stewards pass on to each other who holds what
  bool held = false;
  std::string detail;  // if not, why
  friend bool operator==(const Kept&, const Kept&) = default;
};

// --- Jobs
// -----------------------------------------------------------------------------------------

struct Submit {  // submitter to each of the stewards that it chose
  Signed manifest;
  TermChain terms = {};  // one term, signed by the submitter
  friend bool operator==(const Submit&, const Submit&) = default;
};
enum class SubmitOutcome : std::uint8_t {
  kAccepted = 0,  // durable: the submitter may leave
  kInvalid = 1,
  kUnknownKernel = 2,
  kNotTrusted = 3,
  kFull = 4,
  kStorageFailed = 5,
};
struct SubmitReply {
  JobId job;
  SubmitOutcome outcome = SubmitOutcome::kAccepted;
  std::string detail;
  friend bool operator==(const SubmitReply&, const SubmitReply&) = default;
};

enum class JobPhase : std::uint8_t {
  kFetching = 0,
  kRunning = 1,
  kPaused = 2,
  kDone = 3,
  kCancelled = 4,
};
// What the verified units of a job took, of those that were processes of their own: as the workers
// say whose outputs were accepted.
struct Spread {
  std::uint32_t median = 0;  // within a thirtieth
  std::uint32_t most = 0;
  friend bool operator==(const Spread&, const Spread&) = default;
};
struct JobUsage {
  std::uint64_t units = 0;       // that were measured
  std::uint64_t cpu_ms_all = 0;  // of all of them together, each counted once
  Spread wall_ms;                // of a unit, as are the next two
  Spread cpu_ms;
  Spread memory_kib;
  friend bool operator==(const JobUsage&, const JobUsage&) = default;
};
struct JobStatus {
  JobId job;
  JobPhase phase = JobPhase::kRunning;
  std::uint64_t units = 0, verified = 0, failed = 0, disputed = 0;
  std::uint64_t committed = 0;  // units with at least one commitment and no end yet
  std::uint64_t leased = 0;     // units in somebody's lease, first replica
  std::uint32_t workers = 0;    // that hold a lease or committed in the last minute
  std::uint64_t moved = 0;      // units that came to their worker from a peer, not from the steward
  std::uint64_t recomputed = 0;  // unit replicas beyond the quorum
  std::uint64_t unblinded = 0;
  std::string waiting_for;  // why nothing moves, in one line; empty if it moves
  std::string name;
  NodeId submitter;
  UnixMs created = 0;
  bool leads = false;  // whether the sender does; a follower knows less of what is under way
  std::uint64_t epoch = 0;
  std::vector<NodeId> stewards;     // the leader first
  std::uint32_t stewards_here = 0;  // that the sender can hear, itself included
  UnixMs kept_until = 0;            // when the results go; 0: the job has not ended
  std::int32_t priority = 0;
  // What is known of its contents by the steward that looks after them; zeros from the others.
  std::uint32_t inputs_held = 0;    // workers here that hold program and inputs
  std::uint64_t large_outputs = 0;  // verified ones
  std::uint64_t thin_outputs = 0;   // of them those that fewer than two workers here hold
  std::uint64_t keep_s = 0;         // results are kept for so long after its end; 0: not said
  JobUsage usage = {};
  friend bool operator==(const JobStatus&, const JobStatus&) = default;
};
struct JobStatusRequest {  // job zero: all jobs this node keeps, of `submitter` if that is not zero
  JobId job;
  NodeId submitter;
  friend bool operator==(const JobStatusRequest&, const JobStatusRequest&) = default;
};
struct JobStatusReply {
  std::vector<JobStatus> jobs;
  friend bool operator==(const JobStatusReply&, const JobStatusReply&) = default;
};
struct ControlRequest {  // submitter to any steward, who passes it on; Control
  Signed control;
  friend bool operator==(const ControlRequest&, const ControlRequest&) = default;
};
struct JobFind {  // "who keeps this job?", to any peer
  JobId job;
  bool with_manifest = false;
  friend bool operator==(const JobFind&, const JobFind&) = default;
};
struct JobFound {
  JobId job;
  std::optional<Signed> leader;         // NodeRecord; nothing: this peer does not know
  TermChain terms = {};                 // empty: it has not heard of the job, or only by rumour
  std::vector<Signed> stewards = {};    // NodeRecords, as far as it has them
  std::optional<Signed> manifest = {};  // where it was asked for and is known
  friend bool operator==(const JobFound&, const JobFound&) = default;
};

// --- Work
// -----------------------------------------------------------------------------------------

// There is work in `job`: to peers that asked and got nothing, who pass it on, once a job, to those
// that asked them.
struct WorkAvailable {
  JobId job;
  Signed leader;  // NodeRecord
  std::uint32_t hops = 0;
  TermChain terms = {};  // what makes it the leader
  friend bool operator==(const WorkAvailable&, const WorkAvailable&) = default;
};
// "I have nothing to compute". To a leader: lease me units. To any peer: tell me of jobs, and
// remember me until you have heard of one.
struct WorkRequest {
  std::optional<JobId> job;
  std::uint32_t threads = 0;
  std::uint64_t unit_ns = 0;        // its measured time a unit and thread in this job; 0: unknown
  std::uint64_t backlog_units = 0;  // still unstarted here, so that asking early is no greed
  friend bool operator==(const WorkRequest&, const WorkRequest&) = default;
};
struct LeaseGrant {
  JobId job;
  std::uint64_t epoch = 0;
  std::uint64_t lease = 0;
  LeaseKind kind = LeaseKind::kPrimary;
  std::vector<Range> ranges;
  std::uint64_t duration_ms = 0;
  std::optional<Signed> manifest = {};  // in the first grant of a job to a worker
  std::optional<Signed> grant = {};     // Grant: the same, signed; nothing where nothing is leased
  TermChain terms = {};                 // beside the manifest
  friend bool operator==(const LeaseGrant&, const LeaseGrant&) = default;
};
// Nothing to lease now; the leader remembers the asker. `holders` have units that may be stolen.
struct NoWork {
  std::optional<JobId> job;
  std::vector<Signed> holders;      // NodeRecords, most units first
  std::vector<WorkAvailable> jobs;  // from a peer that leads nothing: jobs it has heard of
  friend bool operator==(const NoWork&, const NoWork&) = default;
};
struct LeaseReport {  // holder to leader: what is still held of each lease; the rest returns
  struct Held {
    std::uint64_t lease = 0;
    std::vector<Range> ranges;
    friend bool operator==(const Held&, const Held&) = default;
  };
  JobId job;
  std::uint64_t epoch = 0;
  std::vector<Held> leases;
  std::uint64_t unit_ns = 0;
  std::string declines;  // why it takes no more until it asks again; empty: it does
  friend bool operator==(const LeaseReport&, const LeaseReport&) = default;
};
struct LeaseRevoke {  // leader to holder: these units are done elsewhere or wanted no more
  JobId job;
  std::vector<Range> ranges;
  bool job_over = false;
  friend bool operator==(const LeaseRevoke&, const LeaseRevoke&) = default;
};
struct StealRequest {
  JobId job;
  std::uint32_t threads = 0;
  friend bool operator==(const StealRequest&, const StealRequest&) = default;
};
struct StealReply {  // nothing in `transfer`: nothing to spare; the asker is remembered
  JobId job;
  std::optional<Signed> transfer;  // Transfer, signed by the victim
  std::uint64_t duration_ms = 0;
  friend bool operator==(const StealReply&, const StealReply&) = default;
};
struct TransferNotice {  // thief to leader
  Signed by_victim;
  Signature by_thief;
  friend bool operator==(const TransferNotice&, const TransferNotice&) = default;
};
struct TransferReply {  // leader to thief: what of it moved; the rest must not be computed
  JobId job;
  std::uint64_t lease = 0;      // of the transfer
  std::uint64_t new_lease = 0;  // that the thief now holds; 0: refused
  std::vector<Range> ranges;
  std::uint64_t duration_ms = 0;
  std::optional<Signed> grant = {};  // Grant for what moved
  friend bool operator==(const TransferReply&, const TransferReply&) = default;
};
// Worker to a new leader, or to the same one after a restart: what it was given, and what of that
// it still means to compute.
struct Rejoin {
  struct Part {
    Signed grant;             // Grant
    std::vector<Range> held;  // of it, still to be computed
    friend bool operator==(const Part&, const Part&) = default;
  };
  JobId job;
  std::uint64_t epoch = 0;  // of the leader that is spoken to
  std::vector<Part> parts;
  std::uint32_t threads = 0;
  std::uint64_t unit_ns = 0;
  friend bool operator==(const Rejoin&, const Rejoin&) = default;
};
struct RejoinReply {  // the leases from now on; what was held and is in none of them is no more
  struct Lease {
    std::uint64_t old_epoch = 0;
    std::uint64_t old_lease = 0;
    Signed grant;  // Grant
    friend bool operator==(const Lease&, const Lease&) = default;
  };
  JobId job;
  std::uint64_t epoch = 0;
  std::vector<Lease> leases;
  std::uint64_t duration_ms = 0;
  std::vector<Range> open;  // units that have not ended, or more: commitments to these are wanted
  friend bool operator==(const RejoinReply&, const RejoinReply&) = default;
};

// How far a first replica has come: to the leader now and then, and from it to the next holder of
// the unit, before the grant. It proves nothing: verifiers are never given one.
struct UnitState {
  JobId job;
  UnitIndex unit = 0;
  Bytes state;
  friend bool operator==(const UnitState&, const UnitState&) = default;
};

// --- Verification
// ---------------------------------------------------------------------------------

struct CommitNotice {               // worker to leader
  std::vector<Signed> commitments;  // Commitment; all of one job
  JobId job;
  std::uint64_t compute_ns = 0;  // thread time spent on them
  friend bool operator==(const CommitNotice&, const CommitNotice&) = default;
};
struct FailureNotice {           // worker to leader
  std::vector<Signed> failures;  // Failure
  friend bool operator==(const FailureNotice&, const FailureNotice&) = default;
};
enum class RevealDetail : std::uint8_t {
  kRoot = 0,     // salt and root alone: enough where the roots agree
  kDigests = 1,  // and the digests of `part`
  kOutputs = 2,  // and the outputs of `part`
};
struct RevealRequest {  // leader to worker, once q have committed
  JobId job;
  Range range;  // of the commitment
  Range part;   // what is asked, within it
  RevealDetail detail = RevealDetail::kRoot;
  friend bool operator==(const RevealRequest&, const RevealRequest&) = default;
};

// The outputs of a run of units, in order: those of up to kInlineOutputBytes as bytes one after
// another, larger ones by their content id, held by those who computed them.
struct PackedOutputs {
  std::vector<std::uint64_t> sizes;  // bytes, one a unit
  Bytes inline_bytes;
  std::vector<ContentId> large;
  std::vector<UnitCost> costs = {};  // one a unit, or none; no part of what is agreed on
  friend bool operator==(const PackedOutputs&, const PackedOutputs&) = default;
};
// One digest (content id) a unit; nothing if the parts do not fit together.
std::optional<std::vector<Hash256>> digests_of(const PackedOutputs&);
// The outputs of units [first, last) of the pack, counted from its first unit.
PackedOutputs slice(const PackedOutputs&, std::uint64_t first, std::uint64_t last);
void append(PackedOutputs& to, const PackedOutputs& more);

struct Reveal {
  JobId job;
  Range range;
  Range part;
  Hash256 salt;
  Hash256 root;
  std::vector<Hash256> digests;          // kDigests
  std::optional<PackedOutputs> outputs;  // kOutputs
  std::vector<Hash256> proof;            // of `part` within `range`; empty when they are equal
  bool lapsed = false;                   // the worker no longer has this batch
  friend bool operator==(const Reveal&, const Reveal&) = default;
};
// Job with `equivalent`, and digests differ: leader to everybody who computed the unit.
struct CompareRequest {
  JobId job;
  UnitIndex unit = 0;
  PackedOutputs candidates;          // one for each digest; the first is the least
  std::vector<Signed> holders = {};  // NodeRecord; of those who computed a large one
  friend bool operator==(const CompareRequest&, const CompareRequest&) = default;
};
struct CompareReply {
  Signed verdict;  // ComparisonVerdict
  friend bool operator==(const CompareReply&, const CompareReply&) = default;
};

// --- Results
// --------------------------------------------------------------------------------------

enum class UnitEnd : std::uint8_t { kVerified = 0, kDisputed = 1, kFailed = 2 };

// One worker's evidence for a run of units: its signed commitment, opened.
struct Support {
  Signed commitment;  // Commitment
  Hash256 salt;
  Hash256 root;
  std::vector<Hash256> digests;  // empty: the same as the receipt's outputs
  std::vector<Hash256> proof;    // of the receipt's range within the commitment's
  bool unblinded = false;        // the leader itself, verifying what another had committed
  friend bool operator==(const Support&, const Support&) = default;
};
// The end of a run of units, with all that is needed to check it without trusting who sent it.
struct Receipt {
  std::uint64_t sequence = 0;  // its keeper's count, from 1: a cursor for delivery, nothing more
  Range range;
  UnitEnd end = UnitEnd::kVerified;
  PackedOutputs outputs;            // kVerified
  std::vector<Support> supports;    // kVerified: at least q that agree; kDisputed: all there are
  std::vector<Signed> failures;     // kFailed: Failure
  std::vector<Signed> comparisons;  // ComparisonVerdict, where digests differ within tolerance
  // kDisputed: what two of the supports stand for, where it is small enough to be shown; else none.
  std::vector<PackedOutputs> differing = {};
  friend bool operator==(const Receipt&, const Receipt&) = default;
};
Bytes encode(const Receipt&);  // as it is stored and sent
Result<Receipt, DecodeError> decode_receipt(ByteView);

// Submitter to steward, or steward to steward: receipts after `cursor`, at most `credit` bytes
// ahead. A cursor means something only to the steward that it came from.
struct ResultsRequest {
  JobId job;
  std::uint64_t cursor = 0;
  std::uint64_t credit_bytes = 0;
  std::vector<Range> have =
      {};             // units whose ends are known: receipts of nothing else are left out
  bool once = false;  // only what there is now, and then `Results::end`
  friend bool operator==(const ResultsRequest&, const ResultsRequest&) = default;
};
struct Results {
  JobId job;
  std::vector<Bytes> receipts;  // encoded Receipts, sequences rising from the cursor on
  bool end = false;             // of what was asked for `once`
  friend bool operator==(const Results&, const Results&) = default;
};
struct JobOver {  // submitter to any steward, who passes it on: Snapshot
  Signed snapshot;
  friend bool operator==(const JobOver&, const JobOver&) = default;
};

// --- Content
// --------------------------------------------------------------------------------------

struct BlockRequest {
  ContentId content;
  std::uint64_t length = 0;      // as named where the id was learned
  std::uint64_t first_leaf = 0;  // a multiple of kBlockLeaves
  friend bool operator==(const BlockRequest&, const BlockRequest&) = default;
};
struct Block {
  ContentId content;
  std::uint64_t first_leaf = 0;
  Bytes bytes;                 // up to kBlockLeaves leaves
  std::vector<Hash256> proof;  // of these leaves under the content's root
  bool missing = false;        // "I do not have it"
  friend bool operator==(const Block&, const Block&) = default;
};
struct BlockCancel {  // "I have it now from somebody else": where nothing was sent yet
  ContentId content;
  std::uint64_t first_leaf = 0;
  friend bool operator==(const BlockCancel&, const BlockCancel&) = default;
};
// "These blocks of it are here." First all of them, then those that came since.
struct Holdings {
  ContentId content;
  std::uint64_t length = 0;
  std::uint64_t first_block = 0;  // of `bits`; a multiple of 8
  Bytes bits;                     // one a block, the least significant first
  bool fetching = false;          // "and I want the rest: tell me what you hold, now and later"
  friend bool operator==(const Holdings&, const Holdings&) = default;
};
struct HoldersRequest {  // "who else has it?"
  ContentId content;
  std::uint64_t length = 0;
  friend bool operator==(const HoldersRequest&, const HoldersRequest&) = default;
};
struct Holders {  // to be asked what they hold; nobody needs to be believed about it
  ContentId content;
  std::vector<Signed> records;  // NodeRecord
  friend bool operator==(const Holders&, const Holders&) = default;
};

// --- Workers as people see them
// -------------------------------------------------------------------

struct WorkerStatusRequest {
  friend bool operator==(const WorkerStatusRequest&, const WorkerStatusRequest&) = default;
};
struct WorkerStatus {
  NodeId node;
  std::string agent;
  std::uint32_t threads = 0;
  std::uint32_t peers = 0;  // links up
  std::uint64_t units_computed = 0;
  std::uint64_t units_stolen = 0;  // that came from a peer other than the steward
  std::uint64_t units_failed = 0;
  std::uint64_t jobs_led = 0;
  std::uint64_t backlog_units = 0;
  std::string doing;  // one line
  Reachability reachability = Reachability::kUnknown;
  std::uint32_t links_direct = 0;  // of `peers`, by the way they go
  std::uint32_t links_reversed = 0;
  std::uint32_t links_punched = 0;
  std::uint32_t links_relayed = 0;
  std::string mapped;  // the endpoint at which its router lets others in; empty: none
  friend bool operator==(const WorkerStatus&, const WorkerStatus&) = default;
};

using Message =
    std::variant<Hello, Refused, Announce, Announced, SampleRequest, Sample, Leave, Submit,
                 SubmitReply, JobStatusRequest, JobStatusReply, ControlRequest, JobFind, JobFound,
                 WorkAvailable, WorkRequest, LeaseGrant, NoWork, LeaseReport, LeaseRevoke,
                 StealRequest, StealReply, TransferNotice, TransferReply, CommitNotice,
                 FailureNotice, RevealRequest, Reveal, CompareRequest, CompareReply, ResultsRequest,
                 Results, JobOver, BlockRequest, Block, WorkerStatusRequest, WorkerStatus,
                 TermNotice, Heartbeat, Enlist, EnlistReply, EndorseRequest, Endorse, Rejoin,
                 RejoinReply, DialBackRequest, DialBackReply, DialBack, Reserve, Reserved, Reverse,
                 CircuitOpen, CircuitAnswer, CircuitData, CircuitEnd, BlockCancel, Holdings,
                 HoldersRequest, Holders, UnitState, Keep, Kept>;

// One message as it goes onto a link. Asserts that it is within the limits: what we send is ours.
Bytes encode(const Message&);
// Total: any bytes give a message within the limits of limits.h, or an error.
Result<Message, DecodeError> decode(ByteView);
// "LeaseGrant": for logs and counts.
std::string_view name_of(const Message&);

}  // namespace shoal
