#include <gtest/gtest.h>

#include "tests/sim/chance.h"
#include "tests/sim/pool.h"
#include "tests/sim/scheduling_compare.h"

// Machines as volunteers have them: they vanish, hear and are not heard, run full, and go dark.
namespace shoal::sim {
namespace {

TEST(Volunteers, AWorkerThatIsHeardByNobodyCostsOnlyItsLease) {
  Pool pool;
  pool.workers(5);
  JobRun& job = pool.submit(Pool::job_of(300, 200ms));
  ASSERT_TRUE(pool.run_until_ended(job, 50));
  const NodeIndex mute = pool.bystander(job);
  pool.world().partition_one_way({mute});
  // It still hears: for the others it is gone, and so it must be for itself in the end.
  pool.run(20s);
  EXPECT_FALSE(pool.world().network().linked(mute, *job.steward));
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 300U);
  pool.heal();
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Volunteers, AStewardThatHearsNobodyGoesOnOnceItDoes) {
  Pool pool;
  pool.workers(5);
  JobRun& job = pool.submit(Pool::job_of(200, 500ms));
  ASSERT_TRUE(pool.run_until_ended(job, 20));
  std::vector<NodeIndex> others = pool.all_workers();
  std::erase(others, *job.steward);
  pool.world().partition_one_way(others);
  pool.run(30s);
  pool.heal();
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 200U);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Volunteers, AllMachinesGoDarkAtOnceAndNothingPromisedIsLost) {
  Pool pool;
  pool.workers(5);
  JobRun& job = pool.submit(Pool::job_of(200, 200ms));
  ASSERT_TRUE(pool.run_until_ended(job, 40));
  for (const NodeIndex worker : pool.all_workers()) pool.crash(worker);
  pool.crash(pool.coordinator());
  pool.run(15s);
  pool.restart(pool.coordinator());
  for (const NodeIndex worker : pool.all_workers()) pool.restart(worker);
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 200U);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Volunteers, WhoLeavesForGoodIsReplaced) {
  Pool pool;
  pool.workers(6);
  JobRun& job = pool.submit(Pool::job_of(300, 200ms));
  for (int departures = 0; departures < 3; ++departures) {
    ASSERT_TRUE(pool.run_until_ended(job, 40 * (departures + 1U)));
    NodeIndex leaver = 0;
    for (const NodeIndex worker : pool.all_workers()) {
      if (worker != job.steward && pool.world().node(worker).alive) leaver = worker;
    }
    pool.world().leave(leaver);
    pool.restart(leaver);
    EXPECT_FALSE(pool.world().node(leaver).alive);
    pool.worker();
  }
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 300U);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Volunteers, AFullDiskOfAWorkerIsNoConcernOfTheJob) {
  Pool pool;
  pool.workers(5);
  JobRun& job = pool.submit(Pool::job_of(200, 200ms));
  ASSERT_TRUE(pool.run_until_ended(job, 20));
  pool.world().fill_disk(pool.bystander(job));
  ASSERT_TRUE(pool.run_until_finished());
  pool.world().make_room(pool.bystander(job));
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Volunteers, NobodyHasMoreLinksThanTheTransportAllows) {
  WorldOptions options;
  options.network.links_max = 8;
  Pool pool(1, options);
  pool.workers(20);
  pool.run(60s);
  for (const NodeIndex worker : pool.all_workers()) {
    EXPECT_LE(pool.world().network().links_most_of(worker), 8U);
  }
  EXPECT_GT(pool.world().network().turned_away(), 0U);
}

// Five are dialled; so many dial it, as a rule; and some are of what they did together.
TEST(Volunteers, AWorkerOfALargePoolIsLinkedToFew) {
  Pool pool;
  pool.workers(200);
  JobRun& job = pool.submit(Pool::job_of(2000, 2s));
  std::vector<std::size_t> links;
  const auto look = [&] {
    for (const NodeIndex worker : pool.all_workers()) {
      const auto& stewards = job.stewards;  // these are linked to all who compute
      if (std::find(stewards.begin(), stewards.end(), worker) != stewards.end()) continue;
      links.push_back(pool.world().network().links_of(worker));
    }
  };
  for (int i = 0; i < 6; ++i) {
    pool.run(10s);
    look();
  }
  ASSERT_TRUE(pool.run_until_finished());
  pool.run(300s);
  look();
  std::sort(links.begin(), links.end());
  EXPECT_LE(links[links.size() / 2], 12U);
  EXPECT_LE(links.back(), 40U) << "of 200";
  EXPECT_EQ(job.verified.size(), 2000U);
}

TEST(Chance, HasTheMomentsItShouldHave) {
  Rng rng(1);
  double sum = 0;
  double squares = 0;
  double waits = 0;
  constexpr int kDraws = 100'000;
  for (int i = 0; i < kDraws; ++i) {
    const double x = log_of(log_normal(rng, 0.5));
    sum += x;
    squares += x * x;
    waits += exponential(rng, 3);
  }
  EXPECT_NEAR(sum / kDraws, 0, 0.01);
  EXPECT_NEAR(squares / kDraws, 0.25, 0.01);
  EXPECT_NEAR(waits / kDraws, 3, 0.05);
  EXPECT_NEAR(exp_of(1), 2.718281828459045, 1e-9);
  EXPECT_NEAR(log_of(10), 2.302585092994046, 1e-12);
}

TEST(Scheduling, AskingAheadHidesTheLatencyThatAskingForOneUnitPays) {
  ComparisonOptions options;
  options.workers = 200;
  options.units = 20'000;
  options.unit_s = 2;
  options.speed_sigma = 0;
  options.session_s = 0;
  const double one = compare(Policy::kOneUnit, options).efficiency_until_90;
  // A unit takes 2 s, and 0.4 s pass between two of them.
  EXPECT_NEAR(one, 2 / 2.4, 0.01);
  EXPECT_GT(compare(Policy::kStealHalf, options).efficiency_until_90, 0.97);
}

}  // namespace
}  // namespace shoal::sim
