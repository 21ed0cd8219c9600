// Routing ids: claimed, stolen, guessed.

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <set>

#include "node/link/sockets.h"
#include "tests/unit/node/link/hostile_support.h"
#include "tests/unit/node/link/link_test_support.h"

namespace shoal {
namespace {

using namespace link_test;

// The sockets of a node alone: everybody is let in, and what comes is kept by routing id.
class Door {
 public:
  explicit Door(const KeyPair& key)
      : sockets_(std::move(*Sockets::open("tcp://127.0.0.1:0", key))) {}

  std::uint16_t port() const { return sockets_->port(); }
  bool send(const std::string& route, const Bytes& bytes) {
    return sockets_->send(Side::kIn, route, bytes) == SendOutcome::kSent;
  }
  // Until `done`.
  template <class Done>
  bool run(const Done& done) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::vector<bool> readable;
      sockets_->poll(1, -1, {}, readable);
      while (const auto request = sockets_->next_zap()) sockets_->answer_zap(*request, "1");
      while (const auto message = sockets_->receive(Side::kIn)) {
        came[std::string(message->route)].push_back(to_bytes(message->payload));
      }
    }
    return true;
  }

  std::map<std::string, std::vector<Bytes>> came;

 private:
  std::unique_ptr<Sockets> sockets_;
};

TEST(HostileRouting, ARouteCannotBeStolen) {
  const KeyPair key = key_of(1);
  Door door(key);
  RawClient honest(key_of(2), key.id(), door.port());
  honest.send(numbered(1), false);
  ASSERT_TRUE(door.run([&] { return door.came.size() == 1; }));
  const std::string route = door.came.begin()->first;

  // It has seen the id that nobody should see.
  RawClient thief(key_of(9), key.id(), door.port(), {.routing_id = route});
  thief.send(numbered(666), false);
  ASSERT_TRUE(door.run([&] { return thief.saw(ZMQ_EVENT_HANDSHAKE_SUCCEEDED); }));
  honest.send(numbered(2), false);
  ASSERT_TRUE(door.run([&] { return door.came[route].size() == 2; }));
  EXPECT_EQ(door.came[route].back(), numbered(2));
  EXPECT_TRUE(door.send(route, numbered(3)));
  std::optional<Bytes> answer;
  ASSERT_TRUE(door.run([&] { return (answer = honest.receive_bytes()).has_value(); }));
  EXPECT_EQ(*answer, numbered(3));
  EXPECT_FALSE(thief.receive_bytes());
  EXPECT_EQ(door.came.size(), 1U) << "the thief was heard";
}

// The next id that libzmq would give, if nobody had seeded rand().
std::uint32_t id_without_a_seed() {
  std::srand(1);  // as at the start of every program
  void* context = zmq_ctx_new();
  // The same sockets in the same order as a node makes them.
  void* zap = zmq_socket(context, ZMQ_REP);
  void* router = zmq_socket(context, ZMQ_ROUTER);
  void* dealer = zmq_socket(context, ZMQ_DEALER);
  check(zmq_bind(router, "inproc://door") == 0, "bind");
  check(zmq_connect(dealer, "inproc://door") == 0, "connect");
  zmq_send(dealer, "", 0, 0);
  std::array<std::uint8_t, 5> id{};
  check(zmq_recv(router, id.data(), id.size(), 0) == static_cast<int>(id.size()), "an id");
  for (void* socket : {zap, router, dealer}) {
    set(socket, ZMQ_LINGER, 0);
    zmq_close(socket);
  }
  zmq_ctx_term(context);
  return std::uint32_t{id[1]} << 24 | std::uint32_t{id[2]} << 16 | std::uint32_t{id[3]} << 8 |
         id[4];
}

std::string route_of_number(std::uint32_t n) {
  return {'\0', static_cast<char>(n >> 24), static_cast<char>(n >> 16), static_cast<char>(n >> 8),
          static_cast<char>(n)};
}

// Where the guess is right, libzmq ends this process: that is how the test fails.
TEST(HostileRouting, TheNextIdCannotBeForetold) {
  const std::uint32_t foretold = id_without_a_seed();
  std::srand(1);
  Node node(1), honest(2);
  std::vector<std::unique_ptr<RawClient>> guessers;
  for (std::uint32_t i = 0; i < 16; ++i) {
    const KeyPair key = key_of(static_cast<std::uint8_t>(100 + i));
    guessers.push_back(
        std::make_unique<RawClient>(key, node.id(), node.link->port(),
                                    RawOptions{.routing_id = route_of_number(foretold + i)}));
    guessers.back()->hello(key.id());
    ASSERT_TRUE(run({&node}, [&] { return node.count<LinkUp>(key.id()) == 1; }));
  }
  EXPECT_TRUE(connect(honest, node));
}

TEST(HostileRouting, EachNodeBeginsElsewhere) {
  std::set<std::string> routes;
  for (int i = 0; i < 4; ++i) {
    const KeyPair key = key_of(1);
    Door door(key);
    RawClient client(key_of(2), key.id(), door.port());
    client.send(numbered(1), false);
    ASSERT_TRUE(door.run([&] { return door.came.size() == 1; }));
    routes.insert(door.came.begin()->first);
  }
  EXPECT_EQ(routes.size(), 4U);
}

TEST(HostileRouting, WhoChoosesAnIdIsCutAndOthersGoOn) {
  Node node(1), honest(2);
  ASSERT_TRUE(connect(honest, node));
  const KeyPair key = key_of(9);
  const NodeId& other = honest.id();
  for (const std::string& claim :
       {std::string("me"), std::string(other.view().begin(), other.view().end()),
        std::string(255, 'x')}) {
    RawClient client(key, node.id(), node.link->port(), {.routing_id = claim});
    client.hello(key.id());
    ASSERT_TRUE(run({&node, &honest}, [&] { return client.saw(ZMQ_EVENT_DISCONNECTED); }));
  }
  EXPECT_EQ(node.count<LinkUp>(key.id()), 0U);
  EXPECT_EQ(node.link->figures().refused, 3U);
  honest.send(node.id(), numbered(1));
  EXPECT_TRUE(run({&node, &honest}, [&] { return node.count<Received>(honest.id()) == 1; }));
  EXPECT_FALSE(node.lost(honest));
}

TEST(HostileRouting, TwoThatClaimTheSameIdHarmNobody) {
  Node node(1), honest(2);
  const KeyPair key = key_of(9), other = key_of(8);
  RawClient first(key, node.id(), node.link->port(), {.routing_id = "twin"});
  RawClient second(other, node.id(), node.link->port(), {.routing_id = "twin"});
  ASSERT_TRUE(run({&node}, [&] {
    return first.saw(ZMQ_EVENT_HANDSHAKE_SUCCEEDED) && second.saw(ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
  }));
  first.hello(key.id());
  second.hello(other.id());
  ASSERT_TRUE(run({&node}, [&] {
    return first.saw(ZMQ_EVENT_DISCONNECTED) || second.saw(ZMQ_EVENT_DISCONNECTED);
  }));
  EXPECT_TRUE(connect(honest, node));
  EXPECT_EQ(node.count<LinkUp>(key.id()) + node.count<LinkUp>(other.id()), 0U);
}

// A ROUTER that both accepts and dials would die of this.
TEST(HostileRouting, TheIdsOfOurOwnDialsMayBeClaimed) {
  Node node(1), honest(2);
  std::vector<std::unique_ptr<RawClient>> claimers;
  for (char n = 1; n <= 24; ++n) {
    claimers.push_back(std::make_unique<RawClient>(
        key_of(static_cast<std::uint8_t>(100 + n)), node.id(), node.link->port(),
        RawOptions{.routing_id = std::string{1, 0, 0, 0, 0, 0, 0, n}}));
  }
  ASSERT_TRUE(run({&node}, [&] {
    return std::all_of(claimers.begin(), claimers.end(),
                       [](auto& c) { return c->saw(ZMQ_EVENT_HANDSHAKE_SUCCEEDED); });
  }));
  for (std::size_t round = 1; round <= 3; ++round) {
    node.dial(honest);
    ASSERT_TRUE(run({&node, &honest}, [&] {
      return node.count<LinkUp>(honest.id()) == round && honest.count<LinkUp>(node.id()) == round;
    }));
    node.send(honest.id(), numbered(7));
    ASSERT_TRUE(run({&node, &honest}, [&] { return honest.count<Received>(node.id()) == round; }));
    node.link->perform(Drop{honest.id(), "for now"});
    ASSERT_TRUE(run({&node, &honest}, [&] { return honest.count<LinkLost>(node.id()) == round; }));
  }
}

// After a poll, libzmq forgets whose the frame with the routing id was.
TEST(HostileRouting, MessagesOfManyAreNeverTakenForAnothers) {
  Node node(1);
  constexpr std::uint8_t kClients = 8;
  std::vector<std::unique_ptr<RawClient>> clients;
  for (std::uint8_t i = 0; i < kClients; ++i) {
    const KeyPair key = key_of(static_cast<std::uint8_t>(100 + i));
    clients.push_back(std::make_unique<RawClient>(key, node.id(), node.link->port()));
    clients.back()->hello(key.id());
  }
  for (std::uint32_t round = 0; round < 50; ++round) {
    for (std::uint32_t i = 0; i < kClients; ++i)
      clients[i]->send(numbered(i * 1000 + round), false);
    node.step();
  }
  for (std::uint32_t i = 0; i < kClients; ++i) {
    const NodeId id = key_of(static_cast<std::uint8_t>(100 + i)).id();
    ASSERT_TRUE(run({&node}, [&] { return node.count<Received>(id) == 50; }));
    std::uint32_t next = i * 1000;
    for (const Received& received : node.all<Received>(id)) {
      EXPECT_EQ(number_of(received.bytes), next++);
    }
  }
}

}  // namespace
}  // namespace shoal
