#include "node/reach/core/relay.h"

#include <algorithm>

namespace shoal {
namespace {

constexpr Duration kAnswerPatience = 10s;

}  // namespace

Relay::Relay() : introductions_(limits::kIntroductionsPerMinute, limits::kLinksMax) {}

void Relay::on(const NodeId& sender, const Reserve&, bool willing, ReachOutput& out) {
  const bool room = reserved_.size() < limits::kReservations || reserved_.contains(sender);
  const bool accepted = willing && room;
  if (accepted) reserved_.insert(sender);
  out.send(sender, Reserved{accepted});
}

std::string Relay::refusal(Instant now, const NodeId& from_node, const NodeId& to) {
  if (!introductions_.take(now, to_hex(from_node))) return "it asks too often";
  if (!reserved_.contains(to)) return "the other one has not reserved here";
  return {};
}

void Relay::on(Instant now, const NodeId& sender, const ReachLinks& links, Reverse m,
               ReachOutput& out) {
  if (m.from != sender) return;
  const ReachLink& link = links.at(sender);
  if (!refusal(now, link.node, m.to).empty()) return;
  m.address = link.address;
  const NodeId to = m.to;
  out.send(to, std::move(m));
}

void Relay::on(Instant now, const NodeId& sender, const ReachLinks& links, CircuitOpen m,
               ReachOutput& out) {
  if (m.from != sender || m.from == m.to) return;
  const Pair pair = pair_of(m.from, m.to);
  if (const auto old = circuits_.find(pair); old != circuits_.end()) {
    // Both ask at once, and have not heard of each other yet: the question of the lesser id stands,
    // as it does at the ends.
    const bool crossed = !old->second.answered && old->second.opener == m.to;
    if (crossed && m.to < m.from) return;
    // The opener knows nothing of an older one any more.
    erase(pair);
    if (!crossed) out.send(m.to, CircuitEnd{m.from, m.to, "it was opened anew"});
  }
  const NodeId from_node = links.at(sender).node;
  std::string why = refusal(now, from_node, m.to);
  const auto full = [&](const NodeId& node) {
    const auto it = circuits_of_.find(node);
    return it != circuits_of_.end() && it->second >= limits::kCircuitsPerNode;
  };
  if (why.empty() && (full(from_node) || full(m.to))) why = "there are too many circuits already";
  if (!why.empty()) {
    return out.send(sender, CircuitAnswer{m.to, m.from, false, {}, std::move(why), ""});
  }
  circuits_[pair] = {
      .opener = m.from, .opener_node = from_node, .answered = false, .ends = now + kAnswerPatience};
  ++circuits_of_[from_node];
  ++circuits_of_[m.to];
  m.address = links.at(sender).address;
  const NodeId to = m.to;
  out.send(to, std::move(m));
}

void Relay::on(Instant now, const NodeId& sender, const ReachLinks& links, CircuitAnswer m,
               ReachOutput& out) {
  const Pair pair = pair_of(m.from, m.to);
  const auto it = circuits_.find(pair);
  if (m.from != sender || it == circuits_.end() || it->second.answered) return;
  if (it->second.opener != m.to) return;
  if (m.accepted) {
    it->second.answered = true;
    it->second.ends = now + limits::kCircuitTime;
  } else {
    erase(pair);
  }
  m.address = links.at(sender).address;
  const NodeId to = m.to;
  out.send(to, std::move(m));
}

void Relay::on(const NodeId& sender, const CircuitData& m, ReachOutput& out) {
  const Pair pair = pair_of(m.from, m.to);
  const auto it = circuits_.find(pair);
  if (m.from != sender || it == circuits_.end() || !it->second.answered) return;
  std::size_t& bytes = sender == pair.first ? it->second.bytes_first : it->second.bytes_second;
  bytes += m.sealed.size();
  if (bytes > limits::kCircuitBytes) {
    return end(pair, "the circuit has carried as much as it may", out);
  }
  out.send(m.to, m);
}

void Relay::on(const NodeId& sender, const CircuitEnd& m, ReachOutput& out) {
  const Pair pair = pair_of(m.from, m.to);
  if (m.from != sender || !circuits_.contains(pair)) return;
  erase(pair);
  out.send(m.to, m);
}

// Each end is told in the name of the other: to them it is the link that was lost.
void Relay::end(const Pair& pair, const std::string& why, ReachOutput& out) {
  const auto [a, b] = pair;
  erase(pair);
  out.send(a, CircuitEnd{b, a, why});
  out.send(b, CircuitEnd{a, b, why});
}

// Only nodes reserve, so the other end's name is its key.
Relay::Pair Relay::nodes_of(const Pair& pair, const Circuit& circuit) {
  return {circuit.opener_node, circuit.opener == pair.first ? pair.second : pair.first};
}

void Relay::erase(const Pair& pair) {
  const auto circuit = circuits_.extract(pair);
  const auto [a, b] = nodes_of(pair, circuit.mapped());
  for (const NodeId& node : {a, b}) {
    const auto it = circuits_of_.find(node);
    if (--it->second == 0) circuits_of_.erase(it);
  }
}

void Relay::link_lost(const NodeId& node, ReachOutput& out) {
  reserved_.erase(node);
  std::vector<Pair> lost;
  for (const auto& [pair, circuit] : circuits_) {
    if (pair.first == node || pair.second == node) lost.push_back(pair);
  }
  for (const Pair& pair : lost) {
    const NodeId other = pair.first == node ? pair.second : pair.first;
    erase(pair);
    out.send(other, CircuitEnd{node, other, "the relay has lost the other side"});
  }
}

void Relay::on_deadline(Instant now, ReachOutput& out) {
  std::vector<Pair> over;
  for (const auto& [pair, circuit] : circuits_) {
    if (circuit.ends <= now) over.push_back(pair);
  }
  for (const Pair& pair : over) {
    end(pair, circuits_.at(pair).answered ? "the circuit's time is over" : "nobody answered", out);
  }
}

std::optional<Instant> Relay::next_deadline() const {
  std::optional<Instant> next;
  for (const auto& [pair, circuit] : circuits_) {
    if (!next || circuit.ends < *next) next = circuit.ends;
  }
  return next;
}

void Relay::check_invariants() const {
  check(reserved_.size() <= limits::kReservations, "too many reservations");
  std::map<NodeId, std::size_t> count;
  for (const auto& [pair, circuit] : circuits_) {
    const auto [opener, other] = nodes_of(pair, circuit);
    ++count[opener];
    ++count[other];
    check(circuit.bytes_first <= limits::kCircuitBytes &&
              circuit.bytes_second <= limits::kCircuitBytes,
          "a circuit has carried more than it may");
    check(circuit.opener == pair.first || circuit.opener == pair.second,
          "a circuit was opened by neither of its ends");
  }
  check(count == circuits_of_, "circuits are miscounted");
  for (const auto& [node, circuits] : count) {
    check(circuits <= limits::kCircuitsPerNode, "a node has too many circuits");
  }
}

}  // namespace shoal
