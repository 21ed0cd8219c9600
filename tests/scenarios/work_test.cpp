#include <gtest/gtest.h>

#include "tests/sim/pool.h"

// Work finds workers, and workers find work.
namespace shoal::sim {
namespace {

TEST(Work, AStragglerIsDoubled) {
  Pool pool;
  pool.workers(5);
  WorkerSpec slow;
  slow.speed = 0.01;
  pool.worker(slow);
  JobRun& job = pool.submit(Pool::job_of(300, 200ms));
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 300U);
  // One unit takes it 20 s; alone with its share of them it would hold up the job for minutes.
  EXPECT_LT(Pool::seconds_of(job), 60);
  EXPECT_EQ(pool.judgement(), "");
}

// It begins its second unit after 100 s. Who knew all speeds beforehand would be done in 120 s, and
// it is done with that in 200.
TEST(Work, TheEndOfAJobDoesNotWaitForItsSlowestWorker) {
  Pool pool;
  pool.workers(8);
  WorkerSpec slow;
  slow.speed = 0.2;
  pool.worker(slow);
  JobRun& job = pool.submit(Pool::job_of(24, 20s));
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_LT(Pool::seconds_of(job), 160);
  EXPECT_EQ(pool.judgement(), "");
}

// Ten machines, and each has begun its last unit. Had nobody computed it in advance, what the one
// that goes dark now holds would begin again when it is missed, after 10 s, and take another 20.
TEST(Work, WhereWorkersComeAndGoTheLastUnitsDoNotWaitForThoseWhoGo) {
  Pool pool;
  pool.workers(10);
  JobRun& job = pool.submit(Pool::job_of(24, 20s));
  pool.run(30s);
  std::vector<NodeIndex> others = pool.all_workers();
  std::erase(others, *job.steward);
  for (int departures = 0; departures < 3; ++departures) {
    pool.stop(others[departures]);
    pool.run(2s);
    pool.restart(others[departures]);
  }
  ASSERT_TRUE(pool.run_until_ended(job, 18, 200s));
  pool.run(6s);
  ASSERT_LT(job.ended.size(), 24U);
  pool.crash(others.back());
  const Time gone = pool.world().now();
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 24U);
  EXPECT_LT(static_cast<double>(*job.finished - gone) / 1e9, 30);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Work, WhereNobodyLeavesNothingIsComputedInAdvance) {
  Pool pool;
  pool.workers(10);
  const JobRun& job = pool.submit(Pool::job_of(24, 20s));
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 24U);
  EXPECT_EQ(pool.units_computed(), 48U);
}

// More than twice as long as a lease: who computes says in time that it still does. The third
// worker has nothing to do for the last 150 s, and would be given what is not held any more.
TEST(Work, UnitsThatOutlastTheirLeaseAreComputedAsOftenAsTheQuorumWants) {
  Pool pool;
  pool.workers(3);
  const JobRun& job = pool.submit(Pool::job_of(4, 150s));
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 4U);
  EXPECT_EQ(pool.units_computed(), 8U);
  EXPECT_LT(Pool::seconds_of(job), 470) << "three of a worker, one after the other";
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Work, AThiefGetsHalf) {
  std::uint64_t stolen = 0;
  // Whether anything is left to be stolen is chance: in six pools it is somewhere.
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    Pool pool(seed);
    pool.workers(3);
    JobRun& job = pool.submit(Pool::job_of(3000, 40ms));
    ASSERT_TRUE(pool.run_until_ended(job, 60));
    // They come late: most of the range is leased, and has to be taken from those who hold it.
    pool.workers(3);
    ASSERT_TRUE(pool.run_until_finished());
    EXPECT_EQ(job.verified.size(), 3000U);
    for (const NodeIndex worker : pool.all_workers()) {
      stolen += pool.world().node(worker).peer->status().units_stolen;
    }
    EXPECT_EQ(pool.judgement(), "");
  }
  EXPECT_GT(stolen, 0U);
}

TEST(Work, UnitsComeFromPeersInAPoolOfThree) {
  Pool pool;
  pool.workers(3);
  JobRun& job = pool.submit(Pool::job_of(1000, 20ms));
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_GT(pool.status_at_steward(job).moved, 0U);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Work, IdleWorkersHearOfNewWork) {
  Pool pool;
  pool.workers(8);
  pool.run(300s);
  JobRun& job = pool.submit(Pool::job_of(160, 1s));
  ASSERT_TRUE(pool.run_until_finished());
  // 320 s of work: eight workers that hear of it at once need 40 s.
  EXPECT_LT(Pool::seconds_of(job), 60);
  for (const NodeIndex worker : pool.all_workers()) {
    EXPECT_GT(pool.world().node(worker).units_computed, 0U);
  }
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Work, CancelReachesWorkers) {
  Pool pool;
  pool.workers(4);
  JobRun& job = pool.submit(Pool::job_of(10'000, 1s));
  ASSERT_TRUE(pool.run_until_ended(job, 5));
  pool.world().cancel(job);
  pool.run(10s);
  const std::uint64_t computed = pool.units_computed();
  pool.run(120s);
  // What was being computed when the word came may have ended; nothing was begun since.
  EXPECT_LE(pool.units_computed(), computed + 4);
  EXPECT_EQ(pool.status_at_steward(job).phase, JobPhase::kCancelled);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Work, AQuorumLargerThanThePoolIsWaitedFor) {
  Pool pool;
  pool.workers(2);
  JobRun& job = pool.submit(Pool::job_of(20, 100ms, 3));
  pool.run(60s);
  EXPECT_FALSE(job.done());
  pool.workers(3);
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 20U);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Work, AQuorumLargerThanThePoolIsSaidAtOnce) {
  Pool pool;
  pool.workers(2);
  pool.run(10s);
  JobSpec spec = Pool::job_of(20, 100ms, 3);
  spec.wait_for_quorum = false;
  JobRun& job = pool.world().submit(pool.submitter(), spec);
  ASSERT_TRUE(pool.world().run_until([&] { return !job.refusals.empty(); }, 30s));
  EXPECT_EQ(job.refusals.front().why, JobRefused::Why::kQuorumTooLarge);
}

TEST(Work, UnitsThatCannotBeComputedFailAndTheRestDoesNot) {
  Pool pool;
  pool.workers(5);
  JobSpec spec = Pool::job_of(100, 50ms);
  spec.kernel.fail_every = 10;
  JobRun& job = pool.submit(spec);
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 90U);
  EXPECT_EQ(job.failed.size(), 10U);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Work, LargeOutputsProgramsAndInputsMoveBetweenPeers) {
  Pool pool;
  pool.workers(4);
  JobSpec spec = Pool::job_of(20, 100ms);
  spec.kernel.output_bytes = 300'000;
  spec.program_bytes = 1'000'000;
  spec.input_bytes = 1000;
  JobRun& job = pool.submit(spec);
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.fetched, 20U);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Work, ResultsThatDifferWithinTheToleranceAgree) {
  Pool pool;
  for (std::uint8_t i = 0; i < 5; ++i) {
    WorkerSpec spec;
    spec.noise = i;
    pool.worker(spec);
  }
  JobSpec spec = Pool::job_of(30, 100ms);
  spec.kernel.noisy = true;
  JobRun& job = pool.submit(spec);
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 30U);
  EXPECT_EQ(pool.judgement(), "");
}

// Each of two leaders that are apart accepts what its own workers computed.
TEST(Work, ALaterSessionIsToldTheSameWithinTheTolerance) {
  Pool pool;
  for (std::uint8_t i = 0; i < 8; ++i) {
    WorkerSpec spec;
    spec.noise = i;
    pool.worker(spec);
  }
  JobSpec spec = Pool::job_of(100, 200ms);
  spec.kernel.noisy = true;
  JobRun& job = pool.submit(spec);
  ASSERT_EQ(job.stewards.size(), 3U);
  std::vector<NodeIndex> apart{job.stewards[1]};
  for (const NodeIndex worker : pool.all_workers()) {
    const bool steward =
        std::find(job.stewards.begin(), job.stewards.end(), worker) != job.stewards.end();
    if (!steward && apart.size() < 4) apart.push_back(worker);
  }
  pool.partition(apart);
  ASSERT_TRUE(pool.run_until_ended(job, 50));
  pool.stop(pool.submitter());
  pool.run(60s);
  pool.heal();
  pool.stop(job.stewards[0]);
  pool.stop(job.stewards[2]);
  pool.restart(pool.submitter());
  ASSERT_TRUE(pool.run_until_finished());
  pool.restart(job.stewards[0]);
  pool.restart(job.stewards[2]);
  EXPECT_EQ(pool.judgement(), "");
}

}  // namespace
}  // namespace shoal::sim
