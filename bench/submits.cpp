#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench/kernels.h"
#include "bench/pool.h"
#include "bench/run.h"
#include "bench/synced_file.h"

namespace shoal::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRuns = 3;
constexpr std::size_t kStewards = 3;
constexpr std::size_t kUnderWay = 16;
constexpr std::size_t kJobsEach = 20;  // of each of those
constexpr std::size_t kJobsAlone = 100;

// Runs `once` so often on each of so many threads; how many that is a second. The first error.
template <class Once>
Result<double, std::string> rate_of(std::size_t threads, std::size_t times, Once once) {
  std::mutex mutex;
  std::string trouble;
  std::vector<std::thread> all;
  const auto start = Clock::now();
  for (std::size_t t = 0; t < threads; ++t) {
    all.emplace_back([&, t] {
      for (std::size_t i = 0; i < times; ++i) {
        const Measured done = once(t);
        if (done) continue;
        const std::lock_guard lock(mutex);
        trouble = done.error();
        return;
      }
    });
  }
  for (std::thread& thread : all) thread.join();
  const std::chrono::duration<double> took = Clock::now() - start;
  if (!trouble.empty()) return tl::unexpected(trouble);
  return static_cast<double>(threads * times) / took.count();
}

Result<double, std::string> submits(Session& session, std::size_t threads, std::size_t times) {
  std::vector<std::vector<Job<std::uint64_t>>> jobs(threads);
  auto rate = rate_of(threads, times, [&](std::size_t thread) -> Measured {
    JobOptions options;
    options.quorum = 1;
    options.shipped = true;
    try {
      // Back when all stewards have it on their disks.
      jobs[thread].push_back(session.map(noop_kernel(), Nothing{}, IndexSpace{1}, options));
    } catch (const Error& error) {
      return tl::unexpected(std::string(error.what()));
    }
    return {};
  });
  // What was submitted is done: and then it is closed, and in nobody's way.
  try {
    for (auto& of_thread : jobs) {
      for (Job<std::uint64_t>& job : of_thread) {
        for (const auto& result : job.results()) {
          if (!result.ok()) return tl::unexpected("a unit failed: " + result.failure().message);
        }
      }
    }
  } catch (const Error& error) {
    return tl::unexpected(std::string(error.what()));
  }
  return rate;
}

Result<double, std::string> syncs(const Run& run, std::size_t threads, std::size_t times) {
  std::vector<SyncedFile> files;
  for (std::size_t i = 0; i < threads; ++i) {
    auto file = SyncedFile::open(run.folder / ("synced-" + std::to_string(i)));
    if (!file) return tl::unexpected(file.error());
    files.push_back(std::move(*file));
  }
  return rate_of(threads, times, [&](std::size_t thread) -> Measured {
    const auto took = files[thread].sync_ms();
    if (!took) return tl::unexpected(took.error());
    return {};
  });
}

Measured add_run(const Run& run, Session& session, std::size_t threads, std::size_t times,
                 Figure& figure) {
  if (!run.wants(figure.name)) return {};
  const auto reference = syncs(run, threads, times);
  if (!reference) return tl::unexpected(reference.error());
  const auto rate = submits(session, threads, times);
  if (!rate) return tl::unexpected(rate.error());
  figure.references.push_back(*reference);
  figure.values.push_back(*rate);
  return {};
}

}  // namespace

Measured measure_submits(const Run& run) {
  Figure alone{"submits.durable.window1", "1/s", {}, {}, "4 KiB and fdatasync, one by one", {}};
  Figure many{"submits.durable.window16", "1/s", {}, {}, "4 KiB and fdatasync, 16 at a time", {}};
  auto pool = Pool::start(run, {std::max(kStewards, workers_for(run)), std::nullopt});
  if (!pool) return tl::unexpected(pool.error());
  auto session = (*pool)->join();
  if (!session) return tl::unexpected(session.error());
  for (int i = 0; i < kRuns; ++i) {
    if (auto done = add_run(run, **session, 1, kJobsAlone, alone); !done) return done;
    if (auto done = add_run(run, **session, kUnderWay, kJobsEach, many); !done) return done;
  }
  run.report(alone);
  run.report(many);
  return {};
}

}  // namespace shoal::bench
