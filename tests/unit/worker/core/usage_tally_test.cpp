#include "worker/core/usage_tally.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "node/protocol/rng.h"

namespace shoal {
namespace {

Spread spread_of(const std::vector<std::uint32_t>& numbers) {
  SpreadTally tally;
  for (std::uint32_t number : numbers) tally.add(number);
  return tally.spread();
}

TEST(SpreadTallyTest, SmallNumbersAreExact) {
  EXPECT_EQ(spread_of({}), (Spread{0, 0}));
  EXPECT_EQ(spread_of({7}), (Spread{7, 7}));
  EXPECT_EQ(spread_of({0, 0, 31}), (Spread{0, 31}));
  EXPECT_EQ(spread_of({1, 2, 3, 30}), (Spread{2, 30}));
}

TEST(SpreadTallyTest, NoMedianIsPastTheMost) {
  EXPECT_EQ(spread_of({0xFFFF'FFFF}).most, 0xFFFF'FFFF);
  EXPECT_EQ(spread_of({1'000'000}).most, 1'000'000U);
  for (std::uint32_t number : {33U, 1'000U, 1U << 20, 0xF800'0000U, 0xFFFF'FFFFU}) {
    const Spread spread = spread_of({number});
    EXPECT_LE(spread.median, spread.most) << number;
  }
}

TEST(SpreadTallyTest, OtherMediansAreRightWithinAThirtieth) {
  Rng rng(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::uint32_t> numbers(1 + 2 * rng.below(50));
    const std::uint64_t most = std::uint64_t{1} << (1 + rng.below(32));
    for (std::uint32_t& number : numbers) number = static_cast<std::uint32_t>(rng.below(most));
    const Spread spread = spread_of(numbers);
    std::sort(numbers.begin(), numbers.end());
    const std::int64_t median = numbers[numbers.size() / 2];
    EXPECT_LE(std::abs(median - std::int64_t{spread.median}) * 30, median);
    EXPECT_EQ(spread.most, numbers.back());
  }
}

Receipt measured(UnitEnd end, std::vector<UnitCost> costs) {
  Receipt receipt;
  receipt.end = end;
  receipt.outputs.costs = std::move(costs);
  return receipt;
}

TEST(UsageTallyTest, AddsUpTheVerifiedUnitsThatWereMeasured) {
  UsageTally tally;
  EXPECT_EQ(tally.usage(), JobUsage());
  tally.note(measured(UnitEnd::kVerified, {{10, 5, 20, 0, 0}, {}, {20, 25, 10, 1, 0}}));
  tally.note(measured(UnitEnd::kVerified, {}));
  tally.note(measured(UnitEnd::kDisputed, {{1000, 1000, 1000, 0, 0}}));
  tally.note(measured(UnitEnd::kVerified, {{30, 15, 30, 0, 9}}));
  EXPECT_EQ(tally.usage(), (JobUsage{3, 45, {20, 30}, {15, 25}, {20, 30}}));
}

}  // namespace
}  // namespace shoal
