#include "sdk/core/submitter.h"

#include <algorithm>

#include "tests/unit/sdk/core/submitter_world.h"

namespace shoal {
namespace {

class SubmitterHold : public World {
 protected:
  Receipt verified(std::uint64_t sequence, const JobId& job, Range range,
                   const std::vector<std::string>& outputs) const {
    return receipt_of(sequence, job, range, outputs, {&workers[3], &workers[4]});
  }
  void deliver(const NodeId& from, const Receipt& receipt, const JobId& job) {
    hear(from, Results{job, {encode(receipt)}});
  }
  // What was asked of `node`, which must be one thing.
  ResultsRequest request_to(const NodeId& node) {
    const auto asked = sent<ResultsRequest>(node);
    EXPECT_EQ(asked.size(), 1u);
    return asked.empty() ? ResultsRequest{} : asked.front();
  }
};

TEST_F(SubmitterHold, ReadsFromTheLeaderAndDeliversNoUnitTwice) {
  const Kept job = kept(manifest(4));
  step(WantReceipts{job.job, 1000});
  const ResultsRequest asked = request_to(job.stewards[0]);
  EXPECT_EQ(asked.cursor, 0u);
  EXPECT_EQ(asked.credit_bytes, 1000u);
  EXPECT_TRUE(asked.have.empty());

  const Receipt good = verified(1, job.job, {0, 2}, {"a", "b"});
  deliver(job.stewards[0], good, job.job);
  const auto ready = only<ReceiptReady>();
  EXPECT_EQ(ready.receipt, good);
  EXPECT_EQ(ready.from, job.stewards[0]);
  EXPECT_EQ(ready.fresh, std::vector<Range>({{0, 2}}));
  deliver(job.stewards[0], good, job.job);
  deliver(job.stewards[0], verified(2, job.job, {0, 2}, {"a", "b"}), job.job);
  EXPECT_TRUE(take<ReceiptReady>().empty());
  EXPECT_TRUE(take<ReceiptBad>().empty());
}

TEST_F(SubmitterHold, OfReceiptsThatOverlapOnlyWhatIsNewCounts) {
  const Kept job = kept(manifest(6));
  step(WantReceipts{job.job, 1000});
  deliver(job.stewards[0], verified(1, job.job, {1, 3}, {"b", "c"}), job.job);
  take<ReceiptReady>();
  deliver(job.stewards[0], verified(2, job.job, {0, 4}, {"a", "b", "c", "d"}), job.job);
  const auto ready = only<ReceiptReady>();
  EXPECT_EQ(ready.receipt.range, (Range{0, 4}));
  EXPECT_EQ(ready.fresh, std::vector<Range>({{0, 1}, {3, 4}}));
  EXPECT_EQ(ready.number, 2u);
  deliver(job.stewards[0], verified(3, job.job, {4, 6}, {"e", "f"}), job.job);
  step(CloseJob{job.job});
  const auto over = sent<JobOver>(job.stewards[0]);
  ASSERT_EQ(over.size(), 1u);
  const auto snapshot = decode_snapshot(over[0].snapshot.body);
  EXPECT_EQ(snapshot->verified, 6u);
  // The runs as they were accepted, each with the root of just its units.
  Bytes listed;
  const auto number = [&](std::uint64_t value) {
    for (int shift = 0; shift < 64; shift += 8) {
      listed.push_back(static_cast<std::uint8_t>(value >> shift));
    }
  };
  const auto run = [&](Range range, const std::vector<std::string>& outputs) {
    const Hash256 root = merkle_root(*digests_of(pack(outputs)));
    number(range.first);
    number(range.last);
    listed.insert(listed.end(), root.bytes.begin(), root.bytes.end());
  };
  run({0, 1}, {"a"});
  run({1, 3}, {"b", "c"});
  run({3, 4}, {"d"});
  run({4, 6}, {"e", "f"});
  EXPECT_EQ(snapshot->results, sha256(listed));
}

TEST_F(SubmitterHold, TakesReceiptsFromNobodyWhomItDidNotAsk) {
  const Kept job = kept(manifest(4), 4);
  step(WantReceipts{job.job, 1000});
  for (const KeyPair& worker : workers) {
    if (worker.id() == job.stewards[0]) continue;
    link(worker);
    deliver(worker.id(), verified(1, job.job, {0, 2}, {"a", "b"}), job.job);
  }
  EXPECT_TRUE(take<ReceiptReady>().empty());
}

TEST_F(SubmitterHold, GoesOnWithAFollowerAtOnceWhenTheLeaderIsLost) {
  const Kept job = kept(manifest(6));
  step(WantReceipts{job.job, 1000});
  deliver(job.stewards[0], verified(9, job.job, {1, 3}, {"b", "c"}), job.job);
  actions.clear();
  step(LinkLost{job.stewards[0], "connection reset"});
  const ResultsRequest asked = request_to(job.stewards[1]);
  EXPECT_EQ(asked.cursor, 0u);  // the leader's count means nothing there
  EXPECT_EQ(asked.have, std::vector<Range>({{1, 3}}));
  EXPECT_FALSE(asked.once);
  EXPECT_NE(only<Notice>().text.find("going on with"), std::string::npos);
  deliver(job.stewards[1], verified(3, job.job, {3, 5}, {"d", "e"}), job.job);
  EXPECT_EQ(only<ReceiptReady>().from, job.stewards[1]);
  EXPECT_TRUE(take<JobRefused>().empty());
}

TEST_F(SubmitterHold, RedialsTheLeaderAndReadsFromItAgain) {
  const Kept job = kept(manifest(6));
  step(WantReceipts{job.job, 1000});
  deliver(job.stewards[0], verified(9, job.job, {1, 3}, {"b", "c"}), job.job);
  step(LinkLost{job.stewards[0], "connection reset"});
  actions.clear();
  const Instant lost = now;
  pass();
  EXPECT_EQ(only<Dial>().peer, job.stewards[0]);
  EXPECT_LE(now - lost, Duration(200ms));
  step(LinkLost{job.stewards[0], "connection refused"});
  pass();
  EXPECT_FALSE(take<Dial>().empty());
  link(worker_with(job.stewards[0]));
  const ResultsRequest asked = request_to(job.stewards[0]);
  EXPECT_EQ(asked.cursor, 0u);  // it may have lost its disk, and count anew
  EXPECT_EQ(asked.have, std::vector<Range>({{1, 3}}));
  EXPECT_TRUE(take<JobRefused>().empty());
}

// The links to the followers stand: their count goes on where it was.
TEST_F(SubmitterHold, ACursorIsKeptAsLongAsItsLink) {
  const Kept job = kept(manifest(6));
  step(WantReceipts{job.job, 1000});
  request_to(job.stewards[0]);
  step(LinkLost{job.stewards[0], "connection reset"});
  EXPECT_EQ(request_to(job.stewards[1]).cursor, 0u);
  deliver(job.stewards[1], verified(3, job.job, {0, 1}, {"a"}), job.job);
  pass();
  link(worker_with(job.stewards[0]));
  request_to(job.stewards[0]);
  step(LinkLost{job.stewards[0], "connection reset"});
  const ResultsRequest again = request_to(job.stewards[1]);
  EXPECT_EQ(again.cursor, 3u);
  EXPECT_TRUE(again.have.empty());
}

TEST_F(SubmitterHold, NamesTheLongestRunsWhereItHasMoreThanFit) {
  constexpr std::uint64_t kRuns = limits::kHaveRanges + 10;
  const Kept job = kept(manifest(4 * kRuns));
  step(WantReceipts{job.job, 100'000'000});
  for (std::uint64_t i = 0; i < kRuns; ++i) {
    const bool longer = i % 100 == 0;
    const Range range{4 * i, 4 * i + (longer ? 2 : 1)};
    deliver(job.stewards[0],
            verified(i + 1, job.job, range, std::vector<std::string>(range.size(), "x")), job.job);
  }
  step(LinkLost{job.stewards[0], "connection reset"});
  const ResultsRequest asked = request_to(job.stewards[1]);
  ASSERT_EQ(asked.have.size(), limits::kHaveRanges);
  EXPECT_TRUE(std::is_sorted(asked.have.begin(), asked.have.end()));
  EXPECT_EQ(std::count_if(asked.have.begin(), asked.have.end(),
                          [](const Range& range) { return range.size() == 2; }),
            static_cast<std::ptrdiff_t>((kRuns + 99) / 100));
}

TEST_F(SubmitterHold, ABetterTermSaysWhoLeads) {
  const Kept job = kept(manifest(6));
  step(WantReceipts{job.job, 1000});
  request_to(job.stewards[0]);
  const NodeId winner = job.stewards[1];
  const TermChain terms = elected(job, worker_with(winner), 2);
  hear(winner, TermNotice{job.job, terms, {}});
  const auto changed = only<StewardsChanged>();
  EXPECT_EQ(changed.stewards.front().node, winner);
  EXPECT_EQ(changed.terms, terms);
  EXPECT_EQ(request_to(winner).cursor, 0u);
  hear(winner, TermNotice{job.job, job.terms, {}});  // late
  EXPECT_TRUE(take<StewardsChanged>().empty());
}

TEST_F(SubmitterHold, BelievesNoTermThatNoStewardSigned) {
  const Kept job = kept(manifest(6), 3);
  step(WantReceipts{job.job, 1000});
  actions.clear();
  hear(job.stewards[1], TermNotice{job.job, elected(job, workers[4], 2), {}});
  EXPECT_TRUE(actions.empty());
}

TEST_F(SubmitterHold, AStewardThatReplacedAnotherIsDialled) {
  const Kept job = kept(manifest(6), 3);
  const KeyPair &leader = worker_with(job.stewards[0]), &other = worker_with(job.stewards[1]);
  const Term next{job.job, 2, {leader.id(), other.id(), workers[4].id()}};
  SignedTerm paper{sign_fact(leader, Purpose::kTerm, encode(next)), {}};
  paper.endorsements = {{other.id(), other.sign(Purpose::kTerm, paper.term.body)}};
  hear(leader.id(), TermNotice{job.job, *extended(job.terms, paper), {record(workers[4])}});
  EXPECT_EQ(only<Dial>().peer, workers[4].id());
  const auto changed = only<StewardsChanged>();
  ASSERT_EQ(changed.stewards.size(), 3u);
  EXPECT_EQ(changed.stewards[2].node, workers[4].id());
  EXPECT_NE(changed.stewards[2].endpoint, "");
}

TEST_F(SubmitterHold, AStatusOfALaterTermMakesItAskForTheTerms) {
  const Kept job = kept(manifest(6));
  const NodeId follower = job.stewards[1];
  step(LinkLost{follower, "connection reset"});
  pass();
  link(worker_with(follower));
  JobStatus news = status(job.job);
  news.epoch = 5;
  hear(follower, JobStatusReply{{news}});
  ASSERT_EQ(sent<JobFind>(follower).size(), 1u);
  const TermChain terms = elected(job, worker_with(follower), 5);
  hear(follower, JobFound{job.job, std::nullopt, terms});
  EXPECT_EQ(only<StewardsChanged>().stewards.front().node, follower);
}

// It may withhold them, or not lead any more.
TEST_F(SubmitterHold, AsksTheFollowersWhereNothingComesFromTheLeader) {
  const Kept job = kept(manifest(6));
  step(WantReceipts{job.job, 1000});
  deliver(job.stewards[0], verified(1, job.job, {1, 3}, {"b", "c"}), job.job);
  step(TakenReceipts{job.job, 1});
  actions.clear();
  const Instant start = now;
  std::vector<ResultsRequest> asked;
  while (asked.empty() && now < start + 60s) {
    pass();
    asked = sent<ResultsRequest>(job.stewards[2]);
  }
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_TRUE(asked[0].once);
  EXPECT_EQ(asked[0].have, std::vector<Range>({{1, 3}}));
  EXPECT_LE(now - start, Duration(10s));
  EXPECT_EQ(sent<JobFind>(job.stewards[2]).size(), 1u);
  deliver(job.stewards[2], verified(8, job.job, {3, 6}, {"d", "e", "f"}), job.job);
  EXPECT_EQ(only<ReceiptReady>().from, job.stewards[2]);
}

// Others may have been named in its place, and then it will never have anything.
TEST_F(SubmitterHold, AsksTheOneItReadsFromWhoKeepsTheJobWhereNothingComes) {
  const Kept job = kept(manifest(6, 1), 1);
  step(WantReceipts{job.job, 1000});
  actions.clear();
  const Instant start = now;
  std::vector<JobFind> asked;
  while (asked.empty() && now < start + 60s) {
    pass();
    asked = sent<JobFind>(job.stewards[0]);
  }
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_LE(now - start, Duration(10s));
  EXPECT_TRUE(sent<ResultsRequest>(job.stewards[0]).empty());
}

TEST_F(SubmitterHold, TurnsFromAStewardWhoseReceiptsDoNotHold) {
  const Kept job = kept(manifest(4));
  step(WantReceipts{job.job, 1000});
  actions.clear();
  Receipt bad = verified(1, job.job, {0, 2}, {"a", "b"});
  bad.outputs = pack({"a", "x"});
  deliver(job.stewards[0], bad, job.job);
  EXPECT_EQ(take<ReceiptBad>().size(), 1u);
  EXPECT_EQ(request_to(job.stewards[1]).cursor, 0u);
  deliver(job.stewards[1], verified(1, job.job, {0, 2}, {"a", "b"}), job.job);
  EXPECT_EQ(take<ReceiptReady>().size(), 1u);
}

TEST_F(SubmitterHold, AsksTheOthersWhereOneStewardHasForgottenTheJob) {
  const Kept job = kept(manifest(4));
  step(WantReceipts{job.job, 1000});
  step(LinkLost{job.stewards[0], "connection reset"});
  pass();
  actions.clear();
  link(worker_with(job.stewards[0]));
  request_to(job.stewards[0]);
  actions.clear();
  hear(job.stewards[0], JobStatusReply{});
  EXPECT_TRUE(take<JobRefused>().empty());
  EXPECT_EQ(sent<ResultsRequest>(job.stewards[1]).size(), 1u);
}

TEST_F(SubmitterHold, SaysSoWhenAllHaveForgottenTheJobAndNobodyElseKnowsIt) {
  const Kept job = kept(manifest(4));
  for (const NodeId& node : job.stewards) {
    step(LinkLost{node, "connection reset"});
  }
  pass();
  for (const NodeId& node : job.stewards) {
    link(worker_with(node));
    EXPECT_EQ(sent<JobStatusRequest>(node).size(), 1u);
    EXPECT_TRUE(take<JobRefused>().empty());
    hear(node, JobStatusReply{});
  }
  EXPECT_EQ(sent<JobFind>(job.stewards[0]).size(), 1u);  // it may have heard who keeps it now
  pass_until(now + 10s);
  const auto refused = only<JobRefused>();
  EXPECT_EQ(refused.why, JobRefused::Why::kUnknownJob);
  EXPECT_NE(refused.what.find("do not know it any more"), std::string::npos);
}

TEST_F(SubmitterHold, FindsTheNewStewardsWhereAllOldOnesHaveForgottenTheJob) {
  const Kept job = kept(manifest(4));
  step(WantReceipts{job.job, 1000});
  for (const NodeId& node : job.stewards) step(LinkLost{node, "connection reset"});
  pass();
  for (const NodeId& node : job.stewards) {
    link(worker_with(node));
    hear(node, JobStatusReply{});
  }
  actions.clear();
  const KeyPair &a = worker_with(job.stewards[0]), &b = worker_with(job.stewards[1]);
  const Term next{job.job, 2, {workers[4].id()}};
  SignedTerm paper{sign_fact(a, Purpose::kTerm, encode(next)), {}};
  paper.endorsements = {{b.id(), b.sign(Purpose::kTerm, paper.term.body)}};
  hear(a.id(),
       JobFound{job.job, record(workers[4]), *extended(job.terms, paper), {record(workers[4])}});
  link(workers[4]);
  hear(workers[4].id(), JobStatusReply{{status(job.job)}});
  EXPECT_EQ(only<StewardsChanged>().stewards.front().node, workers[4].id());
  EXPECT_TRUE(take<JobAccepted>().empty());  // the application was told long ago
  request_to(workers[4].id());
  pass_until(now + 20s);
  EXPECT_TRUE(take<JobRefused>().empty());
}

TEST_F(SubmitterHold, WaitsForStewardsThatAreAwayHoweverLongItTakes) {
  const Kept job = kept(manifest(4));
  step(WantReceipts{job.job, 1000});
  for (const NodeId& node : job.stewards) step(LinkLost{node, "connection reset"});
  for (int i = 0; i < 200; ++i) {
    pass();
    for (const NodeId& node : dialled()) step(LinkLost{node, "connection refused"});
  }
  EXPECT_TRUE(take<JobRefused>().empty());
  await_dial(job.stewards[2]);
  actions.clear();
  link(worker_with(job.stewards[2]));
  EXPECT_EQ(sent<ResultsRequest>(job.stewards[2]).size(), 1u);
  EXPECT_NE(only<Notice>().text.find("is back"), std::string::npos);
}

// The one of many that keeps the job by now is asked some time, and few links are held for that.
TEST_F(SubmitterHold, AsksOneAfterTheOtherWhereNoStewardIsLeft) {
  const Kept job = kept(manifest(4, 1), 1);
  step(WantReceipts{job.job, 1000});
  std::map<NodeId, KeyPair> others;
  std::vector<Signed> records;
  for (std::uint8_t n = 101; n <= 140; ++n) {
    others.emplace(key_of(n).id(), key_of(n));
    records.push_back(record(key_of(n)));
  }
  step(LinkLost{job.stewards[0], "connection reset"});
  std::set<NodeId> asked, linked;
  for (int i = 0; i < 2000 && asked.size() < others.size(); ++i) {
    pass();
    for (const Drop& drop : take<Drop>()) linked.erase(drop.peer);
    for (const NodeId& node : dialled()) {
      if (const auto found = others.find(node); found != others.end()) {
        link(found->second);
        linked.insert(node);
      } else if (node == coordinator.id()) {
        introduce(records);
      } else {
        step(LinkLost{node, "connection refused"});
      }
    }
    for (const auto& [node, key] : others) {
      if (sent<JobFind>(node).empty()) continue;
      asked.insert(node);
      hear(node, JobFound{job.job, std::nullopt});
    }
  }
  EXPECT_EQ(asked.size(), others.size());
  EXPECT_LE(linked.size(), 24U);
}

// Two processes with one key take each other's links. They take turns, and those grow longer.
TEST_F(SubmitterHold, ALinkThatBreaksAgainAndAgainIsDialledWithGrowingPauses) {
  const Kept job = kept(manifest(4, 1), 1);
  step(WantReceipts{job.job, 1000});
  const KeyPair& only_one = worker_with(job.stewards[0]);
  Duration pause{};
  for (int i = 0; i < 12; ++i) {
    step(LinkLost{only_one.id(), "the connection was closed"});
    const Instant lost = now;
    await_dial(only_one.id());
    pause = now - lost;
    link(only_one);
  }
  EXPECT_GE(pause, Duration(4s));
  EXPECT_LE(take<Notice>().size(), 2u);
  now = now + 6s;
  step(LinkLost{only_one.id(), "connection reset"});
  const Instant lost = now;
  await_dial(only_one.id());
  EXPECT_LE(now - lost, Duration(200ms));
}

TEST_F(SubmitterHold, TellsAnotherStewardThatTheJobIsOverWhenTheFirstIsLost) {
  const Kept job = kept(manifest(2));
  step(WantReceipts{job.job, 1000});
  deliver(job.stewards[0], verified(1, job.job, {0, 2}, {"a", "b"}), job.job);
  step(CloseJob{job.job});
  EXPECT_EQ(sent<JobOver>(job.stewards[0]).size(), 1u);
  step(LinkLost{job.stewards[0], "connection reset"});
  EXPECT_EQ(sent<JobOver>(job.stewards[1]).size(), 1u);
  EXPECT_TRUE(take<JobClosed>().empty());
  hear(job.stewards[1], JobStatusReply{});
  EXPECT_EQ(only<JobClosed>().job, job.job);
}

// An answer that was asked for before does not show that the snapshot was read.
TEST_F(SubmitterHold, IsNotClosedByAnEarlierAnswer) {
  const Kept job = kept(manifest(2));
  step(WantReceipts{job.job, 1000});
  step(WantStatus{job.job, NodeId{}});
  deliver(job.stewards[0], verified(1, job.job, {0, 2}, {"a", "b"}), job.job);
  step(CloseJob{job.job});
  hear(job.stewards[0], JobStatusReply{{status(job.job)}});
  EXPECT_TRUE(take<JobClosed>().empty());
  hear(job.stewards[0], JobStatusReply{});
  EXPECT_EQ(only<JobClosed>().job, job.job);
}

// A leader could keep it to itself that the job is cancelled.
TEST_F(SubmitterHold, ControlsGoToAllStewardsAndToWhoeverComesBack) {
  const Kept job = kept(manifest(4));
  const auto control = [&](std::uint64_t sequence, ControlCommand command) {
    step(ControlJob{
        sign_fact(me, Purpose::kControl, encode(Control{job.job, sequence, command, 3}))});
  };
  control(1, ControlCommand::kPause);
  control(2, ControlCommand::kPriority);
  for (const NodeId& steward : job.stewards) {
    EXPECT_EQ(sent<ControlRequest>(steward).size(), 2u);
  }
  control(3, ControlCommand::kResume);
  actions.clear();
  step(LinkLost{job.stewards[1], "connection reset"});
  pass();
  link(worker_with(job.stewards[1]));
  const auto again = sent<ControlRequest>(job.stewards[1]);
  ASSERT_EQ(again.size(), 2u);  // the priority, and that it goes on
  EXPECT_EQ(decode_control(again[0].control.body)->sequence, 2u);
  EXPECT_EQ(decode_control(again[1].control.body)->sequence, 3u);
}

TEST_F(SubmitterHold, SkipsAReceiptThatDoesNotHoldAndGoesOn) {
  const auto [job, steward] = held(manifest(4));
  step(WantReceipts{job, 1000});
  Receipt bad = receipt_of(1, job, {0, 2}, {"a", "b"}, {&workers[0], &workers[1]});
  bad.outputs = pack({"a", "x"});
  const Receipt good = receipt_of(2, job, {2, 4}, {"c", "d"}, {&workers[0], &workers[1]});
  hear(steward, Results{job, {encode(bad), Bytes{1, 2, 3}, encode(good)}});
  EXPECT_EQ(take<ReceiptBad>().size(), 2u);
  EXPECT_EQ(only<ReceiptReady>().receipt.range, (Range{2, 4}));
}

TEST_F(SubmitterHold, GivesCreditBackAsReceiptsAreTaken) {
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

TEST_F(SubmitterHold, DeliversFromTheFirstReceiptToOneWhoAttachesAgain) {
  const auto [job, steward] = held(manifest(4));
  step(WantReceipts{job, 1000});
  const Receipt good = receipt_of(1, job, {0, 2}, {"a", "b"}, {&workers[0], &workers[1]});
  hear(steward, Results{job, {encode(good)}});
  pass_until(now + 6s);  // the link is no young one, whose loss is not worth a word
  actions.clear();
  step(AttachJob{job, sign_fact(me, Purpose::kManifest, encode(manifest(4))), {}});
  EXPECT_EQ(only<JobAccepted>().job, job);
  step(WantReceipts{job, 1000});
  EXPECT_EQ(only<Drop>().peer, steward);  // what was on its way must not come first
  step(LinkLost{steward, "dropped"});
  EXPECT_TRUE(take<Notice>().empty()) << "nothing has gone wrong";
  pass();
  EXPECT_EQ(only<Dial>().peer, steward);
  link(worker_with(steward));
  const auto asked = sent<ResultsRequest>(steward);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].cursor, 0u);
  hear(steward, Results{job, {encode(good)}});
  EXPECT_EQ(take<ReceiptReady>().size(), 1u);
}

TEST_F(SubmitterHold, SendsAControlAgainAfterALostLink) {
  const auto [job, steward] = held(manifest(4));
  const Control cancel{job, 1, ControlCommand::kCancel, 0};
  step(ControlJob{sign_fact(me, Purpose::kControl, encode(cancel))});
  EXPECT_EQ(sent<ControlRequest>(steward).size(), 1u);
  step(LinkLost{steward, "connection reset"});
  pass();
  link(worker_with(steward));
  EXPECT_EQ(sent<ControlRequest>(steward).size(), 1u);
}

TEST_F(SubmitterHold, ClosesAJobWithASignedSnapshotOnceAllIsIn) {
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

}  // namespace
}  // namespace shoal
