@0xd4b1a9c27e6f3058;

# Reachability: how nodes talk of which not both can be dialled.
#
# Concepts
#
# Dialable. Whether a node can be dialled from elsewhere it cannot see itself. It asks a few peers of
# different address blocks to try: each dials the address that it sees the asker at, and no other,
# and says a number there that the asker chose. The asker believes what arrives at its own door.
#
# Relay. A node that cannot be dialled keeps its links to a few peers that can, and asks them to be
# its relays. Its record names them (`via`). A relay passes on what others have to say to those who
# asked it to, and to nobody else.
#
# Reversal. "Tell it to dial me": one of the two can be dialled, so the other one dials.
#
# Circuit. Where neither can be dialled, or it is not known: their messages go through the relay, as
# sealed bytes. The two ends derive a key from their own, which the relay does not have; it sees who
# speaks to whom, how much, and no more. Circuits are short and thin, enough for leases, thefts and
# small results: after two minutes, or 128 KiB in one direction, a circuit ends, and so does the link
# that its ends took it for. Content never goes over one.
#
# Punching. While a circuit is up its ends try for better: each has told the other, in CircuitOpen
# and CircuitAnswer, a local port, and the relay at which address it sees them. Both dial at the same
# moment, each from its port to the other's. Routers that keep ports on the way out take each side's
# dial for the answer to the other's and let it in; the connection then takes the place of the
# circuit. Through a router that chooses ports at random nothing comes of it, and the circuit stays.
#
#     A                       R, a relay of B              B
#      | Reverse       ---->   | Reverse           ---->    |
#      |  <------------------------------------------- (dials, Hello)
#
#      | CircuitOpen   ---->   | CircuitOpen       ---->    |
#      | CircuitAnswer <----   |     <----  CircuitAnswer   |
#      | CircuitData (a sealed Hello)  <---------->         |
#      | CircuitData (any sealed Message)  <------>         |
#      |  ------------- (both dial at once) ------------->  |
#      |  <-----------------------------------------------  |
#
# The messages that a relay passes on name both ends: by their keys, or where an end is one of several
# processes of a submitter's key (Hello, `session`) by SHA-256("shoal session" | key | session, 8 bytes,
# little-endian), since a relay has a link to each of them. The relay checks `from` against the link; the
# receiver believes it of a circuit because the seal holds, and of a Reverse because its dial, as
# any, ends at the holder of that key or nowhere.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("shoal::wire");

using Rendezvous = import "rendezvous.capnp";

enum Reachability {
  unknown @0;      # nobody could be asked yet
  reachable @1;    # from wherever it has asked
  unreachable @2;  # it needs relays
}

struct DialBackRequest {
  # "Can I be dialled?": to a few peers.

  nonce @0 :UInt64;
  # Chosen at random by the asker: who says it at the asker's door was asked, and has dialled.

  port @1 :UInt16;
  # Where the asker listens. There is no address here on purpose: the asked one dials the address
  # that the link comes from, so that nobody can have it dial a third.
}

struct DialBackReply {
  # At once, before the attempt.

  nonce @0 :UInt64;
  # Of the request.

  accepted @1 :Bool;
  # Whether it is going to dial. False: it was asked too often.

  observedAddress @2 :Text;
  # The asker's IP address as it is seen there.
}

struct DialBack {
  # The first and only message of a connection that was made for it: in place of Hello.

  nonce @0 :UInt64;
  # Of the request.
}

struct Reserve {
  # "Be a relay of mine." Good for as long as the link.
}

struct Reserved {
  # And its answer.

  accepted @0 :Bool;
  # False: it cannot be dialled itself, or has as many as it may have.
}

struct Reverse {
  # "Dial me": through a relay of the one who is to dial.

  from @0 :Rendezvous.NodeId;
  # Who wants to be dialled.

  to @1 :Rendezvous.NodeId;
  # Who is to dial.

  port @2 :UInt16;
  # Where `from` listens.

  address @3 :Text;
  # The IP address of `from` as the relay sees it: put in by the relay.

  node @4 :Rendezvous.NodeId;
  # The key of `from`, where that is the name of a session. Absent: `from` is a key.
}

struct CircuitOpen {
  # "Let us talk through this relay."

  from @0 :Rendezvous.NodeId;
  to @1 :Rendezvous.NodeId;

  random @2 :Data;
  # 32 bytes, never used before: so that no two circuits have the same key.

  address @3 :Text;
  # The IP address of `from` as the relay sees it: put in by the relay.

  punchPort @4 :UInt16;
  # From where `from` will try to punch through, should the other end offer a port as well. 0: it
  # will not.

  node @5 :Rendezvous.NodeId;
  # As in Reverse. The seal of the circuit is made with it, and the Hello inside must bear the name.
}

struct CircuitAnswer {
  # From the other end; or from the relay, where it does not pass the question on.

  from @0 :Rendezvous.NodeId;
  to @1 :Rendezvous.NodeId;

  accepted @2 :Bool;
  # False: no circuit.

  random @3 :Data;
  # The other end's 32 bytes.

  detail @4 :Text;
  # Why not: one sentence for people.

  address @5 :Text;
  # As in CircuitOpen.

  punchPort @6 :UInt16;
  # As in CircuitOpen; 0 as well where the opener offered none.
}

struct CircuitData {
  # One sealed Message, the first one of each end a Hello.

  from @0 :Rendezvous.NodeId;
  to @1 :Rendezvous.NodeId;

  sealed @2 :Data;
  # ChaCha20-Poly1305 (RFC 8439) under the key of this direction; the nonce is the number of messages
  # before it, so that none can be left out, repeated or put in another place.
}

struct CircuitEnd {
  # From an end, or from the relay: the circuit is no more.

  from @0 :Rendezvous.NodeId;
  to @1 :Rendezvous.NodeId;

  detail @2 :Text;
  # Why: one sentence for people.
}
