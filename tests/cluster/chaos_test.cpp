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
constexpr std::uint64_t kStepsAroundALoss = 6;

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

// One pool, three jobs, one script.
class Story {
 public:
  Story(std::uint64_t seed, const Wishes& wishes)
      : pool_(seed),
        script_(write_script({.seed = seed,
                              .steps = wishes.steps,
                              .workers = pool_.workers(),
                              .others = ChaosPool::others(),
                              .lose_steward = wishes.lose_steward})) {
    std::printf("SHOAL_CHAOS_SEED=%llu SHOAL_CHAOS_STEPS=%llu%s build/dev/bin/test_chaos\n",
                static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(wishes.steps),
                wishes.lose_steward ? " SHOAL_CHAOS_LOSE_STEWARD=1" : "");
  }

  void start() {
    pool_.start();
    jobs_ = three_jobs(pool_.cluster());
    start_ = Clock::now();
    for (const auto& job : jobs_) job->start();
    await_all_at_work();
    say("all workers compute");
  }
  void perform() {
    for (const Step& step : script_) {
      keep_busy(Clock::now() + step.pause);
      say(to_string(step));
      pool_.perform(step);
      if (::testing::Test::HasFailure()) return;
    }
    say("all faults are over");
  }
  std::size_t lost() const { return pool_.lost(); }
  void finish() {
    for (const auto& job : jobs_) {
      job->finish();
      say(job->name() + " is over, " + std::to_string(job->rounds()) + " times in all");
    }
    pool_.expect_all_running();
    EXPECT_GT(pool_.figures().lost, 0U) << "the network never lost a packet";
  }

 private:
  void say(const std::string& what) const {
    const std::chrono::duration<double> passed = Clock::now() - start_;
    std::printf("%6.1f s  %s\n", passed.count(), what.c_str());
    std::fflush(stdout);
  }
  // Those behind routers as well.
  void await_all_at_work() {
    const auto deadline = Clock::now() + kPatience;
    while (!pool_.idle().empty() && Clock::now() < deadline) keep_busy(Clock::now() + kLookAgain);
    for (const std::string& name : pool_.idle()) ADD_FAILURE() << name << " has nothing to compute";
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

  ChaosPool pool_;
  const std::vector<Step> script_;
  std::vector<std::unique_ptr<RepeatedJob>> jobs_;
  Clock::time_point start_;
};

// Half way through a short script the worker that leads a job dies and stays away, with all that it
// had on its disk.
TEST(ChaosTest, AStewardThatNeverComesBackTakesNothingWithIt) {
  if (!no_own_network().empty()) GTEST_SKIP() << no_own_network();
  Wishes wishes;
  wishes.lose_steward = true;
  wishes.steps = kStepsAroundALoss;
  Story story(wishes.seed, wishes);
  story.start();
  if (!HasFailure()) story.perform();
  if (!HasFailure()) story.finish();
  if (HasFailure()) return;
  EXPECT_EQ(story.lost(), 1U);
}

TEST(ChaosTest, EveryJobEndsAndEveryResultIsRight) {
  if (!no_own_network().empty()) GTEST_SKIP() << no_own_network();
  const Wishes wishes;
  for (std::uint64_t i = 0; i < wishes.seeds && !HasFailure(); ++i) {
    Story story(wishes.seed + i, wishes);
    story.start();
    if (!HasFailure()) story.perform();
    if (!HasFailure()) story.finish();
  }
}

}  // namespace
}  // namespace shoal::cluster
