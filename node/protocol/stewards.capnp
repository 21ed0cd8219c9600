@0xb1f0c6f2a9d35e47;

# Stewards: how a job survives the machines that keep it.
#
# Concepts
#
# Steward. A worker that keeps a job's ledger on its disk. A job has three, as far as the pool has
# so many workers. The first of them leads: it leases units and gathers evidence. The others follow:
# they read the leader's receipts, check each one as a submitter would, and keep it.
#
# Term. A fact that names the stewards of a job, in their order, under an epoch. The submitter signs
# the first. A steward whose leader is gone signs the next, with itself in front: that is all an
# election is. Two at once are no harm: epochs decide who leases units, never what is true, so it
# costs double work at worst, and the higher epoch wins as soon as the two hear of each other.
#
# Who may sign. A term with the same stewards as the one before needs the signature of one of them.
# A term with other stewards needs a majority of those before, so that one alone cannot replace the
# others by friends. The submitter may sign any. An epoch follows the one before closely; who jumps
# far ahead, to be the last leader for ever, is not believed.
#
# Chain. The terms from the submitter's latest to the one in force, without elections that later
# ones made meaningless: what somebody needs who believes the submitter alone.
#
# Union. A ledger is a set of receipts, each of which proves itself. Ledgers merge by union, in any
# order and any number of times, to the same. Hence no log has to be agreed on, and a steward that
# was cut off loses nothing of what it gathered: when it is back, the leader reads from it what it
# lacks (results.capnp).
#
#     leader                follower              a worker that is to replace a dead follower
#      | Heartbeat     ---->   |                         |
#      |      <----  ResultsRequest, Results  ---->      |
#      |                       | (leader gone)           |
#      | TermNotice    <---->  | (each tells what it knows; the better chain wins)
#      | Enlist  -------------------------------------->  |
#      |     <--------------------------------------  EnlistReply (durable)
#      | EndorseRequest  --->  |
#      |     <---  Endorse     |
#      | TermNotice  ----------------------------------> | (to everybody)

# Copies. What a job's units need and what came of them (the outputs that are too large for a
# receipt) is content, held by those who fetched or computed it. The leader counts who of them is
# there, and when the job is over the first of the stewards that is. Where they are too few, it asks
# another worker to hold the content as well. Only workers that have a part in the job are asked, and
# each sees for itself that what it is to hold belongs to the job: the inputs are in its manifest, an
# output is in a receipt that proves itself.
#
#     steward                                              a worker that has a part in the job
#      | Keep    ------------------------------------------>  | (fetches it)
#      |     <----------------------------------------------  Kept

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("shoal::wire");

using Rendezvous = import "rendezvous.capnp";

struct Term {
  # Fact: who keeps a job, and who of them leads. Signed by the submitter, or by a steward of the
  # term before.

  job @0 :Data;
  # 32 bytes: the job's id.

  epoch @1 :UInt64;
  # From 1. Of two terms the one of the higher epoch counts; of two with the same, the one whose
  # bytes are less: any rule will do on which all agree.

  stewards @2 :Rendezvous.Hashes;
  # The node ids of one to three stewards, all different. The first leads; the others follow it in
  # this order.
}

struct Endorsement {
  # A further signature under the same bytes.

  signer @0 :Rendezvous.NodeId;
  signature @1 :Data;
  # 64 bytes.
}

struct SignedTerm {
  # A Term with all the signatures that it needs.

  term @0 :Rendezvous.Signed;
  endorsements @1 :List(Endorsement);
}

struct TermNotice {
  # "These keep the job now, as far as I know." Between those who keep a ledger of it, when their
  # link comes up and when something changed; from a new leader to workers; whoever knows better
  # answers with another.

  job @0 :Data;
  # 32 bytes.

  terms @1 :List(SignedTerm);
  # The chain.

  records @2 :List(Rendezvous.Signed);
  # NodeRecords of the stewards, as far as the sender has them: where to dial them.
}

struct Heartbeat {
  # Leader to its followers, twice a second while a job of theirs is running: I am alive.
}

struct Enlist {
  # Leader to a worker: be a steward of this job. It fetches program and inputs, makes all of it
  # durable, and answers.

  manifest @0 :Rendezvous.Signed;
  # The Manifest.

  terms @1 :List(SignedTerm);
  # The chain, in which the worker is not named yet.
}

struct EnlistReply {
  # The worker's answer. Also said unasked, and not accepted: by a worker to the leader, where its
  # owner refuses the job, so that it will neither compute for it nor keep it, or where it is no
  # steward and cannot compute it; and by a steward to its fellows, when its owner refuses the job
  # and it keeps it no more.

  job @0 :Data;
  # 32 bytes.

  accepted @1 :Bool;
  # It is durable there.

  detail @2 :Text;
  # If not, why.
}

struct EndorseRequest {
  # Leader to a follower: sign this too. The term replaces a steward.

  term @0 :Rendezvous.Signed;
  # The Term, signed by the leader.
}

struct Endorse {
  # The follower's answer. No answer is a no.

  job @0 :Data;
  # 32 bytes.

  epoch @1 :UInt64;
  # Of the term.

  endorsement @2 :Endorsement;
  # Under the term's bytes.
}

struct Keep {
  # Steward to a worker that has a part in the job: hold these contents until the job's time is over.

  job @0 :Data;
  # 32 bytes.

  terms @1 :List(SignedTerm);
  # The chain, in which the sender is a steward.

  receipt @2 :Data;
  # An encoded Receipt (results.capnp), whose large outputs are meant. Absent: the job's program and
  # inputs.

  holders @3 :List(Rendezvous.Signed);
  # NodeRecords of up to four that hold it: where it can be had.
}

struct Kept {
  # The worker's answer; and from a steward to the others of the job, so that whoever takes its place
  # knows of the copy. Not `held` and unasked, it is of a holder whose owner refuses the content: it
  # holds it no more, and says so to the workers that it is linked to, whichever keep the job.

  job @0 :Data;
  # 32 bytes.

  output @1 :Data;
  # 32 bytes: the content id of the receipt's large output; of several, the hash of their content ids,
  # one after the other; zeros: program and inputs. Each steward counts its receipts for itself, so
  # that a sequence would mean something else to another. Of what is held no more, unasked: the content
  # id of any one output.

  holder @4 :Rendezvous.NodeId;
  # The worker.

  held @2 :Bool;
  # They are there, durably.

  detail @3 :Text;
  # If not, why.
}
