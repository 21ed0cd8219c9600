#include <gtest/gtest.h>

#include "tests/unit/node/reach/core/reach_world.h"

namespace shoal::reach_test {
namespace {

TEST(Dialability, ANodeThatIsDialledBackKnowsThatItCanBe) {
  World world;
  const std::size_t self = world.add(outside(1));
  for (int n = 2; n <= 6; ++n) world.dial(self, world.add(outside(n)));
  EXPECT_EQ(world.reach(self).reachability(), Reachability::kUnknown);
  world.pass(5s);
  EXPECT_EQ(world.reach(self).reachability(), Reachability::kReachable);
  EXPECT_EQ(world.node(self).sent["DialBackRequest"], 3) << "five are linked, three are asked";
  EXPECT_TRUE(world.reach(self).via().empty()) << "it needs no relay";
}

TEST(Dialability, ANodeThatNobodyReachesKnowsThatItCannotBeDialled) {
  World world;
  const std::size_t self = world.add(behind(1));
  for (int n = 2; n <= 4; ++n) world.dial(self, world.add(outside(n)));
  world.pass(12s);
  EXPECT_EQ(world.reach(self).reachability(), Reachability::kUnreachable);
}

TEST(Dialability, ANeighbourThatReachesItIsNoNewsForThoseOutside) {
  World world;
  const std::size_t self = world.add(behind(1, 1));
  world.dial(self, world.add(behind(1, 2)));
  world.dial(self, world.add(outside(2)));
  world.pass(12s);
  EXPECT_EQ(world.node(self).sent["DialBackRequest"], 2) << "both blocks are asked";
  EXPECT_EQ(world.reach(self).reachability(), Reachability::kUnreachable);
}

TEST(Dialability, ALinkFromElsewhereSparesTheQuestion) {
  World world;
  const std::size_t self = world.add(outside(1));
  world.dial(world.add(outside(2)), self);
  world.pass(60s);
  EXPECT_EQ(world.reach(self).reachability(), Reachability::kReachable);
  EXPECT_EQ(world.node(self).sent["DialBackRequest"], 0);
}

TEST(Dialability, ALinkFromANeighbourDoesNot) {
  World world;
  const std::size_t self = world.add(behind(1, 1));
  world.dial(world.add(behind(1, 2)), self);
  world.dial(self, world.add(outside(2)));
  world.pass(12s);
  EXPECT_EQ(world.reach(self).reachability(), Reachability::kUnreachable);
}

TEST(Dialability, OnOneMachineAllAddressesAreTheSame) {
  World world;
  const Place here{.address = "127.0.0.1"};
  const std::size_t self = world.add(here);
  world.node(self).place.router = 0;
  const std::size_t other = world.add({.address = "127.0.0.2"});
  world.dial(other, self);
  EXPECT_EQ(world.reach(self).reachability(), Reachability::kReachable);
}

TEST(Dialability, WhereARouterLetsOthersInTheyAreAskedToDial) {
  World world;
  const std::size_t self = world.add(behind(1, 1));
  const std::size_t neighbour = world.add(behind(1, 2)), far = world.add(outside(2));
  world.dial(self, neighbour);
  world.dial(self, far);
  world.pass(12s);
  ASSERT_EQ(world.reach(self).reachability(), Reachability::kUnreachable);
  constexpr std::uint16_t kMapped = 7777;
  world.reach(self).set_outer_port(world.now(), kMapped);
  world.pass(12s);
  EXPECT_EQ(world.node(far).probes.back().endpoint,
            join_endpoint({world.node(self).place.address, kMapped}));
  EXPECT_EQ(world.reach(self).reachability(), Reachability::kUnreachable)
      << "that the router says so is not enough";
  world.node(self).place.mapped = kMapped;
  world.pass(60s);  // nobody dials for the same one more than twice a minute
  world.reach(self).set_outer_port(world.now(), 0);
  world.reach(self).set_outer_port(world.now(), kMapped);
  world.pass(5s);
  EXPECT_EQ(world.reach(self).reachability(), Reachability::kReachable);
  EXPECT_EQ(world.node(neighbour).probes.back().endpoint,
            join_endpoint({world.node(self).place.inside, kPort}))
      << "neighbours dial past the router";
}

TEST(Dialability, AMappingThatComesWhileItIsBeingFoundOutIsFoundOutAboutNext) {
  World world;
  const std::size_t self = world.add(behind(1, 1));
  world.dial(self, world.add(outside(2)));
  world.pass(4s);
  ASSERT_EQ(world.node(self).sent["DialBackRequest"], 1);
  ASSERT_EQ(world.reach(self).reachability(), Reachability::kUnknown) << "still on its way";
  world.node(self).place.mapped = 7777;
  world.reach(self).set_outer_port(world.now(), 7777);
  world.pass(15s);
  EXPECT_EQ(world.node(self).sent["DialBackRequest"], 2);
  EXPECT_EQ(world.reach(self).reachability(), Reachability::kReachable);
}

TEST(Dialability, OneThatListensNowhereDoesNotAsk) {
  World world;
  const std::size_t self = world.add({.address = "198.51.1.1", .listens = false});
  world.dial(self, world.add(outside(2)));
  world.pass(60s);
  EXPECT_EQ(world.reach(self).reachability(), Reachability::kUnreachable);
  EXPECT_EQ(world.node(self).sent["DialBackRequest"], 0);
}

TEST(Dialability, WhatSomebodyClaimsToHaveTriedIsNotBelieved) {
  World world;
  const std::size_t self = world.add(behind(1));
  const std::size_t liar = world.add(outside(2));
  world.dial(self, liar);
  // The liar says yes, and then does nothing but guess.
  world.meddle = [&](std::size_t from, std::size_t to, Bytes& bytes) {
    if (to == liar && std::holds_alternative<DialBackRequest>(*decode(bytes))) {
      const auto request = std::get<DialBackRequest>(*decode(bytes));
      world.reach(self).on(world.now(), Probed{request.nonce + 1});
    }
    static_cast<void>(from);
    return true;
  };
  world.pass(12s);
  EXPECT_EQ(world.reach(self).reachability(), Reachability::kUnreachable);
}

TEST(Dialability, AVerdictIsLookedAtAgain) {
  World world;
  const std::size_t self = world.add(behind(1));
  for (int n = 2; n <= 4; ++n) world.dial(self, world.add(outside(n)));
  world.pass(12s);
  ASSERT_EQ(world.reach(self).reachability(), Reachability::kUnreachable);
  EXPECT_EQ(world.reach(self).via().size(), 3U);
  world.node(self).open = true;  // somebody has told the router
  world.pass(900s);
  EXPECT_EQ(world.reach(self).reachability(), Reachability::kReachable);
  EXPECT_TRUE(world.reach(self).via().empty()) << "and needs no relays any more";
}

TEST(Dialability, AVerdictIsLookedAtAgainAlsoWhereNobodyWasThereWhenItWasDue) {
  World world;
  const std::size_t self = world.add(behind(1));
  const std::size_t other = world.add(outside(2));
  world.dial(self, other);
  world.pass(12s);
  ASSERT_EQ(world.reach(self).reachability(), Reachability::kUnreachable);
  world.break_link(self, other);
  world.pass(900s);
  world.node(self).open = true;  // the node was carried to another network
  world.dial(self, other);
  world.pass(900s);
  EXPECT_EQ(world.reach(self).reachability(), Reachability::kReachable);
}

// --- as the asked ---

TEST(DialBack, OnlyTheAddressOfTheLinkIsDialled) {
  World world;
  const std::size_t asked = world.add(outside(1));
  const std::size_t asker = world.add(outside(2));
  world.dial(asker, asked);
  world.say_raw(asker, asked, DialBackRequest{42, 7000});
  ASSERT_EQ(world.node(asked).probes.size(), 1U);
  EXPECT_EQ(world.node(asked).probes[0].peer, world.id(asker));
  EXPECT_EQ(world.node(asked).probes[0].endpoint, "tcp://198.51.2.1:7000");
  EXPECT_EQ(world.node(asked).probes[0].nonce, 42U);
}

TEST(DialBack, ItIsNotDoneOften) {
  World world;
  const std::size_t asked = world.add(outside(1));
  const std::size_t asker = world.add(outside(2));
  world.dial(asker, asked);
  for (int i = 0; i < 10; ++i) world.say_raw(asker, asked, DialBackRequest{1, 7000});
  EXPECT_EQ(world.node(asked).probes.size(), 2U) << "for one node";
  world.pass(61s);
  world.say_raw(asker, asked, DialBackRequest{1, 7000});
  EXPECT_EQ(world.node(asked).probes.size(), 3U);
}

TEST(DialBack, ManyNamesOfOneAddressAreServedNoMore) {
  World world;
  const std::size_t asked = world.add(outside(1));
  for (int n = 0; n < 10; ++n) {
    const std::size_t asker = world.add({.address = "198.51.2.1"});
    world.dial(asker, asked);
    world.say_raw(asker, asked, DialBackRequest{1, 7000});
  }
  EXPECT_EQ(world.node(asked).probes.size(), limits::kDialBacksPerAddress);
}

TEST(DialBack, ThereIsALimitForAllTogether) {
  World world;
  const std::size_t asked = world.add(outside(1));
  for (int n = 0; n < 100; ++n) {
    const std::size_t asker = world.add({.address = "198.51." + std::to_string(n) + ".2"});
    world.dial(asker, asked);
    world.say_raw(asker, asked, DialBackRequest{1, 7000});
  }
  EXPECT_EQ(world.node(asked).probes.size(), limits::kDialBacksPerMinute);
}

}  // namespace
}  // namespace shoal::reach_test
