#include "sdk/core/submitter.h"

#include <algorithm>

#include "tests/unit/sdk/core/submitter_world.h"

namespace shoal {
namespace {

using SubmitterTest = World;

TEST_F(SubmitterTest, LearnsOfPeersAndLeavesTheCoordinator) {
  start();
  EXPECT_EQ(only<Dial>().peer, coordinator.id());
  introduce({record(workers[0])});
  EXPECT_EQ(only<Drop>().peer, coordinator.id());
  EXPECT_TRUE(actions.empty());
}

TEST_F(SubmitterTest, BelievesNoForgedExpiredOrForeignRecord) {
  start();
  Signed forged = record(workers[0]);
  forged.signature.bytes[5] ^= 1;
  NodeRecord old = *decode_record(record(workers[1]).body);
  old.sequence -= 601'000;
  NodeRecord foreign = *decode_record(record(workers[2]).body);
  foreign.pool.bytes[0] ^= 1;
  const std::vector<Signed> bad = {forged, sign_fact(workers[1], Purpose::kRecord, encode(old)),
                                   sign_fact(workers[2], Purpose::kRecord, encode(foreign))};
  submit(manifest(10, 1));
  introduce(bad);
  pass_until(now + 10s);
  EXPECT_EQ(only<JobRefused>().why, JobRefused::Why::kNoPeers);
}

TEST_F(SubmitterTest, SaysThatNoCoordinatorAnswers) {
  start();
  submit(manifest(10));
  const Instant asked = now;
  for (int i = 0; i < 100 && now < asked + 3s; ++i) {
    step(LinkLost{coordinator.id(), "connection refused"});
    pass();
  }
  const auto refused = only<JobRefused>();
  EXPECT_EQ(refused.why, JobRefused::Why::kNoCoordinator);
  EXPECT_NE(refused.what.find("tcp://10.0.0.1:7000"), std::string::npos);
  EXPECT_GE(now, asked + 3s);
}

TEST_F(SubmitterTest, SaysThatAPoolIsEmpty) {
  start();
  submit(manifest(10));
  introduce({});
  EXPECT_TRUE(take<JobRefused>().empty());
  pass_until(now + 4s);
  EXPECT_EQ(only<JobRefused>().why, JobRefused::Why::kNoPeers);
}

TEST_F(SubmitterTest, SaysThatATicketWithoutDoorsLeadsNowhere) {
  start(false);
  submit(manifest(10));
  pass_until(now + 4s);
  EXPECT_EQ(only<JobRefused>().why, JobRefused::Why::kNoCoordinator);
}

TEST_F(SubmitterTest, ServesTheContentOfItsJobsAndNothingElse) {
  Manifest m = manifest(10);
  m.inputs = content_id(as_bytes("inputs"));
  m.inputs_bytes = 6;
  const auto [job, steward] = held(m);
  hear(steward, BlockRequest{*m.inputs, 6, 0});
  const auto read = only<ReadBlock>();
  EXPECT_EQ(read.id, *m.inputs);
  EXPECT_EQ(read.reader, steward);
  hear(steward, BlockRequest{content_id(as_bytes("a diary")), 7, 0});
  EXPECT_TRUE(take<ReadBlock>().empty());
  const auto blocks = sent<Block>(steward);
  ASSERT_EQ(blocks.size(), 1u);
  EXPECT_TRUE(blocks[0].missing);
}

TEST_F(SubmitterTest, AsksTheHoldersOfALargeOutput) {
  const Kept job = kept(manifest(3), 4);
  const auto idle = std::find_if(workers.begin(), workers.end(), [&](const KeyPair& worker) {
    return std::count(job.stewards.begin(), job.stewards.end(), worker.id()) == 0;
  });
  const NodeId other = idle->id();
  const ContentId content = content_id(as_bytes("large"));
  step(WantOutput{job.job, content, 5, {other}});
  EXPECT_EQ(only<Dial>().peer, other);
  EXPECT_EQ(only<OpenContent>().id, content);
  step(ContentOpened{content, 5, true, {}});
  const auto ready = only<OutputReady>();
  EXPECT_EQ(ready.content, content);
  EXPECT_EQ(ready.error, "");
}

TEST_F(SubmitterTest, ListsWorkersEvenIfOneDoesNotAnswer) {
  start();
  introduce({record(workers[0]), record(workers[1])});
  actions.clear();
  step(WantWorkers{});
  introduce({record(workers[0]), record(workers[1])});
  link(workers[0]);
  EXPECT_EQ(sent<WorkerStatusRequest>(workers[0].id()).size(), 1u);
  WorkerStatus status;
  status.units_computed = 77;
  hear(workers[0].id(), status);
  EXPECT_TRUE(take<WorkersReady>().empty());
  pass_until(now + 3s);
  const auto ready = only<WorkersReady>();
  ASSERT_EQ(ready.workers.size(), 2u);
  EXPECT_EQ(ready.coordinators_up, 1u);
  EXPECT_EQ(std::count_if(ready.workers.begin(), ready.workers.end(),
                          [](const auto& seen) { return seen.status.has_value(); }),
            1);
}

TEST_F(SubmitterTest, SurvivesGarbageFromItsSteward) {
  const auto [job, steward] = held(manifest(4));
  actions.clear();
  step(Received{steward, Bytes(100, 0xff)});
  EXPECT_EQ(only<Drop>().peer, steward);
  pass();
  EXPECT_EQ(only<Dial>().peer, steward);
}

}  // namespace
}  // namespace shoal
