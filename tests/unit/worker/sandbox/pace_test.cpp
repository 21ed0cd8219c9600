#include "worker/sandbox/pace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

namespace shoal {
namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1'000 * kMs;

// Processes that take the time of `wants` processors whenever they may run, looked at when the pace
// asks for it, and every 100 ms.
struct Processes {
  double wants = 1;
  std::int64_t now_ns = 0;
  std::int64_t taken_ns = 0;

  void run(Pace& pace, std::int64_t until_ns) {
    pace.update(now_ns, taken_ns);
    while (now_ns < until_ns) {
      const std::int64_t next =
          std::min(pace.next_ns().value_or(now_ns + 100 * kMs), now_ns + 100 * kMs);
      if (!pace.stops()) taken_ns += static_cast<std::int64_t>(wants * double(next - now_ns));
      now_ns = next;
      pace.update(now_ns, taken_ns);
    }
  }
  double processors() const { return double(taken_ns) / double(now_ns); }
};

TEST(Pace, HasNoMoreThanTheTimeOfWhatWasGiven) {
  for (const double wants : {2.0, 3.5, 64.0}) {
    for (const unsigned threads : {1U, 2U}) {
      if (wants <= threads) continue;
      Pace pace(threads);
      Processes processes{wants};
      processes.run(pace, 60 * kSecond);
      EXPECT_LE(processes.processors(), threads * 1.1) << wants << ' ' << threads;
      EXPECT_GE(processes.processors(), threads * 0.95) << wants << ' ' << threads;
    }
  }
}

TEST(Pace, NeverStopsWhoTakesWhatWasGiven) {
  Pace pace(2);
  Processes processes{2.0};
  for (int second = 1; second < 60; ++second) {
    processes.run(pace, second * kSecond);
    EXPECT_FALSE(pace.stops());
    EXPECT_FALSE(pace.next_ns());
  }
  Pace unlimited(0);
  Processes many{64.0};
  many.run(unlimited, kSecond);
  EXPECT_FALSE(unlimited.stops());
}

TEST(Pace, WhatOneHadNotUsedIsSavedForAMomentOnly) {
  Pace pace(1);
  pace.update(0, 0);
  pace.update(3600 * kSecond, 0);
  pace.update(3600 * kSecond + 50 * kMs, 100 * kMs);
  EXPECT_FALSE(pace.stops());
  pace.update(3600 * kSecond + 100 * kMs, 300 * kMs);
  EXPECT_TRUE(pace.stops());
}

TEST(Pace, AStopIsNeverLong) {
  Pace pace(1);
  pace.update(0, 0);
  pace.update(kSecond, 500 * kSecond);
  ASSERT_TRUE(pace.stops());
  EXPECT_EQ(*pace.next_ns(), kSecond + Pace::kStopMostNs);
  pace.update(kSecond + Pace::kStopMostNs, 500 * kSecond);
  EXPECT_FALSE(pace.stops());
}

// A process that ends while the others are counted is seen neither with them nor as one that has
// ended.
TEST(Pace, WhatIsMissingOnceIsNotCountedTwice) {
  Pace pace(1);
  pace.update(0, 0);
  pace.update(10 * kSecond, 10 * kSecond);
  pace.update(11 * kSecond, kSecond);
  pace.update(12 * kSecond, 12 * kSecond);
  EXPECT_FALSE(pace.stops());
}

TEST(Pace, WhatIsMissingForGoodIsForgotten) {
  Pace pace(1);
  pace.update(0, 0);
  pace.update(10 * kSecond, 10 * kSecond);
  pace.update(11 * kSecond, kSecond);
  pace.update(12 * kSecond, kSecond);
  EXPECT_FALSE(pace.stops());
  pace.update(13 * kSecond, 4 * kSecond);
  EXPECT_TRUE(pace.stops());
}

TEST(Pace, MayChange) {
  Pace pace(4);
  Processes processes{4.0};
  processes.run(pace, kSecond);
  EXPECT_FALSE(pace.stops());
  pace.set_threads(1);
  const std::int64_t before = processes.taken_ns;
  processes.run(pace, 61 * kSecond);
  EXPECT_LE(double(processes.taken_ns - before), 61.0 * double(kSecond));
}

TEST(Pace, LetsGoWhoIsNoLongerLimited) {
  Pace pace(1);
  pace.update(0, 0);
  pace.update(kSecond, 3 * kSecond);
  ASSERT_TRUE(pace.stops());
  pace.set_threads(0);
  EXPECT_TRUE(pace.holds());
  pace.update(kSecond, 3 * kSecond);
  EXPECT_FALSE(pace.stops());
  EXPECT_FALSE(pace.holds());
}

}  // namespace
}  // namespace shoal
