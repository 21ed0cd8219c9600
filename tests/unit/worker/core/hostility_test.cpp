#include <gtest/gtest.h>

#include <algorithm>

#include "node/protocol/hash.h"
#include "node/protocol/receipt_check.h"
#include "tests/unit/worker/core/pool.h"
#include "worker/core/job_led.h"
#include "worker/core/labor.h"

// Peers that say what no honest one would: it ends no unit, and takes no more room than a table
// has.
namespace shoal {
namespace {

using test::honest;
using test::PlainSigner;
using test::Pool;
using test::status_at;
using test::true_output;

// What two keys that nobody has given anything can sign of their own accord.
Receipt forged(const JobId& job, Range range) {
  Receipt receipt;
  receipt.sequence = 1;
  receipt.range = range;
  receipt.outputs.sizes.assign(range.size(), 1);
  receipt.outputs.inline_bytes.assign(range.size(), 'x');
  const Hash256 root = merkle_root(*digests_of(receipt.outputs));
  for (std::uint8_t n : {50, 51}) {
    const PlainSigner key(n);
    const Hash256 salt = commitment_salt(key, job, range);
    const Commitment commitment{.job = job,
                                .worker = key.id(),
                                .range = range,
                                .sealed = commitment_seal(job, key.id(), range, salt, root)};
    receipt.supports.push_back(
        {.commitment = sign_fact(key, Purpose::kCommitment, encode(commitment)),
         .salt = salt,
         .root = root,
         .digests = {},
         .proof = {}});
  }
  return receipt;
}

TEST(Hostility, TheLedgerOfWhoHasNeverKeptTheJobIsNotRead) {
  Pool pool(4);
  const Manifest manifest = pool.manifest(100, 2);
  const JobId job = pool.submit({1, 2, 3}, manifest);
  const Receipt receipt = forged(job, {0, 100});
  ASSERT_EQ(receipt_fault(manifest, job, receipt, pool.checker()), "");
  const TermChain terms{pool.term(pool.submitter(), job, 1, {1, 2, 3})};
  const TermChain own{pool.term(PlainSigner(4), job, 1, {4})};
  for (const TermChain& chain : {terms, own}) {
    pool.say_as(4, 1, TermNotice{.job = job, .terms = chain, .records = {}});
    pool.say_as(4, 1, Results{.job = job, .receipts = {encode(receipt)}});
    EXPECT_EQ(status_at(pool, 1).verified, 0U);
  }
}

TEST(Hostility, OutputsPastTheJobsLimitEndNoUnit) {
  Pool pool(5);
  Manifest manifest = pool.manifest(60, 2);
  manifest.output_bytes_max = 10;
  const JobId job = pool.submit(1, manifest);
  pool.want_receipts(1, job);
  pool.run([](std::size_t n, UnitIndex unit) -> std::optional<Bytes> {
    return n == 2 || n == 3 ? Bytes(11, 'x') : true_output(unit);
  });
  RangeSet verified;
  for (const Receipt& receipt : pool.receipts()) {
    EXPECT_EQ(receipt_fault(manifest, job, receipt, pool.checker()), "");
    if (receipt.end == UnitEnd::kVerified) verified.add(receipt.range);
  }
  EXPECT_EQ(verified, RangeSet(Range{0, 60}));
}

TEST(Hostility, WhoIsNoWorkerIsGivenNoUnits) {
  Pool pool(1);
  const JobId job = pool.submit(1, pool.manifest(100, 2));
  pool.say(1, WorkRequest{.job = job, .threads = 1});
  EXPECT_TRUE(pool.all_heard<LeaseGrant>().empty());
}

// Replicas of one unit come from different address blocks.
struct Blocks : testing::Test {
  Blocks() {
    pool.addresses = {{2, "5.5.5.1"}, {3, "5.5.5.2"}, {4, "6.6.6.1"}};
    for (std::size_t n = 2; n <= 4; ++n) {
      pool.cut(1, n);
      pool.link(1, n);
    }
    Manifest manifest = pool.manifest(8, 2);
    manifest.distinct_blocks = true;
    job = pool.submit(1, manifest);
  }
  // The leader itself is in no block.
  void compute(std::initializer_list<std::size_t> workers) {
    for (int round = 0; round < 40; ++round) {
      for (std::size_t n : workers) pool.compute(n, honest);
      pool.wait(1s);
    }
  }
  Pool pool{4};
  JobId job;
};

TEST_F(Blocks, TwoOfOneBlockVerifyNothingForEachOther) {
  compute({2, 3});
  EXPECT_EQ(status_at(pool, 1).verified, 0U);
  compute({2, 3, 4});
  EXPECT_EQ(status_at(pool, 1).verified, 8U);
}

TEST_F(Blocks, WhereAWorkerWasSeenIsNotForgottenWhenItLeaves) {
  for (bool any = true; any;) any = pool.compute(2, honest);
  pool.say_as(2, 1, EnlistReply{.job = job, .accepted = false, .detail = "no more"});
  pool.cut(1, 2);
  compute({3});
  pool.link(1, 2);
  compute({2, 3});
  EXPECT_EQ(status_at(pool, 1).verified, 0U);
}

TEST(Hostility, AnAnswerToNoQuestionHasNobodyJudgeAnew) {
  Pool pool(3);
  Manifest manifest = pool.manifest(1, 2);
  manifest.comparison = Comparison::kEquivalent;
  const JobId job = pool.submit(1, manifest);
  const auto own_output = [](std::size_t n, UnitIndex) { return Bytes{std::uint8_t(n)}; };
  std::vector<std::size_t> judges;
  for (int round = 0; round < 20 && judges.empty(); ++round) {
    for (std::size_t n = 1; n <= 3; ++n) pool.compute(n, own_output);
    for (std::size_t n = 1; n <= 3; ++n) {
      if (pool.to_judge(n) > 0) judges.push_back(n);
    }
    pool.pass(1s);
  }
  ASSERT_EQ(judges.size(), 2U);
  const std::size_t liar = judges[1];
  const std::size_t asked = pool.sent["CompareRequest"];
  const ComparisonVerdict verdict{
      .job = job, .worker = pool.id(liar), .unit = 0, .digests = {Hash256{}}, .all_match = false};
  const PlainSigner key(static_cast<std::uint8_t>(liar));
  for (int i = 0; i < 5; ++i) {
    pool.say_as(liar, 1, CompareReply{sign_fact(key, Purpose::kComparison, encode(verdict))});
  }
  EXPECT_EQ(pool.sent["CompareRequest"], asked);
  for (std::size_t n : judges) pool.judge(n);
  EXPECT_EQ(status_at(pool, 1).verified, 1U);
}

// The tables are looked at after every message: see Pool::settle().
TEST(Hostility, WhoAsksAndLeavesIsForgotten) {
  Pool pool(2);
  const JobId job = pool.submit(1, pool.manifest(1, 1));
  const auto visit = [&] {
    for (std::uint8_t n = 100; n < 110; ++n) {
      const NodeId visitor = PlainSigner(n).id();
      pool.hear(1, LinkUp{.peer = visitor, .role = Role::kWorker, .address = "", .record = {}});
      pool.hear(1, Received{.peer = visitor, .bytes = encode(Message(WorkRequest{.job = job}))});
      pool.hear(1, LinkLost{.peer = visitor, .why = "it has seen enough"});
    }
  };
  visit();
  pool.wait(5s);
  pool.run(honest);
  EXPECT_EQ(status_at(pool, 1).verified, 1U);
  visit();
}

// The one that it took from has nothing left by then, and so no leases to report.
TEST(Hostility, AThiefThatTellsTheLeaderNothingKeepsNobodyWaiting) {
  Pool pool(4);
  std::uint64_t taken = 0;
  pool.meddle = [&](std::size_t from, std::size_t to, Message& message) {
    const auto* reply = std::get_if<StealReply>(&message);
    if (reply != nullptr && to == 4 && reply->transfer) {
      const auto transfer = decode_transfer(reply->transfer->body);
      for (const Range range : transfer->ranges) taken += range.size();
    }
    return from != 4 || !std::holds_alternative<TransferNotice>(message);
  };
  const JobId job = pool.submit(1, pool.manifest(4000, 1));
  pool.want_receipts(1, job);
  for (int i = 0; i < 3; ++i) {
    for (std::size_t n = 1; n <= 4; ++n) pool.compute(n, honest);
  }
  // Worker 2 sits on what it was given until the thief has taken some of it.
  for (int i = 0; i < 2000 && taken == 0; ++i) {
    for (std::size_t n : {1, 3, 4}) pool.compute(n, honest);
  }
  ASSERT_GT(taken, 0u);
  Duration idle{};
  while (status_at(pool, 1).verified < 4000 && idle < 300s) {
    bool any = false;
    for (std::size_t n : {1, 2, 3}) any |= pool.compute(n, honest);
    if (any) continue;
    pool.pass(100ms);
    idle += 100ms;
  }
  EXPECT_LT(idle, 5s);
}

TEST(Hostility, LootThatNobodyAskedForHasAnEnd) {
  Pool pool(3);
  const JobId job = pool.submit(1, pool.manifest(100'000, 2));
  for (int round = 0; round < 10; ++round) pool.compute(2, honest);
  pool.freeze(1);  // who would say that nothing of it is worker 3's to give
  Transfer transfer{
      .job = job, .epoch = 1, .lease = 1'000, .ranges = {}, .from = pool.id(3), .to = pool.id(2)};
  for (int i = 0; i < 2'400; ++i) {
    ++transfer.lease;
    transfer.ranges = {{90'000, 90'001}};
    if (i % 2 == 0) transfer.ranges = {{200'000, 200'001}};  // no unit of the job
    pool.say_as(
        3, 2,
        StealReply{.job = job,
                   .transfer = sign_fact(PlainSigner(3), Purpose::kTransfer, encode(transfer)),
                   .duration_ms = 60'000});
  }
  pool.thaw(1);
  pool.peer(2).check_invariants();  // no more leases than it can report, settled or not
}

TEST(Hostility, LootOfOnesOwnLeaseTakesNothingAway) {
  Pool pool(3);
  const JobId job = pool.submit(1, pool.manifest(100'000, 2));
  std::uint64_t lease = 0;
  std::vector<Range> ranges;
  pool.meddle = [&](std::size_t, std::size_t to, Message& message) {
    const auto* grant = std::get_if<LeaseGrant>(&message);
    if (grant != nullptr && to == 2 && grant->kind == LeaseKind::kPrimary &&
        !grant->ranges.empty()) {
      lease = grant->lease;
      ranges = grant->ranges;
    }
    return true;
  };
  for (int round = 0; round < 10; ++round) pool.compute(2, honest);
  ASSERT_NE(lease, 0U);
  const Range last = ranges.back();
  const Transfer transfer{.job = job,
                          .epoch = 1,
                          .lease = lease,
                          .ranges = {{last.last - 1, last.last}},
                          .from = pool.id(3),
                          .to = pool.id(2)};
  const std::uint64_t backlog = pool.peer(2).status().backlog_units;
  ASSERT_GT(backlog, 0U);
  pool.say_as(
      3, 2,
      StealReply{.job = job,
                 .transfer = sign_fact(PlainSigner(3), Purpose::kTransfer, encode(transfer)),
                 .duration_ms = 60'000});
  pool.peer(2).check_invariants();  // it computes all that it holds
  EXPECT_EQ(pool.peer(2).status().backlog_units, backlog);
}

TEST(Hostility, JobsThatWereMadeUpDoNotKeepOutOthers) {
  const Pool pool(1);
  const PeerConfig config = pool.config();
  const PlainSigner self(1);
  Membership membership(config, self, pool.checker(), Rng(1));
  Custody custody(config, pool.checker(), self.id());
  Labor labor(config, self, pool.checker(), membership, custody, Rng(1));
  Outbox out(self.id());
  const auto news_of = [](std::uint8_t leader, std::uint64_t n) {
    WorkAvailable news;
    for (std::size_t byte = 0; byte < 8; ++byte) news.job.bytes[byte] = std::uint8_t(n >> 8 * byte);
    news.leader.signer = PlainSigner(leader).id();
    return news;
  };
  for (std::uint64_t n = 0; n < limits::kJobsKnown; ++n) {
    ASSERT_TRUE(labor.hear_of(Instant{}, self.id(), news_of(std::uint8_t(100 + n % 100), n), out))
        << n;
  }
  const WorkAvailable real = news_of(7, limits::kJobsKnown);
  EXPECT_TRUE(labor.hear_of(Instant{}, real.leader.signer, real, out));
  EXPECT_EQ(labor.leader_of(real.job), real.leader.signer);
  labor.check_invariants();
}

// Units that one leader gave in a run have ended one by one under another: what is left of the run
// is in more pieces than a message may list.
struct Pieces : testing::Test {
  Pieces() {
    job.start(out);
    job.lead(Instant{}, 1, out);
    job.worker_here(worker, 1, "", std::nullopt);
    for (UnitIndex unit = 0; unit < kUnits; unit += 2) job.merge(ended({unit, unit + 1}), out);
    sent();
  }
  static Receipt ended(Range range) {
    Receipt receipt;
    receipt.range = range;
    receipt.end = UnitEnd::kFailed;
    return receipt;
  }
  void rejoin(std::initializer_list<Range> given) {
    Rejoin rejoin{.job = job.id(), .epoch = 1, .parts = {}, .threads = 1, .unit_ns = 0};
    std::uint64_t lease = 0;
    for (Range range : given) {
      const Grant grant{.job = job.id(),
                        .epoch = 0,
                        .lease = ++lease,
                        .kind = LeaseKind::kPrimary,
                        .ranges = {range},
                        .worker = worker};
      rejoin.parts.push_back(
          {.grant = sign_fact(signer, Purpose::kGrant, encode(grant)), .held = {range}});
    }
    job.on_rejoin(Instant{}, worker, rejoin, out);
  }
  std::vector<Message> sent() {
    std::vector<Message> messages;
    for (PeerAction& action : out.take()) {
      if (const auto* send = std::get_if<Send>(&action)) messages.push_back(*decode(send->bytes));
    }
    return messages;
  }
  static constexpr UnitIndex kUnits = 16'384;
  PeerConfig config;
  PlainSigner signer{7};
  test::PlainChecker checker;
  StewardContext context{
      .self = signer.id(), .config = config, .signer = signer, .checker = checker};
  Manifest manifest = [] {
    Manifest what;
    what.units = kUnits;
    return what;
  }();
  JobLed job{context, sign_fact(signer, Purpose::kManifest, encode(manifest)), manifest, Rng(1)};
  Outbox out{signer.id()};
  const NodeId worker = PlainSigner(8).id();
};

TEST_F(Pieces, OfALeaseThatIsBroughtAreTakenOverAsFarAsAMessageCanSay) {
  rejoin({{0, kUnits}});
  job.check_invariants();
  const std::vector<Message> messages = sent();
  const auto* reply = std::get_if<RejoinReply>(&messages.at(0));
  ASSERT_NE(reply, nullptr);
  ASSERT_EQ(reply->leases.size(), 1U);
  EXPECT_EQ(decode_grant(reply->leases[0].grant.body)->ranges.size(), limits::kRangesPerMessage);
  EXPECT_EQ(job.status(Instant{}).leased, limits::kRangesPerMessage);
}

TEST_F(Pieces, AreRevokedInAsManyMessagesAsThatTakes) {
  rejoin({{0, kUnits / 2}, {kUnits / 2, kUnits}});
  ASSERT_EQ(job.status(Instant{}).leased, kUnits / 2);
  sent();
  job.merge(ended({0, kUnits}), out);
  std::uint64_t revoked = 0;
  for (const Message& message : sent()) {
    if (const auto* revoke = std::get_if<LeaseRevoke>(&message)) revoked += revoke->ranges.size();
  }
  EXPECT_EQ(revoked, kUnits / 2);
}

TEST_F(Pieces, ThatFailAreKeptWithinALimit) {
  const NodeId other = PlainSigner(9).id();  // who could compute them yet
  Manifest many = manifest;
  many.units = 2 * kFailingUnitsMax;
  JobLed large{context, sign_fact(signer, Purpose::kManifest, encode(many)), many, Rng(1)};
  large.start(out);
  large.lead(Instant{}, 1, out);
  large.worker_here(worker, 1, "", std::nullopt);
  large.worker_here(other, 1, "", std::nullopt);
  const Range all{0, many.units};
  const Grant grant{.job = large.id(), .epoch = 0, .lease = 1, .ranges = {all}, .worker = worker};
  Rejoin rejoin{.job = large.id(), .epoch = 1, .parts = {}, .threads = 1, .unit_ns = 0};
  rejoin.parts = {{.grant = sign_fact(signer, Purpose::kGrant, encode(grant)), .held = {all}}};
  large.on_rejoin(Instant{}, worker, rejoin, out);
  Failure failure;
  failure.job = large.id();
  failure.worker = worker;
  for (; failure.unit < kFailingUnitsMax + 10; ++failure.unit) {
    const Signed fact = sign_fact(PlainSigner(8), Purpose::kFailure, encode(failure));
    large.on_failure(Instant{}, worker, fact, out);
  }
  large.check_invariants();
  EXPECT_EQ(large.status(Instant{}).failed, 0U);
  EXPECT_EQ(large.status(Instant{}).leased, many.units - failure.unit)
      << "the others can be given again";
}

// Their submitter has taken all there is: they make room for others, on the disk as well.
TEST(Hostility, JobsThatAreOverFillNoDiskAndKeepOutNobody) {
  Pool pool(1);
  Manifest manifest = pool.manifest(1, 2);
  manifest.keep_s = 0;
  std::size_t most = 0;
  for (std::size_t n = 0; n < limits::kJobsLed + 50; ++n) {
    manifest.nonce[0] = static_cast<std::uint8_t>(n);
    manifest.nonce[1] = static_cast<std::uint8_t>(n >> 8);
    const JobId job = pool.submit(1, manifest);
    if (n + 1 == limits::kJobsLed) most = pool.facts_on_disk(1);
    const Snapshot all{.job = job, .verified = 1, .failed = 0, .disputed = 0, .results = {}};
    pool.say(1, JobOver{sign_fact(pool.submitter(), Purpose::kSnapshot, encode(all))});
  }
  EXPECT_LT(pool.facts_on_disk(1), most + 50);
  pool.restart(1);
  EXPECT_LE(pool.peer(1).jobs_led().size(), limits::kJobsLed);
  pool.heard.clear();
  pool.submit(1, pool.manifest(2, 2));
  const auto replies = pool.all_heard<SubmitReply>();
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_EQ(replies[0].outcome, SubmitOutcome::kAccepted) << replies[0].detail;
}

TEST(Hostility, WhatASubmitterWantsAgainAndAgainFillsNoDisk) {
  Pool pool(2);
  const JobId job = pool.submit({1, 2}, pool.manifest(100, 2));
  const std::size_t before = pool.facts_on_disk(2);
  Control control{.job = job, .sequence = 0, .command = {}, .priority = 0};
  for (control.sequence = 1; control.sequence <= 1'000; ++control.sequence) {
    control.command = control.sequence % 2 == 0 ? ControlCommand::kPause : ControlCommand::kResume;
    if (control.sequence > 600) control.command = ControlCommand::kPriority;
    control.priority = static_cast<std::int32_t>(control.sequence);
    pool.say(1, ControlRequest{sign_fact(pool.submitter(), Purpose::kControl, encode(control))});
  }
  EXPECT_LT(pool.facts_on_disk(2), before + 100);
  pool.restart(2);
  EXPECT_EQ(status_at(pool, 2).phase, JobPhase::kPaused);
  EXPECT_EQ(status_at(pool, 2).priority, 1'000);
}

// Worker 2 says that it leads a job, gives units of it and takes them back.
struct FickleLeader : testing::Test {
  FickleLeader() {
    pool.meddle = [](std::size_t from, std::size_t, Message&) { return from != 2; };
    pool.say_as(2, 1, WorkAvailable{.job = job, .leader = pool.record(2), .terms = {}});
  }
  void give_and_take_back(std::uint64_t lease, const std::optional<Signed>& shown) {
    const Range range{0, 10};
    const Grant grant{.job = job,
                      .epoch = 1,
                      .lease = lease,
                      .kind = LeaseKind::kPrimary,
                      .ranges = {range},
                      .worker = pool.id(1)};
    LeaseGrant message{.job = job,
                       .epoch = 1,
                       .lease = lease,
                       .ranges = {range},
                       .duration_ms = 60'000,
                       .manifest = shown,
                       .terms = {}};
    if (shown) message.terms = {pool.term(pool.submitter(), job, 1, {2})};
    message.grant = sign_fact(PlainSigner(2), Purpose::kGrant, encode(grant));
    pool.say_as(2, 1, message);
    pool.say_as(2, 1, LeaseRevoke{.job = job, .ranges = {range}});
    pool.wait(100ms);
  }
  Pool pool{2};
  const Signed manifest =
      sign_fact(pool.submitter(), Purpose::kManifest, encode(pool.manifest(1'000, 2)));
  const JobId job = job_id_of(manifest.body);
};

TEST_F(FickleLeader, WhoseJobNobodyHasSeenHasNothingStored) {
  for (std::uint64_t lease = 1; lease <= 100; ++lease) give_and_take_back(lease, std::nullopt);
  EXPECT_EQ(pool.facts_on_disk(1), 0U);
}

TEST_F(FickleLeader, FillsNoDiskWithItsPapers) {
  for (std::uint64_t lease = 1; lease <= 2'000; ++lease) give_and_take_back(lease, manifest);
  EXPECT_LT(pool.facts_on_disk(1), 1'000U);
  pool.restart(1);
  pool.peer(1).check_invariants();
}

// Worker 2 leads a job, as it says, and gives units of it that cannot be begun; worker 1 leads one
// as any other does.
struct IdleHands : testing::Test {
  IdleHands() { pool.paused = {1, 2}; }
  void give_units_of(const Manifest& manifest, Range range) {
    pool.meddle = [](std::size_t from, std::size_t, Message&) { return from != 2; };
    const Signed fact = sign_fact(pool.submitter(), Purpose::kManifest, encode(manifest));
    const JobId job = job_id_of(fact.body);
    const TermChain terms{pool.term(pool.submitter(), job, 1, {2})};
    pool.say_as(2, 3, WorkAvailable{.job = job, .leader = pool.record(2), .terms = terms});
    pool.say_as(2, 3,
                LeaseGrant{.job = job,
                           .epoch = 1,
                           .lease = 1,
                           .ranges = {range},
                           .duration_ms = 60'000,
                           .manifest = fact,
                           .terms = terms});
  }
  Pool pool{3};
};

TEST_F(IdleHands, AskOthersWhileWhatTheyWereGivenStillLacksItsInputs) {
  Manifest manifest = pool.manifest(1'000, 2);
  manifest.inputs = ContentId{};
  manifest.inputs->bytes[0] = 1;
  manifest.inputs_bytes = 1ULL << 40;
  give_units_of(manifest, {0, 1'000});
  pool.submit(1, pool.manifest(1'000, 2));
  EXPECT_TRUE(pool.computes(3));
}

TEST_F(IdleHands, AskOthersWhereNobodyTakesWhatTheyHaveComputed) {
  constexpr std::uint64_t kUnits = 200'000;
  give_units_of(pool.manifest(kUnits, 2), {0, kUnits});
  const Bytes output(limits::kInlineOutputBytes, 'x');
  const auto kernel = [&](std::size_t, UnitIndex) { return output; };
  pool.unit_takes = 10us;
  while (pool.compute(3, kernel)) continue;
  ASSERT_LT(pool.computed[3].size(), kUnits) << "there is no end to what is kept";
  pool.submit(1, pool.manifest(1'000, 2));
  EXPECT_TRUE(pool.computes(3));
}

// It has nothing to verify meanwhile.
TEST_F(IdleHands, GoOnOnceWhatTheyHaveComputedIsShown) {
  constexpr std::uint64_t kUnits = 200'000;
  const Manifest manifest = pool.manifest(kUnits, 2);
  give_units_of(manifest, {0, kUnits});
  std::vector<Range> committed;
  pool.meddle = [&](std::size_t from, std::size_t, Message& message) {
    const auto* notice = std::get_if<CommitNotice>(&message);
    if (notice == nullptr || from != 3) return from != 2;
    for (const Signed& fact : notice->commitments) {
      committed.push_back(decode_commitment(fact.body)->range);
    }
    return true;
  };
  const Bytes output(limits::kInlineOutputBytes, 'x');
  pool.unit_takes = 10us;
  while (pool.compute(3, [&](std::size_t, UnitIndex) { return output; })) continue;
  ASSERT_LT(pool.computed[3].size(), kUnits);
  const JobId job = job_id_of(encode(manifest));
  for (const Range range : committed) {
    pool.say_as(
        2, 3,
        RevealRequest{.job = job, .range = range, .part = range, .detail = RevealDetail::kRoot});
  }
  EXPECT_TRUE(pool.computes(3));
}

// A steward that had to lead after that could sign no term that anybody could read.
TEST(Hostility, ASubmitterThatTakesTheLastEpochEndsNoWorker) {
  Pool pool(3);
  const Signed manifest =
      sign_fact(pool.submitter(), Purpose::kManifest, encode(pool.manifest(10, 1)));
  const JobId job = job_id_of(manifest.body);
  const TermChain terms{pool.term(pool.submitter(), job, (1ULL << 63) - 1, {1, 2})};
  for (std::size_t n : {1, 2}) {
    pool.connect_submitter(n);
    pool.say(n, Submit{manifest, terms});
  }
  pool.kill(1);
  pool.wait(5s);
  for (const SubmitReply& reply : pool.all_heard<SubmitReply>()) {
    EXPECT_EQ(reply.outcome, SubmitOutcome::kInvalid);
    EXPECT_NE(reply.detail.find("epoch"), std::string::npos) << reply.detail;
  }
  EXPECT_EQ(pool.all_heard<SubmitReply>().size(), 2U);
}

TEST(Hostility, WhoSubmitsAgainAndAgainIsAnsweredOnce) {
  Pool pool(1);
  Manifest manifest = pool.manifest(10, 1);
  manifest.inputs = ContentId{};  // they never come
  manifest.inputs->bytes[0] = 1;
  manifest.inputs_bytes = 100;
  for (int i = 0; i < 10; ++i) pool.submit(1, manifest);
  ASSERT_TRUE(pool.all_heard<SubmitReply>().empty());
  Refusals refusals;
  refusals.submitters = {pool.submitter().id()};
  pool.refuse(1, refusals);
  ASSERT_EQ(pool.all_heard<SubmitReply>().size(), 1U);
  EXPECT_EQ(pool.all_heard<SubmitReply>()[0].outcome, SubmitOutcome::kFull);
}

}  // namespace
}  // namespace shoal
