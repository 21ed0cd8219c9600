#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/sim/simulation.h"
#include "tests/sim/swarm.h"

namespace shoal::sim {
namespace {

constexpr std::uint64_t kSeedsInASmoke = 300;
constexpr std::uint64_t kRerunEvery = 20;
constexpr std::uint64_t kLargePeersInASmoke = 200;

// The preset sim-nightly asks for more.
std::uint64_t asked_for(const char* variable, std::uint64_t otherwise) {
  const char* asked = std::getenv(variable);
  return asked != nullptr ? std::strtoull(asked, nullptr, 10) : otherwise;
}

class Seeds : public testing::TestWithParam<std::uint64_t> {};

// A tenth of the seeds each, so that they can run side by side.
TEST_P(Seeds, HoldAllThatMustHold) {
  const std::uint64_t last = asked_for("SHOAL_SIM_SEEDS", kSeedsInASmoke);
  for (std::uint64_t seed = GetParam(); seed <= last; seed += 10) {
    const SimOptions options = random_options(seed);
    const SimReport report = simulate(options);
    for (const Violation& violation : report.violations) {
      ADD_FAILURE() << violation.checker << ": " << violation.what << "\nagain: shoal-sim "
                    << flags_of(options);
    }
    EXPECT_TRUE(report.finished) << "again: shoal-sim " << flags_of(options);
    if (seed % kRerunEvery != 0) continue;
    EXPECT_EQ(simulate(options).hash, report.hash)
        << "two runs of one seed differ: shoal-sim " << flags_of(options);
  }
}

// Every tenth of the large pools, so that they, too, can run side by side.
TEST_P(Seeds, HoldInLargePoolsToo) {
  const std::uint64_t last = asked_for("SHOAL_SIM_LARGE_SEEDS", 1);
  const auto peers =
      static_cast<std::uint32_t>(asked_for("SHOAL_SIM_LARGE_PEERS", kLargePeersInASmoke));
  for (std::uint64_t seed = GetParam(); seed <= last; seed += 10) {
    const SimOptions options = large_options(seed, peers);
    const SimReport report = simulate(options);
    for (const Violation& violation : report.violations) {
      ADD_FAILURE() << violation.checker << ": " << violation.what << "\nagain: shoal-sim "
                    << flags_of(options);
    }
    EXPECT_TRUE(report.finished) << "again: shoal-sim " << flags_of(options);
  }
}

INSTANTIATE_TEST_SUITE_P(Smoke, Seeds, testing::Range<std::uint64_t>(1, 11));

TEST(Flags, SayWhatTheRunWas) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const SimOptions options = random_options(seed);
    SimOptions again;
    const std::string line = flags_of(options) + " ";
    std::vector<std::string> words;
    for (std::size_t at = 0; at < line.size();) {
      const std::size_t end = line.find(' ', at);
      words.push_back(line.substr(at, end - at));
      at = end + 1;
    }
    for (std::size_t i = 0; i < words.size();) {
      std::string error;
      const int taken = read_flag(words[i], i + 1 < words.size() ? words[i + 1] : "", again, error);
      ASSERT_GT(taken, 0) << words[i];
      ASSERT_EQ(error, "");
      i += static_cast<std::size_t>(taken);
    }
    EXPECT_EQ(flags_of(again), flags_of(options));
  }
}

TEST(Swarm, GivesEverybodyAllOfItThoughAllOfThemComeAndGo) {
  SwarmOptions options;
  options.peers = 30;
  options.content_mib = 32;
  options.session_s = 10;
  options.pause_s = 2;
  const SwarmReport report = run_swarm(options);
  EXPECT_EQ(report.done, 30U);
  EXPECT_GT(report.crashes, 0U);
  EXPECT_GE(report.median_s, report.ideal_s) << "that is no ideal";
  // Each block went over the lines once for each who has it, and some more; the seed sent few.
  EXPECT_EQ(report.blocks - report.blocks_twice, 30U * 128);
  EXPECT_LT(report.seed_sent, 15);
  // Here more than half of the time goes on joining, once or twice.
  EXPECT_LT(report.median_s, 3 * report.ideal_s);
  EXPECT_LT(report.worst_s, 4 * report.ideal_s);
  EXPECT_EQ(json_of(run_swarm(options)), json_of(report));
}

// In the time that they were there, with what it takes to join and to begin: seconds, of ten.
TEST(Swarm, IsNotMuchSlowerThanAPerfectOne) {
  SwarmOptions options;
  options.peers = 30;
  options.content_mib = 128;
  for (const double session_s : {0.0, 60.0}) {
    options.session_s = session_s;
    options.pause_s = 10;
    const SwarmReport report = run_swarm(options);
    ASSERT_EQ(report.done, 30U);
    EXPECT_EQ(report.crashes > 0, session_s > 0);
    EXPECT_LT(report.worst_s, 2 * report.ideal_s) << json_of(report);
    EXPECT_LT(report.seed_sent, 2) << json_of(report);
  }
}

// Nine units of a second on four machines: one of them does three.
TEST(Figures, TheBestIsWholeUnitsOnEveryThread) {
  SimOptions options;
  options.peers = 4;
  options.quorum = 1;
  options.unit_ms = 1000;
  options.units = 8;
  const SimReport even = simulate(options);
  EXPECT_NEAR(even.makespan_best_s, 2, 0.01);
  EXPECT_NEAR(even.efficiency_best, 1, 0.01);
  options.units = 9;
  const SimReport odd = simulate(options);
  EXPECT_NEAR(odd.makespan_best_s, 3, 0.01);
  EXPECT_NEAR(odd.efficiency_best, 0.75, 0.01);
  EXPECT_NEAR(odd.efficiency, odd.efficiency_best, 0.01) << "there is nothing to be gained here";
}

TEST(Hash, DependsOnTheSeed) {
  SimOptions options;
  options.peers = 4;
  options.units = 20;
  const std::uint64_t one = simulate(options).hash;
  EXPECT_EQ(simulate(options).hash, one);
  options.seed = 2;
  EXPECT_NE(simulate(options).hash, one);
}

}  // namespace
}  // namespace shoal::sim
