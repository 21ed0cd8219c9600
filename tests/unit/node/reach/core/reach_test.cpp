#include "node/reach/core/reach.h"

#include <gtest/gtest.h>

#include "tests/unit/node/reach/core/reach_world.h"

namespace shoal::reach_test {
namespace {

// Relays that know that they can be dialled, and nodes behind routers that have found them.
class ReachTest : public testing::Test {
 protected:
  std::size_t relay(int place) {
    const std::size_t relay = world.add(outside(place));
    world.dial(world.add(outside(place + 100)), relay);
    EXPECT_EQ(world.reach(relay).reachability(), Reachability::kReachable);
    return relay;
  }
  std::size_t hidden(int router, const std::vector<std::size_t>& relays) {
    const std::size_t node = world.add(behind(router));
    for (const std::size_t relay : relays) world.dial(node, relay);
    world.pass(12s);
    EXPECT_EQ(world.reach(node).reachability(), Reachability::kUnreachable);
    EXPECT_EQ(world.reach(node).via().size(), relays.size());
    return node;
  }
  // A node that others can dial, and that knows it.
  std::size_t open(int place) { return relay(place); }

  World world;
};

TEST_F(ReachTest, AHiddenNodeNamesItsRelays) {
  const std::size_t r = relay(1);
  const std::size_t b = hidden(1, {r});
  ASSERT_EQ(world.reach(b).via().size(), 1U);
  EXPECT_EQ(world.reach(b).via()[0], (Via{world.id(r), world.endpoint(r)}));
  world.break_link(b, r);
  EXPECT_TRUE(world.reach(b).via().empty()) << "a relay that is gone is none";
}

TEST_F(ReachTest, NoMoreThanThreeRelaysAreTaken) {
  std::vector<std::size_t> relays;
  for (int i = 1; i <= 5; ++i) relays.push_back(relay(i));
  const std::size_t b = world.add(behind(1));
  for (const std::size_t r : relays) world.dial(b, r);
  world.pass(12s);
  EXPECT_EQ(world.reach(b).via().size(), limits::kVia);
  const std::size_t gone = [&] {
    for (const std::size_t r : relays) {
      if (world.id(r) == world.reach(b).via()[0].node) return r;
    }
    return relays[0];
  }();
  world.break_link(b, gone);
  world.pass(1s);
  EXPECT_EQ(world.reach(b).via().size(), limits::kVia) << "another takes its place";
}

TEST_F(ReachTest, RelaysThatDoNotAnswerAreDoneWithout) {
  const std::size_t hidden = world.add(behind(1));
  std::set<std::size_t> silent;
  world.meddle = [&](std::size_t from, std::size_t to, Bytes& bytes) {
    if (from != hidden || !std::holds_alternative<Reserve>(*decode(bytes))) return true;
    if (silent.size() < limits::kVia) silent.insert(to);
    return !silent.contains(to);
  };
  for (int n = 2; n <= 6; ++n) world.dial(hidden, open(n));
  world.pass(20s);
  ASSERT_EQ(silent.size(), limits::kVia);
  ASSERT_TRUE(world.reach(hidden).via().empty());
  world.pass(100s);
  EXPECT_GE(world.reach(hidden).via().size(), 2U) << "there are two who answer";
  for (const Via& via : world.reach(hidden).via()) {
    for (const std::size_t node : silent) EXPECT_NE(via.node, world.id(node));
  }
}

// It was busy; meanwhile others were asked.
TEST_F(ReachTest, ARelayThatAnswersLateIsNotOneTooMany) {
  const std::size_t hidden = world.add(behind(1));
  std::vector<std::size_t> slow;
  world.meddle = [&](std::size_t from, std::size_t to, Bytes& bytes) {
    if (from != hidden || !std::holds_alternative<Reserve>(*decode(bytes))) return true;
    if (slow.size() == limits::kVia) return true;
    slow.push_back(to);
    return false;
  };
  for (int n = 2; n <= 6; ++n) world.dial(hidden, open(n));
  world.pass(45s);
  const std::size_t before = world.reach(hidden).via().size();
  EXPECT_EQ(before, 2U);
  for (const std::size_t node : slow) world.say_raw(node, hidden, Reserved{true});
  EXPECT_EQ(world.reach(hidden).via().size(), limits::kVia);
}

TEST_F(ReachTest, ANeighbourIsNoRelayForThoseOutside) {
  const std::size_t r = relay(1);
  const std::size_t b = world.add(behind(1, 1));
  world.dial(b, world.add(behind(1, 2)));
  world.dial(b, r);
  world.pass(12s);
  ASSERT_EQ(world.reach(b).via().size(), 1U);
  EXPECT_EQ(world.reach(b).via()[0].node, world.id(r));
}

// --- reversal ---

TEST_F(ReachTest, OneThatCanBeDialledIsDialledBack) {
  const std::size_t r = relay(1);
  const std::size_t b = hidden(1, {r});
  const std::size_t a = open(2);
  world.dial_through_relays(a, b);
  ASSERT_TRUE(world.linked(a, b));
  EXPECT_EQ(world.path(a, b), LinkPath::kReversed);
  EXPECT_EQ(world.path(b, a), LinkPath::kReversed);
  EXPECT_EQ(world.node(a).ups.back().path, LinkPath::kReversed);
  EXPECT_EQ(world.node(b).ups.back().path, LinkPath::kReversed);
  EXPECT_EQ(world.reach(r).path_of(world.id(a)), LinkPath::kDirect) << "through a relay of b's";
  EXPECT_EQ(world.node(a).sent["CircuitOpen"], 0) << "no circuit is needed";
  world.say(a, b, SubmitReply{});
  EXPECT_EQ(world.heard<SubmitReply>(b).size(), 1U);
}

TEST_F(ReachTest, AReversalThatDoesNotComeIsFollowedByACircuit) {
  const std::size_t r = relay(1);
  const std::size_t b = hidden(1, {r});
  const std::size_t a = open(2);
  world.node(a).open = false;  // a firewall, since it was dialled
  world.dial_through_relays(a, b);
  EXPECT_FALSE(world.linked(a, b));
  world.pass(5s);
  ASSERT_TRUE(world.linked(a, b));
  EXPECT_EQ(world.path(a, b), LinkPath::kRelayed);
  EXPECT_TRUE(world.node(b).losses.empty()) << "the failed dial is none of the owner's";
}

TEST_F(ReachTest, AConnectionTakesThePlaceOfACircuit) {
  const std::size_t r = relay(1);
  const std::size_t b = hidden(1, {r});
  const std::size_t a = open(2);
  world.node(a).open = false;
  world.dial_through_relays(a, b);
  world.pass(5s);
  ASSERT_EQ(world.path(a, b), LinkPath::kRelayed);
  world.node(a).open = true;
  world.dial_raw(b, a);  // the reversal was only late
  ASSERT_TRUE(world.linked(a, b));
  EXPECT_EQ(world.path(a, b), LinkPath::kReversed);
  for (const std::size_t end : {a, b}) {
    EXPECT_EQ(world.node(end).losses.size(), 1U);
    EXPECT_NE(world.node(end).ups.back().path, LinkPath::kRelayed);
  }
  world.say(a, b, SubmitReply{});
  world.say(b, a, SubmitReply{});
  EXPECT_EQ(world.heard<SubmitReply>(b).size(), 1U);
  EXPECT_EQ(world.heard<SubmitReply>(a).size(), 1U);
}

TEST_F(ReachTest, ASubmitterGoesByHowReversalsWent) {
  const std::size_t r = relay(1);
  const std::size_t b = hidden(1, {r});
  const std::size_t c = hidden(2, {r});
  // It listens, but behind a router; and it does not ask whether it can be dialled.
  const std::size_t a = world.add(behind(3), Role::kSubmitter);
  world.dial_through_relays(a, b);
  EXPECT_FALSE(world.linked(a, b));
  world.pass(2s);
  EXPECT_EQ(world.path(a, b), LinkPath::kRelayed);
  world.dial_through_relays(a, c);
  EXPECT_EQ(world.path(a, c), LinkPath::kRelayed) << "at once";
  EXPECT_EQ(world.node(a).sent["Reverse"], 1);
}

TEST_F(ReachTest, ASubmitterThatCanBeDialledIs) {
  const std::size_t r = relay(1);
  const std::size_t b = hidden(1, {r});
  const std::size_t a = world.add(outside(2), Role::kSubmitter);
  world.dial_through_relays(a, b);
  EXPECT_EQ(world.path(a, b), LinkPath::kReversed);
  EXPECT_EQ(world.path(b, a), LinkPath::kReversed);
  EXPECT_TRUE(world.node(a).losses.empty());
}

TEST_F(ReachTest, NobodyIsToldToDialAnAddressThatIsLessPublicThanTheRelays) {
  const std::size_t r = relay(1);
  const std::size_t b = hidden(1, {r});
  const auto dials_of_b = [&] { return world.node(b).losses.size() + world.node(b).ups.size(); };
  const auto before = dials_of_b();
  // The relay itself says it: no rule of Relay is in the way.
  for (const char* address : {"192.168.0.7", "10.1.1.1", "127.0.0.1", "224.0.0.1", "0.0.0.0",
                              "localhost", "", "169.254.169.254", "::1", "fe80::1"}) {
    world.say_raw(r, b, Reverse{world.id(world.add(outside(7))), world.id(b), 80, address});
  }
  EXPECT_EQ(dials_of_b(), before);
  EXPECT_EQ(world.reach(b).take().actions.size(), 0U);
}

TEST_F(ReachTest, OnlyARelayOfItsOwnTellsANodeToDial) {
  const std::size_t r = relay(1);
  const std::size_t b = hidden(1, {r});
  const std::size_t stranger = relay(3);
  world.dial(stranger, r);
  world.dial(b, stranger);
  const std::size_t a = open(2);
  if (world.reach(b).via().size() == 2) world.break_link(b, stranger), world.dial(stranger, b);
  const auto ups = world.node(b).ups.size();
  world.say_raw(a, b, Reverse{world.id(a), world.id(b), kPort, world.node(a).place.address});
  EXPECT_EQ(world.node(b).ups.size(), ups);
}

TEST_F(ReachTest, ARelayPassesOnInNobodyElsesName) {
  const std::size_t r = relay(1);
  const std::size_t b = hidden(1, {r});
  const std::size_t a = open(2);
  const std::size_t victim = open(3);
  world.dial(a, r);
  const int before = world.node(r).sent["Reverse"] + world.node(r).sent["CircuitOpen"];
  world.say_raw(a, r, Reverse{world.id(victim), world.id(b), kPort, "198.51.3.1"});
  world.say_raw(a, r, CircuitOpen{world.id(victim), world.id(b), {}, ""});
  EXPECT_EQ(world.node(r).sent["Reverse"] + world.node(r).sent["CircuitOpen"], before);
}

TEST_F(ReachTest, TheRelaySaysWhereTheAskerIs) {
  const std::size_t r = relay(1);
  const std::size_t b = hidden(1, {r});
  const std::size_t a = open(2);
  world.dial(a, r);
  std::vector<Reverse> passed_on;
  world.meddle = [&](std::size_t from, std::size_t to, Bytes& bytes) {
    const auto message = decode(bytes);
    if (from == r && to == b && std::holds_alternative<Reverse>(*message)) {
      passed_on.push_back(std::get<Reverse>(*message));
    }
    return true;
  };
  // The asker would rather have somebody else dialled.
  world.say_raw(a, r, Reverse{world.id(a), world.id(b), kPort, "198.51.77.1"});
  ASSERT_EQ(passed_on.size(), 1U);
  EXPECT_EQ(passed_on[0].address, "198.51.2.1");
}

TEST_F(ReachTest, ASubmitterTakesNoCallsOfStrangers) {
  const std::size_t submitter = world.add(outside(2), Role::kSubmitter);
  const std::size_t stranger = open(3);
  world.dial(stranger, submitter);
  EXPECT_FALSE(world.linked(stranger, submitter));
  EXPECT_TRUE(world.node(submitter).ups.empty()) << "its owner did not hear of it";
}

// --- attempts ---

TEST_F(ReachTest, TheNextRelayIsAskedWhenOneIsGone) {
  const std::size_t r1 = relay(1);
  const std::size_t r2 = relay(2);
  const std::size_t b = hidden(1, {r1, r2});
  const std::vector<Via> via = world.reach(b).via();
  const std::size_t first = via[0].node == world.id(r1) ? r1 : r2;
  world.node(first).open = false;
  const std::size_t a = world.add(behind(2));
  world.dial_via(a, b, via);
  world.pass(2s);  // it waits for a reversal first: it does not know about itself yet
  ASSERT_TRUE(world.linked(a, b));
  EXPECT_EQ(world.path(a, b), LinkPath::kRelayed);
  EXPECT_TRUE(world.node(a).losses.empty()) << "the owner did not dial the relay";
}

TEST_F(ReachTest, AnAttemptThatFailsIsTold) {
  const std::size_t r = relay(1);
  const std::size_t b = hidden(1, {r});
  const std::size_t a = world.add(behind(2));
  const std::vector<Via> via = world.reach(b).via();
  world.break_link(b, r);
  world.dial_via(a, b, via);
  world.pass(2s);
  ASSERT_EQ(world.node(a).losses.size(), 1U);
  EXPECT_EQ(world.node(a).losses[0].peer, world.id(b));
  EXPECT_NE(world.node(a).losses[0].why.find("has not reserved here"), std::string::npos)
      << world.node(a).losses[0].why;
}

TEST_F(ReachTest, OneWithoutRelaysIsNotReached) {
  const std::size_t a = world.add(outside(1));
  const std::size_t b = world.add(behind(1));
  world.dial_via(a, b, {});
  ASSERT_EQ(world.node(a).losses.size(), 1U);
}

TEST_F(ReachTest, WhatIsDroppedIsArrangedNoMore) {
  const std::size_t r = relay(1);
  const std::size_t b = hidden(1, {r});
  const std::size_t a = open(2);
  world.node(a).open = false;
  world.dial_through_relays(a, b);
  world.drop(a, b);
  ASSERT_EQ(world.node(a).losses.size(), 1U);
  world.pass(30s);
  EXPECT_FALSE(world.linked(a, b));
  EXPECT_EQ(world.node(a).losses.size(), 1U);
}

TEST_F(ReachTest, ADialThatFailedMayBeTriedAgain) {
  const std::size_t a = world.add(outside(1));
  const std::size_t b = world.add(outside(2));
  world.node(b).open = false;
  world.dial(a, b);
  ASSERT_EQ(world.node(a).losses.size(), 1U);
  world.node(b).open = true;
  world.dial(a, b);
  EXPECT_TRUE(world.linked(a, b));
  world.drop(a, b);
  EXPECT_EQ(world.node(a).losses.size(), 2U);
  world.dial(a, b);
  EXPECT_TRUE(world.linked(a, b));
}

// Others have their dials at its address in vain, and its link breaks just then.
TEST_F(ReachTest, WhoHasAnsweredIsDialledHoweverManyOthersNameItsAddress) {
  const std::size_t a = world.add(outside(1));
  const std::size_t b = open(2);
  world.dial(a, b);
  ASSERT_TRUE(world.linked(a, b));
  std::size_t refused = 0;
  for (std::size_t n = 0; n < 2 * DialLimit::kDialsPerEndpoint; ++n) {
    NodeId made_up;
    made_up.bytes[0] = static_cast<std::uint8_t>(n + 1);
    world.reach(a).perform(world.now(), Dial{made_up, world.endpoint(b), {}});
    const auto out = world.reach(a).take();
    refused += out.actions.empty() ? 1 : 0;
  }
  EXPECT_GE(refused, DialLimit::kDialsPerEndpoint);
  world.break_link(a, b);
  world.dial(a, b);
  EXPECT_TRUE(world.linked(a, b));
}

// Whoever dials again as soon as it hears that a dial has failed must not be at it for ever.
TEST_F(ReachTest, ADialThatIsNotMadeFailsNotAtOnce) {
  const std::size_t a = world.add(outside(1));
  const std::size_t b = world.add(outside(2));
  Reach& reach = world.reach(a);
  NodeId last;
  for (std::size_t n = 0; n <= DialLimit::kDialsPerEndpoint; ++n) {
    last.bytes[0] = static_cast<std::uint8_t>(n + 1);
    reach.perform(world.now(), Dial{last, world.endpoint(b), {}});
  }
  const auto at_once = reach.take();
  EXPECT_EQ(at_once.actions.size(), DialLimit::kDialsPerEndpoint);
  EXPECT_TRUE(at_once.events.empty());
  ASSERT_TRUE(reach.next_deadline());
  reach.on_deadline(world.now() + 1s);
  const auto later = reach.take();
  ASSERT_EQ(later.events.size(), 1U);
  EXPECT_EQ(std::get<LinkLost>(later.events.front()).peer, last);
  reach.on_deadline(world.now() + 2s);
  EXPECT_TRUE(reach.take().events.empty());
}

}  // namespace
}  // namespace shoal::reach_test
