#include "bench/kernels.h"

#include <algorithm>
#include <chrono>

namespace shoal::bench {
namespace {

constexpr std::uint64_t kTrialSteps = 1 << 22;
constexpr int kTrials = 7;

}  // namespace

std::uint64_t noop(const Nothing&, std::uint64_t unit) { return unit; }

std::uint64_t spin(const SpinParams& params, std::uint64_t unit) {
  std::uint64_t x = unit + 1;
  for (std::uint64_t i = 0; i < params.steps; ++i) {
    x = x * 6364136223846793005U + 1442695040888963407U;
    x ^= x >> 29;
  }
  return x;
}

SpinParams spin_for(double unit_ms) {
  double best_ms = 0;
  std::uint64_t sum = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    const auto start = std::chrono::steady_clock::now();
    sum += spin({kTrialSteps}, static_cast<std::uint64_t>(trial));
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    best_ms = trial == 0 ? took.count() : std::min(best_ms, took.count());
  }
  // The sum is looked at, so that no compiler may leave the work out.
  const double steps = static_cast<double>(kTrialSteps) * unit_ms / best_ms + (sum == 0 ? 1 : 0);
  return {static_cast<std::uint64_t>(steps)};
}

}  // namespace shoal::bench
