#pragma once

#include <optional>
#include <string>
#include <vector>

#include "node/protocol/decode_error.h"
#include "node/protocol/ids.h"
#include "node/protocol/keys.h"
#include "node/protocol/range.h"
#include "node/protocol/time.h"

// Facts: what a node states under its signature. A fact travels, is stored and is checked as the
// bytes its signer sent (`Signed::body`); the structs below are only what those bytes say.
namespace shoal {

struct Signed {
  NodeId signer;
  Bytes body;
  Signature signature;
  friend bool operator==(const Signed&, const Signed&) = default;
};

inline Signed sign_fact(const Signer& signer, Purpose purpose, Bytes body) {
  Signature signature = signer.sign(purpose, body);
  return {signer.id(), std::move(body), signature};
}
inline bool signature_holds(const SignatureChecker& checker, Purpose purpose, const Signed& fact) {
  return checker.holds(fact.signer, purpose, fact.body, fact.signature);
}

enum class Role : std::uint8_t { kWorker = 0, kSubmitter = 1, kCoordinator = 2 };

// A peer through which a node can be reached, and where to dial it.
struct Via {
  NodeId node;
  std::string endpoint;
  friend bool operator==(const Via&, const Via&) = default;
};

// Whose a node is: its owner's signature (Purpose::kOwner) under owner_body().
struct OwnerMark {
  NodeId owner;
  Signature signature;
  friend bool operator==(const OwnerMark&, const OwnerMark&) = default;
};
// node | pool.
Bytes owner_body(const NodeId& node, const PoolId& pool);

// A node about itself (Purpose::kRecord). Of two records of one node the higher sequence wins.
struct NodeRecord {
  NodeId node;
  PoolId pool;
  Role role = Role::kWorker;
  std::vector<std::string> endpoints;  // "tcp://1.2.3.4:5555"; none if it cannot be dialled
  std::uint32_t threads = 0;           // that the donor lends
  std::uint64_t memory_bytes = 0;      // that the donor lends
  std::vector<std::string> kernels;    // names of the shipped kernels it runs
  bool runs_native_from_anyone = false;
  bool runs_wasm = false;   // modules of anybody
  std::string agent;        // "shoal/0.1.0"
  UnixMs sequence = 0;      // when it was signed
  std::uint32_t ttl_s = 0;  // how long after that it may be believed
  // Its relays, where it has found that it cannot be dialled: `endpoints` are then of use only to
  // those who are on the same side of what is in the way.
  std::vector<Via> via = {};
  std::optional<OwnerMark> owner = {};  // nothing: its own, see owner_of()
  friend bool operator==(const NodeRecord&, const NodeRecord&) = default;
};

// Whose the node is, as its owner has signed; the node's own, where nobody has.
NodeId owner_of(const NodeRecord&, const SignatureChecker&);

enum class KernelKind : std::uint8_t {
  kShipped = 0,  // a kernel of tasks/, by name: every worker has it
  kNative = 1,   // a program of the submitter's, linked with the SDK, by its content id
  kWasm = 2,     // a WebAssembly module of the submitter's, by its content id
  kProgram = 3,  // any program: a command line with files (program_spec.h), in `parameters`
};
// Whether the submitter brings the kernel, as one content.
inline bool brings_program(KernelKind kind) {
  return kind == KernelKind::kNative || kind == KernelKind::kWasm;
}

enum class Comparison : std::uint8_t { kBytes = 0, kEquivalent = 1 };

// A content as it is named where it is needed: an id alone does not tell how much there is to
// fetch.
struct ContentName {
  ContentId id;
  std::uint64_t length = 0;
  friend bool operator==(const ContentName&, const ContentName&) = default;
};

// A job (Purpose::kManifest, signed by its submitter). Immutable; its id is the SHA-256 of the
// body.
struct Manifest {
  std::array<std::uint8_t, 16> nonce{};  // two submissions of the same work are two jobs
  std::string name;                      // for people
  KernelKind kernel_kind = KernelKind::kShipped;
  std::string kernel;                // the name it was registered under
  std::optional<ContentId> program;  // if brings_program(): the executable or the module
  std::uint64_t program_bytes = 0;
  Bytes parameters;                 // handed to the kernel with every unit
  std::uint64_t units = 0;          // N
  std::optional<ContentId> inputs;  // a pack of N inputs (input_pack.h); none: a unit is its index
  std::uint64_t inputs_bytes = 0;
  std::uint32_t quorum = 2;
  std::uint32_t max_attempts = 3;  // failures on as many workers end a unit
  Comparison comparison = Comparison::kBytes;
  bool distinct_blocks = false;  // replicas from different address blocks (/24, /48)
  std::uint64_t unit_wall_ms = 3'600'000;
  std::uint64_t unit_memory_bytes = 0;  // 0: the donor's limit
  std::uint64_t output_bytes_max = 64ULL << 20;
  std::int32_t priority = 0;
  UnixMs created = 0;
  std::uint64_t keep_s = 604'800;  // results are kept for so long after the job's end
  // Further contents that units need, fetched once a worker.
  std::vector<ContentName> contents = {};
  std::vector<std::string> needs = {};   // programs that must be on a worker already, by name
  std::optional<NodeId> submitter = {};  // who has to sign it; nothing: as early jobs, whoever does
  friend bool operator==(const Manifest&, const Manifest&) = default;
};

// Whether the job can be `node`'s: its submitter's, where it names one.
inline bool may_submit(const NodeId& node, const Manifest& manifest) {
  return !manifest.submitter || *manifest.submitter == node;
}
// Whether it bears the signature of one who may.
bool signed_by_submitter(const SignatureChecker&, const Signed&, const Manifest& decoded);
// Program, inputs and further contents: all that a worker needs to compute the job's units.
std::vector<ContentName> contents_of(const Manifest&);
// Whether a worker of this record can be taken for one that computes such a job. Not everything is
// in a record: the worker itself decides.
bool offers_to_compute(const NodeRecord&, const Manifest&);

// Who may be asked to believe a batch: the worker commits before it shows (Purpose::kCommitment).
// sealed = commitment_seal(...): nobody can copy what he has not seen, nor claim another's.
struct Commitment {
  JobId job;
  NodeId worker;
  Range range;
  Hash256 sealed;
  friend bool operator==(const Commitment&, const Commitment&) = default;
};
// SHA-256("shoal-commit" | job | worker | first | last | salt | root).
Hash256 commitment_seal(const JobId&, const NodeId& worker, Range, const Hash256& salt,
                        const Hash256& root);
// The salt of a worker's batch: Signer::secret_hash over (job, first, last).
Hash256 commitment_salt(const Signer&, const JobId&, Range);

enum class FailureKind : std::uint8_t {
  kThrew = 0,     // the kernel reported an error or threw
  kCrashed = 1,   // a signal
  kTimedOut = 2,  // past unit_wall_ms
  kOutOfMemory = 3,
  kBadAnswer = 4,  // the executor answered garbage, or too much
  kRefused = 5,    // the kernel or its input could not be used at all
};

// What a program's unit took, and how its process ended: its worker's word, which nothing is
// decided by.
struct UnitCost {
  std::uint32_t wall_ms = 0;
  std::uint32_t cpu_ms = 0;
  std::uint32_t memory_kib = 0;  // the most that one of its processes had resident
  std::uint8_t exit_status = 0;
  std::uint8_t signal = 0;  // 0: it has exited
  friend bool operator==(const UnitCost&, const UnitCost&) = default;
};

// A unit that failed on a worker (Purpose::kFailure).
struct Failure {
  JobId job;
  NodeId worker;
  UnitIndex unit = 0;
  FailureKind kind = FailureKind::kThrew;
  std::string message;
  std::string stderr_end;             // the last lines the kernel wrote
  std::optional<UnitCost> cost = {};  // where a process has run
  friend bool operator==(const Failure&, const Failure&) = default;
};

// `from` hands a part of its lease to `to` (Purpose::kTransfer, signed by both).
struct Transfer {
  JobId job;
  std::uint64_t epoch = 0;
  std::uint64_t lease = 0;
  std::vector<Range> ranges;
  NodeId from;
  NodeId to;
  friend bool operator==(const Transfer&, const Transfer&) = default;
};

// What a lease is for.
enum class LeaseKind : std::uint8_t {
  kPrimary = 0,  // the first replica: may be stolen
  kVerify = 1,   // a further replica: bound to this worker
  kDouble = 2,   // again what a straggler holds: bound to this worker
};

// A lease, signed by the leader that granted it (Purpose::kGrant): its holder shows it to whoever
// leads the job after that.
struct Grant {
  JobId job;
  std::uint64_t epoch = 0;
  std::uint64_t lease = 0;
  LeaseKind kind = LeaseKind::kPrimary;
  std::vector<Range> ranges;
  NodeId worker;
  friend bool operator==(const Grant&, const Grant&) = default;
};

// Who keeps a job (Purpose::kTerm): signed by the submitter, or by stewards of the term before;
// terms.h has the rules.
struct Term {
  JobId job;
  std::uint64_t epoch = 0;       // from 1
  std::vector<NodeId> stewards;  // one to limits::kStewards, all different; the first leads
  friend bool operator==(const Term&, const Term&) = default;
};

enum class ControlCommand : std::uint8_t { kCancel = 0, kPause = 1, kResume = 2, kPriority = 3 };

// The submitter's will (Purpose::kControl). The highest sequence wins.
struct Control {
  JobId job;
  std::uint64_t sequence = 0;
  ControlCommand command = ControlCommand::kCancel;
  std::int32_t priority = 0;
  friend bool operator==(const Control&, const Control&) = default;
};

// The submitter has seen every unit's end and accepts it (Purpose::kSnapshot): the job is over, and
// what it accepted is final.
struct Snapshot {
  JobId job;
  std::uint64_t verified = 0;
  std::uint64_t failed = 0;
  std::uint64_t disputed = 0;
  Hash256 results;  // SHA-256 over (first, last, root or zero) of all receipts in unit order
  friend bool operator==(const Snapshot&, const Snapshot&) = default;
};

// A verifier ran the job's `equivalent` on the outputs of one unit (Purpose::kComparison).
struct ComparisonVerdict {
  JobId job;
  NodeId worker;
  UnitIndex unit = 0;
  std::vector<Hash256> digests;  // the first is the reference: the least of them
  bool all_match = false;
  friend bool operator==(const ComparisonVerdict&, const ComparisonVerdict&) = default;
};

Bytes encode(const NodeRecord&);
Bytes encode(const Manifest&);
Bytes encode(const Commitment&);
Bytes encode(const Failure&);
Bytes encode(const Transfer&);
Bytes encode(const Grant&);
Bytes encode(const Term&);
Bytes encode(const Control&);
Bytes encode(const Snapshot&);
Bytes encode(const ComparisonVerdict&);
// Total: any bytes give a value within the limits of limits.h, or an error. They check shape and
// limits, not signatures.
Result<NodeRecord, DecodeError> decode_record(ByteView);
Result<Manifest, DecodeError> decode_manifest(ByteView);
Result<Commitment, DecodeError> decode_commitment(ByteView);
Result<Failure, DecodeError> decode_failure(ByteView);
Result<Transfer, DecodeError> decode_transfer(ByteView);
Result<Grant, DecodeError> decode_grant(ByteView);
Result<Term, DecodeError> decode_term(ByteView);
Result<Control, DecodeError> decode_control(ByteView);
Result<Snapshot, DecodeError> decode_snapshot(ByteView);
Result<ComparisonVerdict, DecodeError> decode_comparison_verdict(ByteView);

JobId job_id_of(ByteView manifest_body);

}  // namespace shoal
