#include "node/protocol/rng.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <set>
#include <vector>

namespace shoal {
namespace {

std::vector<std::uint64_t> first_values(Rng rng, int count) {
  std::vector<std::uint64_t> values;
  for (int i = 0; i < count; ++i) values.push_back(rng.next());
  return values;
}

// From an independent implementation of xoshiro256** behind splitmix64.
TEST(Rng, GivesThePublishedSequence) {
  EXPECT_EQ(first_values(Rng(0), 4),
            (std::vector<std::uint64_t>{0x99ec5f36cb75f2b4, 0xbf6e1f784956452a, 0x1a5f849d4933e6e0,
                                        0x6aa594f1262d2d2c}));
  EXPECT_EQ(first_values(Rng(42), 4),
            (std::vector<std::uint64_t>{0x15780b2e0c2ec716, 0x6104d9866d113a7e, 0xae17533239e499a1,
                                        0xecb8ad4703b360a1}));
}

TEST(Rng, ASeedReplaysItsRunAndNeighboursDiffer) {
  EXPECT_EQ(first_values(Rng(7), 100), first_values(Rng(7), 100));
  EXPECT_NE(first_values(Rng(7), 1), first_values(Rng(8), 1));
}

TEST(Rng, BelowStaysBelow) {
  Rng rng(1);
  for (std::uint64_t n :
       {std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{3}, std::uint64_t{1000},
        (std::uint64_t{1} << 63) + 1, std::numeric_limits<std::uint64_t>::max()}) {
    for (int i = 0; i < 1000; ++i) EXPECT_LT(rng.below(n), n);
  }
  for (int i = 0; i < 100; ++i) EXPECT_EQ(rng.below(1), 0U);
}

TEST(Rng, BelowIsUniform) {
  Rng rng(2);
  std::array<int, 7> seen{};
  for (int i = 0; i < 70'000; ++i) ++seen[rng.below(seen.size())];
  // 10,000 expected, with a standard deviation of 93: six of them.
  for (int count : seen) EXPECT_NEAR(count, 10'000, 560);
}

// With n = 3/4 of 2^64, plain multiplication gives every third value twice as often: the values
// that are 0 modulo 3 would make up a half instead of a third.
TEST(Rng, BelowIsWithoutBiasWhereTheRangeDoesNotDivide) {
  Rng rng(3);
  const std::uint64_t n = std::uint64_t{3} << 62;
  std::array<int, 3> seen{};
  for (int i = 0; i < 30'000; ++i) ++seen[rng.below(n) % 3];
  for (int count : seen) EXPECT_NEAR(count, 10'000, 500);
}

TEST(RngDeathTest, BelowZeroIsABugOfTheCaller) {
  Rng rng(4);
  EXPECT_DEATH(rng.below(0), "internal error");
}

TEST(Rng, UnitCoversZeroToOneWithoutOne) {
  Rng rng(5);
  double sum = 0;
  double low = 1;
  double high = 0;
  for (int i = 0; i < 100'000; ++i) {
    const double u = rng.unit();
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    low = std::min(low, u);
    high = std::max(high, u);
  }
  EXPECT_NEAR(sum / 100'000, 0.5, 0.006);
  EXPECT_LT(low, 0.001);
  EXPECT_GT(high, 0.999);
}

TEST(Rng, ChanceKeepsItsPromiseAtTheEnds) {
  Rng rng(6);
  int hits = 0;
  for (int i = 0; i < 10'000; ++i) {
    EXPECT_FALSE(rng.chance(0.0));
    EXPECT_TRUE(rng.chance(1.0));
    if (rng.chance(0.25)) ++hits;
  }
  EXPECT_NEAR(hits, 2500, 260);
}

TEST(Rng, AForkDisturbsItsParentOnceAndThenRunsAlone) {
  Rng parent(9);
  Rng twin(9);
  Rng child = parent.fork();
  twin.next();
  for (int i = 0; i < 50; ++i) child.next();
  EXPECT_EQ(first_values(parent, 20), first_values(twin, 20));
  std::set<std::uint64_t> both;
  for (std::uint64_t v : first_values(child, 100)) both.insert(v);
  for (std::uint64_t v : first_values(parent, 100)) both.insert(v);
  EXPECT_EQ(both.size(), 200U);
}

}  // namespace
}  // namespace shoal
