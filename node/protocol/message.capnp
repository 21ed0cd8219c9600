@0x92e723149b011ac3;

# The envelope: everything that goes over a link is one Message.
#
# One frame on a link holds exactly one Message, which is exactly one of the union. The
# conversations are described where their messages are: rendezvous.capnp (read this first: it also
# explains what a fact is), jobs.capnp, work.capnp, verification.capnp, results.capnp,
# content.capnp, stewards.capnp, reach.capnp.
#
# A link is a plain two-way street. Messages on it arrive in order or the link is lost; there are no
# numbers for requests, and an answer is recognised by what it is about. Everything may be said
# twice without harm, since a link can be lost at any moment and what was under way is said again on
# the next.
#
# How this protocol grows. New fields are added at the end of structs, where old programs do not see
# them; new messages are added at the end of the union, where old programs ignore them without
# holding it against the sender. A change that an old program must not ignore needs a new `version`
# in Hello.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("shoal::wire");

using Rendezvous = import "rendezvous.capnp";
using Jobs = import "jobs.capnp";
using Work = import "work.capnp";
using Verification = import "verification.capnp";
using Results = import "results.capnp";
using Content = import "content.capnp";
using Stewards = import "stewards.capnp";
using Reach = import "reach.capnp";

struct Message {
  union {
    hello @0 :Rendezvous.Hello;                 # both sides, first on every link
    refused @1 :Rendezvous.Refused;             # before a link is dropped
    announce @2 :Rendezvous.Announce;           # node to coordinator
    announced @3 :Rendezvous.Announced;         # and its answer
    sampleRequest @4 :Rendezvous.SampleRequest; # to a coordinator or any peer
    sample @5 :Rendezvous.Sample;               # and its answer
    leave @6 :Rendezvous.Leave;                 # node to coordinator

    submit @7 :Jobs.Submit;                     # submitter to steward
    submitReply @8 :Jobs.SubmitReply;           # and its answer
    jobStatusRequest @9 :Jobs.JobStatusRequest; # anybody to steward
    jobStatusReply @10 :Jobs.JobStatusReply;    # and its answer
    controlRequest @11 :Jobs.ControlRequest;    # submitter to steward
    jobFind @12 :Jobs.JobFind;                  # submitter to any peer
    jobFound @13 :Jobs.JobFound;                # and its answer

    workAvailable @14 :Work.WorkAvailable;      # to whoever asked in vain
    workRequest @15 :Work.WorkRequest;          # worker to leader or any peer
    leaseGrant @16 :Work.LeaseGrant;            # leader to worker
    noWork @17 :Work.NoWork;                    # the other answer to workRequest
    leaseReport @18 :Work.LeaseReport;          # holder to leader
    leaseRevoke @19 :Work.LeaseRevoke;          # leader to holder
    stealRequest @20 :Work.StealRequest;        # thief to victim
    stealReply @21 :Work.StealReply;            # and its answer
    transferNotice @22 :Work.TransferNotice;    # thief to leader
    transferReply @23 :Work.TransferReply;      # and its answer

    commitNotice @24 :Verification.CommitNotice;     # worker to leader
    failureNotice @25 :Verification.FailureNotice;   # worker to leader
    revealRequest @26 :Verification.RevealRequest;   # leader to worker
    reveal @27 :Verification.Reveal;                 # and its answer
    compareRequest @28 :Verification.CompareRequest; # leader to worker
    compareReply @29 :Verification.CompareReply;     # and its answer

    resultsRequest @30 :Results.ResultsRequest; # submitter to steward
    results @31 :Results.Results;               # and its answers
    jobOver @32 :Results.JobOver;               # submitter to steward

    blockRequest @33 :Content.BlockRequest;     # to any holder of content
    block @34 :Content.Block;                   # and its answer

    workerStatusRequest @35 :Work.WorkerStatusRequest; # command line to worker
    workerStatus @36 :Work.WorkerStatus;               # and its answer

    termNotice @37 :Stewards.TermNotice;         # between stewards; leader to worker
    heartbeat @38 :Stewards.Heartbeat;           # leader to follower
    enlist @39 :Stewards.Enlist;                 # leader to a worker
    enlistReply @40 :Stewards.EnlistReply;       # and its answer
    endorseRequest @41 :Stewards.EndorseRequest; # leader to follower
    endorse @42 :Stewards.Endorse;               # and its answer

    rejoin @43 :Work.Rejoin;           # worker to a new leader, or after a restart
    rejoinReply @44 :Work.RejoinReply; # and its answer

    dialBackRequest @45 :Reach.DialBackRequest; # to a few peers
    dialBackReply @46 :Reach.DialBackReply;     # and its answer
    dialBack @47 :Reach.DialBack;               # alone, on a connection of its own
    reserve @48 :Reach.Reserve;                 # to a peer that is to relay
    reserved @49 :Reach.Reserved;               # and its answer
    reverse @50 :Reach.Reverse;                 # through a relay: "dial me"
    circuitOpen @51 :Reach.CircuitOpen;         # through a relay, as are the next three
    circuitAnswer @52 :Reach.CircuitAnswer;     # and its answer
    circuitData @53 :Reach.CircuitData;         # a sealed Message
    circuitEnd @54 :Reach.CircuitEnd;           # by an end or by the relay

    blockCancel @55 :Content.BlockCancel;       # to whom a block was asked of
    holdings @56 :Content.Holdings;             # between those who hold or fetch a content
    holdersRequest @57 :Content.HoldersRequest; # to any of them, and to a job's stewards
    holders @58 :Content.Holders;               # and its answer

    unitState @59 :Work.UnitState; # worker to leader, leader to the unit's next holder

    keep @60 :Stewards.Keep; # steward to a worker that has a part in the job
    kept @61 :Stewards.Kept; # and its answer
  }
}
