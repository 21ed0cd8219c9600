#include <gtest/gtest.h>

#include "tests/unit/node/reach/core/reach_world.h"

namespace shoal::reach_test {
namespace {

class PunchTest : public ::testing::Test {
 protected:
  // Behind a router of its own, and knows that it cannot be dialled.
  std::size_t hidden(int router, bool keeps_ports) {
    Place place = behind(router);
    place.keeps_ports = keeps_ports;
    const std::size_t n = world.add(place);
    world.dial(n, relay);
    world.pass(12s);
    EXPECT_EQ(world.reach(n).via().size(), 1U);
    return n;
  }
  // The relay says it.
  template <class M, class Change>
  void change(Change apply) {
    world.meddle = [this, apply](std::size_t from, std::size_t, Bytes& bytes) {
      auto message = decode(bytes);
      if (M* m = message ? std::get_if<M>(&*message) : nullptr; m != nullptr && from == relay) {
        apply(*m);
        bytes = encode(Message(*m));
      }
      return true;
    };
  }
  World world;
  std::size_t relay = [this] {
    world.punches = true;
    const std::size_t r = world.add(outside(1));
    world.dial(world.add(outside(9)), r);
    return r;
  }();
};

TEST_F(PunchTest, TwoBehindRoutersThatKeepPortsNeedNoCircuitForLong) {
  const std::size_t a = hidden(1, true), b = hidden(2, true);
  world.dial_through_relays(a, b);
  ASSERT_TRUE(world.linked(a, b));
  EXPECT_EQ(world.path(a, b), LinkPath::kPunched);
  EXPECT_EQ(world.path(b, a), LinkPath::kPunched);
  for (const std::size_t end : {a, b}) {
    EXPECT_EQ(world.node(end).ups.back().path, LinkPath::kPunched);
    EXPECT_EQ(world.node(end).ups.size(), world.node(end).losses.size() + 2U)
        << "besides the relay's, one link is up";
    EXPECT_TRUE(world.reach(end).connected(world.id(end == a ? b : a))) << "content may go over it";
  }
  EXPECT_EQ(world.node(a).sent["CircuitOpen"], 1);
  const int by_circuit = world.node(a).sent["CircuitData"];
  world.say(a, b, SubmitReply{});
  world.say(b, a, SubmitReply{});
  EXPECT_EQ(world.heard<SubmitReply>(b).size(), 1U);
  EXPECT_EQ(world.heard<SubmitReply>(a).size(), 1U);
  EXPECT_EQ(world.node(a).sent["CircuitData"], by_circuit);
  world.pass(300s);
  EXPECT_EQ(world.path(a, b), LinkPath::kPunched) << "it does not end when circuits do";
}

// As those do who cannot be dialled either: the other one might live in the same home.
TEST_F(PunchTest, WhoeverIsStillDialingTheOthersHomeGivesThatUp) {
  const std::size_t a = hidden(1, true), b = hidden(2, true);
  world.dial_in_vain(b, a);
  world.dial_through_relays(a, b);
  EXPECT_EQ(world.path(a, b), LinkPath::kPunched);
  EXPECT_EQ(world.path(b, a), LinkPath::kPunched);
  EXPECT_EQ(world.node(b).ups.size(), world.node(b).losses.size() + 2U)
      << "the end of the dial is not told beside";
}

TEST_F(PunchTest, ADialThatEndsBesideACircuitIsNoneOfItsOwners) {
  const std::size_t a = hidden(1, true), b = hidden(2, false);
  change<CircuitOpen>([](CircuitOpen& m) { m.punch_port = 0; });
  world.dial_in_vain(b, a);
  world.dial_through_relays(a, b);
  ASSERT_EQ(world.path(b, a), LinkPath::kRelayed);
  world.give_up_dial(b, a);
  EXPECT_TRUE(world.node(b).losses.empty()) << "it has a link";
  world.say(b, a, SubmitReply{});
  EXPECT_EQ(world.heard<SubmitReply>(a).size(), 1U);
}

TEST_F(PunchTest, WhereARouterChoosesPortsAtRandomTheCircuitStays) {
  const std::size_t a = hidden(1, true), b = hidden(2, false);
  world.dial_through_relays(a, b);
  EXPECT_EQ(world.path(a, b), LinkPath::kRelayed);
  EXPECT_EQ(world.node(a).punches.size(), 1U);
  EXPECT_EQ(world.node(b).punches.size(), 1U);
  world.pass(10s);
  EXPECT_EQ(world.path(a, b), LinkPath::kRelayed);
  EXPECT_TRUE(world.node(a).losses.empty()) << "what was tried beside it is none of the owner's";
  EXPECT_TRUE(world.node(b).losses.empty());
  world.say(a, b, SubmitReply{});
  EXPECT_EQ(world.heard<SubmitReply>(b).size(), 1U);
}

TEST_F(PunchTest, EachDialsThePortAndTheAddressThatItWasTold) {
  const std::size_t a = hidden(1, false), b = hidden(2, false);
  world.dial_through_relays(a, b);
  ASSERT_EQ(world.node(a).punches.size(), 1U);
  ASSERT_EQ(world.node(b).punches.size(), 1U);
  const Dial from_a = world.node(a).punches[0], from_b = world.node(b).punches[0];
  EXPECT_EQ(from_a.endpoint, join_endpoint({world.node(b).place.address, from_b.punch_from}));
  EXPECT_EQ(from_b.endpoint, join_endpoint({world.node(a).place.address, from_a.punch_from}));
}

TEST_F(PunchTest, NobodyIsTalkedIntoDialingAPrivateAddress) {
  const std::size_t a = hidden(1, true), b = hidden(2, true);
  for (const char* address : {"192.168.0.7", "10.1.1.1", "127.0.0.1", "224.0.0.1", ""}) {
    change<CircuitOpen>([&](CircuitOpen& m) { m.address = address; });
    world.dial_through_relays(a, b);
    EXPECT_EQ(world.path(a, b), LinkPath::kRelayed) << address;
    EXPECT_TRUE(world.node(b).punches.empty()) << address;
    world.drop(a, b);
    world.pass(10s);
  }
}

TEST_F(PunchTest, OneThatDoesNotPunchIsNotDialled) {
  const std::size_t a = hidden(1, true), b = hidden(2, true);
  change<CircuitOpen>([](CircuitOpen& m) { m.punch_port = 0; });
  world.dial_through_relays(a, b);
  EXPECT_EQ(world.path(a, b), LinkPath::kRelayed);
  EXPECT_TRUE(world.node(a).punches.empty());
  EXPECT_TRUE(world.node(b).punches.empty());
}

TEST_F(PunchTest, AnOwnerThatDialsAgainMeanwhileIsAnswered) {
  const std::size_t a = hidden(1, true), b = hidden(2, false);
  world.dial_through_relays(a, b);
  world.break_link(a, relay);
  ASSERT_EQ(world.node(a).losses.size(), 2U) << "the relay, and the circuit with it";
  world.dial_through_relays(a, b);
  world.pass(10s);
  EXPECT_EQ(world.node(a).losses.size(), 3U);
  EXPECT_EQ(world.node(a).losses.back().peer, world.id(b));
}

}  // namespace
}  // namespace shoal::reach_test
