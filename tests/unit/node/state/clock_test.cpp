#include "node/state/clock.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace shoal {
namespace {

TEST(Clock, BoottimeNeverGoesBack) {
  Instant before = boottime_now();
  for (int i = 0; i < 1000; ++i) {
    const Instant now = boottime_now();
    ASSERT_GE(now, before);
    before = now;
  }
}

TEST(Clock, UnixTimeIsItsZeroPlusTheBoottime) {
  const UnixMs told = unix_ms_at_zero() + boottime_now().ns / 1'000'000;
  EXPECT_LT(std::llabs(told - unix_ms_now()), 2000);
  EXPECT_GT(unix_ms_now(), 1'600'000'000'000);
}

TEST(Clock, SeedsDiffer) { EXPECT_NE(random_seed(), random_seed()); }

}  // namespace
}  // namespace shoal
