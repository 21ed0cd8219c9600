// Connections that are opened only to be open, and handshakes that are begun only to be begun.

#include <gtest/gtest.h>

#include <memory>

#include "tests/unit/node/link/hostile_support.h"
#include "tests/unit/node/link/link_test_support.h"

namespace shoal {
namespace {

using namespace link_test;

LinkConfig config_with(std::size_t links_max) {
  LinkConfig config;
  config.pool = pool_of(1);
  config.listen = "tcp://127.0.0.1:0";
  config.links_max = links_max;
  return config;
}

// ZMTP 3.1, and a mechanism.
Bytes greeting(const std::string& mechanism) {
  Bytes bytes(64, 0);
  bytes[0] = 0xff;
  bytes[9] = 0x7f;
  bytes[10] = 3;
  bytes[11] = 1;
  std::copy(mechanism.begin(), mechanism.end(), bytes.begin() + 12);
  return bytes;
}

Bytes joined(Bytes bytes, const std::string& more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
  return bytes;
}

Bytes text(const std::string& text) { return joined({}, text); }

// A command frame that says it is `bytes` long.
std::string long_command(std::uint64_t bytes) {
  std::string frame(1, '\x06');
  for (int shift = 56; shift >= 0; shift -= 8) frame += static_cast<char>(bytes >> shift);
  return frame;
}

std::vector<Bytes> openings() {
  std::string noise;
  for (std::uint32_t i = 0, state = 1; i < 65'536; ++i) {
    state = state * 1664525 + 1013904223;
    noise += static_cast<char>(state >> 24);
  }
  const std::string hello = std::string("\x04\xc8\x05HELLO\x01\x00", 10);
  return {
      {},                                                           // nothing at all
      text("\xff"),                                                 // and no more
      text("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),            // another protocol
      text(noise),                                                  // none
      joined(text(std::string("\x01\x00", 2)), noise),              // ZMTP 1.0
      joined(Bytes{0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 1}, noise),  // ZMTP 2.0
      greeting("NULL"),
      joined(greeting("NULL"), std::string("\x04\x06\x05READY", 8)),
      joined(greeting("PLAIN"), std::string("\x04\x0b\x05HELLO\x01"
                                            "a\x01"
                                            "b",
                                            12)),
      joined(greeting("GSSAPI"), noise),
      greeting("CURVE"),  // and never a HELLO
      joined(greeting("CURVE"), noise),
      joined(greeting("CURVE"), hello + std::string(192, '\0')),  // a box that nobody made
      joined(greeting("CURVE"), hello + noise),
      joined(greeting("CURVE"), std::string("\x04\x09\x08INITIATE", 11)),  // out of turn
      joined(greeting("CURVE"), long_command(1ULL << 62) + noise),
      joined(greeting("CURVE"), long_command(~0ULL) + noise),
      joined(greeting("CURVE"), std::string("\x02\xff\xff\xff\xff\xff\xff\xff\xff", 9) + noise),
  };
}

TEST(HostileHandshake, WhateverIsSaidInsteadIsCutAndOthersGoOn) {
  Node node(1), honest(2), later(3);
  ASSERT_TRUE(connect(honest, node));
  std::vector<RawTcp> clients;
  for (const Bytes& opening : openings()) {
    clients.emplace_back(node.link->port());
    clients.back().write(opening);
  }
  ASSERT_TRUE(connect(later, node));
  honest.send(node.id(), numbered(1));
  ASSERT_TRUE(run({&node, &honest}, [&] { return node.count<Received>(honest.id()) == 1; }));
  // Also those that wait for something: a handshake has five seconds.
  for (std::size_t i = 0; i < clients.size(); ++i) {
    EXPECT_TRUE(run({&node, &honest, &later}, [&] { return clients[i].was_cut(); })) << i;
  }
  EXPECT_EQ(node.link->figures().links, 2U);
  EXPECT_FALSE(node.lost(honest));
  EXPECT_FALSE(node.lost(later));
}

TEST(HostileHandshake, HalfOpenConnectionsKeepNobodyOut) {
  Node node(1, config_with(8)), honest(2), later(3);
  ASSERT_TRUE(connect(honest, node));
  // More than there is room for: 8 links and 64 that have not spoken yet.
  std::vector<RawTcp> clients;
  for (int i = 0; i < 200; ++i) clients.emplace_back(node.link->port());
  ASSERT_TRUE(run({&node, &honest}, [&] { return node.link->figures().refused >= 100; }));
  EXPECT_TRUE(connect(later, node));
  EXPECT_FALSE(node.lost(honest));
  // The oldest went, not the newest.
  EXPECT_TRUE(run({&node, &honest, &later}, [&] { return clients.front().was_cut(); }));
}

// They prove a key each, which costs the node half a millisecond, and then say nothing.
TEST(HostileHandshake, AStormOfHandshakesKeepsNobodyOut) {
  Node node(1, config_with(32)), honest(2), later(3);
  ASSERT_TRUE(connect(honest, node));
  void* context = zmq_ctx_new();
  std::vector<void*> sockets;
  for (std::uint32_t i = 0; i < 300; ++i) {
    std::array<std::uint8_t, KeyPair::kSeedBytes> seed{7};
    std::memcpy(seed.data() + 1, &i, sizeof i);
    const KeyPair key(seed);
    void* socket = zmq_socket(context, ZMQ_DEALER);
    set(socket, ZMQ_LINGER, 0);
    set(socket, ZMQ_RECONNECT_IVL, -1);
    set(socket, ZMQ_CURVE_PUBLICKEY, curve_key_of(key.id())->view());
    set(socket, ZMQ_CURVE_SECRETKEY, key.curve_secret());
    set(socket, ZMQ_CURVE_SERVERKEY, curve_key_of(node.id())->view());
    check(zmq_connect(socket, node.endpoint().c_str()) == 0, "connect");
    sockets.push_back(socket);
  }
  ASSERT_TRUE(run({&node, &honest}, [&] { return node.link->figures().refused >= 200; }));
  EXPECT_TRUE(connect(later, node));
  honest.send(node.id(), numbered(1));
  EXPECT_TRUE(run({&node, &honest}, [&] { return node.count<Received>(honest.id()) == 1; }));
  EXPECT_EQ(node.link->figures().links, 2U);
  EXPECT_FALSE(node.lost(honest));
  for (void* socket : sockets) zmq_close(socket);
  zmq_ctx_term(context);
}

TEST(HostileHandshake, OneAddressCannotTakeAllPlaces) {
  LinkConfig config = config_with(64);
  config.loopback_is_exempt = false;
  config.links_per_address = 8;
  Node node(1, config);
  std::vector<RawTcp> clients;
  for (int i = 0; i < 8; ++i) clients.emplace_back(node.link->port(), "127.0.0.2");
  RawTcp ninth(node.link->port(), "127.0.0.2");
  EXPECT_TRUE(run({&node}, [&] { return ninth.was_cut(); }));
  EXPECT_EQ(node.link->figures().refused, 1U);
  const KeyPair key = key_of(9);
  RawClient elsewhere(key, node.id(), node.link->port(), {.source = "127.0.0.3"});
  elsewhere.hello(key.id());
  EXPECT_TRUE(run({&node}, [&] { return node.count<LinkUp>(key.id()) == 1; }));
  EXPECT_FALSE(clients.front().was_cut());
}

TEST(HostileHandshake, OneAddressCannotConnectWithoutEnd) {
  LinkConfig config = config_with(64);
  config.loopback_is_exempt = false;
  config.connects_per_address_burst = 20;
  config.connects_per_address_per_s = 1;
  Node node(1, config);
  // Each is gone before the next one comes: the number of open ones stays small. By the time that
  // this takes, a few have been earned again, but not forty.
  const auto refused = [&] { return node.link->figures().refused; };
  int tried = 0;
  for (; tried < 1000 && refused() == 0; ++tried) {
    RawTcp client(node.link->port(), "127.0.0.2");
    // Let in: it is greeted, and still is once the link has seen that it came. Not let in: it is
    // cut.
    int rounds = 0;
    ASSERT_TRUE(run({&node}, [&] {
      return client.was_cut() || refused() > 0 || (client.heard() > 0 && ++rounds > 1);
    }));
  }
  EXPECT_GE(tried, 20);
  EXPECT_EQ(refused(), 1U);
  const KeyPair key = key_of(9);
  RawClient elsewhere(key, node.id(), node.link->port(), {.source = "127.0.0.3"});
  elsewhere.hello(key.id());
  EXPECT_TRUE(run({&node}, [&] { return node.count<LinkUp>(key.id()) == 1; }));
}

// Refused in the handshake; libzmq's client would never try again by itself.
TEST(HostileHandshake, OneKeyCannotTakeAllPlacesAndWhoWasRefusedMayComeAgain) {
  LinkConfig config = config_with(64);
  config.links_per_key = 1;
  Node node(1, config), same(9), other(3);
  auto first = std::make_unique<RawClient>(same.key, node.id(), node.link->port());
  first->hello(same.id());
  ASSERT_TRUE(run({&node}, [&] { return node.count<LinkUp>(same.id()) == 1; }));
  same.dial(node);
  ASSERT_TRUE(run({&node, &same}, [&] { return same.lost(node); }));
  EXPECT_EQ(same.all<LinkLost>(node.id()).front().why, "it has no room for another connection");
  EXPECT_TRUE(connect(other, node));
  EXPECT_FALSE(node.lost(same));

  first.reset();
  ASSERT_TRUE(run({&node, &same}, [&] { return node.lost(same); }));
  same.dial(node);
  EXPECT_TRUE(
      run({&node, &same}, [&] { return same.up(node) && node.count<LinkUp>(same.id()) == 2; }));
}

}  // namespace
}  // namespace shoal
