#include "sdk/core/submitter.h"

#include <algorithm>

#include "tests/unit/sdk/core/submitter_world.h"

namespace shoal {
namespace {

class SubmitterLocate : public World {
 protected:
  SubmitterLocate() {
    fact = sign_fact(me, Purpose::kManifest, encode(manifest(4)));
    job = job_id_of(fact.body);
    for (std::size_t i = 0; i < 3; ++i) stewards.push_back(workers[i].id());
    terms = {{sign_fact(me, Purpose::kTerm, encode(Term{job, 1, stewards})), {}}};
  }
  static Ticket::Door door(const KeyPair& worker) {
    return {worker.id(), "tcp://10.0.0.8:" + std::to_string(9000 + worker.id().bytes[0])};
  }
  std::vector<Ticket::Door> doors() const {
    return {door(workers[0]), door(workers[1]), door(workers[2])};
  }
  // Nobody is remembered, and the coordinator knows one worker.
  void attach_through_a_stranger(std::optional<Signed> known) {
    start();
    step(AttachJob{job, std::move(known), {}});
    take<Dial>();
    introduce({record(workers[4])});
    EXPECT_EQ(dialled(), std::vector{workers[4].id()});
    link(workers[4]);
  }

  Signed fact;
  JobId job;
  std::vector<NodeId> stewards;
  TermChain terms;
};

TEST_F(SubmitterLocate, AsksAllRememberedStewardsAtOnce) {
  start();
  take<Dial>();
  step(AttachJob{job, fact, doors(), terms});
  const auto dials = take<Dial>();
  ASSERT_EQ(dials.size(), 3u);
  EXPECT_EQ(dials[0].endpoint, door(workers[0]).endpoint);
  link(workers[2]);
  EXPECT_EQ(sent<JobStatusRequest>(stewards[2]).size(), 1u);
  hear(stewards[2], JobStatusReply{{status(job)}});
  const auto accepted = only<JobAccepted>();
  ASSERT_EQ(accepted.stewards.size(), 3u);
  EXPECT_EQ(accepted.stewards[0].node, stewards[0]);  // it leads, whoever answered
  EXPECT_EQ(accepted.terms, terms);
  EXPECT_FALSE(accepted.manifest.has_value());
}

TEST_F(SubmitterLocate, ReadsFromTheStewardThatIsThereUntilTheLeaderIs) {
  start();
  step(AttachJob{job, fact, doors(), terms});
  step(WantReceipts{job, 1000});
  link(workers[1]);
  hear(stewards[1], JobStatusReply{{status(job)}});
  EXPECT_EQ(sent<ResultsRequest>(stewards[1]).size(), 1u);
  link(workers[0]);
  EXPECT_EQ(sent<ResultsRequest>(stewards[0]).size(), 1u);
}

TEST_F(SubmitterLocate, ARememberedChainThatDoesNotHoldIsNotBelieved) {
  start();
  const TermChain good = terms;
  terms[0].term.signature.bytes[0] ^= 1;
  step(AttachJob{job, fact, doors(), terms});
  link(workers[0]);
  hear(stewards[0], JobFound{job, std::nullopt, terms, {}});
  hear(stewards[0], JobStatusReply{{status(job)}});
  EXPECT_TRUE(take<JobAccepted>().empty());
  hear(stewards[0], JobFound{job, std::nullopt, good, {}});
  hear(stewards[0], JobStatusReply{{status(job)}});
  EXPECT_EQ(only<JobAccepted>().terms, good);
}

TEST_F(SubmitterLocate, OneRememberedStewardThatForgotTheJobIsNotTheLastWord) {
  start();
  step(AttachJob{job, fact, doors(), terms});
  link(workers[0]);
  hear(stewards[0], JobStatusReply{});
  EXPECT_TRUE(take<JobRefused>().empty());
  link(workers[1]);
  hear(stewards[1], JobStatusReply{{status(job)}});
  EXPECT_EQ(only<JobAccepted>().job, job);
}

TEST_F(SubmitterLocate, AsksEverybodyOnceAllRememberedStewardsAreSilent) {
  start();
  introduce({record(workers[4])});
  take<Dial>();
  take<Drop>();
  step(AttachJob{job, fact, doors(), terms});
  take<Dial>();
  step(LinkLost{stewards[0], "connection refused"});
  step(LinkLost{stewards[1], "connection refused"});
  EXPECT_TRUE(take<Dial>().empty());
  step(LinkLost{stewards[2], "connection refused"});
  const auto nodes = dialled();
  EXPECT_EQ(std::count(nodes.begin(), nodes.end(), workers[4].id()), 1);
}

TEST_F(SubmitterLocate, AsksEverybodyWhenTheRememberedStewardsTakeLong) {
  start();
  introduce({record(workers[4])});
  actions.clear();
  step(AttachJob{job, fact, doors(), terms});
  const Instant asked = now;
  pass();
  const auto nodes = dialled();
  EXPECT_EQ(std::count(nodes.begin(), nodes.end(), workers[4].id()), 1);
  EXPECT_LE(now - asked, Duration(1s));
}

TEST_F(SubmitterLocate, AStrangerTellsWhoKeepsTheJob) {
  attach_through_a_stranger(fact);
  const auto asked = sent<JobFind>(workers[4].id());
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_FALSE(asked[0].with_manifest);
  hear(workers[4].id(), JobFound{job,
                                 record(workers[0]),
                                 terms,
                                 {record(workers[0]), record(workers[1]), record(workers[2])}});
  EXPECT_EQ(dialled(), stewards);
  link(workers[1]);
  EXPECT_TRUE(take<JobAccepted>().empty());
  hear(stewards[1], JobStatusReply{{status(job)}});
  EXPECT_EQ(only<JobAccepted>().terms, terms);
}

TEST_F(SubmitterLocate, ARumourOfALeaderIsFollowedAndAskedAndNotBelieved) {
  attach_through_a_stranger(fact);
  hear(workers[4].id(), JobFound{job, record(workers[3])});
  EXPECT_EQ(dialled(), std::vector{workers[3].id()});
  link(workers[3]);
  EXPECT_EQ(sent<JobFind>(workers[3].id()).size(), 1u);
  // It could be anybody, and would deliver what it and friends of its have signed.
  hear(workers[3].id(), JobStatusReply{{status(job)}});
  EXPECT_TRUE(take<JobAccepted>().empty());
  hear(workers[4].id(), JobFound{job, std::nullopt, terms, {record(workers[0])}});
  link(workers[0]);
  hear(stewards[0], JobStatusReply{{status(job)}});
  EXPECT_EQ(only<JobAccepted>().stewards.front().node, stewards[0]);
}

// On another machine, with the key, the ticket and the job's id.
TEST_F(SubmitterLocate, TheManifestComesFromThePoolAndProvesItself) {
  attach_through_a_stranger(std::nullopt);
  const auto asked = sent<JobFind>(workers[4].id());
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_TRUE(asked[0].with_manifest);
  Signed forged = fact;
  forged.signature.bytes[3] ^= 1;
  hear(workers[4].id(), JobFound{job, record(workers[0]), terms, {record(workers[0])}, forged});
  actions.clear();
  hear(workers[4].id(), JobFound{job, record(workers[0]), terms, {record(workers[0])}, fact});
  link(workers[0]);
  EXPECT_FALSE(sent<JobFind>(stewards[0]).at(0).with_manifest);
  hear(stewards[0], JobStatusReply{{status(job)}});
  const auto accepted = only<JobAccepted>();
  ASSERT_TRUE(accepted.manifest.has_value());
  EXPECT_EQ(*accepted.manifest, fact);
  step(WantReceipts{job, 1000});
  hear(stewards[0],
       Results{job, {encode(receipt_of(1, job, {0, 2}, {"a", "b"}, {&workers[3], &workers[4]}))}});
  EXPECT_EQ(take<ReceiptReady>().size(), 1u);
}

TEST_F(SubmitterLocate, AManifestOfAnotherJobIsNotTaken) {
  attach_through_a_stranger(std::nullopt);
  const Signed other = sign_fact(me, Purpose::kManifest, encode(manifest(5)));
  hear(workers[4].id(), JobFound{job, record(workers[0]), {}, {}, other});
  link(workers[0]);
  hear(stewards[0], JobStatusReply{{status(job)}});
  EXPECT_TRUE(take<JobAccepted>().empty());
  pass_until(now + 10s);
  const auto refused = only<JobRefused>();
  EXPECT_EQ(refused.why, JobRefused::Why::kUnknownJob);
  EXPECT_NE(refused.what.find("nobody gave its manifest"), std::string::npos);
}

TEST_F(SubmitterLocate, AJobOfAnotherKeyIsNotGivenToThisOne) {
  const Signed theirs = sign_fact(workers[3], Purpose::kManifest, encode(manifest(9)));
  job = job_id_of(theirs.body);
  attach_through_a_stranger(std::nullopt);
  hear(workers[4].id(), JobFound{job, record(workers[0]), {}, {}, theirs});
  pass_until(now + 10s);
  const auto refused = only<JobRefused>();
  EXPECT_EQ(refused.why, JobRefused::Why::kUnknownJob);
  EXPECT_NE(refused.what.find(to_hex(workers[3].id())), std::string::npos);
}

// It has the same id, and its signature holds.
TEST_F(SubmitterLocate, AManifestThatAnotherHasSignedAsWellStopsNobody) {
  attach_through_a_stranger(std::nullopt);
  const Signed copied = sign_fact(workers[4], Purpose::kManifest, fact.body);
  hear(workers[4].id(), JobFound{job, record(workers[0]), {}, {}, copied});
  link(workers[0]);
  hear(stewards[0], JobFound{job, record(workers[0]), terms, {}, fact});
  hear(stewards[0], JobStatusReply{{status(job)}});
  EXPECT_EQ(*only<JobAccepted>().manifest, fact);
}

TEST_F(SubmitterLocate, AttachesNothingWithAManifestThatWasChanged) {
  start();
  Signed changed = fact;
  changed.signature.bytes[0] ^= 1;
  step(AttachJob{job, changed, {}});
  EXPECT_EQ(only<JobRefused>().why, JobRefused::Why::kUnknownJob);
}

TEST_F(SubmitterLocate, GivesUpOnAJobThatNobodyKnows) {
  attach_through_a_stranger(fact);
  hear(workers[4].id(), JobFound{job, std::nullopt});
  pass_until(now + 10s);
  EXPECT_EQ(only<JobRefused>().why, JobRefused::Why::kUnknownJob);
}

TEST_F(SubmitterLocate, NamesTheStewardsThatItCouldNotReach) {
  start();
  step(AttachJob{job, fact, doors(), terms});
  introduce({record(workers[4])});
  await_dial(workers[4].id());
  link(workers[4]);
  const Instant asked = now;
  while (now < asked + 10s && submitter->next_deadline()) {
    pass();
    for (const NodeId& node : dialled()) {
      if (node != coordinator.id()) step(LinkLost{node, "connection refused"});
    }
  }
  const auto refused = only<JobRefused>();
  EXPECT_EQ(refused.why, JobRefused::Why::kUnknownJob);
  for (const Ticket::Door& each : doors()) {
    EXPECT_NE(refused.what.find(each.endpoint), std::string::npos) << refused.what;
  }
}

}  // namespace
}  // namespace shoal
