#include "tasks/ising/ising.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <numbers>
#include <stdexcept>
#include <vector>

#include "tasks/ising/kernel.h"

namespace shoal::ising {
namespace {

TEST(Ising, EllipticIntegralHasItsTabulatedValues) {
  EXPECT_DOUBLE_EQ(elliptic_k(0), std::numbers::pi / 2);
  // Abramowitz and Stegun, table 17.1: K for the parameter m = k^2.
  EXPECT_NEAR(elliptic_k(std::sqrt(0.5)), 1.854074677301372, 1e-14);
  EXPECT_NEAR(elliptic_k(std::sqrt(0.9)), 2.578092113348173, 1e-13);
  EXPECT_TRUE(std::isinf(elliptic_k(1)));
}

TEST(Ising, ExactSolutionHasItsKnownPoints) {
  EXPECT_NEAR(critical_temperature(), 2.269185314213022, 1e-15);
  EXPECT_NEAR(exact_energy(critical_temperature()), -std::numbers::sqrt2, 1e-9);
  EXPECT_NEAR(exact_energy(0.1), -2.0, 1e-12);
  EXPECT_NEAR(exact_energy(1e6), -2e-6, 1e-9);  // -2 J^2 / T for high temperatures
  EXPECT_NEAR(exact_energy(2.0), -1.7455645753125533, 1e-6);
  EXPECT_NEAR(exact_magnetisation(2.0), 0.9113193778, 1e-8);
  EXPECT_EQ(exact_magnetisation(2.3), 0.0);
}

// Of independent bins, four errors off is one case in sixteen thousand; the seeds are fixed.
TEST(Ising, WalksAgreeWithOnsagerWithinTheirStatedError) {
  Params params;
  params.size = 32;
  params.warmup_sweeps = 500;
  for (const double temperature : {1.5, 2.0, 3.0, 5.0}) {
    std::vector<Bin> bins;
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
      const Bins walk = run_walk(params, walk_at(temperature, seed));
      bins.insert(bins.end(), walk.bins.begin(), walk.bins.end());
    }
    const Estimates found = estimate(params, bins);
    EXPECT_LT(found.energy.error, 0.003) << temperature;
    EXPECT_NEAR(found.energy.mean, exact_energy(temperature), 4 * found.energy.error)
        << temperature;
    if (temperature > critical_temperature()) continue;  // |m| is not 0 on a finite lattice
    EXPECT_LT(found.magnetisation.error, 0.003) << temperature;
    EXPECT_NEAR(found.magnetisation.mean, exact_magnetisation(temperature),
                4 * found.magnetisation.error)
        << temperature;
  }
}

// The four spins of a 2 x 2 lattice can be summed up by hand: each pair of neighbours counts twice.
TEST(Ising, TheSmallestLatticeAgreesWithItsOwnPartitionFunction) {
  const double t = 4.0;
  // Of the 16 states 2 have energy -8, 2 have +8, and 12 have 0.
  const double z = 12 + 2 * std::exp(8 / t) + 2 * std::exp(-8 / t);
  const double exact = (-8 * 2 * std::exp(8 / t) + 8 * 2 * std::exp(-8 / t)) / z / 4;
  Params params;
  params.size = 2;
  params.bins = 64;
  params.sweeps_per_bin = 4'000;
  const Bins walk = run_walk(params, walk_at(t, 1));
  const Estimates found = estimate(params, walk.bins);
  EXPECT_LT(found.energy.error, 0.01);
  EXPECT_NEAR(found.energy.mean, exact, 4 * found.energy.error);
}

TEST(Ising, NothingHappensAtNoTemperatureAndEverythingAtAnInfiniteOne) {
  Params params;
  params.size = 8;
  params.warmup_sweeps = 0;
  params.bins = 1;
  params.sweeps_per_bin = 10;
  const Bins frozen = run_walk(params, Walk{0, 0, 1});
  EXPECT_EQ(frozen.bins.at(0).energy, -2 * 64 * 10);
  EXPECT_EQ(frozen.bins.at(0).magnetisation, 64 * 10);
}

TEST(Ising, AWalkIsTheSameEveryTimeAndOnEveryMachine) {
  Params params;
  params.size = 16;
  params.warmup_sweeps = 10;
  params.bins = 2;
  params.sweeps_per_bin = 50;
  const Walk walk{581'264'213, 78'665'071, 42};  // about T = 2, as whole numbers
  const Bins first = run_walk(params, walk);
  const Bins second = run_walk(params, walk);
  ASSERT_EQ(first.bins.size(), 2u);
  EXPECT_EQ(encode(first), encode(second));
  EXPECT_EQ(first.bins[0].energy, -22288);
  EXPECT_EQ(first.bins[0].magnetisation, 11704);
  EXPECT_EQ(first.bins[1].energy, -22772);
  EXPECT_EQ(first.bins[1].magnetisation, 11888);
}

TEST(Ising, ErrorsFollowFromTheScatterOfTheBins) {
  Params params;
  params.size = 2;
  params.sweeps_per_bin = 1;
  // Means of a spin: -1, -2, -3; their standard deviation is 1.
  const Estimates found = estimate(params, {{-4, 4}, {-8, 4}, {-12, 4}});
  EXPECT_DOUBLE_EQ(found.energy.mean, -2);
  EXPECT_DOUBLE_EQ(found.energy.error, 1 / std::sqrt(3.0));
  EXPECT_DOUBLE_EQ(found.magnetisation.mean, 1);
  EXPECT_DOUBLE_EQ(found.magnetisation.error, 0);
  EXPECT_TRUE(std::isinf(estimate(params, {{-4, 4}}).energy.error));
}

TEST(Ising, RefusesWhatMakesNoSense) {
  Params params;
  params.size = 1;
  EXPECT_THROW(run_walk(params, {}), std::invalid_argument);
  params.size = 8;
  params.bins = 0;
  EXPECT_THROW(run_walk(params, {}), std::invalid_argument);
}

}  // namespace
}  // namespace shoal::ising
