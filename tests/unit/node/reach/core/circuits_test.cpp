#include "node/reach/core/circuits.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "tests/unit/node/reach/core/reach_world.h"

namespace shoal::reach_test {
namespace {

// Two nodes behind two routers, and a relay between them.
class CircuitsTest : public testing::Test {
 protected:
  void SetUp() override {
    r = world.add(outside(1));
    world.dial(world.add(outside(101)), r);
    b = hidden(1);
    a = hidden(2);
  }
  std::size_t hidden(int router) {
    const std::size_t node = world.add(behind(router));
    world.dial(node, r);
    world.pass(12s);
    EXPECT_EQ(world.reach(node).via().size(), 1U);
    return node;
  }
  void connect() {
    world.dial_through_relays(a, b);
    ASSERT_TRUE(world.linked(a, b));
    ASSERT_EQ(world.path(a, b), LinkPath::kRelayed);
  }
  static Message words(std::size_t bytes) {
    return SubmitReply{{}, SubmitOutcome::kAccepted, std::string(bytes, 'w')};
  }
  // About as large as a message gets that a circuit carries.
  static Message large(std::size_t bytes) { return Results{{}, {Bytes(bytes, 7)}, false}; }

  World world;
  std::size_t a = 0, b = 0, r = 0;
};

TEST_F(CircuitsTest, TwoThatNobodyCanDialTalk) {
  connect();
  EXPECT_EQ(world.node(a).ups.back().peer, world.id(b));
  EXPECT_EQ(world.node(a).ups.back().path, LinkPath::kRelayed);
  EXPECT_EQ(world.node(a).ups.back().role, Role::kWorker);
  EXPECT_EQ(world.node(a).ups.back().address, "203.0.1.1") << "as the relay sees it";
  EXPECT_EQ(world.node(b).ups.back().address, "203.0.2.1");
  for (int i = 0; i < 10; ++i) {
    world.say(a, b, words(100));
    world.say(b, a, words(100));
  }
  EXPECT_EQ(world.heard<SubmitReply>(a).size(), 10U);
  EXPECT_EQ(world.heard<SubmitReply>(b).size(), 10U);
  EXPECT_TRUE(world.heard<SubmitReply>(r).empty());
}

TEST_F(CircuitsTest, TheRelaySeesNothingOfWhatIsSaid) {
  std::vector<Bytes> carried;
  world.meddle = [&](std::size_t, std::size_t to, Bytes& bytes) {
    if (to == r) carried.push_back(bytes);
    return true;
  };
  connect();
  world.say(a, b, words(64));
  world.say(a, b, words(64));
  const std::string secret(16, 'w');
  std::vector<Bytes> data;
  for (const Bytes& bytes : carried) {
    const auto message = decode(bytes);
    if (const auto* sealed = std::get_if<CircuitData>(&*message)) data.push_back(sealed->sealed);
    const ByteView needle = as_bytes(secret);
    EXPECT_EQ(std::search(bytes.begin(), bytes.end(), needle.begin(), needle.end()), bytes.end());
  }
  ASSERT_GE(data.size(), 4U) << "two Hellos and twice the same words";
  EXPECT_NE(data[data.size() - 1], data[data.size() - 2]) << "the same words look different";
}

// A relay has a link to each of them, and so has the node behind it.
TEST_F(CircuitsTest, SessionsOfOneKeyHaveCircuitsOfTheirOwn) {
  const KeyPair submitter(std::array<std::uint8_t, KeyPair::kSeedBytes>{77});
  const std::size_t one = world.add_session(behind(3), submitter, 11);
  const std::size_t two = world.add_session(behind(3), submitter, 12);
  for (const std::size_t session : {one, two}) {
    world.dial(session, r);
    world.dial_through_relays(session, b);
    world.pass(5s);
    ASSERT_EQ(world.path(session, b), LinkPath::kRelayed);
    EXPECT_EQ(world.node(b).ups.back().peer, world.id(session));
    EXPECT_EQ(world.node(b).ups.back().node(), submitter.id());
  }
  world.say(b, one, words(1));
  EXPECT_EQ(world.heard<SubmitReply>(one).size(), 1U);
  EXPECT_TRUE(world.heard<SubmitReply>(two).empty());
  world.drop(two, b);
  world.say(one, b, words(1));
  EXPECT_EQ(world.heard<SubmitReply>(b).size(), 1U) << "the other one's circuit is up";
}

// It knows the key that is claimed for it, and not what follows from it.
TEST_F(CircuitsTest, NobodyIsTakenForASessionOfAnotherKey) {
  const KeyPair submitter(std::array<std::uint8_t, KeyPair::kSeedBytes>{77});
  const KeyPair liar(std::array<std::uint8_t, KeyPair::kSeedBytes>{78});
  const std::size_t session = world.add_session(behind(3), liar, 11);
  world.dial(session, r);
  const auto claim = [&](std::size_t from, std::size_t, Bytes& bytes) {
    auto message = decode(bytes);
    if (auto* open = message ? std::get_if<CircuitOpen>(&*message) : nullptr; open != nullptr) {
      if (from == session) open->node = submitter.id();
      bytes = encode(*message);
    }
    return true;
  };
  world.meddle = claim;
  const std::size_t ups = world.node(b).ups.size();
  world.dial_through_relays(session, b);
  world.pass(30s);
  EXPECT_EQ(world.node(b).ups.size(), ups);
  EXPECT_FALSE(world.linked(session, b));
}

TEST_F(CircuitsTest, AChangedByteIsTheEnd) {
  connect();
  world.meddle = [&](std::size_t from, std::size_t to, Bytes& bytes) {
    auto message = decode(bytes);
    auto* data = from == r && to == b ? std::get_if<CircuitData>(&*message) : nullptr;
    if (data != nullptr) {
      data->sealed[data->sealed.size() / 2] ^= 1;
      bytes = encode(*message);
    }
    return true;
  };
  world.say(a, b, words(100));
  EXPECT_TRUE(world.heard<SubmitReply>(b).empty());
  EXPECT_EQ(world.node(b).losses.size(), 1U);
  EXPECT_EQ(world.node(a).losses.size(), 1U);
  EXPECT_FALSE(world.linked(a, b));
}

TEST_F(CircuitsTest, WhatTheRelayLeavesOutIsMissed) {
  connect();
  int seen = 0;
  world.meddle = [&](std::size_t from, std::size_t to, Bytes& bytes) {
    const bool data = from == r && to == b && std::holds_alternative<CircuitData>(*decode(bytes));
    return !data || ++seen != 1;
  };
  world.say(a, b, words(100));
  EXPECT_TRUE(world.node(b).losses.empty());
  world.say(a, b, words(100));
  EXPECT_TRUE(world.heard<SubmitReply>(b).empty());
  EXPECT_EQ(world.node(b).losses.size(), 1U);
}

TEST_F(CircuitsTest, WhatTheRelaySaysTwiceIsNotHeardTwice) {
  connect();
  std::optional<Bytes> last;
  world.meddle = [&](std::size_t from, std::size_t to, Bytes& bytes) {
    if (from == r && to == b && std::holds_alternative<CircuitData>(*decode(bytes))) last = bytes;
    return true;
  };
  world.say(a, b, words(100));
  ASSERT_TRUE(last);
  world.say_raw(r, b, *decode(*last));
  EXPECT_EQ(world.heard<SubmitReply>(b).size(), 1U);
  EXPECT_EQ(world.node(b).losses.size(), 1U);
}

TEST_F(CircuitsTest, ARelayCannotSpeakForTheOtherSide) {
  // It has a reservation of b's, and pretends that a asks.
  const Hash256 random{};
  world.meddle = [&](std::size_t from, std::size_t, Bytes&) { return from != b; };
  world.say_raw(r, b, CircuitOpen{world.id(a), world.id(b), random, "203.0.2.1"});
  world.meddle = {};
  EXPECT_EQ(world.node(b).sent["CircuitAnswer"], 1);
  // All that it lacks is a's key: its own makes another channel.
  auto forged =
      SealedChannel::between(world.node(r).key, {world.id(r), random}, {world.id(b), random});
  ASSERT_TRUE(forged);
  Hello hello;
  hello.node = world.id(a);
  world.say_raw(r, b, CircuitData{world.id(a), world.id(b), forged->seal(encode(Message(hello)))});
  EXPECT_FALSE(world.reach(b).path_of(world.id(a)));
  EXPECT_EQ(world.node(b).sent["CircuitEnd"], 1);
}

TEST_F(CircuitsTest, BothEndsHearWhenTheRelayIsGone) {
  connect();
  world.break_link(a, r);
  EXPECT_FALSE(world.reach(a).path_of(world.id(b)));
  EXPECT_FALSE(world.reach(b).path_of(world.id(a)));
  EXPECT_EQ(world.node(b).losses.size(), 1U);
}

TEST_F(CircuitsTest, OneThatIsDroppedEndsOnBothSides) {
  connect();
  world.drop(a, b);
  EXPECT_EQ(world.node(a).losses.size(), 1U);
  EXPECT_EQ(world.node(b).losses.size(), 1U);
  EXPECT_EQ(world.reach(r).path_of(world.id(a)), LinkPath::kDirect) << "the relay stays";
  world.dial_through_relays(b, a);
  EXPECT_TRUE(world.linked(a, b)) << "and serves again";
}

TEST_F(CircuitsTest, BothAskAtOnceAndHaveOneCircuit) {
  // Neither hears of the other's question before it has asked itself.
  world.dial_at_once({{a, b}, {b, a}});
  ASSERT_TRUE(world.linked(a, b));
  EXPECT_TRUE(world.node(a).losses.empty());
  EXPECT_TRUE(world.node(b).losses.empty());
  world.say(a, b, words(10));
  world.say(b, a, words(10));
  EXPECT_EQ(world.heard<SubmitReply>(a).size(), 1U);
}

TEST_F(CircuitsTest, BothAskAtOnceInTheOtherOrder) {
  world.dial_at_once({{b, a}, {a, b}});
  ASSERT_TRUE(world.linked(a, b));
  EXPECT_TRUE(world.node(a).losses.empty());
  EXPECT_TRUE(world.node(b).losses.empty());
}

TEST_F(CircuitsTest, OneThatForgotTheCircuitOpensItAnew) {
  connect();
  // What a restart looks like to the relay and to the other side, had its links survived.
  world.say_raw(a, r, CircuitOpen{world.id(a), world.id(b), {}, ""});
  EXPECT_EQ(world.node(b).losses.size(), 1U);
  EXPECT_EQ(world.node(b).sent["CircuitAnswer"], 2);
}

// --- its limits ---

TEST_F(CircuitsTest, ItEndsAfterTwoMinutes) {
  connect();
  world.pass(limits::kCircuitTime - 1s);
  EXPECT_TRUE(world.linked(a, b));
  world.pass(2s);
  EXPECT_FALSE(world.reach(a).path_of(world.id(b)));
  EXPECT_FALSE(world.reach(b).path_of(world.id(a)));
  world.dial_through_relays(a, b);
  EXPECT_TRUE(world.linked(a, b)) << "a new one may follow";
}

TEST_F(CircuitsTest, ItCarriesSoMuchInEachDirectionAndNoMore) {
  connect();
  const std::size_t piece = 10'000;
  const std::size_t sealed = encode(large(piece)).size() + SealedChannel::kOverheadBytes;
  const std::size_t fit = (limits::kCircuitBytes - 1000) / sealed;  // beside the Hello
  for (std::size_t i = 0; i < fit; ++i) {
    world.say(a, b, large(piece));
    world.say(b, a, large(piece));
  }
  EXPECT_EQ(world.heard<Results>(a).size(), fit);
  EXPECT_EQ(world.heard<Results>(b).size(), fit);
  EXPECT_TRUE(world.linked(a, b));
  world.say(a, b, large(piece));
  EXPECT_EQ(world.heard<Results>(b).size(), fit);
  EXPECT_FALSE(world.linked(a, b));
  EXPECT_EQ(world.node(a).losses.size(), 1U);
  EXPECT_EQ(world.node(b).losses.size(), 1U);
}

TEST_F(CircuitsTest, TheRelayCutsOneThatDoesNotKeepTheLimit) {
  connect();
  // Garbage opens as nothing, but the relay does not know that: it counts.
  world.meddle = [&](std::size_t from, std::size_t to, Bytes& bytes) {
    return !(from == r && to == b && std::holds_alternative<CircuitData>(*decode(bytes)));
  };
  const CircuitData garbage{world.id(a), world.id(b), Bytes(60'000, 1)};
  world.say_raw(a, r, garbage);
  world.say_raw(a, r, garbage);
  EXPECT_EQ(world.node(r).sent["CircuitEnd"], 0);
  world.say_raw(a, r, garbage);
  EXPECT_EQ(world.node(r).sent["CircuitEnd"], 2);
  EXPECT_FALSE(world.reach(a).path_of(world.id(b)));
  EXPECT_FALSE(world.reach(b).path_of(world.id(a)));
}

TEST_F(CircuitsTest, AMessageThatNoCircuitCarriesIsNotHalfSent) {
  connect();
  world.say(a, b, large(limits::kCircuitBytes));
  EXPECT_EQ(world.node(a).losses.size(), 1U);
  EXPECT_TRUE(world.heard<Results>(b).empty());
}

}  // namespace
}  // namespace shoal::reach_test
