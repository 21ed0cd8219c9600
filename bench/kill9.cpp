#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "bench/kernels.h"
#include "bench/pool.h"
#include "bench/raw.h"
#include "bench/run.h"
#include "bench/watcher.h"

namespace shoal::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRuns = 3;
// Then no further run is begun.
constexpr std::chrono::seconds kBudget{180};
constexpr std::size_t kWorkers = 2;
constexpr std::uint64_t kUnits = 1'000;
constexpr double kUnitMs = 10;
constexpr std::chrono::milliseconds kDeath{1'500};
constexpr std::uint64_t kAloneUnits = 100;  // enough to tell how long one takes on one core

struct Case {
  const char* name;
  bool leader;
  Pool::Killed what;
};
constexpr Case kFollowers[] = {
    {"kill9.worker", false, Pool::Killed::kWithExecutors},
    {"kill9.main_only", false, Pool::Killed::kAlone},
};
constexpr Case kLeaders[] = {
    {"kill9.leader", true, Pool::Killed::kWithExecutors},
    {"kill9.leader_main_only", true, Pool::Killed::kAlone},
};

// Kills a worker at a moment, from another thread, since this one takes results.
class Killer {
 public:
  explicit Killer(Pool& pool) : pool_(pool) {}
  ~Killer() {
    if (thread_.joinable()) thread_.join();
  }
  void arm(const NodeId& worker, Pool::Killed what, Clock::time_point moment) {
    thread_ = std::thread([this, worker, what, moment] {
      std::this_thread::sleep_until(moment);
      pool_.kill(worker, what);
    });
  }

 private:
  Pool& pool_;
  std::thread thread_;
};

// What two workers, and then one, would need if nothing but computing took time: 8.5 s where a
// unit takes 10 ms whoever else computes.
double ideal_seconds(const Raw& together, const Raw& alone) {
  const double death = std::chrono::duration<double>(kDeath).count();
  const double left = static_cast<double>(kUnits) - death * together.units_per_s;
  return death + left / alone.units_per_s;
}

// In a pool of its own: a worker of it dies.
Result<JobEnd, std::string> run_once(const Run& run, const SpinParams& params, const Case& what) {
  auto pool = Pool::start(run, {kWorkers, std::nullopt});
  if (!pool) return tl::unexpected(pool.error());
  auto session = (*pool)->join();
  if (!session) return tl::unexpected(session.error());
  auto watcher = Watcher::open(**pool);
  if (!watcher) return tl::unexpected(watcher.error());
  std::string trouble;
  Killer killer(**pool);
  JobWish wish{.quorum = 1};
  wish.accepted = [&](const JobId& job, Clock::time_point start) {
    const auto stewards = (*watcher)->stewards(job);
    if (!stewards || stewards->size() != kWorkers) {
      trouble = stewards ? "not all workers are stewards" : stewards.error();
      return;
    }
    killer.arm(what.leader ? stewards->front() : stewards->back(), what.what, start + kDeath);
  };
  auto end = run_job(**session, spin_kernel(), params, kUnits, wish);
  if (end && !trouble.empty()) return tl::unexpected(trouble);
  return end;
}

template <std::size_t N>
Measured measure(const Run& run, const Case (&cases)[N]) {
  const SpinParams params = spin_for(kUnitMs);
  std::vector<Figure> figures;
  for (const Case& what : cases) {
    figures.push_back({what.name,
                       "s",
                       {},
                       {},
                       "raw oneTBB on two cores for 1.5 s, then on one",
                       Bound{Judged::kRatio, Sense::kAtMost, 1.08, 1.035}});
  }
  const auto end = Clock::now() + kBudget;
  for (int i = 0; i < kRuns && (i == 0 || Clock::now() < end); ++i) {
    const Raw together = run_raw(kWorkers, params, kUnits);
    const Raw alone = run_raw(1, params, kAloneUnits);
    for (std::size_t c = 0; c < N; ++c) {
      if (!run.wants(figures[c].name)) continue;
      const auto done = run_once(run, params, cases[c]);
      if (!done) return tl::unexpected(done.error());
      if (done->sum != together.sum_of(kUnits)) {
        return tl::unexpected(std::string("the pool's outputs are not those of raw oneTBB"));
      }
      figures[c].values.push_back(done->seconds);
      figures[c].references.push_back(ideal_seconds(together, alone));
    }
  }
  for (const Figure& figure : figures) run.report(figure);
  return {};
}

template <std::size_t N>
std::vector<std::string> names_of(const Case (&cases)[N]) {
  std::vector<std::string> names;
  for (const Case& what : cases) names.emplace_back(what.name);
  return names;
}

}  // namespace

std::vector<std::string> kill9_figures(bool leader) {
  return leader ? names_of(kLeaders) : names_of(kFollowers);
}

Measured measure_kill9(const Run& run, bool leader) {
  return leader ? measure(run, kLeaders) : measure(run, kFollowers);
}

}  // namespace shoal::bench
