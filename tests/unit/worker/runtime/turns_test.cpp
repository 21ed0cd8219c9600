#include "worker/runtime/turns.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace shoal {
namespace {

constexpr std::int64_t kMs = 1'000'000;

// Calls it when it wants to be called, as its owner does, until `end_ns`. Returns for how long each
// has run, and checks that there were never too many.
std::map<std::uint64_t, std::int64_t> run(Turns& turns, unsigned threads, std::int64_t begin_ns,
                                          std::int64_t end_ns,
                                          const std::vector<Turns::Wish>& wishes) {
  std::map<std::uint64_t, std::int64_t> ran;
  std::int64_t now = begin_ns;
  while (now < end_ns) {
    turns.update(now, wishes);
    const std::int64_t next = std::min(turns.next_change_ns().value_or(end_ns), end_ns);
    EXPECT_GT(next, now);
    unsigned running = 0;
    for (const Turns::Wish& wish : wishes) {
      if (turns.waits(wish.who)) continue;
      running += wish.threads;
      ran[wish.who] += next - now;
    }
    EXPECT_LE(running, threads);
    now = next;
  }
  return ran;
}

TEST(Turns, WhereThereIsEnoughForAllNobodyWaits) {
  Turns turns(4);
  turns.update(0, {{1, 2}, {2, 1}, {3, 1}});
  for (std::uint64_t who : {1, 2, 3}) EXPECT_FALSE(turns.waits(who)) << who;
  EXPECT_EQ(turns.next_change_ns(), std::nullopt);
}

TEST(Turns, EachHasTheTimeOfAsManyProcessorsAsItHasWorkFor) {
  Turns turns(4);
  EXPECT_EQ(turns.threads_of(1), 4U);
  turns.update(0, {{1, 3}, {2, 1}, {3, 0}});
  EXPECT_EQ(turns.threads_of(1), 3U);
  EXPECT_EQ(turns.threads_of(2), 1U);
  EXPECT_EQ(turns.threads_of(3), 1U);  // it ends what nobody wants any more
  turns.update(0, {});
  EXPECT_EQ(turns.threads_of(1), 4U);
}

TEST(Turns, TwoThatWantAllHaveHalfOfTheTimeEach) {
  Turns turns(4);
  const auto ran = run(turns, 4, 0, 10'000 * kMs, {{1, 4}, {2, 4}});
  EXPECT_EQ(ran.at(1), 5'000 * kMs);
  EXPECT_EQ(ran.at(2), 5'000 * kMs);
}

TEST(Turns, WithOneThreadAsManyAsThereAreShareIt) {
  Turns turns(1);
  const auto ran = run(turns, 1, 0, 15'000 * kMs, {{1, 1}, {2, 1}, {3, 1}});
  for (std::uint64_t who : {1, 2, 3}) EXPECT_EQ(ran.at(who), 5'000 * kMs) << who;
}

TEST(Turns, WhoeverFitsBesideThoseWhoseTurnItIsRuns) {
  Turns turns(4);
  turns.update(0, {{1, 3}, {2, 3}, {3, 1}});
  EXPECT_FALSE(turns.waits(1));
  EXPECT_TRUE(turns.waits(2));
  EXPECT_FALSE(turns.waits(3));
  const auto ran = run(turns, 4, 0, 60'000 * kMs, {{1, 3}, {2, 3}, {3, 1}});
  EXPECT_EQ(ran.at(1), ran.at(2));
  EXPECT_EQ(ran.at(3), 60'000 * kMs) << "with either of them";
}

TEST(Turns, FewUnitsOfOneCostTheManyOfAnotherLittle) {
  Turns turns(10);
  const auto ran = run(turns, 10, 0, 60'000 * kMs, {{1, 10}, {2, 1}});
  EXPECT_EQ(ran.at(1), 50'000 * kMs);
  EXPECT_EQ(ran.at(2), 10'000 * kMs) << "and they are not forgotten";
}

TEST(Turns, WhoNeedsLessThanHeDidLetsOthersInAtOnce) {
  Turns turns(4);
  turns.update(0, {{1, 4}, {2, 2}});
  EXPECT_TRUE(turns.waits(2));
  turns.update(10 * kMs, {{1, 2}, {2, 2}});
  EXPECT_FALSE(turns.waits(2));
  EXPECT_EQ(turns.next_change_ns(), std::nullopt);
  // And whoever was there first is not sent away for one who came later.
  turns.update(20 * kMs, {{1, 4}, {2, 2}});
  EXPECT_FALSE(turns.waits(1));
  EXPECT_TRUE(turns.waits(2));
}

TEST(Turns, WhoHasNoWorkStandsInNobodysWay) {
  Turns turns(1);
  turns.update(0, {{1, 1}, {2, 1}});
  EXPECT_TRUE(turns.waits(2));
  turns.update(10 * kMs, {{1, 0}, {2, 1}});
  EXPECT_FALSE(turns.waits(1)) << "nothing of it runs";
  EXPECT_FALSE(turns.waits(2));
  turns.update(20 * kMs, {{1, 1}, {2, 1}});
  EXPECT_TRUE(turns.waits(1)) << "it was away, and stands behind the other";
}

TEST(Turns, WhoWantsMoreThanThereIsHasAll) {
  Turns turns(2);
  turns.update(0, {{1, 64}});
  EXPECT_FALSE(turns.waits(1));
}

TEST(Turns, ASliceIsTimeInWhichSomebodyRan) {
  Turns turns(1);
  turns.update(0, {{1, 1}, {2, 1}});
  turns.update(Turns::kSliceNs - 1, {{1, 1}, {2, 1}});
  EXPECT_TRUE(turns.waits(2));
  turns.update(Turns::kSliceNs, {{1, 1}, {2, 1}});
  EXPECT_TRUE(turns.waits(1));
  EXPECT_FALSE(turns.waits(2));
}

}  // namespace
}  // namespace shoal
