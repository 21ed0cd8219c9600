#include "worker/runtime/traffic_file.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <string>

namespace shoal {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMiB = 1 << 20;
const UnixMs kMayTheTenth = 1'778'400'000'000;  // of 2026

class TrafficFileTest : public ::testing::Test {
 protected:
  TrafficFileTest() {
    std::string name = (fs::temp_directory_path() / "shoal-traffic-XXXXXX").string();
    folder_ = mkdtemp(name.data());
  }
  ~TrafficFileTest() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  fs::path file() const { return folder_ / "traffic"; }
  // What the next run of the worker begins with.
  Traffic after_a_restart() const { return TrafficFile(file(), caps_).load(); }

  fs::path folder_;
  TrafficCaps caps_{.sent = 100 * kMiB, .fetched = 0};
};

TEST_F(TrafficFileTest, WhatAMonthHasCostIsCountedOnAfterARestart) {
  TrafficMeter meter(caps_, after_a_restart(), kMayTheTenth);
  TrafficFile traffic(file(), caps_);
  traffic.load();
  meter.sent({}, 70 * kMiB);
  meter.fetched({}, 5);
  traffic.note(meter.traffic());
  const TrafficMeter next(caps_, after_a_restart(), kMayTheTenth);
  EXPECT_EQ(after_a_restart(), meter.traffic());
  EXPECT_TRUE(next.may_send({}, 30 * kMiB));
  EXPECT_FALSE(next.may_send({}, 30 * kMiB + 1)) << "the cap begins anew with each run";
  const TrafficMeter in_june(caps_, after_a_restart(), kMayTheTenth + 30LL * 86'400'000);
  EXPECT_TRUE(in_june.may_send({}, 100 * kMiB));
}

TEST_F(TrafficFileTest, ACrashForgetsNoMoreThanAHundredthOfTheCapAndAnEndNothing) {
  TrafficFile traffic(file(), caps_);
  traffic.load();
  Traffic so_far{month_of(kMayTheTenth), 10 * kMiB, 0};
  traffic.note(so_far);
  EXPECT_EQ(after_a_restart(), so_far);
  const Traffic written = so_far;
  so_far.sent += kMiB - 1;
  traffic.note(so_far);
  EXPECT_EQ(after_a_restart(), written) << "the disk is written to for little";
  so_far.sent += 1;
  traffic.note(so_far);
  EXPECT_EQ(after_a_restart(), so_far);
  so_far.fetched += 1;
  traffic.note(so_far, true);
  EXPECT_EQ(after_a_restart(), so_far);
  so_far = {so_far.month + 1, 1, 0};
  traffic.note(so_far);
  EXPECT_EQ(after_a_restart(), so_far) << "a month that began has cost less than the one before";
}

TEST_F(TrafficFileTest, AFileThatMakesNoSenseCountsForNothing) {
  EXPECT_EQ(after_a_restart(), Traffic{});
  for (const char* text : {"", "2026-05", "2026-13 1 1\n", "2026-00 1 1\n", "gone\n"}) {
    std::ofstream(file()) << text;
    EXPECT_EQ(after_a_restart(), Traffic{}) << text;
  }
}

}  // namespace
}  // namespace shoal
