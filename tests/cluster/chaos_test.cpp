// Whatever befalls the machines, each job ends, and each result is the one that a single process
// computes.

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "tests/cluster/chaos_jobs.h"
#include "tests/cluster/chaos_pool.h"
#include "tests/cluster/chaos_script.h"
#include "tests/cluster/net/namespaces.h"

namespace shoal::cluster {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLookAgain{100};

// A wish from the environment; the presets and whoever runs a seed again set them.
std::uint64_t wish(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

struct Wishes {
  std::uint64_t seed = wish("SHOAL_CHAOS_SEED", 1);
  std::uint64_t seeds = wish("SHOAL_CHAOS_SEEDS", 1);
  std::uint64_t steps = wish("SHOAL_CHAOS_STEPS", 24);
  // One steward never comes back. Only where a job has more than one.
  bool lose_steward = wish("SHOAL_CHAOS_LOSE_STEWARD", 0) != 0;
};

class ChaosTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!no_own_network().empty()) GTEST_SKIP() << no_own_network();
  }

  void run(std::uint64_t seed) {
    tell_how_to_run_again(seed);
    ChaosPool pool(seed);
    pool.start();
    jobs_ = three_jobs(pool.cluster());
    start_ = Clock::now();
    for (const auto& job : jobs_) job->start();
    await_all_at_work(pool);
    say("all workers compute");
    for (const Step& step : write_script({.seed = seed,
                            .steps = wishes_.steps,
                            .workers = pool.workers(),
                            .others = ChaosPool::others(),
                            .lose_steward = wishes_.lose_steward})) {
      keep_busy(Clock::now() + step.pause);
      say(to_string(step));
      pool.perform(step);
      if (HasFailure()) return;
    }
    say("all faults are over");
    for (const auto& job : jobs_) {
      job->finish();
      say(job->name() + " is over, " + std::to_string(job->rounds()) + " times in all");
    }
    pool.expect_all_running();
    EXPECT_GT(pool.figures().lost, 0U);
  }

 private:
  void tell_how_to_run_again(std::uint64_t seed) const {
    std::printf("SHOAL_CHAOS_SEED=%llu SHOAL_CHAOS_STEPS=%llu %stest_chaos\n",
                static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(wishes_.steps),
                wishes_.lose_steward ? "SHOAL_CHAOS_LOSE_STEWARD=1 " : "");
  }
  void say(const std::string& what) const {
    const std::chrono::duration<double> passed = Clock::now() - start_;
    std::printf("%6.1f s  %s\n", passed.count(), what.c_str());
    std::fflush(stdout);
  }
  // Those behind routers as well.
  void await_all_at_work(const ChaosPool& pool) {
    const auto deadline = Clock::now() + kPatience;
    while (!pool.idle().empty() && Clock::now() < deadline) keep_busy(Clock::now() + kLookAgain);
    for (const std::string& name : pool.idle()) ADD_FAILURE() << name << " has nothing to compute";
  }
  // Until then, a job that ends is submitted again at once.
  void keep_busy(Clock::time_point until) {
    for (;;) {
      for (const auto& job : jobs_) {
        if (job->tend()) say("submit " + job->name());
      }
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
      if (left.count() <= 0) return;
      jobs_.front()->await(left);
    }
  }

 protected:
  Wishes wishes_;

 private:
  std::vector<std::unique_ptr<RepeatedJob>> jobs_;
  Clock::time_point start_;
};

TEST_F(ChaosTest, EveryJobEndsAndEveryResultIsRight) {
  for (std::uint64_t i = 0; i < wishes_.seeds && !HasFailure(); ++i) run(wishes_.seed + i);
}

}  // namespace
}  // namespace shoal::cluster
