#include <gtest/gtest.h>

#include "tests/negative/planted_bugs.h"

// Each checker is shown a pool with the bug that it is there for, and the same pool without.
namespace shoal::sim {
namespace {

WorkerSpec spec_of(WorkerFactory factory) {
  WorkerSpec spec;
  spec.factory = std::move(factory);
  return spec;
}

// Three plain workers and one of another make.
void populate(Pool& pool, WorkerFactory odd_one) {
  pool.workers(3);
  pool.worker(odd_one ? spec_of(std::move(odd_one)) : WorkerSpec{});
}

TEST(AcceptedIsTrue, CatchesASubmitterThatBelievesAForger) {
  for (const bool planted : {false, true}) {
    Pool pool(1, {}, planted ? submitter_factory<GullibleSubmitter>() : SubmitterFactory{});
    for (int i = 0; i < 4; ++i) pool.hostile(Behaviour::kForger);
    JobRun& job = pool.submit(Pool::job_of(50, 100ms));
    pool.run(120s);
    EXPECT_EQ(pool.caught("accepted_is_true"), planted);
    // The forgers did forge: only the checks stand between them and the result.
    if (!planted) {
      EXPECT_GT(job.bad_receipts, 0U);
    }
  }
}

TEST(NoUndisputedChange, CatchesASecondDeliveryThatDiffers) {
  for (const bool planted : {false, true}) {
    Pool pool(1, {}, planted ? submitter_factory<ForgetfulSubmitter>() : SubmitterFactory{});
    pool.workers(4);
    pool.submit(Pool::job_of(50, 100ms));
    pool.run_until_finished();
    EXPECT_EQ(pool.caught("no_undisputed_change"), planted);
  }
}

TEST(NoUndisputedChange, CatchesALaterSessionThatDiffers) {
  for (const bool noisy : {false, true}) {
    for (const bool planted : {false, true}) {
      Pool pool(1, {}, planted ? submitter_factory<FickleSubmitter>() : SubmitterFactory{});
      pool.workers(4);
      JobSpec spec = Pool::job_of(50, 100ms);
      spec.kernel.noisy = noisy;
      JobRun& job = pool.submit(spec);
      ASSERT_TRUE(pool.run_until_ended(job, 25));
      pool.stop(pool.submitter());
      pool.restart(pool.submitter());
      pool.run_until_finished();
      EXPECT_EQ(pool.caught("no_undisputed_change"), planted);
    }
  }
}

TEST(AcknowledgedNotLost, CatchesADiskThatOnlyClaimsToBeDurable) {
  for (const bool planted : {false, true}) {
    Pool pool;
    pool.workers(4);
    for (const NodeIndex worker : pool.all_workers()) {
      if (planted) pool.world().node(worker).disk.lie_about_syncs();
    }
    JobRun& job = pool.submit(Pool::job_of(50, 1s));
    ASSERT_TRUE(job.steward.has_value());
    pool.crash(*job.steward);
    pool.run(5s);
    pool.restart(*job.steward);
    EXPECT_EQ(pool.caught("acknowledged_not_lost"), planted);
  }
}

TEST(NoHonestBan, CatchesABanWithoutReason) {
  for (const bool planted : {false, true}) {
    Pool pool;
    populate(pool, planted ? worker_factory<SuspiciousWorker>() : WorkerFactory{});
    pool.run(30s);
    EXPECT_EQ(pool.caught("no_honest_ban"), planted);
  }
}

TEST(QueuesWithinLimits, CatchesAMessageThatIsTooLarge) {
  for (const bool planted : {false, true}) {
    Pool pool;
    populate(pool, planted ? worker_factory<BoundlessWorker>() : WorkerFactory{});
    pool.run(30s);
    EXPECT_EQ(pool.caught("queues_within_limits"), planted);
  }
}

TEST(EveryJobFinishes, CatchesALeaseThatNobodyGets) {
  for (const bool planted : {false, true}) {
    Pool pool;
    pool.workers(4, planted ? spec_of(worker_factory<CarelessLeader>()) : WorkerSpec{});
    pool.submit(Pool::job_of(50, 100ms));
    pool.run_until_finished();
    pool.judgement();
    EXPECT_EQ(pool.caught("every_job_finishes"), planted);
  }
}

TEST(CopiesKept, CatchesACopyThatWasPromisedAndNotMade) {
  for (const bool planted : {false, true}) {
    Pool pool;
    pool.workers(5, planted ? spec_of(worker_factory<EmptyHanded>()) : WorkerSpec{});
    JobSpec spec = Pool::job_of(40, 100ms);
    spec.kernel.output_bytes = 5000;
    JobRun& job = pool.submit(spec);
    ASSERT_TRUE(pool.run_until_finished());
    for (const NodeIndex worker : pool.all_workers()) {
      if (std::count(job.stewards.begin(), job.stewards.end(), worker) > 0) continue;
      pool.world().leave(worker);
      break;
    }
    pool.judgement();
    EXPECT_EQ(pool.caught("copies_kept"), planted);
  }
}

TEST(OverlayConnected, CatchesAWorkerThatKeepsNoLinks) {
  for (const bool planted : {false, true}) {
    Pool pool;
    populate(pool, planted ? worker_factory<Hermit>() : WorkerFactory{});
    pool.judgement();
    EXPECT_EQ(pool.caught("overlay_connected"), planted);
  }
}

TEST(CoordinatorFrugal, CatchesWorkAskedOfACoordinator) {
  for (const bool planted : {false, true}) {
    Pool pool;
    populate(pool, planted ? worker_factory<ConfusedWorker>() : WorkerFactory{});
    pool.run(30s);
    EXPECT_EQ(pool.caught("coordinator_frugal"), planted);
  }
}

TEST(MessagesWithinBudget, CatchesAChatterer) {
  for (const bool planted : {false, true}) {
    Pool pool;
    populate(pool, planted ? worker_factory<ChattyWorker>() : WorkerFactory{});
    pool.submit(Pool::job_of(50, 100ms));
    pool.run_until_finished();
    pool.judgement();
    EXPECT_EQ(pool.caught("messages_within_budget"), planted);
  }
}

TEST(MessagesWithinBudget, CatchesAWorkerThatHidesBehindAQuietPool) {
  for (const bool planted : {false, true}) {
    Pool pool;
    pool.workers(20);
    pool.worker(planted ? spec_of(worker_factory<RestlessWorker>()) : WorkerSpec{});
    pool.submit(Pool::job_of(50, 100ms));
    pool.run_until_finished();
    const std::string judgement = pool.judgement();
    EXPECT_EQ(judgement.find("is a worker's budget") != std::string::npos, planted) << judgement;
    EXPECT_EQ(judgement.find("is the budget"), std::string::npos) << judgement;
  }
}

}  // namespace
}  // namespace shoal::sim
