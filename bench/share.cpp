#include <chrono>
#include <cmath>
#include <string>
#include <thread>
#include <utility>

#include "bench/kernels.h"
#include "bench/pool.h"
#include "bench/process.h"
#include "bench/run.h"

namespace shoal::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRuns = 3;
constexpr double kUnitMs = 10;
constexpr std::uint64_t kUnits = 100'000;  // more than there is time for
// Until the executor is up and the first unit has begun.
constexpr std::chrono::seconds kSettle{3};
// Whole seconds: a share is kept within each.
constexpr std::chrono::seconds kWindow{4};

// Of all that the worker has started. Its own is not the executors'.
std::chrono::nanoseconds executors_time(pid_t worker) {
  std::chrono::nanoseconds sum{0};
  for (const pid_t pid : family(worker)) {
    if (pid != worker) sum += cpu_time(pid);
  }
  return sum;
}

Measured measure_one(const Run& run, unsigned percent, Figure& figure) {
  auto pool = Pool::start(run, {1, std::nullopt, {"--cpu-share", std::to_string(percent)}});
  if (!pool) return tl::unexpected(pool.error());
  auto session = (*pool)->join();
  if (!session) return tl::unexpected(session.error());
  JobOptions options;
  options.quorum = 1;
  options.shipped = true;
  try {
    auto job = (*session)->map(spin_kernel(), spin_for(kUnitMs), IndexSpace{kUnits}, options);
    const pid_t worker = (*pool)->workers().front();
    std::this_thread::sleep_for(kSettle);
    for (int i = 0; i < kRuns; ++i) {
      const auto begin = Clock::now();
      const auto before = executors_time(worker);
      std::this_thread::sleep_until(begin + kWindow);
      const std::chrono::duration<double> used = executors_time(worker) - before;
      const std::chrono::duration<double> passed = Clock::now() - begin;
      figure.values.push_back(std::abs(100 * used.count() / passed.count() - percent));
    }
    job.cancel();
  } catch (const Error& error) {
    return tl::unexpected(std::string(error.what()));
  }
  return {};
}

}  // namespace

Measured measure_share(const Run& run) {
  for (const unsigned percent : {25U, 50U}) {
    Figure figure{"share." + std::to_string(percent),           "points", {}, {}, "",
                  Bound{Judged::kValue, Sense::kAtMost, 2, 0.5}};
    if (!run.wants(figure.name)) continue;
    if (auto measured = measure_one(run, percent, figure); !measured) return measured;
    run.report(figure);
  }
  return {};
}

}  // namespace shoal::bench
