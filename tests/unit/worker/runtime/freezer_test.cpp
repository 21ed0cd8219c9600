#include "worker/runtime/freezer.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1000 * kMs;

TEST(Freezer, AllOfTheTimeIsNeverFrozen) {
  Freezer freezer(100);
  EXPECT_FALSE(freezer.update(999 * kMs, true));
  EXPECT_FALSE(freezer.frozen());
  EXPECT_EQ(freezer.next_change_ns(999 * kMs, true), std::nullopt);
  EXPECT_EQ(freezer.running_ns(0, 999 * kMs), 999 * kMs);
}

TEST(Freezer, APauseHoldsUntilItEndsAndItsTimeDoesNotCount) {
  Freezer freezer(100);
  freezer.pause();
  EXPECT_TRUE(freezer.update(2 * kSecond, true));
  EXPECT_TRUE(freezer.frozen());
  EXPECT_EQ(freezer.running_ns(kSecond, 9 * kSecond), kSecond);
  EXPECT_FALSE(freezer.update(9 * kSecond, true)) << "nothing new";
  freezer.resume();
  EXPECT_TRUE(freezer.update(10 * kSecond, true));
  EXPECT_FALSE(freezer.frozen());
  EXPECT_EQ(freezer.running_ns(kSecond, 11 * kSecond), 2 * kSecond);
  EXPECT_EQ(freezer.running_ns(5 * kSecond, 11 * kSecond), kSecond) << "began in the pause";
  EXPECT_EQ(freezer.running_ns(10 * kSecond, 11 * kSecond), kSecond) << "began after it";
  EXPECT_EQ(freezer.running_ns(kSecond, 2 * kSecond), kSecond) << "ended before it";
  EXPECT_EQ(freezer.running_ns(3 * kSecond, 4 * kSecond), 0);
}

TEST(Freezer, AShareIsThatPartOfEachSecond) {
  Freezer freezer(30);
  std::int64_t running = 0;
  std::int64_t now = 5 * kSecond;
  const std::int64_t begin = now;
  // From change to change, as its owner calls it.
  for (int i = 0; i < 200; ++i) {
    freezer.update(now, true);
    const auto next = freezer.next_change_ns(now, true);
    ASSERT_TRUE(next);
    ASSERT_GT(*next, now);
    if (!freezer.frozen()) running += *next - now;
    now = *next;
  }
  EXPECT_EQ(now - begin, 100 * kSecond);
  EXPECT_EQ(running, 30 * kSecond);
  EXPECT_EQ(freezer.running_ns(begin, now), running);
  EXPECT_EQ(freezer.running_ns(now, begin), 0) << "a start in the future";
}

TEST(Freezer, WhereNothingRunsNoShareIsKept) {
  Freezer freezer(30);
  EXPECT_FALSE(freezer.update(900 * kMs, false));
  EXPECT_EQ(freezer.next_change_ns(900 * kMs, false), std::nullopt);
  EXPECT_TRUE(freezer.update(900 * kMs, true));
  EXPECT_TRUE(freezer.update(950 * kMs, false)) << "thaws when the last unit has gone";
  EXPECT_FALSE(freezer.frozen());
}

TEST(Freezer, APauseOutweighsTheShare) {
  Freezer freezer(30);
  freezer.pause();
  EXPECT_TRUE(freezer.update(100 * kMs, true));
  EXPECT_EQ(freezer.next_change_ns(100 * kMs, true), std::nullopt);
  freezer.resume();
  EXPECT_FALSE(freezer.update(900 * kMs, true)) << "the share keeps it frozen";
  EXPECT_TRUE(freezer.frozen());
  EXPECT_TRUE(freezer.update(kSecond, true));
}

}  // namespace
}  // namespace shoal
