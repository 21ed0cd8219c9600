#include <algorithm>
#include <chrono>
#include <utility>

#include "bench/kernels.h"
#include "bench/pool.h"
#include "bench/raw.h"
#include "bench/run.h"

namespace shoal::bench {
namespace {

constexpr int kRuns = 3;
// Then no further run is begun: a pool that is far too slow has to end some time.
constexpr std::chrono::seconds kBudget{200};

struct Size {
  int unit_ms;
  double seconds;  // that raw oneTBB needs for a job, about
  double bound_q1, fine_q1, bound_q2, fine_q2;
};
// Long units need a long job, or the last of them, which leaves the other cores idle, is what is
// measured.
constexpr Size kSizes[] = {
    {1, 8, 0.95, 0.98, 0.93, 0.98},
    {10, 12, 0.98, 0.995, 0.97, 0.99},
    {100, 20, 0.99, 0.998, 0.98, 0.995},
};

std::string name_of(unsigned quorum, int unit_ms) {
  return "efficiency.q" + std::to_string(quorum) + "." + std::to_string(unit_ms) + "ms";
}

Result<double, std::string> run_in_pool(Session& session, const SpinParams& params,
                                        std::uint64_t units, unsigned quorum, const Raw& raw) {
  const auto end = run_job(session, spin_kernel(), params, units, {.quorum = quorum});
  if (!end) return tl::unexpected(end.error());
  if (end->sum != raw.sum_of(units)) {
    return tl::unexpected(std::string("the pool's outputs are not those of raw oneTBB"));
  }
  return static_cast<double>(units) / end->seconds;
}

}  // namespace

std::vector<std::string> efficiency_figures(int unit_ms) {
  return {name_of(1, unit_ms), name_of(2, unit_ms)};
}

Measured measure_efficiency(const Run& run, int unit_ms) {
  const Size& size = *std::find_if(std::begin(kSizes), std::end(kSizes),
                                   [&](const Size& s) { return s.unit_ms == unit_ms; });
  const auto end = std::chrono::steady_clock::now() + kBudget;
  const SpinParams params = spin_for(unit_ms);
  const auto units = static_cast<std::uint64_t>(size.seconds * 1000 / unit_ms *
                                                static_cast<double>(run.cores.size()));
  Figure one{name_of(1, unit_ms),
             "units/s",
             {},
             {},
             "raw oneTBB, all cores",
             Bound{Judged::kRatio, Sense::kAtLeast, size.bound_q1, size.fine_q1}};
  Figure two{name_of(2, unit_ms),
             "units/s",
             {},
             {},
             "half of raw oneTBB, all cores",
             Bound{Judged::kRatio, Sense::kAtLeast, size.bound_q2, size.fine_q2}};

  auto pool = Pool::start(run, {workers_for(run), std::nullopt});
  if (!pool) return tl::unexpected(pool.error());
  auto session = (*pool)->join();
  if (!session) return tl::unexpected(session.error());
  // Of what is computed twice, half as much: so that all runs are of about the same length. Each
  // stands between two of raw oneTBB, since within a minute a machine can lose or win a hundredth.
  const std::pair<Figure*, unsigned> parts[] = {{&one, 1}, {&two, 2}};
  Raw before = run_raw(run.cores.size(), params, units);
  for (int i = 0; i < kRuns && (i == 0 || std::chrono::steady_clock::now() < end); ++i) {
    for (const auto& [figure, quorum] : parts) {
      if (!run.wants(figure->name)) continue;
      const auto rate = run_in_pool(**session, params, units / quorum, quorum, before);
      if (!rate) return tl::unexpected(rate.error());
      Raw after = run_raw(run.cores.size(), params, units);
      figure->values.push_back(*rate);
      figure->references.push_back((before.units_per_s + after.units_per_s) / 2 / quorum);
      before = std::move(after);
    }
  }
  for (const auto& [figure, quorum] : parts) run.report(*figure);
  return {};
}

}  // namespace shoal::bench
