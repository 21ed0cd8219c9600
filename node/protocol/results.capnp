@0xc63c465f223a8b35;

# Results: how the ends of units reach the submitter, and why it need not trust who sends them.
#
# Concepts
#
# Receipt. The end of a run of units with all the evidence for it: the outputs, and for each worker
# that stands for them its signed commitment, opened. The submitter recomputes outputs to digests,
# digests to root, root to seal, and checks the seal's signature; it counts distinct workers itself.
# A leader can withhold a receipt. It cannot forge one without as many colluding workers as the
# quorum.
#
# Ledger. The receipts of a job, kept durably by its stewards. Outputs of more than the inline limit
# are not in it: the receipt names their content, and the workers that computed them hold it.
#
# Cursor and credit. Results are a stream that the submitter drives. It names the last receipt that
# it has and how many bytes it is ready to take; the steward sends as much and no more. A slow
# submitter therefore costs the steward nothing, and one that was away for a day goes on where it
# stopped.
#
# Snapshot. The submitter's last word: it has seen every unit's end and accepts it. Until then
# results are provisional, after that they are final and the steward may forget the job.
#
# Stewards read each other's ledgers in the same way as a submitter does (stewards.capnp). Each counts
# its own receipts: a cursor means something to the steward that it came from, and to no other.
#
#     submitter                  steward
#      | ResultsRequest  ---->         |
#      |                 <---- Results | (again and again, while there is credit)
#      | JobOver         ---->         |

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("shoal::wire");

using Rendezvous = import "rendezvous.capnp";
using Jobs = import "jobs.capnp";
using Work = import "work.capnp";
using Verification = import "verification.capnp";

enum UnitEnd {
  verified @0;  # q distinct workers agree
  disputed @1;  # no q of them could be brought to agree
  failed @2;    # it failed on as many workers as the manifest allows
}

struct Support {
  # One worker's evidence: its commitment, and what opens it.

  commitment @0 :Rendezvous.Signed;
  # The Commitment as its worker signed it. Its batch may be larger than the receipt's range.

  salt @1 :Rendezvous.Hash;
  root @2 :Rendezvous.Hash;
  # What the seal was made of.

  digests @3 :Rendezvous.Hashes;
  # This worker's digests for the receipt's range. Empty: those of the receipt's outputs.

  proof @4 :Rendezvous.Hashes;
  # The Merkle siblings that tie the receipt's range to the root. Empty where it is the whole batch.

  unblinded @5 :Bool;
  # The leader's own work on what another had committed: it had seen nothing, but it chose. Only
  # where nobody else could verify, and marked so that a submitter may refuse it.
}

struct Receipt {
  # The end of the units of one range. Not a fact: it needs no signature, since all in it that
  # matters is signed by others.

  sequence @0 :UInt64;
  # The count of the steward that keeps it, from 1, below 2^63: a cursor for delivery, nothing more.

  first @1 :UInt64;
  last @2 :UInt64;
  # The units [first, last), at most the limit on units a batch.

  end @3 :UnitEnd;
  # How they ended, all of them alike.

  outputs @4 :Verification.PackedOutputs;
  # Where verified: one output for each unit. Otherwise absent.

  supports @5 :List(Support);
  # Where verified: at least q that agree. Where disputed: all there are, so that a person can
  # judge.

  failures @6 :List(Rendezvous.Signed);
  # Where failed: the Failures.

  comparisons @7 :List(Rendezvous.Signed);
  # ComparisonVerdicts, where digests differ and yet agree within the job's tolerance.

  differing @8 :List(Verification.PackedOutputs);
  # Where disputed: the outputs of two of the supports that differ, so that a person can see in what.
  # None where they are too many for a receipt, or were never shown.
}

struct Snapshot {
  # Fact: the submitter accepts the job's results as they are.

  job @0 :Jobs.JobId;
  # The job. The signer must be its submitter.

  verified @1 :UInt64;
  failed @2 :UInt64;
  disputed @3 :UInt64;
  # How many units ended how.

  results @4 :Rendezvous.Hash;
  # SHA-256 over first, last, and root (zero where there is none) of all receipts in unit order:
  # which results it was that were accepted.
}

struct ResultsRequest {
  # Submitter to steward: send me receipts, and go on sending as they come.

  job @0 :Jobs.JobId;
  # The job.

  cursor @1 :UInt64;
  # The highest sequence up to which the submitter has everything. Zero: from the beginning.

  creditBytes @2 :UInt64;
  # How many bytes of receipts past the cursor may be under way. Asking again renews it.

  have @3 :List(Work.Range);
  # Units whose ends the asker has already, from another steward: receipts of nothing else are left
  # out. It need not be all of them. Only the first request of a reader on a link sets it.

  once @4 :Bool;
  # Only what there is now; the end is marked. Otherwise receipts go on coming as they are made.
}

struct Results {
  # Receipts, in rising sequence.

  job @0 :Jobs.JobId;
  # The job.

  receipts @1 :List(Data);
  # Encoded Receipts, as they are stored: the steward sends what is on its disk without decoding it.

  end @2 :Bool;
  # All that there was when it was asked for `once` has been sent.
}

struct JobOver {
  # Submitter to any steward, who passes it on to the others: I have it all.

  snapshot @0 :Rendezvous.Signed;
  # The Snapshot.
}
