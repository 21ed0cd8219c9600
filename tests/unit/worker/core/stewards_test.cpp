#include <gtest/gtest.h>

#include "node/protocol/receipt_check.h"
#include "node/protocol/terms.h"
#include "tests/unit/worker/core/pool.h"

// Three stewards a job: leaders die, come back, and are two at once; nothing is lost.
namespace shoal {
namespace {

using test::honest;
using test::Pool;
using test::status_at;

std::size_t total_computed(const Pool& pool) {
  std::size_t units = 0;
  for (const auto& [_, computed] : pool.computed) units += computed.size();
  return units;
}

// Reads a steward's ledger as a submitter would that has nothing yet; checks every receipt.
RangeSet ledger_of(Pool& pool, std::size_t n, const JobId& job, const Manifest& manifest) {
  pool.heard.clear();
  pool.say(n, ResultsRequest{.job = job, .cursor = 0, .credit_bytes = 1 << 30, .once = true});
  RangeSet verified;
  for (const Receipt& receipt : pool.receipts()) {
    EXPECT_EQ(receipt_fault(manifest, job, receipt, pool.checker()), "");
    if (receipt.end == UnitEnd::kVerified) verified.add(receipt.range);
  }
  return verified;
}

void run_until(Pool& pool, std::size_t n, std::uint64_t verified) {
  for (int round = 0; round < 100'000 && status_at(pool, n).verified < verified; ++round) {
    bool any = false;
    for (std::size_t worker = 1; worker <= 9; ++worker) any |= pool.compute(worker, honest);
    if (!any) pool.wait(1s);
  }
  ASSERT_GE(status_at(pool, n).verified, verified);
}

TEST(Stewards, AllThreeAcknowledgeAndKeepTheSameLedger) {
  Pool pool(4);
  const Manifest manifest = pool.manifest(2000, 2);
  const JobId job = pool.submit({1, 2, 3}, manifest);
  EXPECT_EQ(pool.all_heard<SubmitReply>().size(), 3U);
  pool.run(honest);
  for (std::size_t n = 1; n <= 3; ++n) {
    EXPECT_EQ(ledger_of(pool, n, job, manifest), RangeSet(Range{0, 2000})) << n;
    EXPECT_EQ(status_at(pool, n).leads, n == 1);
    EXPECT_EQ(status_at(pool, n).phase, JobPhase::kDone);
  }
  EXPECT_EQ(total_computed(pool), 4000U);
}

TEST(Stewards, ANodeThatTheTermsDoNotNameTakesNothing) {
  Pool pool(2);
  const Signed manifest =
      sign_fact(pool.submitter(), Purpose::kManifest, encode(pool.manifest(10, 1)));
  const JobId job = job_id_of(manifest.body);
  pool.connect_submitter(1);
  pool.say(1, Submit{manifest, {pool.term(pool.submitter(), job, 1, {2})}});
  pool.say(1, Submit{manifest, {}});
  const auto replies = pool.all_heard<SubmitReply>();
  ASSERT_EQ(replies.size(), 2U);
  EXPECT_EQ(replies[0].outcome, SubmitOutcome::kInvalid);
  EXPECT_EQ(replies[1].outcome, SubmitOutcome::kInvalid);
}

// It had given the job to another before it was restarted, and forgot that.
TEST(Stewards, ASubmitterIsToldOfTheTermsThatOutrankItsOwn) {
  Pool pool(3);
  const Signed manifest =
      sign_fact(pool.submitter(), Purpose::kManifest, encode(pool.manifest(10, 1)));
  const JobId job = job_id_of(manifest.body);
  const TermChain before{pool.term(pool.submitter(), job, 5, {3})};
  const TermChain now{pool.term(pool.submitter(), job, 1, {1, 2})};
  pool.connect_submitter(1);
  pool.say(1, Submit{manifest, now});
  EXPECT_TRUE(pool.all_heard<TermNotice>().empty());
  pool.say_as(2, 1, TermNotice{.job = job, .terms = before, .records = {}});
  pool.say(1, Submit{manifest, now});
  const auto notices = pool.all_heard<TermNotice>();
  ASSERT_FALSE(notices.empty());
  EXPECT_EQ(notices.back().terms, before);
}

TEST(Stewards, WhenTheLeaderDiesTheNextInRankGoesOn) {
  Pool pool(5);
  const Manifest manifest = pool.manifest(4000, 2);
  const JobId job = pool.submit({1, 2, 3}, manifest);
  run_until(pool, 1, 1000);
  pool.kill(1);
  pool.wait(limits::kLinkPatience);
  EXPECT_TRUE(status_at(pool, 2).leads);
  EXPECT_EQ(status_at(pool, 2).epoch, 2U);
  EXPECT_FALSE(status_at(pool, 3).leads);
  pool.run(honest);
  EXPECT_EQ(ledger_of(pool, 2, job, manifest), RangeSet(Range{0, 4000}));
  EXPECT_EQ(ledger_of(pool, 3, job, manifest), RangeSet(Range{0, 4000}));
}

TEST(Stewards, WhereNobodyListensAnyMoreTheNextWaitsOnlyForARestart) {
  Pool pool(4);
  pool.submit({1, 2, 3}, pool.manifest(4000, 2));
  run_until(pool, 1, 200);
  pool.kill(1);
  pool.refuse_dials(1);
  pool.wait(limits::kRestartTime - Duration(1ms));
  EXPECT_FALSE(status_at(pool, 2).leads);
  pool.wait(Duration(1ms));
  EXPECT_TRUE(status_at(pool, 2).leads);
  EXPECT_FALSE(status_at(pool, 3).leads);
}

TEST(Stewards, ALeaderThatIsRestartedAtOnceLeadsOn) {
  Pool pool(4);
  pool.submit({1, 2, 3}, pool.manifest(4000, 2));
  run_until(pool, 1, 200);
  pool.kill(1);
  pool.refuse_dials(1);
  pool.wait(limits::kRestartTime / 2);
  pool.restart(1);
  pool.wait(2s);
  EXPECT_TRUE(status_at(pool, 1).leads);
  EXPECT_FALSE(status_at(pool, 2).leads);
}

TEST(Stewards, NothingIsComputedAThirdTimeForAChangeOfLeader) {
  Pool pool(5);
  const JobId job = pool.submit({1, 2, 3}, pool.manifest(4000, 2));
  run_until(pool, 1, 1000);
  // What the dead one had computed alone dies with it; so does what it was computing.
  const std::size_t by_the_dead = pool.computed[1].size();
  pool.kill(1);
  pool.run(honest);
  EXPECT_EQ(status_at(pool, 2).verified, 4000U) << short_hex(job);
  EXPECT_LE(total_computed(pool), 8000U + by_the_dead);
}

TEST(Stewards, WhenTwoDieTheThirdGoesOn) {
  Pool pool(5);
  const Manifest manifest = pool.manifest(3000, 2);
  const JobId job = pool.submit({1, 2, 3}, manifest);
  run_until(pool, 1, 500);
  pool.kill(1);
  pool.kill(2);
  pool.wait(limits::kLinkPatience);
  EXPECT_FALSE(status_at(pool, 3).leads) << "each rank waits for the one before";
  pool.wait(limits::kRankStep);
  EXPECT_TRUE(status_at(pool, 3).leads);
  pool.run(honest);
  EXPECT_EQ(ledger_of(pool, 3, job, manifest), RangeSet(Range{0, 3000}));
}

TEST(Stewards, ASilentLeaderIsFollowedThoughItsLinkIsUp) {
  Pool pool(4);
  pool.submit({1, 2, 3}, pool.manifest(3000, 2));
  run_until(pool, 1, 200);
  pool.freeze(1);
  pool.wait(limits::kLeaderSilence + Duration(500ms));
  EXPECT_TRUE(status_at(pool, 2).leads);
  pool.thaw(1);
  EXPECT_FALSE(status_at(pool, 1).leads) << "it hears of the new term, and steps down";
  pool.run(honest);
  EXPECT_EQ(status_at(pool, 1).verified, 3000U);
}

TEST(Stewards, TwoThatAreCutOffFromEachOtherAloneDoNotDeposeEachOtherForEver) {
  Pool pool(4);
  pool.submit({1, 2, 3}, pool.manifest(3000, 2));
  run_until(pool, 1, 200);
  pool.cut(1, 2);
  pool.wait(120s);
  EXPECT_LE(status_at(pool, 3).epoch, 16U);
  pool.link(1, 2);
  pool.run(honest);
  EXPECT_EQ(status_at(pool, 3).verified, 3000U);
}

TEST(Stewards, WhoSleptItselfAccusesNobody) {
  Pool pool(4);
  pool.submit({1, 2, 3}, pool.manifest(3000, 2));
  run_until(pool, 1, 200);
  pool.pass(60s);  // everybody slept: nobody beat, nobody listened
  EXPECT_TRUE(status_at(pool, 1).leads);
  EXPECT_FALSE(status_at(pool, 2).leads);
  EXPECT_FALSE(status_at(pool, 3).leads);
}

TEST(Stewards, ALeaderThatComesBackFollowsAndIsBroughtUpToDate) {
  Pool pool(5);
  const Manifest manifest = pool.manifest(3000, 2);
  const JobId job = pool.submit({1, 2, 3}, manifest);
  run_until(pool, 1, 500);
  pool.kill(1);
  run_until(pool, 2, 1500);
  pool.restart(1);
  pool.wait(3s);
  EXPECT_FALSE(status_at(pool, 1).leads);
  EXPECT_EQ(status_at(pool, 1).stewards, status_at(pool, 2).stewards);
  pool.run(honest);
  EXPECT_EQ(ledger_of(pool, 1, job, manifest), RangeSet(Range{0, 3000}));
}

TEST(Stewards, ALeaderThatIsRestartedAtOnceLeadsAgainUnderANewEpoch) {
  Pool pool(4);
  const JobId job = pool.submit({1, 2, 3}, pool.manifest(3000, 2));
  run_until(pool, 1, 500);
  pool.pass(200ms);  // what is finished is on disk
  pool.kill(1);
  pool.restart(1);
  pool.wait(2s);
  EXPECT_TRUE(status_at(pool, 1).leads);
  EXPECT_EQ(status_at(pool, 1).epoch, 2U);
  pool.run(honest);
  EXPECT_EQ(status_at(pool, 1).verified, 3000U) << short_hex(job);
  EXPECT_LE(total_computed(pool), 6000U + 200U);
}

TEST(Stewards, EverybodyKilledAndRestartedFinishesTheJob) {
  Pool pool(4);
  const Manifest manifest = pool.manifest(3000, 2);
  const JobId job = pool.submit({1, 2, 3}, manifest);
  run_until(pool, 1, 500);
  for (std::size_t n = 1; n <= 4; ++n) pool.kill(n);
  for (std::size_t n = 1; n <= 4; ++n) pool.restart(n);
  pool.run(honest);
  for (std::size_t n = 1; n <= 3; ++n) {
    EXPECT_EQ(ledger_of(pool, n, job, manifest), RangeSet(Range{0, 3000})) << n;
  }
}

TEST(Stewards, AWorkerThatIsRestartedGoesOnWithWhatItHadAndHadCommitted) {
  Pool pool(3);
  pool.submit({1}, pool.manifest(3000, 2));
  run_until(pool, 1, 300);
  pool.wait(200ms);  // what is finished is on disk
  pool.kill(2);
  pool.restart(2);
  pool.run(honest);
  EXPECT_EQ(status_at(pool, 1).verified, 3000U);
  // Nobody computed a unit twice but what worker 2 had under way.
  for (auto& [n, units] : pool.computed) {
    std::map<UnitIndex, int> times;
    for (UnitIndex unit : units) times[unit] += 1;
    const auto twice = std::count_if(times.begin(), times.end(),
                                     [](const auto& entry) { return entry.second > 1; });
    EXPECT_LE(twice, n == 2 ? 128 : 0) << n;
  }
}

// What a worker had finished is computed again only where it was killed within 100 ms of that.
TEST(Stewards, ACrashLosesWhatRanAndWhatWasFinishedInTheLast100Milliseconds) {
  for (const std::uint32_t quorum : {1U, 2U}) {
    for (int rounds = 1; rounds <= 40; ++rounds) {
      SCOPED_TRACE(std::to_string(rounds) + " rounds, quorum " + std::to_string(quorum));
      Pool pool(3);
      pool.submit({1}, pool.manifest(3000, quorum));
      std::map<UnitIndex, Instant> finished;  // by worker 2
      for (int round = 0; round < rounds; ++round) {
        for (std::size_t n = 1; n <= 3; ++n) {
          const std::size_t before = pool.computed[n].size();
          pool.compute(n, honest);
          if (n != 2) continue;
          for (std::size_t i = before; i < pool.computed[2].size(); ++i) {
            finished[pool.computed[2][i]] = pool.now();
          }
        }
      }
      const Instant killed = pool.now();
      pool.kill(2);
      pool.restart(2);
      pool.run(honest, 5);  // as many seconds: what it has lost nobody believes to be with it
      ASSERT_EQ(status_at(pool, 1).verified, 3000U);
      std::map<UnitIndex, std::uint32_t> times;
      for (const auto& [_, units] : pool.computed) {
        for (UnitIndex unit : units) times[unit] += 1;
      }
      for (const auto& [unit, count] : times) {
        if (count <= quorum) continue;
        ASSERT_TRUE(finished.contains(unit)) << unit;
        ASSERT_GE(finished[unit], killed - 100ms) << unit;
      }
    }
  }
}

// It shows its papers before it asks for more, and is believed to hold what it holds.
TEST(Stewards, NothingIsComputedAThirdTimeForALinkThatWasAwayForAMoment) {
  for (int rounds = 1; rounds <= 40; ++rounds) {
    SCOPED_TRACE(std::to_string(rounds) + " rounds");
    Pool pool(3);
    pool.submit({1}, pool.manifest(3000, 2));
    for (int round = 0; round < rounds; ++round) {
      for (std::size_t n = 1; n <= 3; ++n) pool.compute(n, honest);
    }
    pool.cut(1, 2);
    pool.link(1, 2);
    pool.run(honest, 5);
    ASSERT_EQ(status_at(pool, 1).verified, 3000U);
    ASSERT_EQ(total_computed(pool), 6000U);
  }
}

TEST(Stewards, CutInTwoBothHalvesGoOnAndMergeWhenHealed) {
  Pool pool(6);
  const Manifest manifest = pool.manifest(4000, 2);
  const JobId job = pool.submit({1, 2, 3}, manifest);
  run_until(pool, 1, 400);
  const auto across = [&](auto act) {
    for (std::size_t a : {1U, 4U, 5U}) {
      for (std::size_t b : {2U, 3U, 6U}) act(a, b);
    }
  };
  across([&](std::size_t a, std::size_t b) { pool.cut(a, b); });
  pool.wait(1s);
  EXPECT_TRUE(status_at(pool, 1).leads);
  EXPECT_TRUE(status_at(pool, 2).leads);
  run_until(pool, 1, 1200);
  run_until(pool, 2, 1200);
  RangeSet known = ledger_of(pool, 1, job, manifest);
  known.add(ledger_of(pool, 2, job, manifest));
  const auto computed = pool.computed;
  std::uint64_t begun = 0;
  for (std::size_t n = 1; n <= 6; ++n) begun += pool.units_begun(n);
  across([&](std::size_t a, std::size_t b) { pool.link(a, b); });
  pool.settle();
  EXPECT_FALSE(status_at(pool, 1).leads);
  EXPECT_TRUE(status_at(pool, 2).leads);
  pool.run(honest);
  for (std::size_t n = 1; n <= 3; ++n) {
    EXPECT_EQ(ledger_of(pool, n, job, manifest), RangeSet(Range{0, 4000})) << n;
    EXPECT_EQ(status_at(pool, n).verified, 4000U) << n;
  }
  // Both halves did what they had to. Nothing that either knows is computed again after that, save
  // what had begun.
  std::uint64_t again = 0;
  for (const auto& [n, all] : pool.computed) {
    const auto before = computed.find(n);
    const std::size_t old = before == computed.end() ? 0 : before->second.size();
    for (std::size_t i = old; i < all.size(); ++i) again += known.contains(all[i]);
  }
  EXPECT_LE(again, begun);
}

// It knows nothing of what it promised since.
TEST(Stewards, OneThatComesBackWithAnOldStateIsBroughtUpToDate) {
  for (const std::size_t one : {1U, 2U}) {
    Pool pool(5);
    const Manifest manifest = pool.manifest(2000, 2);
    const JobId job = pool.submit({1, 2, 3}, manifest);
    run_until(pool, 1, 200);
    auto old = pool.copy_of_disk(one);
    run_until(pool, 1, 600);
    pool.kill(one);
    const std::size_t other = 3 - one;
    pool.wait(3s);
    run_until(pool, other, 1200);
    ASSERT_TRUE(status_at(pool, other).leads);
    const auto epoch = status_at(pool, other).epoch;
    pool.restart(one, std::move(old));
    pool.wait(1s);
    EXPECT_FALSE(status_at(pool, one).leads) << one << " led, and knows no later term than its own";
    EXPECT_GE(status_at(pool, one).epoch, epoch);
    EXPECT_GE(status_at(pool, one).verified, 1200U) << one;
    pool.run(honest);
    for (std::size_t n = 1; n <= 3; ++n) {
      EXPECT_EQ(ledger_of(pool, n, job, manifest), RangeSet(Range{0, 2000})) << one << ' ' << n;
    }
  }
}

TEST(Stewards, AFollowerThatStaysAwayIsReplacedWithTheOthersConsent) {
  Pool pool(5);
  const Manifest manifest = pool.manifest(50'000, 2);
  const JobId job = pool.submit({1, 2, 3}, manifest);
  run_until(pool, 1, 500);
  pool.kill(3);
  pool.wait(45s);
  const JobStatus status = status_at(pool, 1);
  EXPECT_TRUE(status.leads);
  ASSERT_EQ(status.stewards.size(), 3U);
  EXPECT_EQ(status.stewards[0], pool.id(1));
  EXPECT_EQ(status.stewards[1], pool.id(2));
  EXPECT_NE(status.stewards[2], pool.id(3));
  run_until(pool, 1, 2000);
  pool.wait(1s);  // what it has read last is on its disk
  const std::size_t third = status.stewards[2] == pool.id(4) ? 4 : 5;
  EXPECT_EQ(status_at(pool, third).verified, status_at(pool, 1).verified);
  // And it can lead.
  pool.kill(1);
  pool.kill(2);
  pool.wait(1s);
  pool.wait(1s);
  EXPECT_TRUE(status_at(pool, third).leads);
  // Who was replaced learns of it when it comes back, and is read.
  pool.restart(3);
  pool.wait(3s);
  EXPECT_FALSE(status_at(pool, 3).leads);
  pool.connect_submitter(third);
  EXPECT_GE(ledger_of(pool, third, job, manifest).size(), 2000U);
}

TEST(Stewards, OneThatIsReplacedIsReplacedByWhoeverIsOfAnotherOwner) {
  Pool pool(8, {{1, 101}, {2, 102}, {4, 101}, {5, 101}, {6, 102}, {7, 103}, {8, 102}});
  pool.submit({1, 2, 3}, pool.manifest(50'000, 2));
  run_until(pool, 1, 500);
  pool.kill(3);
  pool.wait(45s);
  ASSERT_EQ(status_at(pool, 1).stewards.size(), 3U);
  EXPECT_EQ(status_at(pool, 1).stewards[2], pool.id(7));
}

TEST(Stewards, AJobThatBeganWithOneGetsThree) {
  Pool pool(4);
  const JobId job = pool.submit(1, pool.manifest(50'000, 2));
  run_until(pool, 1, 100);
  pool.wait(20s);
  EXPECT_EQ(status_at(pool, 1).stewards.size(), 3U) << short_hex(job);
  pool.kill(1);
  pool.wait(1s);
  EXPECT_TRUE(status_at(pool, 2).leads || status_at(pool, 3).leads || status_at(pool, 4).leads);
}

TEST(Stewards, TheSubmittersWillReachesThoseWhoWereAway) {
  Pool pool(4);
  const JobId job = pool.submit({1, 2, 3}, pool.manifest(3000, 2));
  run_until(pool, 1, 200);
  pool.kill(3);
  const Control cancel{.job = job, .sequence = 1, .command = ControlCommand::kCancel};
  pool.say(2, ControlRequest{sign_fact(pool.submitter(), Purpose::kControl, encode(cancel))});
  EXPECT_EQ(status_at(pool, 2).phase, JobPhase::kCancelled);
  EXPECT_EQ(status_at(pool, 1).phase, JobPhase::kCancelled);
  pool.restart(3);
  EXPECT_EQ(status_at(pool, 3).phase, JobPhase::kCancelled);
}

// Nobody leads a job that is cancelled.
TEST(Stewards, WorkersStopAtACancelledJobWhoseLeaderIsAway) {
  Pool pool(5);
  const JobId job = pool.submit({1, 2, 3}, pool.manifest(100'000, 2));
  run_until(pool, 1, 100);
  for (std::size_t n = 2; n <= 5; ++n) ASSERT_TRUE(pool.computes(n)) << n;
  for (std::size_t n = 2; n <= 3; ++n) pool.cut(5, n);
  pool.freeze(1);
  const Control cancel{.job = job, .sequence = 1, .command = ControlCommand::kCancel};
  pool.say(2, ControlRequest{sign_fact(pool.submitter(), Purpose::kControl, encode(cancel))});
  for (std::size_t n = 2; n <= 4; ++n) EXPECT_FALSE(pool.computes(n)) << n;
  // One that no follower has a link to looks for them when it has lost the leader.
  EXPECT_TRUE(pool.computes(5));
  pool.kill(1);
  pool.link(5, 3);
  pool.wait(5s);
  EXPECT_FALSE(pool.computes(5));
}

// A job that is paused has a priority all the same.
TEST(Stewards, WhatWasSaidOfItsPriorityDoesNotHideThatItIsPaused) {
  Pool pool(4);
  const JobId job = pool.submit({1, 2, 3}, pool.manifest(3000, 2));
  run_until(pool, 1, 200);
  pool.kill(3);
  const Control pause{.job = job, .sequence = 1, .command = ControlCommand::kPause};
  const Control urgent{
      .job = job, .sequence = 2, .command = ControlCommand::kPriority, .priority = 7};
  for (const Control& control : {pause, urgent}) {
    pool.say(2, ControlRequest{sign_fact(pool.submitter(), Purpose::kControl, encode(control))});
  }
  pool.restart(3);
  pool.wait(1s);
  EXPECT_EQ(status_at(pool, 3).phase, JobPhase::kPaused);
  EXPECT_EQ(status_at(pool, 3).priority, 7);
}

// It may know of units that have ended and nobody else does.
TEST(Stewards, WhoKeepsAJobNoMoreIsReadByItsNewLeader) {
  enum class Before { kNothing, kTold, kToldAndRestarted };
  for (const Before before : {Before::kNothing, Before::kTold, Before::kToldAndRestarted}) {
    SCOPED_TRACE(static_cast<int>(before));
    Pool pool(3);
    const Manifest manifest = pool.manifest(3000, 2);
    const JobId job = pool.submit({1}, manifest);
    run_until(pool, 1, 500);
    const std::uint64_t verified = status_at(pool, 1).verified;
    pool.cut(1, 2);
    const Signed fact = sign_fact(pool.submitter(), Purpose::kManifest, encode(manifest));
    const TermChain terms{pool.term(pool.submitter(), job, 2, {2})};
    pool.connect_submitter(2);
    pool.say(2, Submit{fact, terms});
    EXPECT_EQ(status_at(pool, 2).verified, 0U);
    if (before != Before::kNothing) {
      pool.say_as(3, 1, TermNotice{.job = job, .terms = terms, .records = {}});
    }
    if (before == Before::kToldAndRestarted) {
      pool.kill(1);
      pool.restart(1);
    } else {
      pool.link(1, 2);
    }
    pool.settle();
    EXPECT_TRUE(status_at(pool, 2).leads);
    EXPECT_GE(status_at(pool, 2).verified, verified);
  }
}

TEST(Stewards, ResultsAreForgottenWhenTheirTimeIsOver) {
  Pool pool(2);
  Manifest manifest = pool.manifest(100, 2);
  manifest.keep_s = 3600;
  pool.submit({1, 2}, manifest);
  pool.run(honest);
  EXPECT_GT(status_at(pool, 1).kept_until, 0);
  pool.pass(3000s);
  EXPECT_EQ(pool.peer(1).jobs_led().size(), 1U);
  pool.pass(700s);
  EXPECT_TRUE(pool.peer(1).jobs_led().empty());
  EXPECT_TRUE(pool.peer(2).jobs_led().empty());
  EXPECT_EQ(pool.facts_on_disk(1), 0U);
  EXPECT_EQ(pool.facts_on_disk(2), 0U);
}

// A submitter that crashed while it gave its job away does not remember to whom, and gives it to
// others. Those it has forgotten go by their terms: the workers follow them, and so do the others.
TEST(Stewards, OfTwoSetsOfStewardsTheOneWithTheLaterTermIsFollowedByTheOther) {
  Pool pool(7);
  const Manifest manifest = pool.manifest(2000, 2);
  const JobId job = pool.submit({1, 2, 3}, manifest);
  ASSERT_EQ(pool.submit({4, 5, 6}, manifest), job);
  pool.kill(1);
  pool.wait(1s);
  pool.wait(1s);
  EXPECT_TRUE(status_at(pool, 2).leads);
  for (std::size_t n = 4; n <= 6; ++n) EXPECT_FALSE(status_at(pool, n).leads) << n;
  pool.heard.clear();
  pool.say(4, JobFind{.job = job});
  const auto found = pool.all_heard<JobFound>();
  ASSERT_EQ(found.size(), 1U);
  const auto term = last_term(found.front().terms);
  ASSERT_TRUE(term.has_value());
  EXPECT_EQ(term->stewards.front(), pool.id(2)) << "so that the submitter, who asks 4, finds it";
  pool.run(honest);
  pool.connect_submitter(2);
  EXPECT_EQ(ledger_of(pool, 2, job, manifest), RangeSet(Range{0, 2000}));
}

TEST(Stewards, ALeaderThatWasAskedBeforeItHadTheJobIsWorkedForWhenItHasIt) {
  Pool pool(4);
  const Signed manifest =
      sign_fact(pool.submitter(), Purpose::kManifest, encode(pool.manifest(4000, 2)));
  const JobId job = pool.submit({1}, pool.manifest(4000, 2));
  ASSERT_TRUE(pool.compute(2, honest));
  // The submitter gives the job to others, and a worker hears so before they do.
  const TermChain later{pool.term(pool.submitter(), job, 2, {3})};
  pool.say_as(1, 2, TermNotice{.job = job, .terms = later, .records = {pool.record(3)}});
  pool.kill(1);
  ASSERT_FALSE(pool.computes(2)) << "3 told it that there is no such job";
  pool.connect_submitter(3);
  pool.say(3, Submit{manifest, later});
  EXPECT_TRUE(pool.computes(2));
}

TEST(Stewards, AnImpostorIsNotWorkedFor) {
  Pool pool(3);
  const Signed manifest =
      sign_fact(pool.submitter(), Purpose::kManifest, encode(pool.manifest(100, 1)));
  const JobId job = job_id_of(manifest.body);
  // Worker 3 says that it leads a job whose submitter named worker 1.
  pool.say_as(3, 2,
              WorkAvailable{.job = job,
                            .leader = pool.record(3),
                            .terms = {pool.term(pool.submitter(), job, 1, {1})}});
  pool.say_as(3, 2,
              LeaseGrant{.job = job,
                         .epoch = 1,
                         .lease = 1,
                         .ranges = {{0, 100}},
                         .duration_ms = 60'000,
                         .manifest = manifest,
                         .terms = {pool.term(pool.submitter(), job, 1, {1})}});
  EXPECT_FALSE(pool.compute(2, honest));
}

}  // namespace
}  // namespace shoal
