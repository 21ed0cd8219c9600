#include <gmock/gmock.h>

#include "tests/unit/worker/core/pool.h"

// What is waited for must come to an end.
namespace shoal {
namespace {

using test::Pool;
using test::true_output;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::StartsWith;

constexpr Duration kUnitWall = 10s;

// The last of `workers` asks for units once, and is never heard again though its link is up.
class Patience : public ::testing::Test {
 protected:
  Patience() {
    pool_.meddle = [this](std::size_t from, std::size_t, Message& message) {
      if (from != 4) return true;
      return std::holds_alternative<WorkRequest>(message) && !std::exchange(asked_, true);
    };
  }
  JobId submit(std::uint32_t max_attempts) {
    Manifest manifest = pool_.manifest(40, 2);
    manifest.unit_wall_ms = static_cast<std::uint64_t>(kUnitWall / 1ms);
    manifest.max_attempts = max_attempts;
    const JobId job = pool_.submit(1, manifest);
    pool_.want_receipts(1, job);
    return job;
  }
  std::uint64_t ended(UnitEnd end) const {
    RangeSet units;
    for (const Receipt& receipt : pool_.receipts()) {
      if (receipt.end == end) units.add(receipt.range);
    }
    return units.size();
  }

  Pool pool_{4};
  bool asked_ = false;
};

TEST_F(Patience, AWorkerThatAsksOnceAndIsSilentDecidesNothing) {
  submit(3);
  // Two that disagree need a third: the leader itself, when nobody else is left.
  const auto one_lies = [](std::size_t n, UnitIndex unit) -> std::optional<Bytes> {
    return n == 3 ? Bytes{std::uint8_t(unit)} : true_output(unit);
  };
  pool_.run(one_lies, 200);
  ASSERT_TRUE(asked_);
  EXPECT_EQ(ended(UnitEnd::kVerified), 40U);
}

TEST_F(Patience, NorDoesAUnitThatFailsEverywhereElseWaitForIt) {
  submit(4);
  const auto one_fails = [](std::size_t, UnitIndex unit) -> std::optional<Bytes> {
    if (unit == 7) return std::nullopt;
    return true_output(unit);
  };
  pool_.run(one_fails, 200);
  ASSERT_TRUE(asked_);
  EXPECT_EQ(ended(UnitEnd::kVerified), 39U);
  EXPECT_EQ(ended(UnitEnd::kFailed), 1U);
}

TEST(PatienceOfAWorker, ALeaderThatForgotWhoWaitsIsReminded) {
  Pool pool(2);
  pool.meddle = [](std::size_t from, std::size_t, Message& message) {
    return from != 2 || !std::holds_alternative<WorkRequest>(message);
  };
  const JobId job = pool.submit(1, pool.manifest(20, 2));
  pool.want_receipts(1, job);
  pool.say_as(1, 2, NoWork{.job = job, .holders = {}, .jobs = {}});
  const auto honest = [](std::size_t, UnitIndex unit) { return std::optional(true_output(unit)); };
  pool.meddle = {};
  pool.run(honest, 60);
  ASSERT_TRUE(pool.receipts().empty()) << "it asked though the leader had said no";
  pool.run(honest, 400);
  std::uint64_t verified = 0;
  for (const Receipt& receipt : pool.receipts()) verified += receipt.range.size();
  EXPECT_EQ(verified, 20U);
}

TEST(PatienceOfAWorker, WhatItsOwnerTakesBackIsComputedByOthers) {
  Pool pool(3);
  const JobId job = pool.submit(1, pool.manifest(6, 1));
  pool.want_receipts(1, job);
  ASSERT_TRUE(pool.computes(2));
  pool.lend(2, Lend::What::kNothing);
  EXPECT_FALSE(pool.computes(2));
  pool.run([](std::size_t, UnitIndex unit) { return std::optional<Bytes>(true_output(unit)); });
  RangeSet verified;
  for (const Receipt& receipt : pool.receipts()) verified.add(receipt.range);
  EXPECT_EQ(verified.size(), 6u);
  EXPECT_TRUE(pool.computed[2].empty());
}

TEST(PatienceOfAWorker, WhoIsPausedKeepsWhatItHasAndTakesNothingNew) {
  Pool pool(3);
  const auto honest = [](std::size_t, UnitIndex unit) {
    return std::optional<Bytes>(true_output(unit));
  };
  const JobId before = pool.submit(1, pool.manifest(6, 1));
  ASSERT_TRUE(pool.computes(2));
  pool.lend(2, Lend::What::kWhatIsHeld);
  EXPECT_TRUE(pool.computes(2)) << "a short pause costs nobody anything";
  pool.lend(3, Lend::What::kWhatIsHeld);
  pool.run(honest);
  pool.computed[2].clear();
  pool.computed[3].clear();
  const JobId after = pool.submit(1, pool.manifest(7, 1));
  ASSERT_NE(before, after);
  pool.want_receipts(1, after);
  pool.run(honest);
  RangeSet verified;
  for (const Receipt& receipt : pool.receipts()) verified.add(receipt.range);
  EXPECT_EQ(verified.size(), 7U);
  EXPECT_TRUE(pool.computed[2].empty());
  EXPECT_TRUE(pool.computed[3].empty());
  pool.lend(2, Lend::What::kAll);
  pool.submit(1, pool.manifest(100, 1));
  pool.run(honest);
  EXPECT_FALSE(pool.computed[2].empty());
}

// One of the two that verify for the leader is paused: the leader does its part, rather than wait.
TEST(PatienceOfAWorker, WhoIsPausedIsNotWaitedForAsAVerifier) {
  for (const auto what : {Lend::What::kWhatIsHeld, Lend::What::kWhatRuns, Lend::What::kNothing}) {
    Pool pool(3);
    const auto honest = [](std::size_t, UnitIndex unit) {
      return std::optional<Bytes>(true_output(unit));
    };
    const JobId job = pool.submit(1, pool.manifest(40, 2));
    pool.want_receipts(1, job);
    ASSERT_TRUE(pool.computes(3));
    pool.lend(3, what);
    pool.paused.insert(3);
    pool.run(honest, 400);
    RangeSet verified;
    for (const Receipt& receipt : pool.receipts()) verified.add(receipt.range);
    EXPECT_EQ(verified.size(), 40U) << static_cast<int>(what);
  }
}

TEST(PatienceOfAWorker, AJobThatStandsStillForAPauseSaysSo) {
  Pool pool(3);
  pool.lend(2, Lend::What::kWhatIsHeld);
  pool.lend(3, Lend::What::kWhatIsHeld);
  EXPECT_EQ(pool.peer(2).status().doing, "paused by its owner");
  pool.submit(1, pool.manifest(6, 2));
  const auto honest = [](std::size_t, UnitIndex unit) {
    return std::optional<Bytes>(true_output(unit));
  };
  pool.run(honest);
  const auto waiting_for = [&] { return pool.peer(1).jobs_led().at(0).waiting_for; };
  EXPECT_EQ(waiting_for(),
            "each unit needs 2 different workers, and 1 is here; 2 workers decline: its owner has "
            "paused it");
  pool.lend(2, Lend::What::kAll);
  pool.run(honest);
  EXPECT_EQ(pool.peer(1).jobs_led().at(0).verified, 6U);
  EXPECT_EQ(waiting_for(), "");
}

TEST(PatienceOfAWorker, AJobOfWhichOneUnitNeverEndsSaysSo) {
  Pool pool(3);
  pool.unit_takes = 100ms;
  pool.submit(1, pool.manifest(20, 1));
  const auto all_but_the_second = [&] {
    for (const std::size_t n : {1, 2, 3}) {
      while (pool.computes(n) && !pool.computing(n).range.contains(1)) {
        pool.compute(
            n, [](std::size_t, UnitIndex unit) { return std::optional<Bytes>(true_output(unit)); });
      }
    }
  };
  const auto waiting_for = [&] { return pool.peer(1).jobs_led().at(0).waiting_for; };
  for (int second = 0; second < 30; ++second) {
    all_but_the_second();
    pool.pass(1s);
  }
  EXPECT_EQ(pool.peer(1).jobs_led().at(0).verified, 19U);
  EXPECT_EQ(waiting_for(), "");
  pool.wait(60s);
  EXPECT_THAT(waiting_for(),
              AllOf(StartsWith("unit 1, begun by the worker "),
                    EndsWith(" long ago, where a unit takes 0.1 s as a rule; nothing else ends "
                             "meanwhile")));
}

// Its owner has paused it for longer than any unit may take; then it goes on with what it had
// begun.
TEST(PatienceOfAWorker, WhoStoodStillForLongIsHeardAllTheSame) {
  Pool pool(2);
  Manifest manifest = pool.manifest(6, 2);
  manifest.unit_wall_ms = static_cast<std::uint64_t>(kUnitWall / 1ms);
  const JobId job = pool.submit(1, manifest);
  pool.want_receipts(1, job);
  ASSERT_TRUE(pool.computes(2));
  pool.wait(300s);
  pool.run([](std::size_t, UnitIndex unit) { return std::optional<Bytes>(true_output(unit)); });
  RangeSet verified;
  for (const Receipt& receipt : pool.receipts()) {
    if (receipt.end == UnitEnd::kVerified) verified.add(receipt.range);
  }
  EXPECT_EQ(verified.size(), 6u);
}

// Ended meanwhile, it is given them again, since there is nobody else.
TEST(PatienceOfAWorker, WhoStoodStillForLongIsAskedAgainWhereThereIsNobodyElse) {
  Pool pool(2);
  Manifest manifest = pool.manifest(6, 2);
  manifest.unit_wall_ms = static_cast<std::uint64_t>(kUnitWall / 1ms);
  const JobId job = pool.submit(1, manifest);
  pool.want_receipts(1, job);
  ASSERT_TRUE(pool.computes(2));
  pool.wait(300s);
  pool.kill(2);
  pool.restart(2);
  pool.run([](std::size_t, UnitIndex unit) { return std::optional<Bytes>(true_output(unit)); });
  RangeSet verified;
  for (const Receipt& receipt : pool.receipts()) {
    if (receipt.end == UnitEnd::kVerified) verified.add(receipt.range);
  }
  EXPECT_EQ(verified.size(), 6u);
}

}  // namespace
}  // namespace shoal
