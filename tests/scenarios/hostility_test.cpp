#include <gtest/gtest.h>

#include "tests/sim/pool.h"

// Some workers are hostile, and the results are true.
namespace shoal::sim {
namespace {

TEST(Hostility, ALiarIsOutvotedAndOnlyItsUnitsAreComputedAThirdTime) {
  Pool pool;
  pool.workers(5);
  const NodeIndex liar = pool.hostile(Behaviour::kWrongDigest);
  JobRun& job = pool.submit(Pool::job_of(400, 100ms));
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 400U);
  const std::uint64_t lied = pool.world().node(liar).units_computed;
  EXPECT_GT(lied, 0U);
  // Each of its units once more; some slack for what is doubled near the end.
  EXPECT_LE(pool.units_computed(), 2 * 400 + lied + 400 / 10);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Hostility, ACopierIsShownNothing) {
  Pool pool;
  pool.workers(5);
  pool.hostile(Behaviour::kCopier);
  JobRun& job = pool.submit(Pool::job_of(200, 100ms));
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 200U);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Hostility, AnEquivocatorConvincesNobody) {
  Pool pool;
  pool.workers(5);
  pool.hostile(Behaviour::kEquivocator);
  JobRun& job = pool.submit(Pool::job_of(200, 100ms));
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 200U);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Hostility, TwoColludersDoNotDefeatAQuorumOfThree) {
  Pool pool;
  pool.workers(7);
  pool.hostile(Behaviour::kColluder);
  pool.hostile(Behaviour::kColluder);
  JobRun& job = pool.submit(Pool::job_of(150, 100ms, 3));
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 150U);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Hostility, ReplayedMessagesChangeNothing) {
  Pool pool;
  pool.workers(4);
  pool.hostile(Behaviour::kReplayer);
  pool.hostile(Behaviour::kReplayer);
  JobRun& job = pool.submit(Pool::job_of(200, 100ms));
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 200U);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Hostility, WhatAFreeRiderHoldsIsComputedByOthers) {
  Pool pool;
  pool.workers(4);
  pool.hostile(Behaviour::kFreeRider);
  JobRun& job = pool.submit(Pool::job_of(200, 100ms));
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 200U);
  EXPECT_EQ(pool.judgement(), "");
}

// All of it, again and again: whoever has committed nothing is given no more than to begin with.
TEST(Hostility, WhoHoardsUnitsAndComputesNoneDoesNotStarveTheJob) {
  const auto takes = [](int hoarders) {
    Pool pool;
    pool.workers(6);
    for (int i = 0; i < hoarders; ++i) pool.hostile(Behaviour::kHoarder);
    JobRun& job = pool.submit(Pool::job_of(3000, 100ms));
    const Time begun = pool.world().now();
    EXPECT_TRUE(pool.run_until_finished(7200s));
    EXPECT_EQ(job.verified.size(), 3000U);
    const Duration taken(pool.world().now() - begun);
    EXPECT_EQ(pool.judgement(), "");
    return taken;
  };
  const Duration alone = takes(0);
  for (const int hoarders : {1, 2}) EXPECT_LT(takes(hoarders), 2 * alone);
}

TEST(Hostility, GarbageIsNoise) {
  Pool pool;
  pool.workers(4);
  pool.hostile(Behaviour::kGarbage);
  pool.hostile(Behaviour::kGarbage);
  JobRun& job = pool.submit(Pool::job_of(200, 100ms));
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 200U);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Hostility, AForgingStewardIsNotBelieved) {
  Pool pool;
  for (int i = 0; i < 4; ++i) pool.hostile(Behaviour::kForger);
  JobRun& job = pool.submit(Pool::job_of(50, 100ms));
  EXPECT_FALSE(pool.run_until_finished(120s));
  EXPECT_GT(job.bad_receipts, 0U);
  EXPECT_FALSE(pool.caught("accepted_is_true"));
}

}  // namespace
}  // namespace shoal::sim
