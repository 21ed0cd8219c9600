#include <gtest/gtest.h>

#include "node/link/link.h"
#include "tests/unit/node/link/hostile_support.h"
#include "tests/unit/node/link/link_test_support.h"

namespace shoal {
namespace {

using namespace link_test;

struct Refusal {
  bool seen = false;
  RefusalReason reason{};
};

// Runs `node` until the client is cut off; keeps the Refused that came before.
bool run_until_cut(Node& node, RawClient& client, Refusal& refusal) {
  return run({&node}, [&] {
    while (auto message = client.receive()) {
      if (const auto* refused = std::get_if<Refused>(&*message)) {
        refusal = {true, refused->reason};
      }
    }
    return client.saw(ZMQ_EVENT_DISCONNECTED);
  });
}

TEST(HostileClient, WithoutAKeyNobodyComesIn) {
  Node node(1);
  RawClient client(key_of(9), node.id(), node.link->port(), {.with_curve = false});
  client.hello(key_of(9).id());
  EXPECT_TRUE(run({&node}, [&] { return client.saw(kFailed); }));
  EXPECT_TRUE(node.events.empty());
}

TEST(HostileClient, TheIdMustBeThatOfTheKey) {
  Node node(1);
  RawClient client(key_of(9), node.id(), node.link->port());
  client.hello(key_of(8).id());
  Refusal refusal;
  ASSERT_TRUE(run_until_cut(node, client, refusal));
  EXPECT_TRUE(refusal.seen);
  EXPECT_EQ(refusal.reason, RefusalReason::kWrongKey);
  EXPECT_TRUE(node.events.empty());
}

TEST(HostileClient, TheFirstMessageMustBeAHello) {
  Node node(1);
  RawClient client(key_of(9), node.id(), node.link->port());
  client.send(encode(Message(Leave{})), false);
  Refusal refusal;
  ASSERT_TRUE(run_until_cut(node, client, refusal));
  EXPECT_TRUE(refusal.seen);
  EXPECT_EQ(refusal.reason, RefusalReason::kBadMessage);
  EXPECT_TRUE(node.events.empty());
}

TEST(HostileClient, AMessageInManyPartsIsCutAndOthersGoOn) {
  Node node(1), honest(2);
  ASSERT_TRUE(connect(honest, node));
  const KeyPair key = key_of(9);
  RawClient client(key, node.id(), node.link->port());
  client.hello(key.id());
  ASSERT_TRUE(run({&node, &honest}, [&] { return node.count<LinkUp>(key.id()) == 1; }));

  const Bytes part(256, 7);
  for (int i = 0; i < 10'000; ++i) client.send(part, true);
  client.send(part, false);
  honest.send(node.id(), numbered(1));
  ASSERT_TRUE(run({&node, &honest}, [&] {
    return node.count<LinkLost>(key.id()) == 1 && client.saw(ZMQ_EVENT_DISCONNECTED);
  }));
  EXPECT_EQ(node.all<LinkLost>(key.id()).front().why, "it sent a message in more than one part");
  EXPECT_EQ(node.count<Received>(key.id()), 0U);
  honest.send(node.id(), numbered(2));
  EXPECT_TRUE(run({&node, &honest}, [&] { return node.count<Received>(honest.id()) == 2; }));
}

TEST(HostileClient, AMessageThatIsTooLargeEndsTheConnection) {
  Node node(1);
  const KeyPair key = key_of(9);
  RawClient client(key, node.id(), node.link->port());
  client.hello(key.id());
  ASSERT_TRUE(run({&node}, [&] { return node.count<LinkUp>(key.id()) == 1; }));
  client.send(Bytes(limits::kMessageBytes + 1, 7), false);
  ASSERT_TRUE(run({&node}, [&] { return node.count<LinkLost>(key.id()) == 1; }));
  EXPECT_EQ(node.count<Received>(key.id()), 0U);
}

TEST(HostileClient, AMessageWithoutAnEndIsCutAndOthersGoOn) {
  Node node(1), honest(2);
  ASSERT_TRUE(connect(honest, node));
  const KeyPair key = key_of(9);
  Throttle throttle(node.link->port(), 16 << 20);
  RawClient client(key, node.id(), throttle.port());
  client.hello(key.id());
  ASSERT_TRUE(run({&node, &honest}, [&] { return node.count<LinkUp>(key.id()) == 1; }));
  const Bytes part(512 * 1024, 7);
  for (int i = 0; i < 64; ++i) client.send(part, true);
  client.send(part, false);  // what libzmq needs to begin; it never gets through
  ASSERT_TRUE(run({&node, &honest},
                  [&] { return node.count<LinkLost>(key.id()) == 1 && throttle.was_cut(); }));
  EXPECT_EQ(node.all<LinkLost>(key.id()).front().why, "it sent a message without an end");
  honest.send(node.id(), numbered(1));
  EXPECT_TRUE(run({&node, &honest}, [&] { return node.count<Received>(honest.id()) == 1; }));
  EXPECT_FALSE(node.lost(honest));
}

}  // namespace
}  // namespace shoal
