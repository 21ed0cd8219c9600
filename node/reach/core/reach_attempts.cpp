#include <algorithm>

#include "node/protocol/address.h"
#include "node/reach/core/reach.h"

// How a link comes about that cannot be dialled: the relays of the peer, one after another.
namespace shoal {
namespace {

// A little longer than a transport takes to give up.
constexpr Duration kDialPatience = limits::kHelloTimeout + 1s;
constexpr Duration kReversalPatience = 4s;
// Of a node that does not know whether it can be dialled: then a circuit is the better guess.
constexpr Duration kDoubtfulReversalPatience = 1500ms;
// The peer's dial may take as long, after it was told.
constexpr Duration kAwaited = limits::kHelloTimeout + 5s;
// Circuits fail by themselves before that.
constexpr Duration kCircuitPatience = 12s;

}  // namespace

void Reach::try_next_relay(Instant now, const NodeId& wanted) {
  const NodeId peer = wanted;  // it may stand in what is erased
  while (true) {
    Attempt& attempt = attempts_.at(peer);
    if (attempt.next == attempt.via.size()) {
      std::string why = attempt.why.empty() ? "it has no relay" : std::move(attempt.why);
      attempts_.erase(peer);
      out_.events.emplace_back(LinkLost{peer, "not to be reached through a relay: " + why});
      return;
    }
    const Via& via = attempt.via[attempt.next++];
    attempt.relay = via.node;
    if (links_.contains(via.node)) return ask_relay(now, peer, attempt);
    if (via.endpoint.empty()) continue;
    if (!dials_.contains(via.node)) {
      if (!may_dial(now, via.node, via.endpoint)) continue;
      start_dial(via.node, {.endpoint = via.endpoint});
    }
    attempt.stage = Attempt::Stage::kDialling;
    attempt.deadline = now + kDialPatience;
    return;
  }
}

void Reach::ask_relay(Instant now, const NodeId& peer, Attempt& attempt) {
  if (!may_be_dialled()) return open_circuit(now, peer, attempt);
  if (awaited_.size() < limits::kReachAttempts) awaited_[peer] = now + kAwaited;
  const std::uint16_t port = dialability_.port_for(links_.at(attempt.relay).address);
  out_.send(attempt.relay, Reverse{self_, peer, port, "", circuits_.own_node()});
  attempt.stage = Attempt::Stage::kReversing;
  attempt.deadline = now + (reachability() == Reachability::kReachable ? kReversalPatience
                                                                       : kDoubtfulReversalPatience);
}

bool Reach::may_be_dialled() const {
  if (dialability_.port() == 0 || reachability() == Reachability::kUnreachable) return false;
  return config_.asks_to_be_dialled || !reversals_fail_;
}

void Reach::open_circuit(Instant now, const NodeId& peer, Attempt& attempt) {
  attempt.stage = Attempt::Stage::kOpening;
  attempt.deadline = now + kCircuitPatience;
  if (circuits_.open(now, peer, attempt.relay, out_)) return;
  // There may be one that the peer has asked for; otherwise the deadline ends this.
  attempt.why = "there are too many circuits";
}

void Reach::relay_is_up(Instant now, const NodeId& relay) {
  for (auto& [peer, attempt] : attempts_) {
    if (attempt.relay != relay || attempt.stage != Attempt::Stage::kDialling) continue;
    ask_relay(now, peer, attempt);
  }
}

void Reach::relay_is_gone(Instant now, const NodeId& relay, const std::string& why) {
  std::vector<NodeId> waiting;
  for (const auto& [peer, attempt] : attempts_) {
    // A circuit that was asked for has failed by itself.
    const bool circuit = attempt.stage == Attempt::Stage::kOpening;
    if (attempt.relay == relay && !circuit) waiting.push_back(peer);
  }
  for (const NodeId& peer : waiting) {
    attempts_.at(peer).why = why;
    try_next_relay(now, peer);
  }
}

void Reach::attempt_deadlines(Instant now) {
  std::vector<NodeId> due;
  for (const auto& [peer, attempt] : attempts_) {
    if (attempt.deadline <= now) due.push_back(peer);
  }
  for (const NodeId& peer : due) {
    Attempt& attempt = attempts_.at(peer);
    switch (attempt.stage) {
      case Attempt::Stage::kReversing:
        reversals_fail_ = true;
        open_circuit(now, peer, attempt);
        break;
      case Attempt::Stage::kDialling:
        attempt.why = "the relay does not answer";
        try_next_relay(now, peer);
        break;
      case Attempt::Stage::kOpening:
        if (attempt.why.empty()) attempt.why = "no answer";
        try_next_relay(now, peer);
        break;
    }
  }
}

// Circuits that came up end their attempts; those that did not leave them to the next relay, which
// may fail at once as well.
void Reach::settle_circuits(Instant now) {
  std::erase_if(attempts_, [&](const auto& attempt) { return circuits_.up(attempt.first); });
  // The owner that dialled while a punch was open has its link: the end of the punch is not that of
  // what it was told of.
  for (auto& [peer, dial] : dials_) dial.for_owner = dial.for_owner && !circuits_.up(peer);
  for (auto failures = circuits_.take_failures(); !failures.empty();
       failures = circuits_.take_failures()) {
    for (auto& [peer, why] : failures) {
      const auto it = attempts_.find(peer);
      if (it == attempts_.end() || it->second.stage != Attempt::Stage::kOpening) continue;
      it->second.why = std::move(why);
      try_next_relay(now, peer);
    }
  }
  start_punches();
}

// Both ends do so at about the same time: one as it answers, the other as it hears the answer. Who
// was dialling the other's own endpoint at that moment gives that up: it is the address within some
// home, as a rule, and to wait for its silence would be to leave the other side punching alone.
void Reach::start_punches() {
  for (const Circuits::Punch& punch : circuits_.take_punches()) {
    if (links_.contains(punch.peer)) continue;
    if (!may_be_told_to_dial(punch.address, punch.relay)) continue;
    OpenDial dial{.endpoint = join_endpoint({punch.address, punch.there}),
                  .punch_from = punch.here,
                  .session_of = session_of(punch.node)};
    if (const auto open = dials_.find(punch.peer); open != dials_.end()) {
      dial.for_owner = open->second.for_owner;
      dial.replaced = open->second.replaced + 1;
      out_.actions.emplace_back(Drop{punch.peer, "a punch takes its place"});
    }
    start_dial(punch.peer, std::move(dial));
  }
}

}  // namespace shoal
