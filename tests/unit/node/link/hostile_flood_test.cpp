// Too much: of what has no end, of what nobody reads.

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <thread>

#include "tests/unit/node/link/hostile_support.h"
#include "tests/unit/node/link/link_test_support.h"

namespace shoal {
namespace {

using namespace link_test;

// More of one message than `bytes`; libzmq begins to send it when it is complete.
void send_endless(RawClient& client, std::size_t bytes) {
  const Bytes part(64 * 1024, 7);
  for (std::size_t sent = 0; sent < bytes; sent += part.size()) client.send(part, true);
  client.send(part, false);
}

TEST(HostileFlood, BeforeAWordOfGreetingItIsCutToo) {
  Node node(1), honest(2);
  ASSERT_TRUE(connect(honest, node));
  Throttle throttle(node.link->port(), 12 << 20);
  RawClient client(key_of(9), node.id(), throttle.port());
  send_endless(client, 24 << 20);
  ASSERT_TRUE(run({&node, &honest}, [&] { return throttle.was_cut(); }));
  EXPECT_FALSE(node.lost(honest));
  EXPECT_EQ(node.count<LinkUp>(key_of(9).id()), 0U);
}

// Each stays below what one may have; together they would fill the memory.
TEST(HostileFlood, ManyThatBeginAndNeverEndAreCutUntilThereIsRoom) {
  LinkConfig config;
  config.pool = pool_of(1);
  config.listen = "tcp://127.0.0.1:0";
  config.unfinished_bytes_all = 8 << 20;
  Node node(1, config), honest(2);
  ASSERT_TRUE(connect(honest, node));
  struct Attacker {
    Throttle throttle;
    RawClient client;
    Attacker(const Node& node, const KeyPair& key)
        : throttle(node.link->port(), 1500 << 10), client(key, node.id(), throttle.port()) {
      client.hello(key.id());
      send_endless(client, 3 << 20);
    }
  };
  std::vector<std::unique_ptr<Attacker>> attackers;
  for (std::uint8_t i = 0; i < 8; ++i) {
    attackers.push_back(
        std::make_unique<Attacker>(node, key_of(static_cast<std::uint8_t>(100 + i))));
  }
  const auto cut = [&] {
    return std::count_if(attackers.begin(), attackers.end(),
                         [](const auto& a) { return a->throttle.was_cut(); });
  };
  // Twelve megabytes are begun, eight may be.
  ASSERT_TRUE(run({&node, &honest}, [&] { return cut() >= 3; }));
  EXPECT_LT(cut(), 8);
  honest.send(node.id(), numbered(1));
  EXPECT_TRUE(run({&node, &honest}, [&] { return node.count<Received>(honest.id()) == 1; }));
  EXPECT_FALSE(node.lost(honest));
}

// One that others dial.
class RawServer {
 public:
  explicit RawServer(const KeyPair& key) {
    context_ = zmq_ctx_new();
    socket_ = zmq_socket(context_, ZMQ_ROUTER);
    set(socket_, ZMQ_LINGER, 0);
    set(socket_, ZMQ_SNDHWM, 0);
    set(socket_, ZMQ_CURVE_SERVER, 1);
    set(socket_, ZMQ_CURVE_SECRETKEY, key.curve_secret());
    check(zmq_bind(socket_, "tcp://127.0.0.1:*") == 0, "bind");
    std::array<char, 64> endpoint{};
    std::size_t size = endpoint.size();
    check(zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, endpoint.data(), &size) == 0, "endpoint");
    const std::string text(endpoint.data());
    port_ = static_cast<std::uint16_t>(std::stoul(text.substr(text.rfind(':') + 1)));
  }
  ~RawServer() {
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }
  std::uint16_t port() const { return port_; }
  // A greeting has come; the route to whom it came from.
  std::optional<std::string> greeted() {
    std::array<char, 256> route{};
    const int size = zmq_recv(socket_, route.data(), route.size(), ZMQ_DONTWAIT);
    if (size < 0) return std::nullopt;
    std::array<char, 4096> hello{};
    zmq_recv(socket_, hello.data(), hello.size(), 0);
    return std::string(route.data(), static_cast<std::size_t>(size));
  }
  void send(const std::string& route, ByteView part, bool more, bool first) {
    if (first) zmq_send(socket_, route.data(), route.size(), ZMQ_SNDMORE);
    zmq_send(socket_, part.data(), part.size(), more ? ZMQ_SNDMORE : 0);
  }

 private:
  void* context_ = nullptr;
  void* socket_ = nullptr;
  std::uint16_t port_ = 0;
};

TEST(HostileFlood, OneThatWeDialMayNotFloodUsEither) {
  Node node(1), honest(2);
  ASSERT_TRUE(connect(node, honest));
  const KeyPair key = key_of(9);
  RawServer server(key);
  Throttle throttle(server.port(), 16 << 20);
  node.link->perform(Dial{key.id(), "tcp://127.0.0.1:" + std::to_string(throttle.port())});
  std::optional<std::string> route;
  ASSERT_TRUE(run({&node, &honest}, [&] { return (route = server.greeted()).has_value(); }));
  Hello hello;
  hello.pool = pool_of(1);
  hello.node = key.id();
  server.send(*route, encode(Message(hello)), false, true);
  ASSERT_TRUE(run({&node, &honest}, [&] { return node.count<LinkUp>(key.id()) == 1; }));
  const Bytes part(64 * 1024, 7);
  for (int i = 0; i < 400; ++i) server.send(*route, part, true, i == 0);
  server.send(*route, part, false, false);
  ASSERT_TRUE(run({&node, &honest}, [&] { return node.count<LinkLost>(key.id()) == 1; }));
  EXPECT_EQ(node.all<LinkLost>(key.id()).front().why, "it sent a message without an end");
  node.send(honest.id(), numbered(1));
  EXPECT_TRUE(run({&node, &honest}, [&] { return honest.count<Received>(node.id()) == 1; }));
}

// The high-water mark alone would let each of these have 256 messages of a megabyte.
TEST(HostileFlood, SlowReadersAreBoundedInBytesAndOthersGoOn) {
  Node node(1), honest(2);
  ASSERT_TRUE(connect(honest, node));
  constexpr std::uint8_t kSlow = 3;
  constexpr std::uint64_t kMemoryMax = 320ULL << 20;
  std::vector<std::unique_ptr<Throttle>> throttles;
  std::vector<std::unique_ptr<RawClient>> clients;
  std::vector<NodeId> slow;
  for (std::uint8_t i = 0; i < kSlow; ++i) {
    const KeyPair key = key_of(static_cast<std::uint8_t>(100 + i));
    // Passes the handshake and the greetings, and then no more.
    throttles.push_back(std::make_unique<Throttle>(node.link->port(), 4096));
    clients.push_back(std::make_unique<RawClient>(key, node.id(), throttles.back()->port()));
    clients.back()->hello(key.id());
    slow.push_back(key.id());
    ASSERT_TRUE(run({&node}, [&] { return node.count<LinkUp>(key.id()) == 1; }));
  }
  const std::uint64_t before = resident_bytes();
  std::uint64_t most = 0;
  std::uint32_t sent = 0;
  const Bytes large(1 << 20, 7);
  const auto all_lost = [&] {
    return std::all_of(slow.begin(), slow.end(),
                       [&](const NodeId& id) { return node.count<LinkLost>(id) == 1; });
  };
  ASSERT_TRUE(run({&node, &honest}, [&] {
    for (const NodeId& id : slow) node.send(id, large);
    node.send(honest.id(), numbered(sent++));
    most = std::max(most, resident_bytes());
    return all_lost() || sent > 2000;
  }));
  for (const NodeId& id : slow) {
    ASSERT_EQ(node.count<LinkLost>(id), 1U);
    EXPECT_EQ(node.all<LinkLost>(id).front().why,
              "it does not take the messages that are sent to it");
  }
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  // A sanitizer keeps what was freed.
  EXPECT_LT(most - std::min(most, before), kMemoryMax);
#endif
  ASSERT_TRUE(run({&node, &honest}, [&] { return honest.count<Received>(node.id()) == sent; }));
  EXPECT_TRUE(in_order(honest.all<Received>(node.id()), sent));
  EXPECT_FALSE(node.lost(honest));
}

// libzmq would keep them for when it returns.
TEST(HostileFlood, WhatWasSentOnALostLinkDoesNotArriveOnTheNext) {
  Node node(1);
  auto peer = std::make_unique<Node>(2);
  const NodeId id = peer->id();
  const std::uint16_t port = peer->link->port();
  ASSERT_TRUE(connect(node, *peer));
  peer.reset();
  // Nobody reads these: the connection breaks sooner or later, and they were for the old one.
  for (std::uint32_t i = 0; i < 100; ++i) node.send(id, numbered(1000 + i));
  ASSERT_TRUE(run({&node}, [&] { return node.count<LinkLost>(id) == 1; }));
  for (std::uint32_t i = 0; i < 100; ++i) node.send(id, numbered(2000 + i));
  peer = std::make_unique<Node>(2, pool_of(1), 64, port);
  node.dial(*peer);
  ASSERT_TRUE(run({&node, peer.get()}, [&] { return node.count<LinkUp>(id) == 2; }));
  node.send(id, numbered(0));
  ASSERT_TRUE(run({&node, peer.get()}, [&] { return peer->count<Received>(node.id()) > 0; }));
  EXPECT_TRUE(in_order(peer->all<Received>(node.id()), 1));
}

// Where the default LINGER held, it would wait for the reader.
TEST(HostileFlood, ANodeEndsThoughItsMessagesAreNotRead) {
  const KeyPair key = key_of(9);
  auto node = std::make_unique<Node>(1);
  Throttle throttle(node->link->port(), 4096);
  RawClient client(key, node->id(), throttle.port());
  client.hello(key.id());
  ASSERT_TRUE(run({node.get()}, [&] { return node->count<LinkUp>(key.id()) == 1; }));
  for (int i = 0; i < 32; ++i) node->send(key.id(), Bytes(1 << 20, 7));
  std::promise<void> ended;
  std::thread ending([&] {
    node.reset();
    ended.set_value();
  });
  EXPECT_EQ(ended.get_future().wait_for(kPatience), std::future_status::ready);
  throttle.stop();  // lets it go, where it does wait
  ending.join();
}

}  // namespace
}  // namespace shoal
