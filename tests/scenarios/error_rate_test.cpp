#include <gtest/gtest.h>

#include "tests/sim/simulation.h"

// docs/protocol.md states how often a wrong result is accepted where more workers tell the same lie
// than the quorum can bear. It is measured here.
namespace shoal::sim {
namespace {

constexpr std::uint32_t kWorkers = 100;
constexpr std::uint32_t kLiars = 20;
constexpr std::uint64_t kUnits = 4000;
constexpr std::uint64_t kSeeds = 5;

// Replicas are computed by workers drawn without replacement, of all but the one that leads, until
// `quorum` of them agree: the lie is accepted where it has its quorum first, after fewer truths.
double stated_rate(std::uint32_t quorum) {
  double rate = 0;
  for (std::uint32_t truths = 0; truths < quorum; ++truths) {
    double ways = 1;  // in which the truths stand among all replicas but the last
    for (std::uint32_t i = 1; i <= truths; ++i) ways *= double(quorum - 1 + i) / i;
    double chance = ways;
    for (std::uint32_t i = 0; i < quorum; ++i) chance *= double(kLiars - i) / (kWorkers - 1 - i);
    for (std::uint32_t i = 0; i < truths; ++i) {
      chance *= double(kWorkers - kLiars - i) / (kWorkers - 1 - quorum - i);
    }
    rate += chance;
  }
  return rate;
}

double measured_rate(std::uint32_t quorum) {
  std::uint64_t wrong = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SimOptions options;
    options.seed = seed;
    options.peers = kWorkers;
    options.units = kUnits;
    options.unit_ms = 1000;
    options.quorum = quorum;
    options.byzantine[Behaviour::kColluder] = kLiars;
    options.checks = false;  // they hold that no wrong result is accepted
    const SimReport report = simulate(options);
    EXPECT_EQ(report.units_verified, kUnits);
    wrong += report.wrong_accepted;
  }
  return double(wrong) / (kUnits * kSeeds);
}

// Units come in batches that the same workers verify, so that errors come in batches as well: what
// is measured is within a tenth of what is stated, not within what single units would allow.
TEST(ErrorRate, OfAQuorumOfTwoIsAsStated) {
  EXPECT_NEAR(measured_rate(2), stated_rate(2), stated_rate(2) / 10);
}

TEST(ErrorRate, OfAQuorumOfThreeIsAsStated) {
  EXPECT_NEAR(measured_rate(3), stated_rate(3), stated_rate(3) / 10);
}

TEST(ErrorRate, WithoutAQuorumIsTheLiarsShare) {
  EXPECT_NEAR(measured_rate(1), double(kLiars) / kWorkers, 0.02);
}

}  // namespace
}  // namespace shoal::sim
