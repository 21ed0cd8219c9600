#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "bench/curve_echo.h"
#include "bench/kernels.h"
#include "bench/pool.h"
#include "bench/run.h"
#include "bench/synced_file.h"

namespace shoal::bench {
namespace {

constexpr int kRuns = 3;
constexpr int kJobs = 50;  // of one run
constexpr int kWarmJobs = 5;
// What one job takes at the least: so many messages there and back, and so many durable writes.
constexpr int kRoundTrips = 12;
constexpr int kSyncs = 3;
// The job before is closed by then, and everybody is asleep.
constexpr std::chrono::milliseconds kPause{20};

Measured run_once(Session& session, CurveEcho& echo, const SyncedFile& file, Figure& figure) {
  std::vector<double> jobs, trips, syncs;
  for (int i = 0; i < kJobs; ++i) {
    std::this_thread::sleep_for(kPause);
    const auto end = run_job(session, noop_kernel(), Nothing{}, 1, {.quorum = 1});
    if (!end) return tl::unexpected(end.error());
    jobs.push_back(end->seconds * 1000);
    std::this_thread::sleep_for(kPause);
    const std::chrono::duration<double, std::milli> trip = echo.idle_round_trip();
    trips.push_back(trip.count());
    const auto sync = file.sync_ms();
    if (!sync) return tl::unexpected(sync.error());
    syncs.push_back(*sync);
  }
  figure.values.push_back(median(jobs));
  figure.references.push_back(kRoundTrips * median(trips) + kSyncs * median(syncs));
  return {};
}

}  // namespace

Measured measure_one_unit(const Run& run) {
  Figure figure{"oneunit.p50",
                "ms",
                {},
                {},
                "12 idle ZeroMQ round trips over CURVE, and 3 fdatasync",
                Bound{Judged::kRatio, Sense::kAtMost, 1.5, 0.7}};
  auto echo = CurveEcho::start();
  if (!echo) return tl::unexpected(echo.error());
  auto file = SyncedFile::open(run.folder / "synced");
  if (!file) return tl::unexpected(file.error());
  auto pool = Pool::start(run, {workers_for(run), std::nullopt});
  if (!pool) return tl::unexpected(pool.error());
  auto session = (*pool)->join();
  if (!session) return tl::unexpected(session.error());
  for (int i = 0; i < kWarmJobs; ++i) {
    const auto warm = run_job(**session, noop_kernel(), Nothing{}, 1, {.quorum = 1});
    if (!warm) return tl::unexpected(warm.error());
  }
  for (int i = 0; i < kRuns; ++i) {
    if (auto done = run_once(**session, **echo, *file, figure); !done) return done;
  }
  run.report(figure);
  return {};
}

}  // namespace shoal::bench
