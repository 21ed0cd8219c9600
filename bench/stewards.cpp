#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "bench/kernels.h"
#include "bench/pool.h"
#include "bench/raw.h"
#include "bench/run.h"

namespace shoal::bench {
namespace {

constexpr int kRuns = 5;
// Then no further run is begun.
constexpr std::chrono::seconds kBudget{100};
constexpr std::size_t kStewards = 3;
constexpr double kUnitMs = 10;
// That raw oneTBB needs for a job. A pool makes it three stewards when a job is 5 s old.
constexpr double kSeconds = 3;
constexpr double kSecondsMost = 5;

Result<double, std::string> rate_of(Session& session, const SpinParams& params, std::uint64_t units,
                                    unsigned stewards) {
  const auto end =
      run_job(session, spin_kernel(), params, units, {.quorum = 1, .stewards = stewards});
  if (!end) return tl::unexpected(end.error());
  if (stewards == 1 && end->seconds > kSecondsMost) {
    return tl::unexpected(std::string(
        "this machine has too much else to do: a job with one steward took so long that it got "
        "others"));
  }
  return static_cast<double>(units) / end->seconds;
}

}  // namespace

Measured measure_stewards(const Run& run) {
  Figure cost{"stewards.cost",
              "units/s",
              {},
              {},
              "the same with one steward",
              Bound{Judged::kRatio, Sense::kAtLeast, 0.95, 0.98}};
  auto pool = Pool::start(run, {std::max(kStewards, workers_for(run)), std::nullopt});
  if (!pool) return tl::unexpected(pool.error());
  auto session = (*pool)->join();
  if (!session) return tl::unexpected(session.error());
  const SpinParams params = spin_for(kUnitMs);
  const auto units =
      static_cast<std::uint64_t>(kSeconds * 1000 / kUnitMs * static_cast<double>(run.cores.size()));
  const auto end = std::chrono::steady_clock::now() + kBudget;
  for (int i = 0; i < kRuns && (i == 0 || std::chrono::steady_clock::now() < end); ++i) {
    const auto one = rate_of(**session, params, units, 1);
    if (!one) return tl::unexpected(one.error());
    const auto three = rate_of(**session, params, units, kStewards);
    if (!three) return tl::unexpected(three.error());
    cost.references.push_back(*one);
    cost.values.push_back(*three);
  }
  run.report(cost);
  return {};
}

}  // namespace shoal::bench
