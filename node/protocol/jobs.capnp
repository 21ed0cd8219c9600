@0x9cd281874c0b1e7d;

# Jobs: how a job comes into the grid, and how it is watched and steered.
#
# Concepts
#
# Job. A pure function, its parameters, and N inputs; work unit i of the job is that function
# applied to input i. All of it is said in one fact, the Manifest, which its submitter signs and
# nobody can change afterwards. The job's id is the SHA-256 of the manifest's bytes as sent: whoever
# holds the id can tell the true manifest from any other, whoever gave it to him.
#
# Steward. A worker that keeps a job's ledger: who holds which units, who committed what, how each
# unit ended. The steward that hands out the units is called the job's leader. A submitter picks it
# among the workers that it sees; no coordinator has a say.
#
# Durable before acknowledged. A steward answers Submit with `accepted` only when manifest, program
# and inputs are safe on its disk. From then on the submitter may switch off its machine and come
# back with nothing but the job's id.
#
#     submitter                      steward
#      | Submit           ---->            |
#      |      <---- BlockRequest / Block ----> (content.capnp: the program and the inputs)
#      |                  <----  SubmitReply |
#      | JobStatusRequest ---->            |
#      |                  <---- JobStatusReply |
#      | ControlRequest   ---->            |

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("shoal::wire");

using Rendezvous = import "rendezvous.capnp";
using Stewards = import "stewards.capnp";

using JobId = Data;
# 32 bytes: the SHA-256 of a manifest's bytes as its submitter sent them.

using ContentId = Data;
# 32 bytes: the name of a run of bytes; see content.capnp.

struct ContentName {
  # A content, where it is needed.

  id @0 :ContentId;
  # Which.

  length @1 :UInt64;
  # In bytes. An id alone does not tell how much one is about to fetch.
}

enum KernelKind {
  shipped @0;  # one of the kernels that come with Shoal, by its name: every worker has it
  native @1;   # a program of the submitter's own; runs only where the donor trusts that submitter
  wasm @2;     # a WebAssembly module of the submitter's own; runs for anybody
  program @3;  # a command line and files, in `parameters`; runs only where the submitter is trusted
}

enum Comparison {
  bytes @0;       # two outputs agree when they are the same bytes
  equivalent @1;  # the kernel's own judgement, for results that agree only within a tolerance
}

struct Manifest {
  # Fact: a job, by its submitter. Immutable; what may change later is in Control.

  nonce @0 :Data;
  # 16 random bytes. Without them the same work submitted twice would be the same job.

  name @1 :Text;
  # For people. Need not be unique.

  kernelKind @2 :KernelKind;
  # How `kernel` is to be found.

  kernel @3 :Text;
  # The name that the program or module gives the kernel, or that it ships under.

  program @4 :ContentId;
  # For native kernels the executable, for wasm the module, which workers fetch by this id. Absent
  # for the others.

  programBytes @5 :UInt64;
  # Its size. A content id alone does not tell how much one is about to fetch.

  parameters @6 :Data;
  # Handed to the kernel with every unit. What is large belongs into the inputs.

  units @7 :UInt64;
  # N, at least one. A job of 10^9 units costs no more to describe than a job of one.

  inputs @8 :ContentId;
  # A pack of N inputs (input_pack.h). Absent: the input of a unit is its index.

  inputsBytes @9 :UInt64;
  # The size of that pack.

  quorum @10 :UInt32 = 2;
  # How many distinct workers must agree on a unit before it counts as verified. From 1 to 16.

  maxAttempts @11 :UInt32 = 3;
  # On how many workers a unit must fail before that is its end, from 1 to 64. A unit that fails
  # everywhere is the kernel's fault and would otherwise go round for ever.

  comparison @12 :Comparison;
  # What "agree" means.

  distinctBlocks @13 :Bool;
  # Whether the replicas of a unit must come from different blocks of addresses (/24, /48): one
  # person has many keys more easily than many networks.

  unitWallMs @14 :UInt64 = 3600000;
  # How long a unit may run before it is ended, and its executor too where that does not help.

  unitMemoryBytes @15 :UInt64;
  # How much memory a unit may use. Zero: whatever the donor allows.

  outputBytesMax @16 :UInt64 = 67108864;
  # How large a unit's output may be. More is a failure of the unit.

  priority @17 :Int32;
  # Higher goes first among the jobs of one leader.

  created @18 :Rendezvous.UnixMs;
  # For people.

  keepS @19 :UInt64 = 604800;
  # For how long after its end the stewards keep the job's results, in seconds: seven days.

  contents @20 :List(ContentName);
  # Further contents that its units need, at most 64. Stewards keep them as they keep the inputs.

  needs @21 :List(Text);
  # Names of programs that must be installed on a worker already, at most 16: "hmmsearch".

  submitter @22 :Rendezvous.NodeId;
  # Who submits it. A manifest is no secret, and anybody can sign one: this one counts only under this
  # key's signature. Absent, as in jobs of early programs: to those who have it, it is the first
  # signer's.
}

enum ControlCommand {
  cancel @0;    # no more units are leased; what is running is told to stop; there is no way back
  pause @1;     # no more units are leased; what is running may finish
  resume @2;    # as before the pause
  priority @3;  # use the new priority
}

struct Control {
  # Fact: what the submitter wants of a running job. Of several the one with the highest sequence
  # counts, so that late or repeated copies do no harm.

  job @0 :JobId;
  # The job. The signer must be its submitter.

  sequence @1 :UInt64;
  # The submitter's own count, below 2^63.

  command @2 :ControlCommand;
  # What to do.

  priority @3 :Int32;
  # The new priority; meaningful with that command alone.
}

struct Submit {
  # "Keep this job for me": submitter to a steward. May be repeated: the id says that it is the
  # same.

  manifest @0 :Rendezvous.Signed;
  # The Manifest.

  terms @1 :List(Stewards.SignedTerm);
  # One Term, signed by the submitter, which names the receiver among the stewards. Sent again with a
  # higher epoch where another steward had to be found.
}

enum SubmitOutcome {
  accepted @0;       # durable: the submitter may leave
  invalid @1;        # the manifest does not decode, verify, or make sense
  unknownKernel @2;  # a shipped kernel that this worker does not have
  notTrusted @3;     # native code of a submitter whom the donor does not trust
  full @4;           # this worker leads as many jobs as it can, or its owner refuses this one
  storageFailed @5;  # it could not be made durable
}

struct SubmitReply {
  # The answer to Submit. `accepted` is a promise.

  job @0 :JobId;
  # Which submission this answers.

  outcome @1 :SubmitOutcome;
  # For programs.

  detail @2 :Text;
  # For people: one sentence.
}

enum JobPhase {
  fetching @0;   # the steward is still pulling the program or the inputs
  running @1;    # units are being handed out
  paused @2;     # by the submitter
  done @3;       # every unit has an end
  cancelled @4;  # by the submitter
}

struct JobStatus {
  # One job as its leader sees it. A report, not evidence: what counts is in the receipts.

  job @0 :JobId;
  # The job.

  phase @1 :JobPhase;
  # Where it stands.

  units @2 :UInt64;
  # N.

  verified @3 :UInt64;
  # Units that ended well.

  failed @4 :UInt64;
  # Units that failed on as many workers as the manifest allows.

  disputed @5 :UInt64;
  # Units on which no quorum could be found.

  committed @6 :UInt64;
  # Units with at least one commitment and no end yet.

  leased @7 :UInt64;
  # Units that somebody holds as their first replica.

  workers @8 :UInt32;
  # Workers that hold a lease or committed within the last minute.

  moved @9 :UInt64;
  # Units that came to their worker from a peer and not from the steward: how well stealing works.

  recomputed @10 :UInt64;
  # Replicas of units beyond the quorum: what disputes, stragglers and losses cost.

  unblinded @11 :UInt64;
  # Units that the leader itself had to verify for want of others, knowing what it verified.

  waitingFor @12 :Text;
  # Why nothing moves, in one line. Empty while it moves.

  name @13 :Text;
  # From the manifest; cut where it is long.

  submitter @14 :Rendezvous.NodeId;
  # Whose job it is.

  created @15 :Rendezvous.UnixMs;
  # From the manifest.

  leads @16 :Bool;
  # Whether the sender leads the job. A follower knows less of what is under way.

  epoch @17 :UInt64;
  # Of the term in force, as the sender knows it.

  stewards @18 :Rendezvous.Hashes;
  # Their node ids, the leader first.

  stewardsHere @19 :UInt32;
  # How many of them the sender can hear, itself included.

  keptUntil @20 :Rendezvous.UnixMs;
  # When the sender will forget the results. Zero: the job has not ended.

  priority @21 :Int32;
  # As the submitter last said.

  inputsHeld @22 :UInt32;
  # Workers that hold the job's program and inputs and that the sender can hear. Zero where the sender
  # does not look after them: see stewards.capnp.

  largeOutputs @23 :UInt64;
  # Verified outputs that are content.

  thinOutputs @24 :UInt64;
  # Those of them that fewer than two workers hold that the sender can hear.

  keepS @25 :UInt64;
  # For how many seconds after its end the results are kept, as its manifest says. Zero: an older
  # sender.

  usage @26 :JobUsage;
  # What its units took. Absent: none was measured.
}

struct JobUsage {
  # What the verified units of a job took, of those that were processes of their own: as the workers
  # say whose outputs were accepted. Nobody has verified it.

  units @0 :UInt64;
  # That were measured.

  cpuMsOfAll @1 :UInt64;
  # The processor time of all of them together, each counted once.

  wallMs @2 :Spread;
  cpuMs @3 :Spread;
  memoryKib @4 :Spread;
  # Of a unit; memory is the most that one of its processes had resident.
}

struct Spread {
  # Of many numbers.

  median @0 :UInt32;
  # Within a thirtieth.

  most @1 :UInt32;
  # The largest.
}

struct JobStatusRequest {
  # "How is it going?": from anybody to a steward.

  job @0 :JobId;
  # Which job. All zero: all jobs of which this node is a steward.

  submitter @1 :Rendezvous.NodeId;
  # When all jobs are asked for: only those of this submitter. All zero: everybody's.
}

struct JobStatusReply {
  # The answer.

  jobs @0 :List(JobStatus);
  # Empty where the node is no steward of such a job.
}

struct ControlRequest {
  # The submitter's will, to any steward, who passes it on to the others. It is confirmed by the
  # status that follows from it.

  control @0 :Rendezvous.Signed;
  # The Control.
}

struct JobFind {
  # "Who keeps this job?": to any peer, from a submitter that comes back with the id alone, or from a
  # worker that lost the leader.

  job @0 :JobId;
  # The job.

  withManifest @1 :Bool;
  # Whether the manifest is wanted too.
}

struct JobFound {
  # The answer to JobFind. What of it is no fact proves nothing.

  job @0 :JobId;
  # Which question this answers.

  leader @1 :Rendezvous.Signed;
  # The leader's NodeRecord. Absent: this peer does not know it.

  terms @2 :List(Stewards.SignedTerm);
  # The chain, as this peer knows it. Empty: it has not heard of the job, or only by rumour.

  stewards @3 :List(Rendezvous.Signed);
  # NodeRecords of the stewards, as far as this peer has them.

  manifest @4 :Rendezvous.Signed;
  # The Manifest, where it was asked for and is known.
}
