#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "tests/sim/pool.h"

// Leaders that are there and do not lead: the next in rank goes on, and the job ends.
namespace shoal::sim {
namespace {

// Told to stall, it goes on beating and says how it is, and hands out nothing any more.
class StallingWorker final : public PlainWorker {
 public:
  using Stalled = std::shared_ptr<std::set<NodeId>>;
  StallingWorker(WorkerParts parts, Stalled stalled)
      : StallingWorker(parts.signer.id(), std::move(parts), std::move(stalled)) {}
  PeerActions step(Instant now, PeerEvent event) override {
    PeerActions actions = PlainWorker::step(now, std::move(event));
    if (!stalled_->contains(self_)) return actions;
    std::erase_if(actions, [](const PeerAction& action) {
      const auto* send = std::get_if<Send>(&action);
      const auto message = decode(send == nullptr ? ByteView() : ByteView(send->bytes));
      return message && (std::holds_alternative<LeaseGrant>(*message) ||
                         std::holds_alternative<NoWork>(*message) ||
                         std::holds_alternative<RejoinReply>(*message) ||
                         std::holds_alternative<TransferReply>(*message));
    });
    return actions;
  }

 private:
  StallingWorker(NodeId self, WorkerParts&& parts, Stalled stalled)
      : PlainWorker(std::move(parts)), self_(self), stalled_(std::move(stalled)) {}
  NodeId self_;
  Stalled stalled_;
};

bool leads(Pool& pool, NodeIndex worker) {
  const auto jobs = pool.world().node(worker).peer->jobs_led();
  return std::any_of(jobs.begin(), jobs.end(), [](const JobStatus& job) { return job.leads; });
}

TEST(Leaders, OneWhoseDiskHangsIsFollowedByTheNext) {
  Pool pool;
  pool.workers(5);
  JobRun& job = pool.submit(Pool::job_of(300, 200ms));
  ASSERT_TRUE(pool.run_until_ended(job, 40));
  const NodeIndex first = job.stewards[0];
  const NodeIndex second = job.stewards[1];
  pool.world().hang_disk(first);
  pool.run(10s);
  EXPECT_FALSE(leads(pool, first));
  EXPECT_TRUE(leads(pool, second));
  ASSERT_TRUE(pool.run_until_finished(120s)) << "while the disk still hangs";
  EXPECT_EQ(job.verified.size(), 300U);
  pool.world().free_disk(first);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Leaders, OneWhoseDiskIsFullIsFollowedByTheNext) {
  Pool pool;
  pool.workers(5);
  JobRun& job = pool.submit(Pool::job_of(300, 200ms));
  ASSERT_TRUE(pool.run_until_ended(job, 40));
  const NodeIndex first = job.stewards[0];
  pool.world().fill_disk(first);
  ASSERT_TRUE(pool.run_until_finished(120s)) << "while the disk is still full";
  EXPECT_FALSE(leads(pool, first));
  EXPECT_EQ(job.verified.size(), 300U);
  pool.world().make_room(first);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Leaders, WhereAllDisksHangTheJobWaitsAndThenEnds) {
  Pool pool;
  pool.workers(4);
  JobRun& job = pool.submit(Pool::job_of(200, 200ms));
  ASSERT_TRUE(pool.run_until_ended(job, 40));
  for (const NodeIndex steward : job.stewards) pool.world().hang_disk(steward);
  pool.run(60s);
  EXPECT_FALSE(job.done());
  for (const NodeIndex steward : job.stewards) pool.world().free_disk(steward);
  ASSERT_TRUE(pool.run_until_finished(120s));
  EXPECT_EQ(job.verified.size(), 200U);
  EXPECT_EQ(pool.judgement(), "");
}

TEST(Leaders, OneThatBeatsAndHandsOutNothingIsFollowed) {
  const auto stalled = std::make_shared<std::set<NodeId>>();
  Pool pool;
  WorkerSpec spec;
  spec.factory = [&](WorkerParts parts) {
    return std::make_unique<StallingWorker>(std::move(parts), stalled);
  };
  pool.workers(5, spec);
  JobRun& job = pool.submit(Pool::job_of(300, 200ms));
  ASSERT_TRUE(pool.run_until_ended(job, 40));
  const NodeIndex first = job.stewards[0];
  stalled->insert(pool.world().node(first).id);
  ASSERT_TRUE(pool.run_until_finished(180s));
  EXPECT_FALSE(leads(pool, first));
  EXPECT_EQ(job.verified.size(), 300U);
  EXPECT_EQ(pool.judgement(), "");
}

}  // namespace
}  // namespace shoal::sim
