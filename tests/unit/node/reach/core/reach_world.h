#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "node/protocol/address.h"
#include "node/reach/core/reach.h"

// A few nodes with real keys, each with a Reach, on a network that a test can say all about: who is
// behind which router, and what happens to each message.
namespace shoal::reach_test {

inline constexpr std::uint16_t kPort = 5555;
inline constexpr const char* kSilence = "tcp://192.0.2.";  // what is dialled there waits for ever

struct Place {
  std::string address;      // as those elsewhere see it
  int router = 0;           // those with the same one see each other inside; 0: none
  std::string inside = {};  // the address there
  bool listens = true;
  bool keeps_ports = false;  // its router, on the way out
  std::uint16_t mapped = 0;  // a port at which its router lets others in
};

class World {
 public:
  bool punches = false;  // of nodes that are added from then on

  struct Node {
    explicit Node(const KeyPair& k) : key(k) {}
    KeyPair key;
    NodeId name;  // peer_name()
    Place place;
    bool open = false;  // dialable from elsewhere
    std::unique_ptr<Reach> reach;
    std::set<std::size_t> links;
    std::vector<LinkUp> ups;
    std::vector<LinkLost> losses;
    std::vector<Message> heard;  // by the owner
    std::vector<Probe> probes;
    std::vector<Dial> punches;
    std::set<NodeId> dialling;        // where nobody answers
    std::map<std::string, int> sent;  // to the transport, by kind
  };

  // Nodes are numbered from 1. One behind a router cannot be dialled from elsewhere.
  std::size_t add(const Place& place, Role role = Role::kWorker) {
    const std::size_t n = nodes_.size() + 1;
    std::array<std::uint8_t, KeyPair::kSeedBytes> seed{};
    seed[0] = static_cast<std::uint8_t>(n);
    seed[1] = static_cast<std::uint8_t>(n >> 8);
    return add(KeyPair(seed), place, role, 0);
  }
  // Another process of a submitter's key.
  std::size_t add_session(const Place& place, const KeyPair& key, std::uint64_t session) {
    return add(key, place, Role::kSubmitter, session);
  }
  std::size_t add(const KeyPair& key, const Place& place, Role role, std::uint64_t session) {
    const std::size_t n = nodes_.size() + 1;
    Node& node = *nodes_.emplace(n, std::make_unique<Node>(key)).first->second;
    node.name = peer_name(role, key.id(), session);
    node.place = place;
    node.open = place.router == 0 && place.listens;
    ReachConfig config;
    config.hello = {pool_, role, [] { return std::nullopt; }, punches, session};
    config.port = place.listens ? kPort : 0;
    config.asks_to_be_dialled = role == Role::kWorker;
    config.relays = role == Role::kWorker;
    config.takes_calls = role == Role::kWorker;
    node.reach = std::make_unique<Reach>(config, node.key, Rng(n));
    by_id_[node.name] = n;
    roles_[n] = role;
    return n;
  }
  Node& node(std::size_t n) { return *nodes_.at(n); }
  NodeId id(std::size_t n) { return node(n).name; }
  Reach& reach(std::size_t n) { return *node(n).reach; }
  Instant now() const { return now_; }

  std::string endpoint(std::size_t n) { return join_endpoint({node(n).place.address, kPort}); }
  std::string seen_by(std::size_t n, std::size_t viewer) {
    return neighbours(n, viewer) ? node(n).place.inside : node(n).place.address;
  }

  // --- what owners do ---
  void dial(std::size_t from, std::size_t to) {
    const std::string host = seen_by(to, from);
    reach(from).perform(now_, Dial{id(to), join_endpoint({host, kPort}), {}});
    settle(from);
  }
  void dial_via(std::size_t from, std::size_t to, const std::vector<Via>& via) {
    reach(from).perform(now_, Dial{id(to), "", via});
    settle(from);
  }
  void dial_through_relays(std::size_t from, std::size_t to) {
    dial_via(from, to, reach(to).via());
  }
  void give_up_dial(std::size_t from, std::size_t to) {
    node(from).dialling.erase(id(to));
    tell(from, [this, peer = id(to)](Reach& r) { r.on(now_, LinkLost{peer, "no answer"}); });
    run();
  }
  void dial_in_vain(std::size_t from, std::size_t to) {
    reach(from).perform(now_, Dial{id(to), std::string(kSilence) + "1:5555", {}});
    settle(from);
  }
  // Nothing is carried before all have dialled.
  void dial_at_once(const std::vector<std::pair<std::size_t, std::size_t>>& dials) {
    for (const auto& [from, to] : dials) {
      reach(from).perform(now_, Dial{id(to), "", reach(to).via()});
    }
    for (const auto& [from, to] : dials) collect(from);
    run();
  }
  void say(std::size_t from, std::size_t to, const Message& message) {
    reach(from).perform(now_, Send{id(to), encode(message)});
    settle(from);
  }
  void drop(std::size_t from, std::size_t to) {
    reach(from).perform(now_, Drop{id(to), "wanted no more"});
    settle(from);
  }
  // What a hostile node says by itself, past its own Reach.
  void say_raw(std::size_t from, std::size_t to, const Message& message) {
    carry(from, Send{id(to), encode(message)});
    run();
  }
  // A transport dials, and no Reach has told it to.
  void dial_raw(std::size_t from, std::size_t to) {
    carry(from, Dial{id(to), endpoint(to), {}});
    run();
  }
  void break_link(std::size_t a, std::size_t b) {
    cut(a, b, "broken");
    run();
  }
  // Step by step up to `span` from now, deadline by deadline.
  void pass(Duration span) {
    const Instant end = now_ + span;
    while (true) {
      std::optional<Instant> next;
      for (auto& [n, node] : nodes_) {
        const auto at = node->reach->next_deadline();
        if (at && (!next || *at < *next)) next = at;
      }
      for (const Punching& punch : punching_) {
        if (!next || punch.ends < *next) next = punch.ends;
      }
      if (!next || *next > end) break;
      now_ = std::max(now_, *next);
      for (auto& [n, node] : nodes_) {
        const auto at = node->reach->next_deadline();
        if (!at || *at > now_) continue;
        node->reach->on_deadline(now_);
        collect(n);
      }
      end_late_punches();
      run();
    }
    now_ = end;
  }

  // --- what is to be seen ---
  bool linked(std::size_t a, std::size_t b) {
    return reach(a).path_of(id(b)).has_value() && reach(b).path_of(id(a)).has_value();
  }
  std::optional<LinkPath> path(std::size_t a, std::size_t b) { return reach(a).path_of(id(b)); }
  template <class M>
  std::vector<M> heard(std::size_t n) {
    std::vector<M> found;
    for (const Message& message : node(n).heard) {
      if (const M* m = std::get_if<M>(&message)) found.push_back(*m);
    }
    return found;
  }
  void check_all() {
    for (auto& [n, node] : nodes_) node->reach->check_invariants();
  }

  // May change what a transport carries; false: it is lost, and the link stays.
  std::function<bool(std::size_t from, std::size_t to, Bytes&)> meddle;

 private:
  bool neighbours(std::size_t a, std::size_t b) {
    return node(a).place.router != 0 && node(a).place.router == node(b).place.router;
  }
  std::optional<std::size_t> at(const std::string& endpoint, std::size_t dialler) {
    const auto where = split_endpoint(endpoint);
    for (auto& [n, node] : nodes_) {
      if (!where || n == dialler || !node->place.listens) continue;
      const std::uint16_t mapped = node->place.mapped;
      if (mapped != 0 && where->port == mapped && where->host == node->place.address) return n;
      if (where->port != kPort) continue;
      if (neighbours(n, dialler) && where->host == node->place.inside) return n;
      if (node->open && where->host == node->place.address) return n;
    }
    return std::nullopt;
  }
  void tell(std::size_t n, std::function<void(Reach&)> what) {
    queue_.emplace_back(n, std::move(what));
  }
  void run() {
    while (!queue_.empty()) {
      auto [n, what] = std::move(queue_.front());
      queue_.pop_front();
      what(reach(n));
      collect(n);
    }
    check_all();
  }
  void settle(std::size_t n) {
    collect(n);
    run();
  }
  void collect(std::size_t n) {
    ReachOutput output = reach(n).take();
    for (ReachAction& action : output.actions) std::visit([&](auto& a) { carry(n, a); }, action);
    for (ReachEvent& event : output.events) std::visit([&](auto& e) { hear(n, e); }, event);
    // What the owner's ear made of it.
    if (!output.events.empty()) collect(n);
  }
  void hear(std::size_t n, LinkUp& up) { node(n).ups.push_back(up); }
  void hear(std::size_t n, LinkLost& lost) { node(n).losses.push_back(lost); }
  void hear(std::size_t n, Received& received) {
    auto message = decode(received.bytes);
    ASSERT_TRUE(message) << message.error().what;
    std::visit(
        [&](auto& m) {
          if constexpr (requires { reach(n).heard(now_, received.peer, m); }) {
            reach(n).heard(now_, received.peer, m);
          } else {
            node(n).heard.push_back(m);
          }
        },
        *message);
  }

  void carry(std::size_t n, const Dial& dial) {
    if (dial.punch_from != 0) return carry_punch(n, dial);
    if (dial.endpoint.starts_with(kSilence)) {
      node(n).dialling.insert(dial.peer);
      return;
    }
    const auto to = at(dial.endpoint, n);
    if (!to || id(*to) != dial.peer) {
      tell(n, [this, peer = dial.peer](Reach& r) { r.on(now_, LinkLost{peer, "no answer"}); });
      return;
    }
    connect(n, *to, LinkPath::kDirect);
  }
  void connect(std::size_t n, std::size_t to, LinkPath path) {
    if (node(n).links.contains(to)) return;
    node(n).links.insert(to);
    node(to).links.insert(n);
    for (const auto& [self, other] : {std::pair{to, n}, std::pair{n, to}}) {
      LinkUp up{.peer = id(other),
                .role = roles_.at(other),
                .address = seen_by(other, self),
                .record = std::nullopt,
                .path = path};
      if (node(other).name != node(other).key.id()) up.session_of = node(other).key.id();
      tell(self, [this, up](Reach& r) { r.on(now_, up); });
    }
  }
  // Comes through where the other side dials as well, each from the port that the other one dials.
  void carry_punch(std::size_t n, const Dial& dial) {
    node(n).punches.push_back(dial);
    const auto there = split_endpoint(dial.endpoint);
    const auto answers = [&](const Punching& other) {
      const auto here = split_endpoint(other.dial.endpoint);
      return node(n).place.keeps_ports && node(other.from).place.keeps_ports &&
             id(other.from) == dial.peer && other.dial.peer == id(n) &&
             there == HostPort{node(other.from).place.address, other.dial.punch_from} &&
             here == HostPort{node(n).place.address, dial.punch_from};
    };
    const auto other = std::find_if(punching_.begin(), punching_.end(), answers);
    if (other == punching_.end()) {
      punching_.push_back({n, dial, now_ + limits::kHelloTimeout});
      return;
    }
    const std::size_t to = other->from;
    punching_.erase(other);
    connect(n, to, LinkPath::kPunched);
  }
  void end_late_punches() {
    std::erase_if(punching_, [this](const Punching& punch) {
      if (punch.ends > now_) return false;
      tell(punch.from, [this, peer = punch.dial.peer](Reach& r) {
        r.on(now_, LinkLost{peer, "nothing came through"});
      });
      return true;
    });
  }
  void carry(std::size_t n, const Probe& probe) {
    node(n).probes.push_back(probe);
    const auto to = at(probe.endpoint, n);
    if (!to || id(*to) != probe.peer) return;
    tell(*to, [this, nonce = probe.nonce](Reach& r) { r.on(now_, Probed{nonce}); });
  }
  void carry(std::size_t n, const Send& send) {
    const std::size_t to = by_id_.at(send.peer);
    node(n).sent[std::string(name_of(*decode(send.bytes)))] += 1;
    if (!node(n).links.contains(to)) return;
    Bytes bytes = send.bytes;
    if (meddle && !meddle(n, to, bytes)) return;
    tell(to, [this, from = id(n), bytes, to](Reach&) {
      Received received{from, bytes};
      hear(to, received);
    });
  }
  void carry(std::size_t n, const Drop& drop) {
    if (node(n).dialling.erase(drop.peer) == 0) return cut(n, by_id_.at(drop.peer), drop.why);
    tell(n, [this, drop](Reach& r) { r.on(now_, LinkLost{drop.peer, drop.why}); });
  }
  void carry(std::size_t, const Tell&) {}
  void cut(std::size_t a, std::size_t b, const std::string& why) {
    if (node(a).links.erase(b) == 0) return;
    node(b).links.erase(a);
    for (const auto& [self, other] : {std::pair{a, b}, std::pair{b, a}}) {
      tell(self, [this, peer = id(other), why](Reach& r) { r.on(now_, LinkLost{peer, why}); });
    }
  }

  struct Punching {
    std::size_t from = 0;
    Dial dial;
    Instant ends;
  };

  PoolId pool_ = {{9}};
  std::vector<Punching> punching_;
  std::map<std::size_t, std::unique_ptr<Node>> nodes_;
  std::map<NodeId, std::size_t> by_id_;
  std::map<std::size_t, Role> roles_;
  std::deque<std::pair<std::size_t, std::function<void(Reach&)>>> queue_;
  Instant now_{1'000'000'000};
};

// Addresses of documentation (RFC 5737) stand for public ones.
inline Place outside(int n) { return {.address = "198.51." + std::to_string(n) + ".1"}; }
inline Place behind(int router, int n = 1) {
  return {.address = "203.0." + std::to_string(router) + ".1",
          .router = router,
          .inside = "192.168.0." + std::to_string(n)};
}

}  // namespace shoal::reach_test
