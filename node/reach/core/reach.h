#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "node/reach/core/circuits.h"
#include "node/reach/core/dial_limit.h"
#include "node/reach/core/dialability.h"
#include "node/reach/core/own_relays.h"
#include "node/reach/core/relay.h"

// Links to nodes that cannot be dialled, as a state machine between a node's transport and its
// owner, a worker or a submitter. The owner dials, sends and drops as ever, and is told of links as
// ever; which of them are connections of their own, and which came about by reversal or go through
// a relay, it learns from LinkUp::path and may ignore.
//
// Rules.
// 1. What the transport tells goes in by on(); what the owner does about links, by perform(); and
//    both get their share of what comes out, from take(), in this order: actions, then events.
// 2. A Dial with an endpoint is a dial. One with `via` asks the relays named there, one after
//    another: for a reversal, where this node may be dialled itself; where it may not, or nothing
//    comes of that, for a circuit. It is answered by LinkUp or LinkLost, as any dial.
// 3. A connection takes the place of a circuit to the same peer: the owner hears LinkLost, LinkUp.
// 4. As a circuit is agreed on, both ends dial each other at once (a punch). What comes of that
// takes
//    its place by rule 3; if nothing does, nobody is told.
// 5. A node that cannot be dialled has relays (via()), and its owner lets others know.
//
// What an attacker could try is said where the rule against it is: dial_limit.h, dialability.h,
// relay.h, circuits.h. To those asked by a relay to dial a third, or to punch: never to an address
// that is less public than that of the relay's own link, and not more than
// limits::kIntroductionsPerMinute. A punch too ends at the holder of the peer's key, or nowhere.
namespace shoal {

struct ReachConfig {
  Circuits::Config hello;
  std::uint16_t port = 0;          // where this node listens; 0: nowhere
  bool asks_to_be_dialled = true;  // false: a node that is here for a moment, and need not know
  bool relays = true;              // lends itself as a relay
  bool takes_calls = true;         // false: only of those whom it has asked to dial
  std::set<NodeId> doors = {};     // of the ticket: dialled as often as the owner likes
};

// Not thread-safe; never blocks. `signer` must outlive it.
class Reach {
 public:
  Reach(ReachConfig config, const Signer& signer, Rng rng);

  void on(Instant now, LinkUp);
  void on(Instant now, LinkLost);
  void on(Instant now, const Probed&);
  // At which port of its router others are let in to this node; 0: at none any more.
  void set_outer_port(Instant now, std::uint16_t port) { dialability_.set_outer_port(now, port); }
  void perform(Instant now, Dial);
  void perform(Instant now, Send);
  void perform(Instant now, const Drop&);
  void on_deadline(Instant now);
  std::optional<Instant> next_deadline() const;
  ReachOutput take() { return std::exchange(out_, {}); }

  // The conversation of reach.capnp, as the owner has decoded it. `from` as in Received.
  void heard(Instant now, const NodeId& from, const DialBackRequest&);
  void heard(Instant now, const NodeId& from, const DialBackReply&);
  void heard(Instant, const NodeId&, const DialBack&) {}  // has a connection of its own
  void heard(Instant now, const NodeId& from, const Reserve&);
  void heard(Instant now, const NodeId& from, const Reserved&);
  void heard(Instant now, const NodeId& from, const Reverse&);
  void heard(Instant now, const NodeId& from, const CircuitOpen&);
  void heard(Instant now, const NodeId& from, const CircuitAnswer&);
  void heard(Instant now, const NodeId& from, const CircuitData&);
  void heard(Instant now, const NodeId& from, const CircuitEnd&);

  // True: no Send to `peer` needs to pass through here.
  bool connected(const NodeId& peer) const { return links_.contains(peer); }
  std::optional<LinkPath> path_of(const NodeId& peer) const;
  Reachability reachability() const { return dialability_.reachability(); }
  const std::vector<Via>& via() const { return own_relays_.via(); }
  void check_invariants() const;

 private:
  // A dial of the transport that is open.
  struct OpenDial {
    std::string endpoint;
    bool for_owner = false;        // otherwise the owner is not told when it fails
    bool reversal = false;         // the other side asked for it
    std::uint16_t punch_from = 0;  // the other side dials at the same time; 0: no punch
    std::optional<NodeId> session_of = {};
    unsigned replaced = 0;  // dials given up for this one whose end the transport has yet to tell
  };
  // A link that the owner wants and that relays are asked for.
  struct Attempt {
    enum class Stage : std::uint8_t {
      kDialling,   // the relay
      kReversing,  // waiting for the peer's dial
      kOpening,    // waiting for a circuit
    };
    std::vector<Via> via;
    std::size_t next = 0;  // of `via`
    NodeId relay;
    Stage stage = Stage::kDialling;
    Instant deadline;
    std::string why;  // the last one failed
  };

  // --- reach_attempts.cpp ---
  void try_next_relay(Instant now, const NodeId& peer);
  void ask_relay(Instant now, const NodeId& peer, Attempt&);
  void open_circuit(Instant now, const NodeId& peer, Attempt&);
  bool may_be_dialled() const;
  void relay_is_up(Instant now, const NodeId& relay);
  void relay_is_gone(Instant now, const NodeId& relay, const std::string& why);
  void attempt_deadlines(Instant now);
  void settle_circuits(Instant now);
  void start_punches();
  bool may_be_told_to_dial(const std::string& address, const NodeId& relay) const;

  struct PutOff {
    Instant until;  // then the owner is told
    std::string why;
  };

  void start_dial(const NodeId& peer, OpenDial dial);
  void put_off(Instant now, const NodeId& peer, std::string why);
  void tell_put_off(Instant now);
  bool may_dial(Instant now, const NodeId& peer, const std::string& endpoint);
  void forget(Instant now, const NodeId& peer, const std::string& why);
  void update_relays(Instant now);

  ReachConfig config_;
  NodeId self_;  // its name (peer_name)
  Dialability dialability_;
  OwnRelays own_relays_;
  Relay relay_;
  Circuits circuits_;
  Quota introductions_;  // to this node, by relay
  DialLimit dial_limit_;
  ReachLinks links_;
  std::map<NodeId, OpenDial> dials_;
  std::map<NodeId, Attempt> attempts_;
  std::map<NodeId, PutOff> put_off_;   // dials that were not made
  std::map<NodeId, Instant> awaited_;  // they were asked to dial, and may come until then
  // Whoever does not ask whether it can be dialled goes by how the last reversal went.
  bool reversals_fail_ = false;
  Reachability told_ = Reachability::kUnknown;  // to people
  ReachOutput out_;
};

}  // namespace shoal
