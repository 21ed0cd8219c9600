#include "worker/core/unit_states.h"

#include <gtest/gtest.h>

#include "tests/unit/worker/core/pool.h"

// How far a unit has come goes along with it to the next worker, and never to its verifiers.
namespace shoal {
namespace {

using test::Pool;

Bytes state(const std::string& text) { return to_bytes(as_bytes(text)); }

std::map<UnitIndex, Bytes> states_in(const UnitStates& states, Range range) {
  std::map<UnitIndex, Bytes> found;
  states.for_each_in(range, [&](UnitIndex unit, const Bytes& bytes) { found[unit] = bytes; });
  return found;
}

TEST(UnitStatesTest, KeepsTheLastOfEachUnit) {
  UnitStates states;
  states.keep(5, state("one"));
  states.keep(5, state("two"));
  states.keep(7, state("seven"));
  EXPECT_EQ(states_in(states, {0, 7}), (std::map<UnitIndex, Bytes>{{5, state("two")}}));
  states.drop({0, 6});
  EXPECT_EQ(states_in(states, {0, 10}), (std::map<UnitIndex, Bytes>{{7, state("seven")}}));
}

TEST(UnitStatesTest, WhatIsPastTheLimitIsNotKeptAndPushesNothingOut) {
  UnitStates states;
  const Bytes large(limits::kUnitStateBytes);
  const UnitIndex fit = limits::kUnitStatesBytes / limits::kUnitStateBytes;
  for (UnitIndex unit = 0; unit < fit + 3; ++unit) states.keep(unit, large);
  EXPECT_EQ(states_in(states, {0, fit + 3}).size(), fit);
  states.keep(0, state("smaller"));  // in the place of its own
  EXPECT_EQ(states_in(states, {0, 1}).at(0), state("smaller"));
  states.drop({0, 2});
  states.keep(fit, large);
  EXPECT_TRUE(states_in(states, {0, fit + 1}).contains(fit));
}

// The worker that computes, of those that do not lead.
std::size_t holder(Pool& pool, std::size_t workers) {
  for (std::size_t n = 2; n <= workers; ++n) {
    if (pool.computes(n)) return n;
  }
  return 0;
}

TEST(UnitStatesTest, AStateMovesToTheWorkerThatTakesTheUnitOver) {
  Pool pool(3);
  pool.submit(1, pool.manifest(1000, 1));
  const std::size_t first = holder(pool, 3);
  ASSERT_NE(first, 0U);
  const auto unit = pool.save_state(first, state("half way"));
  ASSERT_TRUE(unit);
  pool.kill(first);
  // Everybody else computes on until the unit has come to one of them.
  for (int round = 0; round < 1000; ++round) {
    for (std::size_t n = 1; n <= 3; ++n) {
      if (n == first) continue;
      if (pool.states_at(n).contains(*unit)) {
        EXPECT_EQ(pool.states_at(n).at(*unit), state("half way"));
        return;
      }
    }
    bool any = false;
    for (std::size_t n = 1; n <= 3; ++n) {
      any |= pool.compute(n, [](std::size_t, UnitIndex u) { return test::true_output(u); });
    }
    if (!any) pool.wait(1s);
  }
  FAIL() << "nobody was told how far the unit had come";
}

TEST(UnitStatesTest, VerifiersBeginAtTheBeginning) {
  Pool pool(4);
  pool.submit(1, pool.manifest(1, 3));
  // One unit, three replicas: whoever computes says how far it has come.
  std::size_t told = 0;
  for (int round = 0; round < 100; ++round) {
    bool any = false;
    for (std::size_t n = 1; n <= 4; ++n) {
      told += pool.save_state(n, state("a lie")) ? 1U : 0U;
      any |= pool.compute(n, [](std::size_t, UnitIndex u) { return test::true_output(u); });
    }
    if (!any) pool.wait(1s);
  }
  EXPECT_GE(told, 3U);
  for (std::size_t n = 1; n <= 4; ++n) EXPECT_TRUE(pool.states_at(n).empty()) << n;
}

TEST(UnitStatesTest, AStateOfAUnitThatOneDoesNotHoldIsNotKept) {
  Pool pool(3);
  const JobId job = pool.submit(1, pool.manifest(1000, 1));
  const std::size_t first = holder(pool, 3);
  ASSERT_NE(first, 0U);
  const auto unit = pool.save_state(first, state("true"));
  ASSERT_TRUE(unit);
  pool.say_as(5 - first, 1, UnitState{.job = job, .unit = *unit, .state = state("a lie")});
  pool.say_as(first, 1, UnitState{.job = job, .unit = 1'000'000, .state = state("nowhere")});
  pool.kill(first);
  pool.run([](std::size_t, UnitIndex u) { return test::true_output(u); });
  for (std::size_t n = 1; n <= 3; ++n) {
    for (const auto& [_, kept] : pool.states_at(n)) EXPECT_EQ(kept, state("true"));
  }
}

// As the leader it hears whose the loot is in the step in which it got it, and before it begins.
TEST(UnitStatesTest, ALeaderGoesOnWithWhatItSteals) {
  Pool pool(2);
  pool.unit_takes = 10s;  // chunks of one unit
  RangeSet held, loot;
  pool.meddle = [&](std::size_t from, std::size_t, Message& message) {
    if (const auto* grant = std::get_if<LeaseGrant>(&message)) held.add(RangeSet(grant->ranges));
    const auto* reply = std::get_if<StealReply>(&message);
    if (from == 2 && reply != nullptr && reply->transfer) {
      loot.add(RangeSet(decode_transfer(reply->transfer->body)->ranges));
    }
    return true;
  };
  const JobId job = pool.submit(1, pool.manifest(40, 1));
  // It is given more than it has begun as soon as it has committed something.
  for (int units = 0; units < 2; ++units) ASSERT_TRUE(pool.compute(2, test::honest));
  // Worker 2 is at its next unit for ever.
  for (int round = 0; round < 100 && loot.empty(); ++round) {
    const RangeSet given = held;
    ASSERT_FALSE(given.empty());
    for (Range run : given.runs()) {
      for (UnitIndex unit = run.first; unit < run.last; ++unit) {
        pool.say_as(2, 1, UnitState{.job = job, .unit = unit, .state = state("half way")});
      }
    }
    if (!pool.compute(1, [](std::size_t, UnitIndex u) { return test::true_output(u); })) {
      pool.wait(1s);
    }
  }
  ASSERT_FALSE(loot.empty()) << "nothing was stolen";
  ASSERT_TRUE(pool.computes(1));
  const UnitIndex unit = pool.computing(1).range.first;
  ASSERT_TRUE(loot.contains(unit));
  EXPECT_EQ(pool.states_at(1).at(unit), state("half way"));
  EXPECT_TRUE(pool.goes_on(1, unit));
}

TEST(UnitStatesTest, ALeaderThatSavesAStateOfItsOwnComputesOn) {
  Pool pool(1);
  pool.submit(1, pool.manifest(10, 1));
  ASSERT_TRUE(pool.computes(1));
  const std::uint64_t chunk = pool.computing(1).chunk;
  ASSERT_TRUE(pool.save_state(1, state("half way")));
  ASSERT_TRUE(pool.save_state(1, state("half way")));
  EXPECT_EQ(pool.computing(1).chunk, chunk);
  EXPECT_TRUE(pool.states_at(1).empty());
}

}  // namespace
}  // namespace shoal
