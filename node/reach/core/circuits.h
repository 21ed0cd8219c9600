#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "node/protocol/limits.h"
#include "node/protocol/rng.h"
#include "node/protocol/sealed_channel.h"
#include "node/reach/core/reach_output.h"

namespace shoal {

// The circuits that end at this node: links through a relay. Both ends say Hello first, as on any
// link, but sealed; then the owner is told of the link, and told no more of its kind than its path.
//
// Opening a circuit, both ends also tell each other a port to punch from (reach.capnp);
// take_punches() says of each circuit that was agreed on which two those are. The circuit itself
// does not wait.
//
// What an attacker could try: a relay, or whoever pretends to pass on, can refuse, delay, cut and
// count. It cannot read or change: what does not open is the end of the circuit. It cannot pretend
// to be another node either: the Hello was sealed with a key that only that node can derive.
class Circuits {
 public:
  struct Config {
    PoolId pool;
    Role role = Role::kWorker;
    // What this node says of itself in Hello, when it is asked.
    std::function<std::optional<Signed>()> record;
    bool punches = true;        // whether it tries to punch through beside a circuit
    std::uint64_t session = 0;  // as in Hello
  };
  Circuits(Config config, const Signer& signer, Rng rng);

  // False: there are too many, or one to `peer` already.
  bool open(Instant now, const NodeId& peer, const NodeId& relay, ReachOutput&);
  void on(Instant now, const NodeId& relay, const CircuitOpen&, std::string refusal, ReachOutput&);
  void on(Instant now, const NodeId& relay, const CircuitAnswer&, ReachOutput&);
  void on(Instant now, const NodeId& relay, const CircuitData&, ReachOutput&);
  void on(const NodeId& relay, const CircuitEnd&, ReachOutput&);
  // Over a circuit that is up. One that this would take past its limit ends instead.
  void send(const Send&, ReachOutput&);
  // By this side; the other one is told.
  void end(const NodeId& peer, const std::string& why, ReachOutput&);
  void relay_lost(const NodeId& relay, ReachOutput&);
  void on_deadline(Instant now, ReachOutput&);
  std::optional<Instant> next_deadline() const;

  // The key of this node, where its name is that of a session; else zero.
  NodeId own_node() const { return self_ == signer_.id() ? NodeId{} : signer_.id(); }
  bool empty() const { return circuits_.empty(); }
  bool up(const NodeId& peer) const;
  // Circuits that this node asked for and that did not come about: to whom, and why.
  std::vector<std::pair<NodeId, std::string>> take_failures() { return std::exchange(failed_, {}); }
  // Where both ends offer it: from which port here to dial which there, now.
  struct Punch {
    NodeId peer;
    NodeId relay;
    std::string address;  // of the peer, as the relay says
    std::uint16_t here = 0;
    std::uint16_t there = 0;
    NodeId node;  // whose session `peer` is; zero: `peer` is a node's id
  };
  std::vector<Punch> take_punches() { return std::exchange(punches_, {}); }
  void check_invariants() const;

 private:
  struct Circuit {
    enum class State : std::uint8_t { kAsked, kGreeting, kUp };
    NodeId relay;
    NodeId node;  // whose key the other side holds
    bool opener = false;
    State state = State::kAsked;
    Hash256 random;                // this side's
    std::string address;           // the other side's, as the relay says
    std::uint16_t punch_port = 0;  // this side's
    std::optional<SealedChannel> channel;
    std::size_t bytes_out = 0;
    Instant deadline;
  };
  Hash256 fresh_random();
  std::uint16_t fresh_port();
  void greet(Circuit&, const NodeId& peer, ReachOutput&);
  bool seal(Circuit&, const NodeId& peer, ByteView plain, ReachOutput&);
  void take_greeting(Instant now, Circuit&, const NodeId& peer, ByteView plain, ReachOutput&);
  // The circuit is no more; the other side knows.
  void remove(const NodeId& peer, const std::string& why, ReachOutput&);

  Config config_;
  const Signer& signer_;
  const NodeId self_;  // the name of this end
  Rng rng_;
  std::map<NodeId, Circuit> circuits_;
  std::vector<std::pair<NodeId, std::string>> failed_;
  std::vector<Punch> punches_;
};

}  // namespace shoal
