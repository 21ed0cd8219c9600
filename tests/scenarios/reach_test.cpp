#include <gtest/gtest.h>

#include "tests/sim/pool.h"

// Some machines cannot be dialled, and their owners need not know. They are workers like any other.
namespace shoal::sim {
namespace {

// Behind a router: its record names an endpoint at which nobody else reaches it.
WorkerSpec hidden() {
  WorkerSpec spec;
  spec.dialable = false;
  spec.knows = false;
  return spec;
}

std::uint64_t relayed_links(Pool& pool) {
  std::uint64_t relayed = 0;
  for (const NodeIndex worker : pool.all_workers()) {
    relayed += pool.world().node(worker).peer->status().links_relayed;
  }
  return relayed;
}

TEST(Reach, EverybodyFindsOutWhetherHeCanBeDialled) {
  Pool pool;
  pool.workers(4);
  pool.workers(4, hidden());
  pool.run(60s);
  for (const NodeIndex worker : pool.all_workers()) {
    const Node& node = pool.world().node(worker);
    const bool dialable = node.worker.dialable;
    EXPECT_EQ(node.peer->status().reachability,
              dialable ? Reachability::kReachable : Reachability::kUnreachable);
    EXPECT_EQ(node.peer->via().empty(), dialable);
  }
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Reach, HiddenWorkersComputeAndVerify) {
  Pool pool;
  pool.workers(2);
  pool.workers(4, hidden());
  pool.run(60s);
  JobRun& job = pool.submit(Pool::job_of(400, 200ms, 3));
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 400U);
  for (const NodeIndex worker : pool.all_workers()) {
    EXPECT_GT(pool.world().node(worker).units_computed, 100U) << "of 1200 by six";
  }
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Reach, HiddenWorkersStealFromEachOther) {
  Pool pool;
  pool.workers(2);
  WorkerSpec slow = hidden();
  slow.speed = 0.05;
  pool.workers(3, slow);
  pool.workers(3, hidden());
  pool.run(60s);
  JobRun& job = pool.submit(Pool::job_of(800, 200ms));
  bool relayed = false;
  pool.world().run_until([&] { return relayed = relayed || relayed_links(pool) > 0, job.done(); },
                         600s);
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 800U);
  EXPECT_TRUE(relayed) << "thieves and victims that nobody can dial meet through a relay";
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Reach, OneWorkerThatCanBeDialledIsEnough) {
  Pool pool;
  pool.worker();
  pool.workers(5, hidden());
  pool.run(60s);
  JobRun& job = pool.submit(Pool::job_of(200, 200ms));
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.verified.size(), 200U);
  EXPECT_EQ(pool.judgement(), "");
}

// Neither they nor the submitter can be dialled, and content goes over no relay: a copy is made
// where both reach it.
TEST(Reach, LargeResultsThatOnlyHiddenWorkersHoldReachASubmitterWhoIsHiddenToo) {
  Pool pool;
  WorkerSpec slow;
  slow.speed = 0.01;
  pool.worker(slow);
  pool.workers(4, hidden());
  pool.run(60s);
  JobSpec spec = Pool::job_of(60, 200ms);
  spec.kernel.output_bytes = 20'000;
  JobRun& job = pool.submit(spec);
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.fetched, 60U);
  EXPECT_LT(Pool::seconds_of(job), 60);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Reach, ARelayThatDiesIsReplaced) {
  Pool pool;
  pool.workers(3);
  const NodeIndex worker = pool.worker(hidden());
  pool.run(60s);
  const auto via = [&] { return pool.world().node(worker).peer->via(); };
  ASSERT_EQ(via().size(), 3U);
  const NodeIndex dead = *pool.world().index_of(via()[0].node);
  pool.stop(dead);
  pool.run(30s);
  EXPECT_EQ(via().size(), 2U);
  pool.restart(dead);
  pool.run(120s);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Reach, AStewardIsChosenAmongThoseThatCanBeDialled) {
  Pool pool;
  const NodeIndex open = pool.worker();
  pool.workers(5, hidden());
  pool.run(200s);  // until the coordinator has their newest records
  JobRun& job = pool.submit(Pool::job_of(30, 100ms));
  EXPECT_EQ(job.steward, open);
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(pool.judgement(), "");
}

}  // namespace
}  // namespace shoal::sim
