#include "node/reach/core/circuits.h"

#include <algorithm>
#include <cstring>

#include "node/protocol/plain_text.h"

namespace shoal {
namespace {

constexpr Duration kOpeningPatience = 5s;
// The relay ends circuits; this is for one that has forgotten.
constexpr Duration kLongest = limits::kCircuitTime + 10s;
constexpr std::size_t kShownBytes = 200;
// Above those of services, and below those that a system gives to connections by itself. One that
// is in use after all costs the attempt, no more; at random, so that nobody can take it beforehand.
constexpr std::uint16_t kPunchPortFirst = 20'000;
constexpr std::uint16_t kPunchPorts = 12'000;

// Another node's words, not without end.
std::string shown(std::string text) {
  if (text.size() > kShownBytes) text.resize(kShownBytes);
  return plain_line(text);
}

}  // namespace

Circuits::Circuits(Config config, const Signer& signer, Rng rng)
    : config_(std::move(config)),
      signer_(signer),
      self_(peer_name(config_.role, signer.id(), config_.session)),
      rng_(rng) {}

Hash256 Circuits::fresh_random() {
  Hash256 random;
  for (std::size_t i = 0; i < random.bytes.size(); i += 8) {
    const std::uint64_t word = rng_.next();
    std::memcpy(random.bytes.data() + i, &word, sizeof word);
  }
  return random;
}

std::uint16_t Circuits::fresh_port() {
  return static_cast<std::uint16_t>(kPunchPortFirst + rng_.below(kPunchPorts));
}

bool Circuits::up(const NodeId& peer) const {
  const auto it = circuits_.find(peer);
  return it != circuits_.end() && it->second.state == Circuit::State::kUp;
}

bool Circuits::open(Instant now, const NodeId& peer, const NodeId& relay, ReachOutput& out) {
  if (circuits_.contains(peer) || circuits_.size() >= limits::kCircuitsPerNode) return false;
  Circuit& circuit = circuits_[peer];
  circuit.relay = relay;
  circuit.node = peer;  // only nodes have relays
  circuit.opener = true;
  circuit.random = fresh_random();
  if (config_.punches) circuit.punch_port = fresh_port();
  circuit.deadline = now + kOpeningPatience;
  out.send(relay, CircuitOpen{self_, peer, circuit.random, "", circuit.punch_port, own_node()});
  return true;
}

void Circuits::on(Instant now, const NodeId& relay, const CircuitOpen& m, std::string refusal,
                  ReachOutput& out) {
  const auto existing = circuits_.find(m.from);
  if (existing != circuits_.end() && refusal.empty()) {
    // Both asked at once, perhaps through different relays: the question of the lesser id stands.
    const bool crossed = existing->second.state == Circuit::State::kAsked;
    if (crossed && self_ < m.from) {
      refusal = "this side has asked as well";
    } else if (crossed && existing->second.relay == relay) {
      circuits_.erase(existing);  // the relay has dropped that question already
    } else {
      end(m.from, "the other side opened a new circuit", out);
    }
  }
  if (refusal.empty() && circuits_.size() >= limits::kCircuitsPerNode) {
    refusal = "there are too many circuits here";
  }
  const Hash256 random = fresh_random();
  const NodeId node = session_of(m.node).value_or(m.from);
  auto channel = SealedChannel::between(signer_, {node, m.random}, {signer_.id(), random});
  if (refusal.empty() && !channel) refusal = "the id is no valid key";
  if (!refusal.empty()) {
    return out.send(relay, CircuitAnswer{self_, m.from, false, {}, std::move(refusal), ""});
  }
  Circuit& circuit = circuits_[m.from];
  circuit.relay = relay;
  circuit.node = node;
  circuit.random = random;
  circuit.address = m.address;
  circuit.channel = std::move(channel);
  circuit.state = Circuit::State::kGreeting;
  circuit.deadline = now + kOpeningPatience;
  if (m.punch_port != 0 && config_.punches) {
    circuit.punch_port = fresh_port();
    punches_.push_back({m.from, relay, m.address, circuit.punch_port, m.punch_port, m.node});
  }
  out.send(relay, CircuitAnswer{self_, m.from, true, random, "", "", circuit.punch_port});
  greet(circuit, m.from, out);
}

void Circuits::on(Instant now, const NodeId& relay, const CircuitAnswer& m, ReachOutput& out) {
  const auto it = circuits_.find(m.from);
  if (it == circuits_.end()) return;
  Circuit& circuit = it->second;
  if (circuit.relay != relay || circuit.state != Circuit::State::kAsked) return;
  if (!m.accepted) return remove(m.from, shown(m.detail), out);
  circuit.channel =
      SealedChannel::between(signer_, {signer_.id(), circuit.random}, {m.from, m.random});
  if (!circuit.channel) return end(m.from, "the id is no valid key", out);
  circuit.address = m.address;
  circuit.state = Circuit::State::kGreeting;
  circuit.deadline = now + kOpeningPatience;
  if (m.punch_port != 0) {
    punches_.push_back({m.from, relay, m.address, circuit.punch_port, m.punch_port, {}});
  }
  greet(circuit, m.from, out);
}

void Circuits::greet(Circuit& circuit, const NodeId& peer, ReachOutput& out) {
  Hello hello;
  hello.pool = config_.pool;
  hello.node = signer_.id();
  hello.role = config_.role;
  hello.record = config_.record();
  hello.session = config_.session;
  seal(circuit, peer, encode(Message(std::move(hello))), out);
}

// False: it is past the circuit's limit.
bool Circuits::seal(Circuit& circuit, const NodeId& peer, ByteView plain, ReachOutput& out) {
  const std::size_t size = plain.size() + SealedChannel::kOverheadBytes;
  if (circuit.bytes_out + size > limits::kCircuitBytes) return false;
  circuit.bytes_out += size;
  out.send(circuit.relay, CircuitData{self_, peer, circuit.channel->seal(plain)});
  return true;
}

void Circuits::on(Instant now, const NodeId& relay, const CircuitData& m, ReachOutput& out) {
  const auto it = circuits_.find(m.from);
  if (it == circuits_.end() || it->second.relay != relay || !it->second.channel) return;
  Circuit& circuit = it->second;
  auto plain = circuit.channel->open(m.sealed);
  if (!plain) return end(m.from, "the relay did not carry what was said", out);
  if (circuit.state == Circuit::State::kGreeting) {
    return take_greeting(now, circuit, m.from, *plain, out);
  }
  out.events.emplace_back(Received{m.from, std::move(*plain)});
}

void Circuits::take_greeting(Instant now, Circuit& circuit, const NodeId& peer, ByteView plain,
                             ReachOutput& out) {
  auto message = decode(plain);
  const Hello* hello = message ? std::get_if<Hello>(&*message) : nullptr;
  if (hello == nullptr) return end(peer, "the first message is no Hello", out);
  if (hello->version != Hello{}.version) return end(peer, "it speaks another version", out);
  if (hello->pool != config_.pool) return end(peer, "it belongs to another pool", out);
  // The seal has shown who holds the key; ids that share it, and its sessions, differ in this.
  if (hello->node != circuit.node || peer_name(hello->role, hello->node, hello->session) != peer) {
    return end(peer, "the id is not that of the circuit", out);
  }
  if (hello->role == Role::kCoordinator) return end(peer, "coordinators are dialled", out);
  circuit.state = Circuit::State::kUp;
  circuit.deadline = now + kLongest;
  LinkUp up{.peer = peer,
            .role = hello->role,
            .address = circuit.address,
            .record = hello->record,
            .path = LinkPath::kRelayed};
  if (peer != circuit.node) up.session_of = circuit.node;
  out.events.push_back(std::move(up));
}

void Circuits::on(const NodeId& relay, const CircuitEnd& m, ReachOutput& out) {
  const auto it = circuits_.find(m.from);
  if (it == circuits_.end() || it->second.relay != relay) return;
  remove(m.from, shown(m.detail), out);
}

void Circuits::send(const Send& action, ReachOutput& out) {
  const auto it = circuits_.find(action.peer);
  if (it == circuits_.end() || it->second.state != Circuit::State::kUp) return;
  if (seal(it->second, action.peer, action.bytes, out)) return;
  end(action.peer, "the circuit has carried as much as it may", out);
}

void Circuits::end(const NodeId& peer, const std::string& why, ReachOutput& out) {
  const auto it = circuits_.find(peer);
  if (it == circuits_.end()) return;
  const NodeId node = peer;  // it may stand in what is removed
  out.send(it->second.relay, CircuitEnd{self_, node, why});
  remove(node, why, out);
}

void Circuits::remove(const NodeId& peer, const std::string& why, ReachOutput& out) {
  const auto node = circuits_.extract(peer);
  const Circuit& circuit = node.mapped();
  if (circuit.state == Circuit::State::kUp) {
    out.events.emplace_back(LinkLost{node.key(), why});
  } else if (circuit.opener) {
    failed_.emplace_back(node.key(), why);
  }
}

void Circuits::relay_lost(const NodeId& relay, ReachOutput& out) {
  std::vector<NodeId> lost;
  for (const auto& [peer, circuit] : circuits_) {
    if (circuit.relay == relay) lost.push_back(peer);
  }
  for (const NodeId& peer : lost) remove(peer, "the link to the relay was lost", out);
}

void Circuits::on_deadline(Instant now, ReachOutput& out) {
  std::vector<NodeId> over;
  for (const auto& [peer, circuit] : circuits_) {
    if (circuit.deadline <= now) over.push_back(peer);
  }
  for (const NodeId& peer : over) end(peer, up(peer) ? "its time is over" : "no answer", out);
}

std::optional<Instant> Circuits::next_deadline() const {
  std::optional<Instant> next;
  for (const auto& [peer, circuit] : circuits_) {
    if (!next || circuit.deadline < *next) next = circuit.deadline;
  }
  return next;
}

void Circuits::check_invariants() const {
  check(circuits_.size() <= limits::kCircuitsPerNode, "this node has too many circuits");
  for (const auto& [peer, circuit] : circuits_) {
    check(peer != self_ && circuit.relay != peer, "a circuit leads nowhere");
    check(circuit.bytes_out <= limits::kCircuitBytes, "a circuit has carried more than it may");
    check(circuit.channel.has_value() == (circuit.state != Circuit::State::kAsked),
          "a circuit without keys");
  }
}

}  // namespace shoal
