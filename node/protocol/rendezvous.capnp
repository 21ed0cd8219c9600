@0xb9262cc77507eea9;

# Rendezvous: how nodes find, recognise and remember each other.
#
# Concepts
#
# Node. A process with an identity. The identity is an Ed25519 public key, and the key is the node's
# only name: addresses change, names for people can be copied. Links are encrypted with CURVE, whose
# keys are made from the Ed25519 keys, so that whoever answers on a link has shown that he holds the
# secret half. No message therefore names its sender; the one exception, `Hello`, is checked against
# the link before anything else is believed.
#
# Pool. The nodes that accept each other, named by a public key. A node turns away whoever speaks
# for another pool, so that two pools on one network never mix by accident.
#
# Fact. A statement under a signature. A fact is checked over the very bytes that its signer sent
# and is stored, passed on and hashed as those bytes, never as a new encoding of what they mean: two
# correct encoders may differ, and a fact must survive programs that do not know all its fields.
# Facts are therefore always carried as `Signed`, and their own structs appear on no link by
# themselves.
#
# Record. A node's fact about itself: where it can be dialled and what it lends. Records expire, so
# a node that vanished without a word is forgotten by everybody. Anyone may pass on anyone's record,
# since a forged or altered one does not verify; this is how peers go on finding each other when
# every coordinator is gone.
#
# Coordinator. A node that remembers records and hands out random samples of them, nothing else.
# Nodes connect, announce, learn and leave; no link to a coordinator stays open.
#
#     node                     coordinator
#      | Hello        <----->        Hello |
#      | Announce      ---->               |
#      |               <----     Announced |
#      | SampleRequest ---->               |
#      |               <----        Sample |
#      | (drops the link)                  |
#
# Encoding
#
# Lists of many equal small things travel as one Data of fixed-size pieces rather than as a list of
# pointers: hashes one after another, 32 bytes each. A message is one Cap'n Proto stream frame,
# never packed, with nothing after it. A receiver refuses values outside their domain and sizes past
# the limits of limits.h; it ignores kinds of messages that it does not know, so that newer nodes
# can live beside older ones. Ordinals are never reused.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("shoal::wire");

using NodeId = Data;
# 32 bytes: an Ed25519 public key.

using PoolId = Data;
# 32 bytes: the Ed25519 public key of a pool.

using Hash = Data;
# 32 bytes: a SHA-256, or a salt of that size.

using Hashes = Data;
# Hashes one after another, 32 bytes each. Absent or empty: none.

using UnixMs = Int64;
# Milliseconds since 1970-01-01 UTC, not negative and not past the year 9999. For people and for the
# expiry of records alone; nothing else in the protocol trusts another node's clock.

enum Role {
  worker @0;       # computes, verifies, keeps jobs
  submitter @1;    # hands in jobs and collects their results; is not asked to compute
  coordinator @2;  # remembers records
}

struct Signed {
  # A fact: bytes, and who stands for them.

  signer @0 :NodeId;
  # Whose signature it is. Whether that node was entitled to say this is for the reader to judge.

  body @1 :Data;
  # The fact's own encoding, as its signer made it. Keep these bytes; do not encode anew.

  signature @2 :Data;
  # 64 bytes: Ed25519 over the purpose of the signature and the body. The purpose is known from
  # where the fact appears and is signed along, so that one kind of fact cannot be shown as another.
}

struct Via {
  # A peer through which a node can be reached (reach.capnp).

  node @0 :NodeId;
  # Who that is.

  endpoint @1 :Text;
  # Where it can be dialled, so that its own record need not be known.
}

struct NodeRecord {
  # Fact: a node about itself. Of two records of one node the one with the higher sequence counts.

  node @0 :NodeId;
  # Who speaks. A record is worth nothing unless the signer is this very node.

  pool @1 :PoolId;
  # The pool it belongs to.

  role @2 :Role;
  # What it is in the pool.

  endpoints @3 :List(Text);
  # Where it can be dialled, "tcp://192.0.2.1:5555", best first. Empty for a node that only dials
  # out, as behind most home routers; such a node is reached over the links that it opened.

  threads @4 :UInt32;
  # How many threads its owner lends to jobs.

  memoryBytes @5 :UInt64;
  # How much memory its owner lends to jobs.

  kernels @6 :List(Text);
  # Names of the shipped kernels that it can run. A leader leases a job to those who can compute it.

  runsNativeFromAnyone @7 :Bool;
  # Whether it would run a submitter's own program without that submitter being on its owner's list.

  agent @8 :Text;
  # The program and its version, "shoal/0.1.0". For people: decisions follow the protocol's version.

  sequence @9 :UnixMs;
  # When it was signed. Serves as the sequence number, since it rises even after a lost state
  # folder.

  ttlS @10 :UInt32;
  # For how many seconds after `sequence` the record may be believed.

  via @11 :List(Via);
  # Relays of a node that cannot be dialled; empty for one that can, or does not know. Its endpoints
  # are then of use only to those behind the same router.

  runsWasm @12 :Bool;
  # Whether it takes WebAssembly modules of any submitter.

  owner @13 :NodeId;
  # Whose the node is: a key that its owner has on all his machines. Absent: nobody has said; the node
  # then counts as its own. Disks, networks and power of one owner fail together, so a job is kept by
  # nodes of different owners where there are such. It gives no rights.

  ownerSignature @14 :Data;
  # The owner's signature (64 bytes) under `node` and `pool`, one after the other: nobody is taken
  # for an owner's who is not. A mark that does not hold counts as none.
}

struct Hello {
  # The first message on every link, from both sides. Nothing else is read before it has been
  # checked: a link whose other side cannot say who it is carries no traffic.

  version @0 :UInt32;
  # The protocol that the sender speaks. A receiver that cannot speak it refuses with
  # `otherVersion`.

  pool @1 :PoolId;
  # The sender's pool. Another than the receiver's is refused with `otherPool`.

  node @2 :NodeId;
  # The sender's identity. The CURVE key of the link must follow from it. It is sent at all because
  # that derivation drops one bit of sign, so two identities share each CURVE key.

  role @3 :Role;
  # What the sender is. Not a right: whoever claims to be a worker is believed only as far as his
  # work.

  record @4 :Signed;
  # The sender's NodeRecord, so that the two sides need no further exchange to know each other.
  # Absent from nodes that do not want to be known, such as a submitter that looks in for a moment.

  session @5 :UInt64;
  # Of a submitter: a random number of this process. One key may be in use by several processes at
  # once, which all have links of their own; without it a new link would take the place of the old one,
  # as it does for all other nodes, whose old process is gone. Zero: likewise.
}

enum RefusalReason {
  otherPool @0;     # the ticket in use belongs to another pool
  otherVersion @1;  # one of the two programs is too old for the other
  wrongKey @2;      # the node named in Hello is not the one that holds the link's key
  tooBusy @3;       # a limit on links or requests is reached: try another door, or later
  notAllowed @4;    # this node does not serve such requests, or not from this asker
  badMessage @5;    # the last message could not be decoded, or made no sense
}

struct Refused {
  # Why the sender of this message is about to drop the link. A courtesy that makes the fault
  # visible on the side that can mend it; silence would mean the same.

  reason @0 :RefusalReason;
  # For programs.

  detail @1 :Text;
  # For people: one sentence.
}

struct Announce {
  # "Remember me": to a coordinator. Repeated well before the record expires. Between peers: my
  # record has changed.

  record @0 :Signed;
  # The sender's NodeRecord; or the receiver's own, with another address than it now says: this was
  # known of you. A node that has not signed it in this run, though it is of this run's time, knows
  # that another process has its key.
}

struct Announced {
  # The coordinator's answer to Announce.

  observedAddress @0 :Text;
  # The IP address from which the asker came, without a port. A node behind a router has no other
  # way to learn it. One coordinator's word: useful for reaching, never for trusting.

  ttlS @1 :UInt32;
  # For how many seconds the coordinator will keep the record; announce again before that.
}

struct SampleRequest {
  # "Whom do you know?": to a coordinator, or to any peer; and from a coordinator that knows nobody
  # yet to its first visitors.

  count @0 :UInt32;
  # How many records are wanted. The answer may hold fewer.

  cookie @1 :UInt64;
  # From the last answer of the same node: send only what changed since. Zero: a fresh random
  # sample.
}

struct Sample {
  # Records of other nodes, as those nodes signed them.

  records @0 :List(Signed);
  # NodeRecords. Random rather than best: a coordinator must not be able to steer who meets whom
  # without it showing, and everybody meeting the same few would make those few too important.

  cookie @1 :UInt64;
  # To be given back in the next request. Meaningless to anyone but the node that issued it.

  nodesKnown @2 :UInt64;
  # How many nodes the answering node knows of in all. Tells how large the pool roughly is.
}

struct Leave {
  # "Forget my record": a polite farewell of a worker that ends. The coordinator drops the link when
  # it has. Those who miss it notice when the record expires.
}
