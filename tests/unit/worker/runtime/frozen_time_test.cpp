#include "worker/runtime/frozen_time.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

TEST(FrozenTime, DoesNotCount) {
  FrozenTime time;
  EXPECT_EQ(time.running_ns(kSecond, 2 * kSecond), kSecond);
  EXPECT_TRUE(time.set(true, 2 * kSecond));
  EXPECT_TRUE(time.frozen());
  EXPECT_FALSE(time.set(true, 3 * kSecond)) << "nothing new";
  EXPECT_EQ(time.running_ns(kSecond, 9 * kSecond), kSecond);
  EXPECT_TRUE(time.set(false, 4 * kSecond));
  EXPECT_TRUE(time.set(true, 6 * kSecond));
  EXPECT_TRUE(time.set(false, 7 * kSecond));
  EXPECT_EQ(time.running_ns(0, 9 * kSecond), 6 * kSecond);
  EXPECT_EQ(time.running_ns(3 * kSecond, 9 * kSecond), 4 * kSecond) << "from within a freeze";
  EXPECT_EQ(time.running_ns(5 * kSecond, 9 * kSecond), 3 * kSecond) << "from between two";
  EXPECT_EQ(time.running_ns(8 * kSecond, 9 * kSecond), kSecond) << "from after all";
  EXPECT_EQ(time.running_ns(9 * kSecond, 8 * kSecond), 0) << "a start in the future";
}

}  // namespace
}  // namespace shoal
