#include "worker/core/peer.h"

#include <gtest/gtest.h>

#include "tests/unit/worker/core/pool.h"

namespace shoal {
namespace {

using test::honest;
using test::Pool;
using test::true_output;

// Every unit in exactly one receipt; returns how many ended in `end`.
std::uint64_t units_that_end(const Pool& pool, std::uint64_t units, UnitEnd end) {
  RangeSet seen;
  std::uint64_t count = 0;
  for (const Receipt& receipt : pool.receipts()) {
    EXPECT_TRUE(seen.intersection(receipt.range).empty()) << "a unit ended twice";
    seen.add(receipt.range);
    if (receipt.end == end) count += receipt.range.size();
  }
  EXPECT_EQ(seen.size(), units);
  return count;
}

void expect_true_outputs(const Pool& pool) {
  for (const Receipt& receipt : pool.receipts()) {
    if (receipt.end != UnitEnd::kVerified) continue;
    std::size_t at = 0;
    for (UnitIndex unit = receipt.range.first; unit < receipt.range.last; ++unit) {
      const std::size_t size = receipt.outputs.sizes[unit - receipt.range.first];
      const Bytes got(
          receipt.outputs.inline_bytes.begin() + static_cast<std::ptrdiff_t>(at),
          receipt.outputs.inline_bytes.begin() + static_cast<std::ptrdiff_t>(at + size));
      EXPECT_EQ(got, true_output(unit));
      at += size;
    }
  }
}

TEST(Peer, AcknowledgesAJobOnlyWhenItIsStored) {
  Pool pool(1);
  pool.hang_disk(1);
  const JobId job = pool.submit(1, pool.manifest(10, 1));
  pool.wait(30s);
  EXPECT_TRUE(pool.all_heard<SubmitReply>().empty()) << "its disk has not answered";
  pool.free_disk(1);
  const auto replies = pool.all_heard<SubmitReply>();
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(replies[0].job, job);
  EXPECT_EQ(replies[0].outcome, SubmitOutcome::kAccepted);
}

TEST(Peer, RefusesAKernelItDoesNotHave) {
  Pool pool(1);
  Manifest manifest = pool.manifest(10, 1);
  manifest.kernel = "nobody knows it";
  pool.submit(1, manifest);
  ASSERT_EQ(pool.all_heard<SubmitReply>().size(), 1u);
  EXPECT_EQ(pool.all_heard<SubmitReply>()[0].outcome, SubmitOutcome::kUnknownKernel);
}

TEST(Peer, RefusesANativeProgramOfASubmitterItDoesNotTrust) {
  Pool pool(1);
  Manifest manifest = pool.manifest(10, 1);
  manifest.kernel_kind = KernelKind::kNative;
  manifest.program = ContentId{};
  manifest.program->bytes[0] = 1;
  manifest.program_bytes = 1;
  pool.submit(1, manifest);
  ASSERT_EQ(pool.all_heard<SubmitReply>().size(), 1u);
  EXPECT_EQ(pool.all_heard<SubmitReply>()[0].outcome, SubmitOutcome::kNotTrusted);
}

TEST(Peer, OneWorkerFinishesAJobOfQuorumOne) {
  Pool pool(1);
  const JobId job = pool.submit(1, pool.manifest(1000, 1));
  pool.want_receipts(1, job);
  pool.run(honest);
  EXPECT_EQ(units_that_end(pool, 1000, UnitEnd::kVerified), 1000u);
  expect_true_outputs(pool);
  EXPECT_EQ(pool.computed[1].size(), 1000u);
}

TEST(Peer, TwoWorkersVerifyEachUnitOnce) {
  Pool pool(2);
  const JobId job = pool.submit(1, pool.manifest(1000, 2));
  pool.want_receipts(1, job);
  pool.run(honest);
  EXPECT_EQ(units_that_end(pool, 1000, UnitEnd::kVerified), 1000u);
  expect_true_outputs(pool);
  EXPECT_EQ(pool.computed[1].size() + pool.computed[2].size(), 2000u);
  for (const Receipt& receipt : pool.receipts()) EXPECT_EQ(receipt.supports.size(), 2u);
}

TEST(Peer, WhatIsUnderWayIsNotCountedAsRecomputed) {
  Pool pool(3);
  pool.submit(1, pool.manifest(1000, 2));
  std::uint64_t leased = 0;
  bool going = true;
  while (going) {
    going = false;
    for (std::size_t n = 1; n <= 3; ++n) going |= pool.compute(n, honest);
    const JobStatus status = pool.peer(1).jobs_led().at(0);
    EXPECT_EQ(status.recomputed, 0U)
        << status.verified << " verified, " << status.leased << " leased";
    leased = std::max(leased, status.leased);
  }
  EXPECT_GT(leased, 0U);
}

TEST(Peer, WaitsForASecondWorkerAndSaysSo) {
  Pool pool(1);
  const JobId job = pool.submit(1, pool.manifest(10, 2));
  pool.want_receipts(1, job);
  pool.run(honest);
  EXPECT_TRUE(pool.receipts().empty());
  EXPECT_EQ(pool.peer(1).jobs_led().at(0).waiting_for,
            "each unit needs 2 different workers, and 1 is here");
}

TEST(Peer, ThreeWorkersShareAndTheLeaderVerifiesNothing) {
  Pool pool(3);
  const JobId job = pool.submit(1, pool.manifest(3000, 2));
  pool.want_receipts(1, job);
  pool.run(honest);
  EXPECT_EQ(units_that_end(pool, 3000, UnitEnd::kVerified), 3000u);
  EXPECT_EQ(pool.peer(1).jobs_led().at(0).unblinded, 0u);
  for (std::size_t n = 1; n <= 3; ++n) EXPECT_GT(pool.computed[n].size(), 500u) << n;
}

TEST(Peer, ResultsOfALongJobAreVerifiedWithinSeconds) {
  Pool pool(3);
  pool.unit_takes = 100ms;
  pool.submit(1, pool.manifest(30'000, 2));
  // 15 s of work for each.
  for (int round = 0; round < 150; ++round) {
    for (std::size_t n = 1; n <= 3; ++n) pool.compute(n, honest);
  }
  const std::size_t computed =
      pool.computed[1].size() + pool.computed[2].size() + pool.computed[3].size();
  ASSERT_GE(computed, 450U);
  EXPECT_GE(pool.peer(1).jobs_led().front().verified, computed / 4) << computed;
}

TEST(Peer, AWorkerOnWhichEverythingFailsRestsAndSaysWhy) {
  Pool pool(4);
  const JobId job = pool.submit(1, pool.manifest(3000, 2));
  pool.want_receipts(1, job);
  pool.run([](std::size_t worker, UnitIndex unit) -> std::optional<Bytes> {
    if (worker == 4) return std::nullopt;
    return true_output(unit);
  });
  EXPECT_EQ(units_that_end(pool, 3000, UnitEnd::kVerified), 3000u);
  EXPECT_LT(pool.computed[4].size(), 1000u) << "it would have gone through all of them";
  EXPECT_NE(pool.peer(4).status().doing.find("units failed here (no)"), std::string::npos)
      << pool.peer(4).status().doing;
}

TEST(Peer, WhereAUnitFailsEverywhereNobodyRests) {
  Pool pool(3);
  const JobId job = pool.submit(1, pool.manifest(600, 2));
  pool.want_receipts(1, job);
  pool.run([](std::size_t, UnitIndex) -> std::optional<Bytes> { return std::nullopt; });
  EXPECT_EQ(units_that_end(pool, 600, UnitEnd::kFailed), 600u);
}

TEST(Peer, NothingIsShownBeforeEnoughHaveCommitted) {
  Pool pool(3);
  std::size_t commits = 0;
  pool.meddle = [&](std::size_t, std::size_t, Message& message) {
    if (std::holds_alternative<CommitNotice>(message)) ++commits;
    if (std::holds_alternative<RevealRequest>(message)) {
      EXPECT_GE(commits, 1u);
    }
    return true;
  };
  const JobId job = pool.submit(1, pool.manifest(1, 2));
  pool.want_receipts(1, job);
  ASSERT_TRUE(pool.compute(1, honest));
  EXPECT_EQ(pool.sent["RevealRequest"], 0u);
  pool.run(honest);
  EXPECT_EQ(units_that_end(pool, 1, UnitEnd::kVerified), 1u);
}

TEST(Peer, OnlyTheUnitsThatDifferAreComputedAThirdTime) {
  Pool pool(4);
  const JobId job = pool.submit(1, pool.manifest(2000, 2));
  pool.want_receipts(1, job);
  pool.run([](std::size_t worker, UnitIndex unit) -> std::optional<Bytes> {
    if (worker == 2 && unit % 100 == 7) return Bytes{1, 2, 3};
    return true_output(unit);
  });
  EXPECT_EQ(units_that_end(pool, 2000, UnitEnd::kVerified), 2000u);
  expect_true_outputs(pool);
  std::size_t computed = 0, lies = 0;
  for (auto& [n, units] : pool.computed) computed += units.size();
  for (UnitIndex unit : pool.computed[2]) lies += unit % 100 == 7 ? 1 : 0;
  EXPECT_GT(lies, 0u);
  EXPECT_EQ(computed, 4000u + lies);
}

TEST(Peer, WorkersThatNeverAgreeEndTheUnitAsDisputed) {
  Pool pool(3);
  const JobId job = pool.submit(1, pool.manifest(3, 2));
  pool.want_receipts(1, job);
  pool.run([](std::size_t worker, UnitIndex unit) -> std::optional<Bytes> {
    if (unit == 1) return Bytes{static_cast<std::uint8_t>(worker)};
    return true_output(unit);
  });
  EXPECT_EQ(units_that_end(pool, 3, UnitEnd::kDisputed), 1u);
}

TEST(Peer, AUnitThatFailsEverywhereEndsAsFailedAndTheRestGoesOn) {
  Pool pool(4);
  const JobId job = pool.submit(1, pool.manifest(50, 2));
  pool.want_receipts(1, job);
  pool.run([](std::size_t, UnitIndex unit) -> std::optional<Bytes> {
    if (unit == 17) return std::nullopt;
    return true_output(unit);
  });
  EXPECT_EQ(units_that_end(pool, 50, UnitEnd::kVerified), 49u);
  for (const Receipt& receipt : pool.receipts()) {
    if (receipt.end != UnitEnd::kFailed) continue;
    EXPECT_EQ(receipt.range, (Range{17, 18}));
    EXPECT_EQ(receipt.failures.size(), 3u);
  }
}

TEST(Peer, AKilledWorkerCostsOnlyItsLease) {
  Pool pool(3);
  const JobId job = pool.submit(1, pool.manifest(500, 2));
  pool.want_receipts(1, job);
  for (int i = 0; i < 5; ++i) {
    for (std::size_t n = 1; n <= 3; ++n) pool.compute(n, honest);
  }
  pool.kill(3);
  pool.run(honest);
  EXPECT_EQ(units_that_end(pool, 500, UnitEnd::kVerified), 500u);
  expect_true_outputs(pool);
}

TEST(Peer, AStewardThatRestartsGoesOnFromItsDisk) {
  Pool pool(3);
  const JobId job = pool.submit(1, pool.manifest(500, 2));
  pool.want_receipts(1, job);
  for (int i = 0; i < 8; ++i) {
    for (std::size_t n = 1; n <= 3; ++n) pool.compute(n, honest);
  }
  pool.wait(1s);  // what they have verified is on its disk
  const std::size_t before = pool.receipts().size();
  EXPECT_GT(before, 0u);
  pool.kill(1);
  pool.restart(1);
  pool.heard.clear();
  pool.want_receipts(1, job);
  EXPECT_EQ(pool.receipts().size(), before);
  pool.run(honest);
  EXPECT_EQ(units_that_end(pool, 500, UnitEnd::kVerified), 500u);
  expect_true_outputs(pool);
}

TEST(Peer, AWorkerThatRunsDryTakesHalfFromAnother) {
  Pool pool(4);
  const JobId job = pool.submit(1, pool.manifest(4000, 1));
  pool.want_receipts(1, job);
  // Worker 2 sits on what it was given, once it has been seen to be quick; the others run dry.
  for (int i = 0; i < 3; ++i) {
    for (std::size_t n = 1; n <= 4; ++n) pool.compute(n, honest);
  }
  for (int i = 0; i < 2000; ++i) {
    bool any = false;
    for (std::size_t n : {1, 3, 4}) any |= pool.compute(n, honest);
    if (!any) break;
  }
  EXPECT_GT(pool.peer(1).jobs_led().at(0).moved, 0u);
  EXPECT_GT(pool.sent["TransferNotice"], 0u);
  pool.run(honest);
  EXPECT_EQ(units_that_end(pool, 4000, UnitEnd::kVerified), 4000u);
}

TEST(Peer, AStragglersUnitsAreComputedAgain) {
  Pool pool(3);
  const JobId job = pool.submit(1, pool.manifest(300, 1));
  pool.want_receipts(1, job);
  for (int i = 0; i < 400; ++i) {
    for (std::size_t n : {1, 3}) pool.compute(n, honest);
    if (i % 10 == 9) pool.pass(1s);
  }
  EXPECT_EQ(units_that_end(pool, 300, UnitEnd::kVerified), 300u);
}

// Whoever comes to it computes nothing else from then on. There are enough others, for the quorum.
TEST(Peer, AUnitThatNeverEndsHoldsUpNoOther) {
  constexpr UnitIndex kEndless = 1;
  const auto units_ended = [](std::uint64_t units, std::uint32_t quorum, std::size_t workers) {
    Pool pool(workers);
    const JobId job = pool.submit(1, pool.manifest(units, quorum));
    pool.want_receipts(1, job);
    for (int second = 0; second < 60; ++second) {
      for (std::size_t n = 1; n <= workers; ++n) {
        while (pool.computes(n) && !pool.computing(n).range.contains(kEndless)) {
          pool.compute(n, honest);
        }
      }
      pool.pass(1s);
    }
    RangeSet ended;
    for (const Receipt& receipt : pool.receipts()) ended.add(receipt.range);
    return ended.size();
  };
  for (const std::uint64_t units : {3, 6, 7, 20, 60}) {
    EXPECT_EQ(units_ended(units, 1, 3), units - 1);
    EXPECT_EQ(units_ended(units, 1, 4), units - 1);
    EXPECT_EQ(units_ended(units, 2, 5), units - 1);
    EXPECT_EQ(units_ended(units, 2, 8), units - 1);
    EXPECT_EQ(units_ended(units, 3, 8), units - 1);
  }
}

// It had ten seconds to answer. Its link is lost before it is asked, for a moment or for longer.
TEST(Peer, WhoHasGoneIsNotWaitedForToShowWhatItCommitted) {
  for (const Duration away : {0s, 5s}) {
    Pool pool(4);
    const JobId job = pool.submit(1, pool.manifest(40, 2));
    pool.want_receipts(1, job);
    ASSERT_TRUE(pool.compute(2, honest));
    pool.kill(2);
    pool.wait(away);
    pool.run(honest, 6);  // as many seconds
    EXPECT_EQ(units_that_end(pool, 40, UnitEnd::kVerified), 40u) << away.count();
  }
}

// Its leader gave it none, and asks it for a copy all the same.
TEST(Peer, WhoseFirstUnitsAreLootHasAPartInTheJob) {
  Pool pool(3);
  std::vector<Kept> kept;
  pool.meddle = [&](std::size_t from, std::size_t to, Message& message) {
    const auto* answer = std::get_if<Kept>(&message);
    if (answer != nullptr && from == 3) kept.push_back(*answer);
    return to != 3 || !std::holds_alternative<LeaseGrant>(message);
  };
  const Manifest manifest = pool.manifest(4000, 1);
  const JobId job = pool.submit(1, manifest);
  const TermChain terms{pool.term(pool.submitter(), job, 1, {1})};
  LeaseGrant introduction;
  introduction.job = job;
  introduction.epoch = 1;
  introduction.manifest = sign_fact(pool.submitter(), Purpose::kManifest, encode(manifest));
  introduction.terms = terms;
  pool.say_as(1, 3, introduction);
  pool.say_as(1, 3, Keep{.job = job, .terms = terms, .receipt = {}, .holders = {}});
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_FALSE(kept[0].held) << "it only knows of the job";
  const Transfer loot{
      .job = job, .epoch = 1, .lease = 1, .ranges = {{0, 2}}, .from = pool.id(2), .to = pool.id(3)};
  StealReply reply;
  reply.job = job;
  reply.transfer = sign_fact(test::PlainSigner(2), Purpose::kTransfer, encode(loot));
  pool.say_as(2, 3, reply);
  pool.say_as(1, 3, Keep{.job = job, .terms = terms, .receipt = {}, .holders = {}});
  pool.pass(1s);  // it is written down first
  ASSERT_EQ(kept.size(), 2u);
  EXPECT_TRUE(kept[1].held) << kept[1].detail;
}

TEST(Peer, ACancelledJobIsDroppedByItsWorkers) {
  Pool pool(3);
  const JobId job = pool.submit(1, pool.manifest(100000, 2));
  for (std::size_t n = 1; n <= 3; ++n) pool.compute(n, honest);
  Control control{.job = job, .sequence = 1, .command = ControlCommand::kCancel, .priority = 0};
  pool.say(1, ControlRequest{sign_fact(pool.submitter(), Purpose::kControl, encode(control))});
  const auto before = pool.computed;
  pool.run(honest);
  EXPECT_EQ(pool.computed, before);
  EXPECT_EQ(pool.peer(1).jobs_led().at(0).phase, JobPhase::kCancelled);
}

TEST(Peer, AStrangerCannotCancelAJobNorPauseItNorSayHowUrgentItIs) {
  Pool pool(1);
  const JobId job = pool.submit(1, pool.manifest(100, 1));
  pool.want_receipts(1, job);
  pool.wait(1s);
  const std::size_t stored = pool.facts_on_disk(1);
  test::PlainSigner stranger(77);
  std::uint64_t sequence = 0;
  for (const auto command :
       {ControlCommand::kPriority, ControlCommand::kPause, ControlCommand::kCancel}) {
    const Control control{.job = job, .sequence = ++sequence, .command = command, .priority = -100};
    pool.say(1, ControlRequest{sign_fact(stranger, Purpose::kControl, encode(control))});
    pool.wait(1s);
    const JobStatus status = pool.peer(1).jobs_led().at(0);
    EXPECT_EQ(status.phase, JobPhase::kRunning) << sequence;
    EXPECT_EQ(status.priority, 0) << sequence;
  }
  EXPECT_EQ(pool.facts_on_disk(1), stored);
  pool.run(honest);
  EXPECT_EQ(units_that_end(pool, 100, UnitEnd::kVerified), 100u);
}

// Nobody will ask for it: its worker, which may have been given them by a thief, keeps it no longer
// than it has room.
TEST(Peer, ACommitmentToUnitsThatWereNeverGrantedIsNotWanted) {
  Pool pool(3);
  const JobId job = pool.submit(1, pool.manifest(100'000, 2));
  ASSERT_TRUE(pool.compute(2, test::honest));
  std::vector<Range> revoked;
  pool.meddle = [&](std::size_t from, std::size_t to, Message& message) {
    const auto* revoke = std::get_if<LeaseRevoke>(&message);
    if (revoke != nullptr && from == 1 && to == 2) {
      revoked.insert(revoked.end(), revoke->ranges.begin(), revoke->ranges.end());
    }
    return true;
  };
  const Range range{90'000, 90'010};
  const Commitment what{.job = job, .worker = pool.id(2), .range = range, .sealed = {}};
  const Signed fact = sign_fact(test::PlainSigner(2), Purpose::kCommitment, encode(what));
  pool.say_as(2, 1, CommitNotice{.commitments = {fact}, .job = job, .compute_ns = 0});
  EXPECT_EQ(revoked, std::vector<Range>{range});
}

TEST(Peer, ACommitmentToUnitsThatWereNeverGrantedIsNoEvidence) {
  Pool pool(3);
  pool.meddle = [&](std::size_t from, std::size_t, Message& message) {
    // Worker 3 claims other units than it was given.
    if (auto* notice = std::get_if<CommitNotice>(&message); notice != nullptr && from == 3) {
      for (Signed& fact : notice->commitments) {
        auto what = decode_commitment(fact.body);
        what->range = {what->range.first + 400, what->range.last + 400};
        fact = sign_fact(test::PlainSigner(3), Purpose::kCommitment, encode(*what));
      }
    }
    return true;
  };
  const JobId job = pool.submit(1, pool.manifest(500, 2));
  pool.want_receipts(1, job);
  pool.run(honest, 200);
  for (const Receipt& receipt : pool.receipts()) {
    EXPECT_EQ(receipt.supports.size(), 2u);
  }
  expect_true_outputs(pool);
}

TEST(Peer, GarbageEndsTheLinkAndNothingElse) {
  Pool pool(2);
  const JobId job = pool.submit(1, pool.manifest(100, 2));
  pool.want_receipts(1, job);
  const auto actions = pool.peer(1).step(Instant{2'000'000'000},
                                         Received{.peer = pool.id(2), .bytes = Bytes(100, 0xff)});
  EXPECT_TRUE(std::any_of(actions.begin(), actions.end(), [&](const PeerAction& action) {
    const Drop* drop = std::get_if<Drop>(&action);
    return drop != nullptr && drop->peer == pool.id(2);
  }));
}

}  // namespace
}  // namespace shoal
