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

TEST_F(SubmitterTest, HandsAJobToAWorkerAndReportsItsAcceptance) {
  held(manifest(10));
  EXPECT_TRUE(take<JobRefused>().empty());
}

TEST_F(SubmitterTest, AJobOnAWarmLinkGoesOutAtOnce) {
  const auto [first, steward] = held(manifest(10, 1), 1);
  Manifest another = manifest(10, 1);
  another.nonce[0] = 1;
  submit(another);
  EXPECT_TRUE(take<Dial>().empty());
  EXPECT_EQ(sent<Submit>(steward).size(), 1u);
}

TEST_F(SubmitterTest, ChoosesTheStrongestWorkerAsSteward) {
  start();
  introduce({record(workers[0], 2), record(workers[1], 64), record(workers[2], 4)});
  take<Dial>();
  submit(manifest(10));
  EXPECT_EQ(only<Dial>().peer, workers[1].id());
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

TEST_F(SubmitterTest, RefusesAQuorumLargerThanThePoolAtOnce) {
  start();
  introduce({record(workers[0]), record(workers[1])});
  submit(manifest(10, 3));
  // The pool is asked once more, in case a worker has just come; and then nothing is waited for.
  introduce({record(workers[0]), record(workers[1])});
  const auto refused = only<JobRefused>();
  EXPECT_EQ(refused.why, JobRefused::Why::kQuorumTooLarge);
  EXPECT_NE(refused.what.find("2 workers"), std::string::npos);
}

TEST_F(SubmitterTest, WaitsForAQuorumWhereAsked) {
  start();
  introduce({record(workers[0]), record(workers[1])});
  submit(manifest(10, 3), true);
  introduce({record(workers[0]), record(workers[1])});
  EXPECT_TRUE(take<JobRefused>().empty());
  EXPECT_FALSE(take<Notice>().empty());
  pass_until(now + 20s);
  EXPECT_TRUE(take<JobRefused>().empty());
  actions.clear();
  step(LinkUp{coordinator.id(), Role::kCoordinator, "10.0.0.1", std::nullopt});
  hear(coordinator.id(), Sample{{record(workers[2])}, 2, 3});
  auto dials = take<Dial>();
  ASSERT_FALSE(dials.empty());
  EXPECT_NE(dials.back().peer, coordinator.id());
}

TEST_F(SubmitterTest, NamesTheKernelsThatAreOffered) {
  start();
  introduce({record(workers[0]), record(workers[1])});
  Manifest m = manifest(10);
  m.kernel = "aling";
  submit(m);
  introduce({record(workers[0]), record(workers[1])});
  const auto refused = only<JobRefused>();
  EXPECT_EQ(refused.why, JobRefused::Why::kUnknownKernel);
  EXPECT_NE(refused.what.find("align, ising"), std::string::npos);
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

TEST_F(SubmitterTest, TriesAnotherStewardWhenOneIsLostBeforeItAccepts) {
  start();
  introduce({record(workers[0]), record(workers[1])});
  take<Dial>();
  const JobId job = submit(manifest(10));
  const NodeId first = only<Dial>().peer;
  link(worker_with(first));
  sent<Submit>(first);
  step(LinkLost{first, "connection reset"});
  const NodeId second = only<Dial>().peer;
  EXPECT_NE(first, second);
  link(worker_with(second));
  EXPECT_EQ(sent<Submit>(second).size(), 1u);
  hear(second, SubmitReply{job, SubmitOutcome::kAccepted, ""});
  EXPECT_EQ(only<JobAccepted>().steward.node, second);
}

TEST_F(SubmitterTest, SaysWhoseKeyWasNotTrustedWhenNobodyTrustsIt) {
  start();
  introduce({record(workers[0]), record(workers[1])});
  take<Dial>();
  Manifest m = manifest(10);
  m.kernel_kind = KernelKind::kNative;
  m.program = content_id(as_bytes("a program"));
  m.program_bytes = 9;
  const JobId job = submit(m);
  for (int i = 0; i < 2; ++i) {
    const NodeId steward = only<Dial>().peer;
    link(worker_with(steward));
    EXPECT_TRUE(take<JobRefused>().empty());
    hear(steward, SubmitReply{job, SubmitOutcome::kNotTrusted, ""});
  }
  const auto refused = only<JobRefused>();
  EXPECT_EQ(refused.why, JobRefused::Why::kNotTrusted);
  EXPECT_NE(refused.what.find(to_hex(me.id())), std::string::npos);
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

TEST_F(SubmitterTest, DeliversReceiptsThatHoldAndNoUnitTwice) {
  const auto [job, steward] = held(manifest(4));
  step(WantReceipts{job, 1000});
  const auto asked = sent<ResultsRequest>(steward);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].cursor, 0u);
  EXPECT_EQ(asked[0].credit_bytes, 1000u);

  const Receipt good = receipt_of(1, job, {0, 2}, {"a", "b"}, {&workers[0], &workers[1]});
  hear(steward, Results{job, {encode(good)}});
  EXPECT_EQ(only<ReceiptReady>().receipt, good);
  hear(steward, Results{job, {encode(good)}});
  Receipt again = good;
  again.sequence = 2;
  hear(steward, Results{job, {encode(again)}});
  EXPECT_TRUE(take<ReceiptReady>().empty());
  const Receipt across = receipt_of(3, job, {1, 3}, {"b", "c"}, {&workers[0], &workers[1]});
  hear(steward, Results{job, {encode(across)}});
  EXPECT_TRUE(take<ReceiptReady>().empty());
  EXPECT_EQ(take<ReceiptBad>().size(), 1u);
}

TEST_F(SubmitterTest, SkipsAReceiptThatDoesNotHoldAndGoesOn) {
  const auto [job, steward] = held(manifest(4));
  step(WantReceipts{job, 1000});
  Receipt bad = receipt_of(1, job, {0, 2}, {"a", "b"}, {&workers[0], &workers[1]});
  bad.outputs = pack({"a", "x"});
  const Receipt good = receipt_of(2, job, {2, 4}, {"c", "d"}, {&workers[0], &workers[1]});
  hear(steward, Results{job, {encode(bad), Bytes{1, 2, 3}, encode(good)}});
  EXPECT_EQ(take<ReceiptBad>().size(), 2u);
  EXPECT_EQ(only<ReceiptReady>().receipt.range, (Range{2, 4}));
}

TEST_F(SubmitterTest, TakesReceiptsFromTheStewardAlone) {
  const auto [job, steward] = held(manifest(4));
  const KeyPair& other = steward == workers[0].id() ? workers[1] : workers[0];
  link(other);
  const Receipt good = receipt_of(1, job, {0, 2}, {"a", "b"}, {&workers[0], &workers[1]});
  hear(other.id(), Results{job, {encode(good)}});
  EXPECT_TRUE(take<ReceiptReady>().empty());
}

TEST_F(SubmitterTest, GivesCreditBackAsReceiptsAreTaken) {
  const auto [job, steward] = held(manifest(100));
  const Receipt first = receipt_of(1, job, {0, 1}, {"a"}, {&workers[0], &workers[1]});
  const std::uint64_t size = encode(first).size();
  step(WantReceipts{job, 2 * size});
  sent<ResultsRequest>(steward);
  const Receipt second = receipt_of(2, job, {1, 2}, {"b"}, {&workers[0], &workers[1]});
  hear(steward, Results{job, {encode(first), encode(second)}});
  EXPECT_TRUE(sent<ResultsRequest>(steward).empty());
  step(TakenReceipts{job, 1});
  const auto asked = sent<ResultsRequest>(steward);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].cursor, 2u);
  EXPECT_EQ(asked[0].credit_bytes, size);
}

TEST_F(SubmitterTest, ComesBackToALostStewardWhereItLeftOff) {
  const auto [job, steward] = held(manifest(4));
  step(WantReceipts{job, 1000});
  hear(steward,
       Results{job, {encode(receipt_of(1, job, {0, 2}, {"a", "b"}, {&workers[0], &workers[1]}))}});
  actions.clear();
  step(LinkLost{steward, "connection reset"});
  EXPECT_FALSE(take<Notice>().empty());
  const Instant lost = now;
  pass();
  EXPECT_EQ(only<Dial>().peer, steward);
  EXPECT_LE(now - lost, Duration(200ms));
  step(LinkLost{steward, "connection refused"});
  pass();
  EXPECT_FALSE(take<Dial>().empty());
  link(worker_with(steward));
  const auto asked = sent<ResultsRequest>(steward);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].cursor, 1u);
}

TEST_F(SubmitterTest, SaysSoWhenTheStewardHasForgottenTheJob) {
  const auto [job, steward] = held(manifest(4));
  step(LinkLost{steward, "connection reset"});
  pass();
  link(worker_with(steward));
  EXPECT_EQ(sent<JobStatusRequest>(steward).size(), 1u);
  hear(steward, JobStatusReply{});
  EXPECT_EQ(only<JobRefused>().why, JobRefused::Why::kUnknownJob);
}

TEST_F(SubmitterTest, AttachesThroughARememberedSteward) {
  start();
  const Signed fact = sign_fact(me, Purpose::kManifest, encode(manifest(4)));
  const JobId job = job_id_of(fact.body);
  take<Dial>();
  step(AttachJob{job, fact, Ticket::Door{workers[0].id(), "tcp://10.0.0.9:1"}});
  EXPECT_EQ(only<Dial>().endpoint, "tcp://10.0.0.9:1");
  link(workers[0]);
  EXPECT_EQ(sent<JobStatusRequest>(workers[0].id()).size(), 1u);
  JobStatus status;
  status.job = job;
  hear(workers[0].id(), JobStatusReply{{status}});
  EXPECT_EQ(only<JobAccepted>().steward.node, workers[0].id());
}

TEST_F(SubmitterTest, AttachesThroughPeersThatKnowTheSteward) {
  start();
  const Signed fact = sign_fact(me, Purpose::kManifest, encode(manifest(4)));
  const JobId job = job_id_of(fact.body);
  step(AttachJob{job, fact, std::nullopt});
  take<Dial>();
  introduce({record(workers[0])});
  EXPECT_EQ(only<Dial>().peer, workers[0].id());
  link(workers[0]);
  EXPECT_EQ(sent<JobFind>(workers[0].id()).size(), 1u);
  hear(workers[0].id(), JobFound{job, record(workers[3])});
  EXPECT_EQ(only<Dial>().peer, workers[3].id());
  link(workers[3]);
  JobStatus status;
  status.job = job;
  hear(workers[3].id(), JobStatusReply{{status}});
  EXPECT_EQ(only<JobAccepted>().steward.node, workers[3].id());
}

TEST_F(SubmitterTest, AttachesNothingWithoutItsManifest) {
  start();
  const Signed fact = sign_fact(me, Purpose::kManifest, encode(manifest(4)));
  step(AttachJob{job_id_of(fact.body), std::nullopt, std::nullopt});
  EXPECT_EQ(only<JobRefused>().why, JobRefused::Why::kUnknownJob);
  Signed changed = fact;
  changed.signature.bytes[0] ^= 1;
  step(AttachJob{job_id_of(fact.body), changed, std::nullopt});
  EXPECT_EQ(only<JobRefused>().why, JobRefused::Why::kUnknownJob);
}

TEST_F(SubmitterTest, GivesUpOnAJobThatNobodyKnows) {
  start();
  const Signed fact = sign_fact(me, Purpose::kManifest, encode(manifest(4)));
  step(AttachJob{job_id_of(fact.body), fact, std::nullopt});
  introduce({record(workers[0])});
  link(workers[0]);
  hear(workers[0].id(), JobFound{job_id_of(fact.body), std::nullopt});
  pass_until(now + 10s);
  EXPECT_EQ(only<JobRefused>().why, JobRefused::Why::kUnknownJob);
}

TEST_F(SubmitterTest, DeliversFromTheFirstReceiptToOneWhoAttachesAgain) {
  const auto [job, steward] = held(manifest(4));
  step(WantReceipts{job, 1000});
  const Receipt good = receipt_of(1, job, {0, 2}, {"a", "b"}, {&workers[0], &workers[1]});
  hear(steward, Results{job, {encode(good)}});
  actions.clear();
  step(AttachJob{job, sign_fact(me, Purpose::kManifest, encode(manifest(4))), std::nullopt});
  EXPECT_EQ(only<JobAccepted>().job, job);
  step(WantReceipts{job, 1000});
  EXPECT_EQ(only<Drop>().peer, steward);  // what was on its way must not come first
  step(LinkLost{steward, "dropped"});
  pass();
  EXPECT_EQ(only<Dial>().peer, steward);
  link(worker_with(steward));
  const auto asked = sent<ResultsRequest>(steward);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].cursor, 0u);
  hear(steward, Results{job, {encode(good)}});
  EXPECT_EQ(take<ReceiptReady>().size(), 1u);
}

TEST_F(SubmitterTest, SendsAControlAgainAfterALostLink) {
  const auto [job, steward] = held(manifest(4));
  const Control cancel{job, 1, ControlCommand::kCancel, 0};
  step(ControlJob{sign_fact(me, Purpose::kControl, encode(cancel))});
  EXPECT_EQ(sent<ControlRequest>(steward).size(), 1u);
  step(LinkLost{steward, "connection reset"});
  pass();
  link(worker_with(steward));
  EXPECT_EQ(sent<ControlRequest>(steward).size(), 1u);
}

TEST_F(SubmitterTest, ClosesAJobWithASignedSnapshotOnceAllIsIn) {
  const auto [job, steward] = held(manifest(3));
  step(WantReceipts{job, 10'000});
  const Receipt first = receipt_of(1, job, {0, 2}, {"a", "b"}, {&workers[0], &workers[1]});
  hear(steward, Results{job, {encode(first)}});
  step(CloseJob{job});
  EXPECT_TRUE(take<JobClosed>().empty());
  Receipt failed;
  failed.sequence = 2;
  failed.range = {2, 3};
  failed.end = UnitEnd::kFailed;
  failed.failures = {sign_fact(
      workers[0], Purpose::kFailure,
      encode(Failure{job, workers[0].id(), 2, FailureKind::kThrew, "no convergence", ""}))};
  hear(steward, Results{job, {encode(failed)}});
  step(CloseJob{job});
  const auto over = sent<JobOver>(steward);
  ASSERT_EQ(over.size(), 1u);
  EXPECT_TRUE(signature_holds(checker, Purpose::kSnapshot, over[0].snapshot));
  EXPECT_TRUE(take<JobClosed>().empty());  // the steward has not read it yet
  hear(steward, JobStatusReply{});
  const auto closed = only<JobClosed>();
  EXPECT_EQ(closed.snapshot.verified, 2u);
  EXPECT_EQ(closed.snapshot.failed, 1u);
  EXPECT_EQ(*decode_snapshot(over[0].snapshot.body), closed.snapshot);
}

TEST_F(SubmitterTest, AsksTheHoldersOfALargeOutput) {
  const auto [job, steward] = held(manifest(3));
  const NodeId other = steward == workers[0].id() ? workers[1].id() : workers[0].id();
  const ContentId content = content_id(as_bytes("large"));
  step(WantOutput{job, content, 5, {other}});
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

TEST_F(SubmitterTest, MergesTheStatusOfAllJobsFromAllWorkers) {
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
