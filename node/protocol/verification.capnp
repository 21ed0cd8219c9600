@0x86db91a104ad87bb;

# Verification: how the grid comes to believe a result that an unknown volunteer computed.
#
# Concepts
#
# Replicas. Each unit is computed by as many distinct workers as the job's quorum q says. What they
# must agree on is the digest of the unit's output: its content id.
#
# Batch. Consecutive units that one worker finished together. One signature covers a batch, because
# checking a signature costs more than many a unit. The units' digests are the leaves of a Merkle
# tree, so that a part of a batch can later be shown on its own, with a proof that it belongs there.
#
# Commit, then reveal. A worker first commits: it signs a seal that binds its digests and shows none
# of them. Only when q workers have committed to a unit does the leader ask them to open the seals.
# Whoever copied would have had to know the answer before anybody had shown it.
#
#     sealed = SHA-256("shoal-commit" | job | worker | first | last | salt | root)
#
# with first and last as 8 little-endian bytes. The salt keeps a guessable output from being found
# by trying; the worker's id in the seal keeps a second worker from handing in the first one's seal.
# The salt is a secret function of the worker's key and the batch, so that a worker that lost its
# memory in a crash makes the same commitment again and does not seem to contradict itself.
#
# Agreement is cheap, disagreement is narrow. Equal roots over equal ranges settle a whole batch in
# a few dozen bytes; outputs are asked of one worker only. Where batches do not line up, digests of
# the common part are compared under Merkle proofs. Where digests differ, only those units get a
# further replica.
#
#     workers                                leader
#      | CommitNotice            ---->            |
#      |            (until q have committed to the same units)
#      |                         <---- RevealRequest | outputs of one, roots of the others
#      | Reveal                  ---->            |
#      |                         <---- CompareRequest | only where a job compares by tolerance
#      | CompareReply            ---->            |
#
# Reveals go to the leader alone. A commitment that is not opened in time lapses and its units are
# given to somebody else.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("shoal::wire");

using Rendezvous = import "rendezvous.capnp";
using Jobs = import "jobs.capnp";

struct Commitment {
  # Fact: a worker stands for the results of a batch before it shows them. Two different commitments
  # of one worker to the same batch are proof of a lie.

  job @0 :Jobs.JobId;
  # The job.

  worker @1 :Rendezvous.NodeId;
  # Who computed. Must be the signer.

  first @2 :UInt64;
  last @3 :UInt64;
  # The batch: units [first, last), at most the limit on units a batch.

  sealed @4 :Rendezvous.Hash;
  # The seal, as above.
}

enum FailureKind {
  threw @0;        # the kernel reported an error, or threw
  crashed @1;      # a signal ended its process
  timedOut @2;     # it ran past the manifest's limit
  outOfMemory @3;  # it wanted more than the manifest or the donor allows
  badAnswer @4;    # the executor answered nonsense, or too much
  refused @5;      # the kernel or its input could not be used at all
}

struct Failure {
  # Fact: a unit ended without an output on a worker. Evidence like a commitment: enough of them
  # from distinct workers end the unit, and the submitter sees why.

  job @0 :Jobs.JobId;
  # The job.

  worker @1 :Rendezvous.NodeId;
  # On whom it failed. Must be the signer.

  unit @2 :UInt64;
  # The unit.

  kind @3 :FailureKind;
  # For programs.

  message @4 :Text;
  # What the kernel said, or what the worker saw. For the scientist.

  stderrEnd @5 :Text;
  # The last lines that the kernel wrote to stderr; cut at the front where there is more.

  cost @6 :Data;
  # Where a process has run: what it took, as in PackedOutputs. Otherwise absent.
}

struct ComparisonVerdict {
  # Fact: a verifier ran the job's own comparison on the differing outputs of one unit.

  job @0 :Jobs.JobId;
  # The job.

  worker @1 :Rendezvous.NodeId;
  # Who judged. Must be the signer.

  unit @2 :UInt64;
  # The unit.

  digests @3 :Rendezvous.Hashes;
  # The outputs that were compared, by digest, at least one. The first is the reference: the least
  # of them, so that nobody chooses it.

  allMatch @4 :Bool;
  # Whether every one of them is equivalent to the reference.
}

struct PackedOutputs {
  # The outputs of consecutive units. Small ones ride along; of larger ones only the content id, by
  # which they are fetched from the workers that computed them (content.capnp).

  count @0 :UInt32;
  # How many units.

  sizes :union {
    # The units' output sizes in bytes. The size alone decides where an output is: up to the limit
    # on inline outputs in `inlineBytes`, above it in `large`.

    same @1 :UInt32;
    # All are of this size. Most kernels give outputs of one size, and four bytes a unit are more
    # than many an output.

    each @2 :Data;
    # One a unit: 4 little-endian bytes each.
  }

  inlineBytes @3 :Data;
  # The small outputs, one after another in the order of their units.

  large @4 :Data;
  # The content ids of the large ones, 32 bytes each, in the order of their units.

  costs @5 :Data;
  # What the units took, where they are programs: 16 bytes each, or absent. Each: wall time and
  # processor time in ms, and the largest resident set in KiB, 4 little-endian bytes each; exit
  # status, signal, and two zeros. No part of the digests: it is the word of who computed them.
}

struct CommitNotice {
  # Worker to leader: "I have computed these".

  commitments @0 :List(Rendezvous.Signed);
  # Commitments, all of one job.

  job @1 :Jobs.JobId;
  # That job.

  computeNs @2 :UInt64;
  # Thread time spent on them in nanoseconds: what leases are sized by.
}

struct FailureNotice {
  # Worker to leader: "these units failed here".

  failures @0 :List(Rendezvous.Signed);
  # Failures.
}

enum RevealDetail {
  root @0;     # salt and root alone: enough where the roots agree
  digests @1;  # and the digests of the part
  outputs @2;  # and the outputs of the part, from which the digests follow
}

struct RevealRequest {
  # Leader to worker: open a seal. Sent only when q workers have committed to every unit of the
  # part.

  job @0 :Jobs.JobId;
  # The job.

  rangeFirst @1 :UInt64;
  rangeLast @2 :UInt64;
  # The commitment's batch.

  partFirst @3 :UInt64;
  partLast @4 :UInt64;
  # What is asked of it; within the batch.

  detail @5 :RevealDetail;
  # How much to show.
}

struct Reveal {
  # The opened seal. The leader recomputes digests, root and seal from it and compares with what was
  # signed: whatever does not fit counts as not revealed.

  job @0 :Jobs.JobId;
  # The job.

  rangeFirst @1 :UInt64;
  rangeLast @2 :UInt64;
  # As in the request.

  partFirst @3 :UInt64;
  partLast @4 :UInt64;
  # As in the request.

  salt @5 :Rendezvous.Hash;
  # The salt of the seal.

  root @6 :Rendezvous.Hash;
  # The Merkle root over the digests of the batch.

  digests @7 :Rendezvous.Hashes;
  # One for each unit of the part, where asked for; otherwise absent.

  outputs @8 :PackedOutputs;
  # One for each unit of the part, where asked for; otherwise absent.

  proof @9 :Rendezvous.Hashes;
  # The Merkle siblings that tie the part to the root, bottom up. Empty where the part is the batch.

  lapsed @10 :Bool;
  # The worker no longer has this batch; nothing else here means anything. Honest after a restart.
}

struct CompareRequest {
  # Leader to each verifier, in a job that compares by tolerance and whose digests differ: judge these.

  job @0 :Jobs.JobId;
  # The job.

  unit @1 :UInt64;
  # The unit.

  candidates @2 :PackedOutputs;
  # One output for each distinct digest, the one with the least digest first: at least one.

  holders @3 :List(Rendezvous.Signed);
  # NodeRecords of those who computed them, where there are large ones: each holds its own, and a
  # verifier fetches what it has not.
}

struct CompareReply {
  # The verifier's answer.

  verdict @0 :Rendezvous.Signed;
  # The ComparisonVerdict.
}
