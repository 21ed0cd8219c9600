#include <gtest/gtest.h>

#include "tests/sim/pool.h"
#include "tests/sim/simulation.h"

// Nodes and links fail, and the job does not.
namespace shoal::sim {
namespace {

TEST(Faults, AKilledWorkerCostsOnlyItsLease) {
  Pool pool;
  pool.workers(5);
  JobRun& job = pool.submit(Pool::job_of(300, 200ms));
  ASSERT_TRUE(pool.run_until_ended(job, 50));
  const NodeIndex victim = pool.bystander(job);
  pool.crash(victim);
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 300U);
  // What was leased to it is computed again; what it had committed is not lost with it.
  EXPECT_LT(pool.units_computed(), 2 * 300 + 300 / 2);
  pool.restart(victim);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Faults, AStewardThatRestartsFinishesItsJob) {
  Pool pool;
  pool.workers(4);
  JobRun& job = pool.submit(Pool::job_of(200, 200ms));
  ASSERT_TRUE(pool.run_until_ended(job, 40));
  pool.crash(*job.steward);
  pool.run(20s);
  EXPECT_FALSE(job.done());
  pool.restart(*job.steward);
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 200U);
  EXPECT_EQ(pool.judgement(), "");
}

// Its own worker, and others, show it their papers before it has found its program again.
TEST(Faults, AStewardThatLooksForItsProgramDoesNotCallTheJobOver) {
  Pool pool;
  pool.workers(2);
  JobSpec spec = Pool::job_of(100, 200ms);
  spec.program_bytes = 300'000;
  JobRun& job = pool.submit(spec);
  ASSERT_TRUE(pool.run_until_ended(job, 10));
  pool.stop(*job.steward);
  pool.restart(*job.steward);
  ASSERT_TRUE(pool.run_until_finished()) << "of two workers one believes that it is over";
  EXPECT_EQ(job.verified.size(), 100U);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Faults, AStewardThatDiesRightAfterItsPromiseKeepsIt) {
  Pool pool;
  pool.workers(4);
  JobRun& job = pool.submit(Pool::job_of(40, 200ms));
  ASSERT_TRUE(job.steward.has_value());
  pool.crash(*job.steward);
  pool.run(60s);
  pool.restart(*job.steward);
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Faults, TheCoordinatorMayDieAfterTheJoin) {
  Pool pool;
  pool.workers(5);
  pool.run(10s);
  pool.stop(pool.coordinator());
  JobSpec spec = Pool::job_of(100, 100ms);
  pool.run(60s);
  pool.restart(pool.coordinator());
  pool.run(240s);
  JobRun& job = pool.submit(spec);
  ASSERT_TRUE(pool.run_until_ended(job, 10));
  pool.stop(pool.coordinator());
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 100U);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Faults, ACoordinatorThatComesBackIsNotVisitedByAllAtOnce) {
  constexpr int kWorkers = 100;
  Pool pool;
  pool.workers(kWorkers);
  pool.run(30s);
  pool.stop(pool.coordinator());
  pool.run(600s);
  pool.restart(pool.coordinator());
  const auto visits = [&] { return pool.world().network().link_ups_of(pool.coordinator()); };
  std::uint64_t most = 0;
  const std::uint64_t before = visits();
  for (int second = 0; second < 150; ++second) {
    const std::uint64_t so_far = visits();
    pool.run(1s);
    most = std::max(most, visits() - so_far);
  }
  EXPECT_GE(visits() - before, kWorkers) << "all have come";
  EXPECT_LE(most, kWorkers / 5) << "in a second";
}

TEST(Faults, ARestartedWorkerRejoinsWithoutAnyCoordinator) {
  Pool pool;
  pool.workers(5);
  JobRun& job = pool.submit(Pool::job_of(400, 200ms));
  ASSERT_TRUE(pool.run_until_ended(job, 20));
  pool.stop(pool.coordinator());
  const NodeIndex victim = pool.bystander(job);
  pool.stop(victim);
  pool.run(2s);
  pool.restart(victim);
  const std::uint64_t before = pool.world().node(victim).units_computed;
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_GT(pool.world().node(victim).units_computed, before);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Faults, APartitionHealsAndTheJobGoesOn) {
  Pool pool;
  pool.workers(6);
  JobRun& job = pool.submit(Pool::job_of(300, 200ms));
  ASSERT_TRUE(pool.run_until_ended(job, 30));
  pool.partition({pool.all_workers()[0], pool.all_workers()[1], pool.all_workers()[2]});
  pool.run(40s);
  pool.heal();
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 300U);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Faults, ASubmitterThatLeavesFindsItsResultsWhenItComesBack) {
  Pool pool;
  pool.workers(4);
  JobRun& job = pool.submit(Pool::job_of(100, 100ms));
  ASSERT_TRUE(job.accepted.has_value());
  pool.stop(pool.submitter());
  pool.run(60s);
  EXPECT_EQ(pool.status_at_steward(job).verified, 100U);
  pool.restart(pool.submitter());
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 100U);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Faults, LinksThatBreakAllTheTimeCostTimeAndNoResult) {
  WorldOptions options;
  options.network.breaks = 0.02;
  options.network.loss = 0.05;
  Pool pool(3, options);
  pool.workers(5);
  JobRun& job = pool.submit(Pool::job_of(150, 100ms));
  ASSERT_TRUE(pool.run_until_finished(1200s));
  EXPECT_EQ(job.verified.size(), 150U);
  pool.world().network().set_loss(0, 0);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Faults, ALinkThatTakesASecondEachWayIsALink) {
  WorldOptions options;
  options.network.latency_min = options.network.latency_max = 1100ms;
  Pool pool(1, options);
  pool.workers(4);
  JobRun& job = pool.submit(Pool::job_of(20, 100ms));
  ASSERT_TRUE(job.accepted.has_value());
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(pool.judgement(), "");
}

// The handshake takes longer than a search for peers lasts, and the first dial was refused at once.
TEST(Faults, ACoordinatorThatIsFarAwayAndWasDownIsReachedAllTheSame) {
  WorldOptions options;
  options.network.latency_min = options.network.latency_max = 900ms;
  Pool pool(1, options);
  pool.workers(4);
  pool.run(20s);
  pool.stop(pool.coordinator());
  JobRun& job = pool.world().submit(pool.submitter(), Pool::job_of(20, 100ms));
  pool.run(20s);
  ASSERT_FALSE(job.accepted.has_value());
  pool.restart(pool.coordinator());
  ASSERT_TRUE(pool.world().run_until([&] { return job.accepted.has_value(); }, 120s));
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(pool.judgement(), "");
}

// It has all results, and nobody who kept them is there to hear so: it says so later.
TEST(Faults, AJobIsClosedAlsoBySomebodyWhoCameBackTooEarly) {
  Pool pool;
  pool.workers(3);
  JobRun& job = pool.submit(Pool::job_of(30, 100ms));
  ASSERT_TRUE(pool.world().run_until([&] { return job.finished.has_value(); }, 600s));
  ASSERT_FALSE(job.snapshot.has_value());
  pool.stop(pool.submitter());
  for (const NodeIndex worker : pool.all_workers()) pool.stop(worker);
  pool.restart(pool.submitter());
  ASSERT_TRUE(pool.world().run_until([&] { return !job.refusals.empty(); }, 120s));
  for (const NodeIndex worker : pool.all_workers()) pool.restart(worker);
  pool.run(60s);
  EXPECT_TRUE(job.snapshot.has_value());
  EXPECT_EQ(pool.judgement(), "");
}

// Nobody is short of links on either side, so nobody has to look for more.
TEST(Faults, TwoHalvesThatEachHaveEnoughLinksFindEachOtherAgain) {
  Pool pool;
  pool.workers(16);
  pool.run(30s);
  std::vector<NodeIndex> half(pool.all_workers().begin(), pool.all_workers().begin() + 8);
  pool.partition(half);
  pool.run(1800s);
  pool.heal();
  EXPECT_EQ(pool.judgement(), "");
}

// A submitter that is restarted before it hears that its job was taken gives it to others.
TEST(Faults, AJobThatWasGivenAwayTwiceIsFoundWhereItIsKept) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    Pool pool(seed);
    pool.workers(4);
    pool.run(10s);
    const NodeIndex other = pool.all_workers().back();
    pool.stop(other);
    JobRun& job = pool.world().submit(pool.submitter(), Pool::job_of(20, 100ms));
    ASSERT_TRUE(pool.world().run_until([&] { return job.accepted.has_value(); }, 60s));
    job.accepted.reset();  // as if it had not been written down
    pool.stop(pool.submitter());
    pool.restart(other);
    pool.partition({pool.submitter(), pool.coordinator(), other});
    pool.restart(pool.submitter());
    pool.run(60s);
    ASSERT_TRUE(job.accepted.has_value());
    pool.heal();
    ASSERT_TRUE(pool.run_until_finished()) << "seed " << seed;
    EXPECT_EQ(pool.judgement(), "");
  }
}

// What was under way when they broke is asked again as soon as they are back, and not waited for
// until it is given up and computed by others.
TEST(Faults, LinksThatBreakNowAndThenCostLittle) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    SimOptions options;
    options.seed = seed;
    options.peers = 8;
    options.units = 1000;
    options.noisy = true;
    options.breaks = 0.002;
    options.faults_s = 90;
    const SimReport report = simulate(options);
    EXPECT_TRUE(report.violations.empty());
    EXPECT_TRUE(report.finished);
    EXPECT_LT(report.redundancy, 1.02) << "seed " << seed;
    EXPECT_GT(report.efficiency, 0.75) << "seed " << seed;
  }
}

void expect_a_good_end(const SimOptions& options) {
  const SimReport report = simulate(options);
  EXPECT_TRUE(report.finished);
  for (const auto& violation : report.violations) ADD_FAILURE() << violation.what;
}

// Two judges of one unit were silent at once. Each was asked anew while the other was being left
// out, and then left out itself, for ever.
TEST(Faults, JudgesThatAreSilentTogetherAreBothDoneWithout) {
  SimOptions options;
  options.seed = 17372;
  options.peers = 9;
  options.jobs = 3;
  options.units = 130;
  options.quorum = 3;
  options.threads = 2;
  options.input_bytes = 1616;
  options.latency_sigma = 0.24236794934181136;
  options.breaks = 0.007799370565105417;
  options.churn = 0.25331054389530083;
  options.partitions = 2;
  options.faults_s = 48;
  options.noisy = true;
  options.coordinator_crashes = true;
  expect_a_good_end(options);
}

// The disk of a job's one steward was lost after it had found a second, of which its submitter had
// not heard, and which was not among the four workers that he asked again and again.
TEST(Faults, AJobWhoseFirstStewardIsLostIsFoundWithTheSecond) {
  SimOptions options;
  options.seed = 4056;
  options.peers = 8;
  options.coordinators = 2;
  options.units = 24;
  options.quorum = 1;
  options.threads = 3;
  options.unit_ms = 2000;
  options.speed_sigma = 0.3705931701519536;
  options.program_bytes = 941'025;
  options.latency_ms_max = 200;
  options.loss = 0.020063458561327935;
  options.churn = 0.45897237433763616;
  options.partitions = 2;
  options.full_disks = 0.0882606075880833;
  options.lost_disks = 3;
  options.faults_s = 116;
  expect_a_good_end(options);
}

}  // namespace
}  // namespace shoal::sim
