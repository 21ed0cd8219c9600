#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "bench/pool.h"
#include "bench/run.h"

namespace shoal::bench {
namespace {

constexpr int kRuns = 3;
// After the last job: links are closed, backlogs empty.
constexpr std::chrono::seconds kSettle{4};
constexpr std::chrono::seconds kWindow{6};

// Of each worker with its executors.
std::vector<double> cpu_seconds(const std::vector<pid_t>& workers) {
  std::vector<double> all;
  for (const pid_t worker : workers) {
    std::chrono::nanoseconds sum{0};
    for (const pid_t pid : family(worker)) sum += cpu_time(pid);
    all.push_back(std::chrono::duration<double>(sum).count());
  }
  return all;
}

}  // namespace

Measured measure_idle(const Run& run) {
  Figure figure{
      "worker.idle", "% of core", {}, {}, "", Bound{Judged::kValue, Sense::kAtMost, 0.2, 0.05}};
  auto pool = Pool::start(run, {workers_for(run), std::nullopt});
  if (!pool) return tl::unexpected(pool.error());
  // Idle after work: a worker that never had any has no executor yet.
  auto session = (*pool)->join();
  if (!session) return tl::unexpected(session.error());
  session->reset();
  std::this_thread::sleep_for(kSettle);
  const std::vector<pid_t> workers = (*pool)->workers();
  for (int i = 0; i < kRuns; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const std::vector<double> before = cpu_seconds(workers);
    std::this_thread::sleep_for(kWindow);
    const std::vector<double> after = cpu_seconds(workers);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    double busiest = 0;
    for (std::size_t w = 0; w < workers.size(); ++w) {
      if (after[w] <= 0) return tl::unexpected(std::string("a worker has ended"));
      busiest = std::max(busiest, 100 * (after[w] - before[w]) / took.count());
    }
    figure.values.push_back(busiest);
  }
  run.report(figure);
  return {};
}

}  // namespace shoal::bench
