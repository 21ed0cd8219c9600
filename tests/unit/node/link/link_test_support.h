#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "node/link/link.h"
#include "node/link/parts.h"

// Nodes on loopback within one thread, for the tests of the link.
namespace shoal::link_test {

inline constexpr std::chrono::seconds kPatience{30};

inline KeyPair key_of(std::uint8_t n) {
  std::array<std::uint8_t, KeyPair::kSeedBytes> seed{};
  seed.fill(n);
  return KeyPair(seed);
}

inline PoolId pool_of(std::uint8_t n) {
  PoolId pool;
  pool.bytes.fill(n);
  return pool;
}

struct Node {
  explicit Node(std::uint8_t n, PoolId pool = pool_of(1), std::size_t links_max = 64,
                std::uint16_t port = 0)
      : key(key_of(n)) {
    open(pool, links_max, port);
  }
  Node(std::uint8_t n, LinkConfig config) : key(key_of(n)) { open(std::move(config)); }
  void open(PoolId pool, std::size_t links_max, std::uint16_t port) {
    LinkConfig config;
    config.pool = pool;
    config.listen = "tcp://127.0.0.1:" + std::to_string(port);
    config.links_max = links_max;
    open(std::move(config));
  }
  void open(LinkConfig config) {
    auto opened = Link::open(config, key);
    check(opened.has_value(), opened ? "" : opened.error().what.c_str());
    link = std::move(*opened);
  }

  NodeId id() const { return key.id(); }
  std::string endpoint() const { return "tcp://127.0.0.1:" + std::to_string(link->port()); }
  void dial(const Node& other) { link->perform(Dial{other.id(), other.endpoint()}); }
  void send(const NodeId& to, Bytes bytes) { link->perform(Send{to, std::move(bytes)}); }

  void step() {
    std::vector<bool> readable;
    for (LinkEvent& event : link->wait(std::chrono::milliseconds(1), {}, readable)) {
      events.push_back(std::move(event));
    }
  }
  template <class E>
  std::vector<E> all(const NodeId& peer) const {
    std::vector<E> found;
    for (const LinkEvent& event : events) {
      const E* e = std::get_if<E>(&event);
      if (e != nullptr && e->peer == peer) found.push_back(*e);
    }
    return found;
  }
  template <class E>
  std::size_t count(const NodeId& peer) const {
    std::size_t n = 0;
    for (const LinkEvent& event : events) {
      const E* e = std::get_if<E>(&event);
      if (e != nullptr && e->peer == peer) ++n;
    }
    return n;
  }
  // The numbers that were said to it in place of a Hello.
  std::vector<std::uint64_t> probed() const {
    std::vector<std::uint64_t> nonces;
    for (const LinkEvent& event : events) {
      if (const auto* probed = std::get_if<Probed>(&event)) nonces.push_back(probed->nonce);
    }
    return nonces;
  }
  bool up(const Node& other) const { return count<LinkUp>(other.id()) > 0; }
  bool lost(const Node& other) const { return count<LinkLost>(other.id()) > 0; }

  KeyPair key;
  std::unique_ptr<Link> link;
  std::vector<LinkEvent> events;
};

// Lets the nodes run until `done`; false if that does not happen.
inline bool run(const std::vector<Node*>& nodes, const std::function<bool()>& done) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    for (Node* node : nodes) node->step();
  }
  return true;
}

inline bool connect(Node& a, Node& b) {
  a.dial(b);
  return run({&a, &b}, [&] { return a.up(b) && b.up(a); });
}

inline Bytes numbered(std::uint32_t n, std::size_t size = 64) {
  Bytes bytes(size, 0);
  for (std::size_t i = 0; i < 4; ++i) bytes[i] = static_cast<std::uint8_t>(n >> (8 * i));
  return bytes;
}

inline Bytes make_part(ByteView bytes, std::size_t bytes_after) {
  const PartHead head = part_head(bytes_after);
  Bytes part(head.begin(), head.end());
  part.insert(part.end(), bytes.begin(), bytes.end());
  return part;
}

inline std::uint32_t number_of(const Bytes& bytes) {
  std::uint32_t n = 0;
  for (std::size_t i = 0; i < 4; ++i) n |= static_cast<std::uint32_t>(bytes[i]) << (8 * i);
  return n;
}

// 0, 1, 2 … count - 1, and nothing else.
inline bool in_order(const std::vector<Received>& received, std::uint32_t count) {
  if (received.size() != count) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (number_of(received[i].bytes) != i) return false;
  }
  return true;
}

}  // namespace shoal::link_test
