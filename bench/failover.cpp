#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "bench/kernels.h"
#include "bench/pool.h"
#include "bench/run.h"
#include "bench/watcher.h"

namespace shoal::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRuns = 5;
// Then no further run is begun.
constexpr std::chrono::seconds kBudget{100};
constexpr std::size_t kStewards = 3;
constexpr double kUnitMs = 10;
constexpr std::uint64_t kUnits = 60'000;  // minutes of work: the job does not end meanwhile
// Work is under way everywhere by then, and leases are out for some seconds of it.
constexpr std::chrono::seconds kUnderWay{2};
constexpr std::chrono::milliseconds kLookEvery{5};
constexpr std::chrono::seconds kPatience{30};

struct Figures {
  Figure lease{
      "failover.next_lease", "s", {}, {}, "", Bound{Judged::kValue, Sense::kAtMost, 3, 1.5}};
  Figure result{"failover.next_result", "s", {}, {}, "", {}};
};

double seconds_since(Clock::time_point moment) {
  return std::chrono::duration<double>(Clock::now() - moment).count();
}

// Asks these stewards in turn, until what one of them says fits, which leads under a later epoch
// than that.
template <class Fits>
Result<JobStatus, std::string> await_leader(Watcher& watcher, const std::vector<NodeId>& stewards,
                                            const JobId& job, std::uint64_t epoch_before,
                                            Fits fits) {
  const auto give_up = Clock::now() + kPatience;
  std::string last;  // that was said
  while (Clock::now() < give_up) {
    for (const NodeId& steward : stewards) {
      auto status = watcher.ask(steward, job);
      if (!status) return tl::unexpected(status.error());
      if (!*status) return tl::unexpected(std::string("a steward has forgotten the job"));
      if ((*status)->leads && (*status)->epoch > epoch_before && fits(**status)) {
        return std::move(**status);
      }
      last = short_hex(steward) + ((*status)->leads ? " leads" : " follows") + " under epoch " +
             std::to_string((*status)->epoch) + ", " + std::to_string((*status)->verified) +
             " verified, " + std::to_string((*status)->leased) + " leased, " +
             std::to_string((*status)->committed) +
             " committed; waiting for: " + (*status)->waiting_for;
    }
    std::this_thread::sleep_for(kLookEvery);
  }
  return tl::unexpected("no steward leads the job and goes on with it: " + last);
}

// The job's stewards, the leader first; there must be all three.
Result<std::vector<NodeId>, std::string> all_stewards(Watcher& watcher, const JobId& job) {
  auto stewards = watcher.stewards(job);
  if (stewards && stewards->size() != kStewards) {
    return tl::unexpected("the job has " + std::to_string(stewards->size()) + " stewards");
  }
  return stewards;
}

// In a pool of its own: a worker of it dies.
Measured run_once(const Run& run, const SpinParams& params, Figures& figures) {
  auto pool = Pool::start(run, {std::max(kStewards, workers_for(run)), std::nullopt});
  if (!pool) return tl::unexpected(pool.error());
  auto session = (*pool)->join();
  if (!session) return tl::unexpected(session.error());
  auto watcher = Watcher::open(**pool);
  if (!watcher) return tl::unexpected(watcher.error());

  JobOptions options;
  options.shipped = true;
  auto job = (*session)->map(spin_kernel(), params, IndexSpace{kUnits}, options);
  const JobId id = *id_from_hex<JobId>(job.id());
  std::this_thread::sleep_for(kUnderWay);
  const auto stewards = all_stewards(**watcher, id);
  if (!stewards) return tl::unexpected(stewards.error());
  const NodeId leader = stewards->front();
  const std::vector<NodeId> followers(stewards->begin() + 1, stewards->end());
  // Links to them stand by then: none has to be made while time is taken.
  for (const NodeId& follower : followers) {
    if (auto told = (*watcher)->ask(follower, id); !told) return tl::unexpected(told.error());
  }
  const auto before = await_leader(**watcher, {leader}, id, 0,
                                   [](const JobStatus& status) { return status.verified > 0; });
  if (!before) return tl::unexpected(before.error());

  const auto death = Clock::now();
  (*pool)->kill(leader, Pool::Killed::kAlone);
  const auto leased = await_leader(**watcher, followers, id, before->epoch,
                                   [](const JobStatus& status) { return status.leased > 0; });
  if (!leased) return tl::unexpected(leased.error());
  figures.lease.values.push_back(seconds_since(death));
  const std::uint64_t verified = leased->verified;
  const auto moved =
      await_leader(**watcher, followers, id, before->epoch,
                   [&](const JobStatus& status) { return status.verified > verified; });
  if (!moved) return tl::unexpected(moved.error());
  figures.result.values.push_back(seconds_since(death));
  job.cancel();
  return {};
}

}  // namespace

Measured measure_failover(const Run& run) {
  Figures figures;
  const SpinParams params = spin_for(kUnitMs);
  const auto end = Clock::now() + kBudget;
  for (int i = 0; i < kRuns && (i == 0 || Clock::now() < end); ++i) {
    try {
      if (auto done = run_once(run, params, figures); !done) return done;
    } catch (const Error& error) {
      return tl::unexpected(std::string(error.what()));
    }
  }
  run.report(figures.lease);
  run.report(figures.result);
  return {};
}

}  // namespace shoal::bench
