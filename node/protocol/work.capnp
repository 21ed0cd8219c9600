@0xd32179c308c40aab;

# Work: how the units of a job reach the workers that compute them.
#
# Concepts
#
# Range. A half-open run of units [first, last). Work travels as ranges and never as lists of units,
# so that messages and tables grow with the number of pieces and not with the size of the job.
#
# Lease. The right to compute a range until a moment. It lapses unless its holder reports, so that
# work does not die with a worker. A lease carries the epoch of the leader that granted it. Leases
# decide who should compute what; they never decide what is true. A late answer from a worker
# thought dead is one more piece of evidence.
#
# Pull. Workers ask; nobody pushes work at a node that did not say it was free. A leader that has
# nothing remembers who asked and grants as soon as it has something, so an idle pool is silent
# instead of polling.
#
# Stealing. A worker that runs dry may take half of what a peer has left, directly. Both sign the
# transfer, and the leader moves the units in its table before they are computed. Only first
# replicas can be stolen: who verifies is the leader's choice alone, or a cheat would steal the
# verification of its own work.
#
#     thief              victim                leader
#      | WorkRequest ------------------------->  |
#      |             <-------------------------  NoWork (who may be stolen from)
#      | StealRequest ----> |                    |
#      |  StealReply  <---- | (transfer, signed by the victim)
#      | TransferNotice ---------------------->  | (and by the thief)
#      |             <-------------------------  TransferReply (what of it moved)
#
# Grant. What a leader leased is written on a paper that it signs and the holder keeps. When another
# steward leads, because the leader is gone, workers show it their papers (Rejoin): it takes over
# leases and commitments that were given in order, and nothing is computed again for the change.
#
#     worker             new leader
#      |      <---- TermNotice |
#      | Rejoin ---->          | (papers, and what of them is still to be computed)
#      |      <--- RejoinReply | (the leases as they are called now, and what has not ended)
#      | CommitNotice ---->    | (what of that was committed before)
#
# Durations, not moments, are sent: two nodes' clocks have nothing in common.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("shoal::wire");

using Rendezvous = import "rendezvous.capnp";
using Jobs = import "jobs.capnp";
using Stewards = import "stewards.capnp";
using Reach = import "reach.capnp";

struct Range {
  # Units [first, last). Never empty: what holds nothing is left out.

  first @0 :UInt64;
  # The first unit.

  last @1 :UInt64;
  # One past the last unit; at most the limit on units a job.
}

struct WorkAvailable {
  # There is work in a job: to those who asked and got nothing. They pass it on, once a job, to
  # those who asked them, so that news reaches every idle worker without anyone knowing them all.

  job @0 :Jobs.JobId;
  # The job.

  leader @1 :Rendezvous.Signed;
  # The leader's NodeRecord: whom to ask, and where to dial.

  hops @2 :UInt32;
  # How often the news has been passed on. It ends after a few, so that no rumour runs for ever.

  terms @3 :List(Stewards.SignedTerm);
  # The chain that makes it the leader. Who knows the job can check it, and follows a new leader by
  # it; who does not will see the manifest when it asks.
}

struct WorkRequest {
  # "I have nothing to compute." To a leader: lease me units. To any other peer: tell me of jobs,
  # and remember me until you have heard of one.

  job @0 :Jobs.JobId;
  # The job whose units are wanted. Absent: any.

  threads @1 :UInt32;
  # How many threads wait.

  unitNs @2 :UInt64;
  # What a unit of this job takes the sender on one thread, in nanoseconds. Zero: not measured yet.
  # The leader sizes leases by it; a wrong figure hurts mostly the one who gives it.

  backlogUnits @3 :UInt64;
  # Units that the sender has and has not started. It may ask before it runs dry without being
  # greedy.
}

enum LeaseKind {
  primary @0;  # the first replica of these units: may be stolen
  verify @1;   # a further replica: bound to this worker
  double @2;   # what a straggler also holds, near the end of a job: bound to this worker
}

struct LeaseGrant {
  # The leader's answer to a WorkRequest, at once or whenever there is something to give.

  job @0 :Jobs.JobId;
  # The job.

  epoch @1 :UInt64;
  # The leader's epoch. A grant from an older one than the worker has seen is void.

  lease @2 :UInt64;
  # The leader's number for this lease.

  kind @3 :LeaseKind;
  # What it is for.

  ranges @4 :List(Range);
  # The units.

  durationMs @5 :UInt64;
  # For how long, counted by the receiver from the moment of receipt.

  manifest @6 :Rendezvous.Signed;
  # The Manifest, in the first grant of a job to a worker: it need not ask for what it has to have.

  grant @7 :Rendezvous.Signed;
  # The Grant: the same, signed by the leader, to be shown to whoever leads after it. Absent where
  # nothing is leased.

  terms @8 :List(Stewards.SignedTerm);
  # The chain, beside the manifest.
}

struct Grant {
  # Fact: a lease, signed by the leader that granted it.

  job @0 :Jobs.JobId;
  # The job.

  epoch @1 :UInt64;
  # The leader's.

  lease @2 :UInt64;
  # The leader's number for it.

  kind @3 :LeaseKind;
  # What it is for.

  ranges @4 :List(Range);
  # The units.

  worker @5 :Rendezvous.NodeId;
  # To whom.
}

struct NoWork {
  # Nothing to lease now. The asker is remembered and need not ask again.

  job @0 :Jobs.JobId;
  # Which request this answers. Absent, as there: any job.

  holders @1 :List(Rendezvous.Signed);
  # NodeRecords of workers with units that may be stolen, those with most first.

  jobs @2 :List(WorkAvailable);
  # From a peer that leads nothing: jobs it has heard of.
}

struct LeaseReport {
  # Holder to leader, well before a lease ends: what is still held. Renews what it lists; units of a
  # lease that it does not list go back to the leader.

  job @0 :Jobs.JobId;
  # The job.

  epoch @1 :UInt64;
  # The epoch of the leases.

  leases @2 :List(Held);
  # One entry a lease.

  unitNs @3 :UInt64;
  # As in WorkRequest, measured anew.

  declines @4 :Text;
  # Why it takes no more units, for people: its owner has paused it, say, or it cannot compute them.
  # It is not waited for until it asks again. Empty: it takes more.

  struct Held {
    lease @0 :UInt64;
    # The leader's number for it.

    ranges @1 :List(Range);
    # What of it the sender still means to compute.
  }
}

struct LeaseRevoke {
  # Leader to holder: these units have an end already, or are wanted no more. Not an order about
  # truth; a worker that computes them all the same wastes only its own time.

  job @0 :Jobs.JobId;
  # The job.

  ranges @1 :List(Range);
  # The units.

  jobOver @2 :Bool;
  # All units of the job, and it will not come back: its program and inputs may be dropped too.
}

struct StealRequest {
  # "Give me half of what you have left": a worker that ran dry, to a peer that has units.

  job @0 :Jobs.JobId;
  # The job.

  threads @1 :UInt32;
  # How many threads wait at the thief. A victim gives in proportion.
}

struct Transfer {
  # Fact, signed by both sides: units change hands.

  job @0 :Jobs.JobId;
  # The job.

  epoch @1 :UInt64;
  # The epoch of the lease.

  lease @2 :UInt64;
  # The victim's lease, of which this is a part.

  ranges @3 :List(Range);
  # What moves. The victim no longer computes it, whatever becomes of the transfer.

  giver @4 :Rendezvous.NodeId;
  # The victim.

  taker @5 :Rendezvous.NodeId;
  # The thief. Naming it makes the paper worthless to anyone who overhears it.
}

struct StealReply {
  # The victim's answer.

  job @0 :Jobs.JobId;
  # The job.

  transfer @1 :Rendezvous.Signed;
  # The Transfer, signed by the victim. Absent: nothing to spare; the asker is remembered.

  durationMs @2 :UInt64;
  # What is left of the victim's lease.
}

struct TransferNotice {
  # Thief to leader: "these are mine now". Nothing of it is computed before the answer, since work
  # that the leader does not know of counts for nothing.

  byVictim @0 :Rendezvous.Signed;
  # The Transfer as the victim signed it.

  byThief @1 :Data;
  # 64 bytes: the thief's signature over the same body.
}

struct TransferReply {
  # Leader to thief: what of the transfer moved. The rest was done or given away meanwhile and must
  # not be computed.

  job @0 :Jobs.JobId;
  # The job.

  lease @1 :UInt64;
  # The lease named in the transfer.

  newLease @2 :UInt64;
  # The lease that the thief now holds. Zero: refused, nothing moved.

  ranges @3 :List(Range);
  # What moved.

  durationMs @4 :UInt64;
  # For how long.

  grant @5 :Rendezvous.Signed;
  # The Grant for what moved.
}

struct Rejoin {
  # Worker to a new leader, or to the same one when either was restarted: what I was given, and what
  # of it I still mean to compute.

  job @0 :Jobs.JobId;
  # The job.

  epoch @1 :UInt64;
  # Of the leader that is spoken to.

  parts @2 :List(Part);
  # One for each grant. Many are sent in several messages.

  threads @3 :UInt32;
  unitNs @4 :UInt64;
  # As in WorkRequest.

  struct Part {
    grant @0 :Rendezvous.Signed;
    # The Grant.

    held @1 :List(Range);
    # What of it is still to be computed here.
  }
}

struct RejoinReply {
  # The new leader's answer: the leases as they are from now on. What of `held` is in none of them
  # has ended, or is somebody else's.

  job @0 :Jobs.JobId;
  # The job.

  epoch @1 :UInt64;
  # The leader's.

  leases @2 :List(Lease);
  # One for each part of which something is still leased.

  durationMs @3 :UInt64;
  # For how long.

  open @4 :List(Range);
  # All units of the job that have not ended, or more. The worker commits again to what it committed
  # of these; what it kept of all others it may forget.

  struct Lease {
    oldEpoch @0 :UInt64;
    oldLease @1 :UInt64;
    # As in the Grant that was shown.

    grant @2 :Rendezvous.Signed;
    # The new Grant.
  }
}

struct UnitState {
  # How far a unit has come that takes long: what its kernel saved. A worker tells its leader now and
  # then, of units that it holds as their first replica; when such a unit goes to another worker, the
  # leader sends what it has on, before the grant. Who computes a further replica is never given one:
  # a state could be a lie, and its verifiers begin at the beginning.

  job @0 :Jobs.JobId;
  # The job.

  unit @1 :UInt64;
  # The unit.

  state @2 :Data;
  # As the kernel saved it, at most 256 KiB; a larger one stays where it is.
}

struct WorkerStatusRequest {
  # "What are you doing?": from the command line, on behalf of a person.
}

struct WorkerStatus {
  # The answer: counts since the worker started. A report, not evidence.

  node @0 :Rendezvous.NodeId;
  # Who answers.

  agent @1 :Text;
  # The program and its version.

  threads @2 :UInt32;
  # Threads that compute.

  peers @3 :UInt32;
  # Links that are up.

  unitsComputed @4 :UInt64;
  # Units that ended with an output.

  unitsStolen @5 :UInt64;
  # Units that came from a peer other than their steward.

  unitsFailed @6 :UInt64;
  # Units that ended without an output.

  jobsLed @7 :UInt64;
  # Jobs whose leader it is.

  backlogUnits @8 :UInt64;
  # Units that it holds and has not started.

  doing @9 :Text;
  # One line for people.

  reachability @10 :Reach.Reachability;
  # Whether others can dial it, as far as it has found out.

  linksDirect @11 :UInt32;
  # Of its links, those that it dialled, or that were dialled by the other side of its own accord.

  linksReversed @12 :UInt32;
  # Those that were dialled because the other side asked for it through a relay.

  linksPunched @13 :UInt32;
  # Those for which both sides dialled at the same moment.

  linksRelayed @14 :UInt32;
  # Those that go through a relay.

  mapped @15 :Text;
  # The endpoint at which its router lets others in because the worker asked the router to (UPnP or
  # NAT-PMP). Empty: there is none.
}
