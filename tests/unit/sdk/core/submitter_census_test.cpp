#include <algorithm>

#include "tests/unit/sdk/core/submitter_world.h"

namespace shoal {
namespace {

using SubmitterCensus = World;

TEST_F(SubmitterCensus, MergesTheStatusOfAllJobsFromAllWorkers) {
  start();
  introduce({record(workers[0]), record(workers[1])});
  actions.clear();
  step(WantStatus{JobId{}, me.id()});
  introduce({record(workers[0]), record(workers[1])});
  for (std::uint8_t i = 0; i < 2; ++i) {
    link(workers[i]);
    EXPECT_EQ(sent<JobStatusRequest>(workers[i].id()).size(), 1u);
    JobStatus status;
    status.job.bytes[0] = static_cast<std::uint8_t>(i + 1);
    status.submitter = me.id();
    hear(workers[i].id(), JobStatusReply{{status}});
  }
  EXPECT_EQ(only<StatusReady>().jobs.size(), 2u);
}

TEST_F(SubmitterCensus, PrefersTheLeaderOfTheLatestTermAndThenWhoKnowsMore) {
  start();
  introduce_workers(4);
  step(WantStatus{JobId{}, me.id()});
  introduce_workers(4);
  JobId job;
  job.bytes[0] = 9;
  const auto report = [&](std::size_t worker, bool leads, std::uint64_t epoch,
                          std::uint64_t verified) {
    link(workers[worker]);
    JobStatus said = status(job);
    said.leads = leads;
    said.epoch = epoch;
    said.verified = verified;
    hear(workers[worker].id(), JobStatusReply{{said}});
  };
  report(0, false, 3, 50);
  report(1, true, 1, 20);  // was cut off
  report(2, true, 3, 40);
  report(3, false, 3, 45);
  const auto ready = only<StatusReady>();
  ASSERT_EQ(ready.jobs.size(), 1u);
  EXPECT_EQ(ready.jobs[0].verified, 40u);
}

TEST_F(SubmitterCensus, AsksTheDoorsForMoreWhereTheyKnowMoreThanOneSampleHolds) {
  start();
  introduce({record(workers[0])});
  actions.clear();
  step(WantStatus{JobId{}, me.id()});
  step(LinkUp{coordinator.id(), Role::kCoordinator, "10.0.0.1", std::nullopt});
  actions.clear();
  hear(coordinator.id(), Sample{{record(workers[1])}, 1, 3});
  EXPECT_TRUE(take<Dial>().empty());  // not before it knows whom to ask
  EXPECT_EQ(sent<SampleRequest>(coordinator.id()).size(), 1u);
  hear(coordinator.id(), Sample{{record(workers[2])}, 1, 3});
  EXPECT_EQ(dialled().size(), 3u);
}

TEST_F(SubmitterCensus, StopsAskingForMoreWhenNobodyNewIsNamed) {
  start();
  introduce({record(workers[0])});
  actions.clear();
  step(WantStatus{JobId{}, me.id()});
  step(LinkUp{coordinator.id(), Role::kCoordinator, "10.0.0.1", std::nullopt});
  actions.clear();
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(take<Dial>().empty());
    hear(coordinator.id(), Sample{{record(workers[0])}, 1, 99});
  }
  EXPECT_EQ(dialled(), std::vector{workers[0].id()});
}

TEST_F(SubmitterCensus, AsksTheStewardsThatAreRememberedAsWell) {
  start();
  introduce({record(workers[0])});
  actions.clear();
  step(WantStatus{JobId{}, me.id(), {{workers[3].id(), "tcp://10.0.0.8:1"}}});
  introduce({record(workers[0])});
  const auto nodes = dialled();
  EXPECT_EQ(std::count(nodes.begin(), nodes.end(), workers[3].id()), 1);
}

TEST_F(SubmitterCensus, OfAJobThatIsHeldTheLeaderIsAsked) {
  const Kept job = kept(manifest(4));
  step(WantStatus{job.job, NodeId{}});
  EXPECT_EQ(sent<JobStatusRequest>(job.stewards[0]).size(), 1u);
  EXPECT_TRUE(actions.empty());
  hear(job.stewards[0], JobStatusReply{{status(job.job)}});
  EXPECT_EQ(only<StatusReady>().jobs.size(), 1u);
}

TEST_F(SubmitterCensus, WithoutTheLeaderAllFollowersAreAsked) {
  const Kept job = kept(manifest(4));
  step(LinkLost{job.stewards[0], "connection reset"});
  actions.clear();
  step(WantStatus{job.job, NodeId{}});
  for (std::size_t i = 1; i < 3; ++i) {
    EXPECT_EQ(sent<JobStatusRequest>(job.stewards[i]).size(), 1u);
  }
}

// Right after a program has begun, who follows may be linked sooner.
// It stands still, and its link has not been missed yet.
TEST_F(SubmitterCensus, WhereTheLeaderDoesNotAnswerItsFollowersAreAsked) {
  const Kept job = kept(manifest(4), 3);
  actions.clear();
  step(WantStatus{job.job, NodeId{}});
  EXPECT_EQ(sent<JobStatusRequest>(job.stewards[0]).size(), 1u);
  pass_until(now + 2s);
  EXPECT_TRUE(take<StatusReady>().empty());
  for (std::size_t i = 1; i < 3; ++i) {
    EXPECT_EQ(sent<JobStatusRequest>(job.stewards[i]).size(), 1u);
    JobStatus cancelled = status(job.job);
    cancelled.phase = JobPhase::kCancelled;
    hear(job.stewards[i], JobStatusReply{{cancelled}});
  }
  const StatusReady ready = only<StatusReady>();
  ASSERT_EQ(ready.jobs.size(), 1u);
  EXPECT_EQ(ready.jobs[0].phase, JobPhase::kCancelled);
  // Where nobody answers, that is said.
  step(WantStatus{job.job, NodeId{}});
  pass_until(now + 5s);
  EXPECT_TRUE(only<StatusReady>().jobs.empty());
}

TEST_F(SubmitterCensus, ALeaderThatIsOnlyLateIsWaitedFor) {
  const Kept job = kept(manifest(4));
  step(LinkLost{job.stewards[0], "connection reset"});
  actions.clear();
  step(WantStatus{job.job, NodeId{}});
  for (std::size_t i = 1; i < 3; ++i) {
    hear(job.stewards[i], JobStatusReply{{status(job.job)}});
  }
  EXPECT_TRUE(take<StatusReady>().empty());
  pass();
  link(worker_with(job.stewards[0]));
  JobStatus said = status(job.job);
  said.leads = true;
  hear(job.stewards[0], JobStatusReply{{said}});
  EXPECT_TRUE(only<StatusReady>().jobs.at(0).leads);
}

// A worker that was restarted listens at another port than is remembered of it.
TEST_F(SubmitterCensus, WhoIsNotWhereItWasIsAskedWhereItIs) {
  start();
  introduce({record(workers[0])});
  actions.clear();
  step(WantStatus{JobId{}, me.id(), {{workers[0].id(), "tcp://10.0.0.8:1"}}});
  introduce({record(workers[0])});
  const auto dials = [&] {
    const auto nodes = dialled();
    return std::count(nodes.begin(), nodes.end(), workers[0].id());
  };
  ASSERT_EQ(dials(), 1);
  step(LinkLost{workers[0].id(), "connection refused"});
  EXPECT_EQ(dials(), 1) << "at its other endpoint";
  EXPECT_TRUE(take<StatusReady>().empty());
  step(LinkLost{workers[0].id(), "connection refused"});
  EXPECT_EQ(dials(), 0);
  EXPECT_TRUE(only<StatusReady>().jobs.empty());
}

}  // namespace
}  // namespace shoal
