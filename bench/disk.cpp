#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench/kernels.h"
#include "bench/pool.h"
#include "bench/run.h"
#include "bench/watcher.h"
#include "shoal/values.h"

namespace shoal::bench {
namespace {

namespace fs = std::filesystem;

constexpr int kRuns = 3;
// Three of them keep the job, one does not.
constexpr std::size_t kWorkers = 4;
constexpr std::uint64_t kUnits = 100'000;
constexpr unsigned kQuorum = 2;
constexpr std::chrono::milliseconds kLookEvery{10};
// After the last result: the job is closed by then, and what workers kept of it erased.
constexpr std::chrono::seconds kSettle{3};

// Everything in a worker's state folder, its ledger's log included.
double bytes_in(const fs::path& folder) {
  double bytes = 0;
  std::error_code gone;
  for (fs::recursive_directory_iterator at(folder, gone), end; at != end; at.increment(gone)) {
    std::error_code unknown;
    if (!at->is_regular_file(unknown)) continue;
    const auto size = at->file_size(unknown);
    if (!unknown) bytes += static_cast<double>(size);
  }
  return bytes;
}

std::vector<double> bytes_in_all(const Pool& pool) {
  std::vector<double> all;
  for (const Pool::Member& member : pool.members()) all.push_back(bytes_in(member.state));
  return all;
}

// Keeps looking, on a thread of its own, at how large the folders get.
class Peaks {
 public:
  explicit Peaks(const Pool& pool) : pool_(pool), most_(bytes_in_all(pool)) {
    thread_ = std::thread([this] {
      while (!done_) {
        look();
        std::this_thread::sleep_for(kLookEvery);
      }
    });
  }
  ~Peaks() { static_cast<void>(end()); }
  std::vector<double> end() {
    done_ = true;
    if (thread_.joinable()) {
      thread_.join();
      look();
    }
    return most_;
  }

 private:
  void look() {
    const std::vector<double> now = bytes_in_all(pool_);
    for (std::size_t i = 0; i < now.size(); ++i) most_[i] = std::max(most_[i], now[i]);
  }
  const Pool& pool_;
  std::vector<double> most_;
  std::atomic<bool> done_{false};
  std::thread thread_;
};

struct Figures {
  Figure steward{"disk.steward.bytes_per_unit", "B", {}, {}, "the outputs themselves", {}};
  Figure steward_peak{"disk.steward.peak_per_unit", "B", {}, {}, "the outputs themselves", {}};
  Figure worker{"disk.worker.bytes_per_unit", "B", {}, {}, "the outputs themselves", {}};
  Figure worker_peak{"disk.worker.peak_per_unit", "B", {}, {}, "the outputs themselves", {}};
};

double output_bytes_per_unit() {
  double bytes = 0;
  for (std::uint64_t unit = 0; unit < kUnits; ++unit) {
    bytes += static_cast<double>(encode<std::uint64_t>(noop(Nothing{}, unit)).size());
  }
  return bytes / static_cast<double>(kUnits);
}

// In a pool of its own: what a ledger has freed, the next job fills.
Measured run_once(const Run& run, Figures& figures) {
  auto pool = Pool::start(run, {kWorkers, std::nullopt});
  if (!pool) return tl::unexpected(pool.error());
  auto session = (*pool)->join();
  if (!session) return tl::unexpected(session.error());
  auto watcher = Watcher::open(**pool);
  if (!watcher) return tl::unexpected(watcher.error());

  const std::vector<double> before = bytes_in_all(**pool);
  Result<std::vector<NodeId>, std::string> stewards =
      tl::unexpected(std::string("nobody was asked who keeps the job"));
  JobWish wish{.quorum = kQuorum};
  wish.accepted = [&](const JobId& job, std::chrono::steady_clock::time_point) {
    stewards = (*watcher)->stewards(job);
  };
  Peaks peaks(**pool);
  const auto done = run_job(**session, noop_kernel(), Nothing{}, kUnits, wish);
  if (!done) return tl::unexpected(done.error());
  if (!stewards) return tl::unexpected(stewards.error());
  std::this_thread::sleep_for(kSettle);
  const std::vector<double> peak = peaks.end();
  const std::vector<double> after = bytes_in_all(**pool);

  double of_steward = 0, of_worker = 0, steward_peak = 0, worker_peak = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const NodeId& id = (*pool)->members()[i].id;
    const bool keeps = std::find(stewards->begin(), stewards->end(), id) != stewards->end();
    double& most_after = keeps ? of_steward : of_worker;
    double& most_peak = keeps ? steward_peak : worker_peak;
    most_after = std::max(most_after, (after[i] - before[i]) / static_cast<double>(kUnits));
    most_peak = std::max(most_peak, (peak[i] - before[i]) / static_cast<double>(kUnits));
  }
  figures.steward.values.push_back(of_steward);
  figures.steward_peak.values.push_back(steward_peak);
  figures.worker.values.push_back(of_worker);
  figures.worker_peak.values.push_back(worker_peak);
  const double outputs = output_bytes_per_unit();
  for (Figure* figure :
       {&figures.steward, &figures.steward_peak, &figures.worker, &figures.worker_peak}) {
    figure->references.push_back(outputs);
  }
  return {};
}

}  // namespace

Measured measure_disk(const Run& run) {
  Figures figures;
  for (int i = 0; i < kRuns; ++i) {
    if (auto done = run_once(run, figures); !done) return done;
  }
  for (const Figure* figure :
       {&figures.steward, &figures.steward_peak, &figures.worker, &figures.worker_peak}) {
    run.report(*figure);
  }
  return {};
}

}  // namespace shoal::bench
