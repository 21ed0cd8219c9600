#include <gtest/gtest.h>

#include "node/protocol/sealed_channel.h"
#include "tests/unit/sdk/core/submitter_world.h"

// Workers that cannot be dialled, as a submitter meets them.
namespace shoal {
namespace {

class SubmitterReach : public World {
 protected:
  const KeyPair& hidden = workers[0];
  const KeyPair& relay = workers[1];
  static constexpr const char* kRelayEndpoint = "tcp://198.51.100.1:7001";

  // One behind a router, that names `relay`.
  Signed hidden_record() const {
    NodeRecord r;
    r.node = hidden.id();
    r.pool = pool_id();
    r.via = {{relay.id(), kRelayEndpoint}};
    r.threads = 4;
    r.kernels = {"align"};
    r.sequence = kUnixZero;
    r.ttl_s = 600;
    return sign_fact(hidden, Purpose::kRecord, encode(r));
  }
  // The submitter wants a job done, and knows of the hidden worker only.
  JobId want() {
    introduce({hidden_record()});
    take<Drop>();
    take<Dial>();  // the door
    return submit(manifest(10, 1));
  }
  // What the relay is asked to carry to the hidden worker, opened.
  std::vector<Message> carried(SealedChannel& channel) {
    std::vector<Message> messages;
    for (const CircuitData& data : sent<CircuitData>(relay.id())) {
      EXPECT_EQ(data.to, hidden.id());
      const auto plain = channel.open(data.sealed);
      EXPECT_TRUE(plain);
      if (plain) messages.push_back(*decode(*plain));
    }
    return messages;
  }
};

TEST_F(SubmitterReach, AJobIsHandedToAHiddenWorkerThroughItsRelay) {
  start();
  const JobId job = want();
  const Dial dial = only<Dial>();
  EXPECT_EQ(dial.peer, relay.id());
  EXPECT_EQ(dial.endpoint, kRelayEndpoint);
  link(relay);
  EXPECT_TRUE(sent<Reverse>(relay.id()).empty()) << "this submitter listens nowhere";
  const auto opened = sent<CircuitOpen>(relay.id());
  ASSERT_EQ(opened.size(), 1U);
  EXPECT_EQ(opened[0].to, hidden.id());

  Hash256 random;
  random.bytes.fill(7);
  auto channel = SealedChannel::between(hidden, {me.id(), opened[0].random}, {hidden.id(), random});
  ASSERT_TRUE(channel);
  hear(relay.id(), CircuitAnswer{hidden.id(), me.id(), true, random, "", "203.0.113.5"});
  auto greeting = carried(*channel);
  ASSERT_EQ(greeting.size(), 1U);
  const auto& hello = std::get<Hello>(greeting[0]);
  EXPECT_EQ(hello.node, me.id());
  EXPECT_EQ(hello.role, Role::kSubmitter);

  const auto say = [&](const Message& message) {
    hear(relay.id(), CircuitData{hidden.id(), me.id(), channel->seal(encode(message))});
  };
  say(Hello{1, pool_id(), hidden.id(), Role::kWorker, hidden_record()});
  auto asked = carried(*channel);
  ASSERT_EQ(asked.size(), 1U);
  ASSERT_TRUE(std::holds_alternative<Submit>(asked[0]));
  // Content is too much for a circuit.
  say(BlockRequest{});
  const auto block = carried(*channel);
  ASSERT_EQ(block.size(), 1U);
  EXPECT_TRUE(std::get<Block>(block[0]).missing);
  say(SubmitReply{job, SubmitOutcome::kAccepted, ""});
  EXPECT_EQ(only<JobAccepted>().stewards.at(0).node, hidden.id());
}

TEST_F(SubmitterReach, OneThatListensAsksToBeDialled) {
  SubmitterConfig config;
  config.pool = pool_id();
  config.doors = {{coordinator.id(), "tcp://10.0.0.1:7000"}};
  config.unix_ms_at_zero = kUnixZero;
  config.port = 5000;
  submitter = std::make_unique<Submitter>(config, me, checker, Rng(7));
  step(SubmitterStarted{});
  want();
  take<Dial>();
  link(relay);
  const auto asked = sent<Reverse>(relay.id());
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].from, me.id());
  EXPECT_EQ(asked[0].to, hidden.id());
  EXPECT_EQ(asked[0].port, 5000);
  link(hidden);
  EXPECT_EQ(sent<Submit>(hidden.id()).size(), 1U) << "over the connection, without a relay";
}

TEST_F(SubmitterReach, AStewardThatCanBeDialledIsChosenFirst) {
  for (int i = 0; i < 10; ++i) {
    actions.clear();
    start();
    introduce({hidden_record(), record(workers[2], 1), record(workers[3], 1)});
    take<Dial>();
    submit(manifest(10, 1));
    for (const NodeId& node : dialled()) EXPECT_NE(node, relay.id());
  }
}

}  // namespace
}  // namespace shoal
