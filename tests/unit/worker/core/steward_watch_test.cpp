#include <gtest/gtest.h>

#include "tests/unit/worker/core/pool.h"

// Leaders that beat and do nothing else are followed, and those that have reason to wait are not.
namespace shoal {
namespace {

using test::honest;
using test::Pool;
using test::status_at;

void compute(Pool& pool, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t worker = 1; worker <= 9; ++worker) pool.compute(worker, honest);
  }
}

// What it says to others is lost, where `about` holds for it.
void silence_leader(Pool& pool, const std::function<bool(const Message&)>& about) {
  pool.meddle = [about](std::size_t from, std::size_t, Message& message) {
    return from != 1 || !about(message);
  };
}

TEST(StewardWatch, ALeaderWhoseDiskHangsIsFollowedWithinSeconds) {
  Pool pool(4);
  pool.submit({1, 2, 3}, pool.manifest(3000, 2));
  compute(pool, 20);
  pool.hang_disk(1);
  compute(pool, 4);
  pool.wait(4s);
  EXPECT_TRUE(status_at(pool, 1).leads) << "a disk may be busy for a moment";
  pool.wait(5s);
  EXPECT_TRUE(status_at(pool, 2).leads);
  EXPECT_FALSE(status_at(pool, 1).leads);
  pool.run(honest);
  EXPECT_EQ(status_at(pool, 2).verified, 3000U);
  pool.free_disk(1);
  pool.wait(5s);
  EXPECT_EQ(status_at(pool, 1).verified, 3000U);
}

TEST(StewardWatch, AFollowerWhoseDiskHangsLeavesTheLeadToTheOther) {
  Pool pool(4);
  pool.submit({1, 2, 3}, pool.manifest(3000, 2));
  compute(pool, 20);
  pool.hang_disk(1);
  pool.hang_disk(2);
  compute(pool, 4);
  pool.wait(12s);
  EXPECT_TRUE(status_at(pool, 3).leads);
  EXPECT_EQ(status_at(pool, 3).epoch, 2U);
}

TEST(StewardWatch, WhereEveryDiskHangsNobodyTakesTheLeadInTurns) {
  Pool pool(4);
  pool.submit({1, 2, 3}, pool.manifest(3000, 2));
  compute(pool, 20);
  for (std::size_t n = 1; n <= 3; ++n) pool.hang_disk(n);
  compute(pool, 4);
  pool.wait(120s);
  EXPECT_TRUE(status_at(pool, 1).leads);
  EXPECT_EQ(status_at(pool, 1).epoch, 1U);
  for (std::size_t n = 1; n <= 3; ++n) pool.free_disk(n);
  pool.run(honest);
  EXPECT_EQ(status_at(pool, 1).verified, 3000U);
}

TEST(StewardWatch, ALeaderThatBeatsAndAnswersNobodyIsFollowed) {
  Pool pool(4);
  pool.submit({1, 2, 3}, pool.manifest(3000, 2));
  compute(pool, 20);
  silence_leader(pool, [](const Message& m) { return !std::holds_alternative<Heartbeat>(m); });
  pool.wait(90s);
  EXPECT_TRUE(status_at(pool, 2).leads);
  pool.meddle = {};
  pool.run(honest);
  EXPECT_EQ(status_at(pool, 2).verified, 3000U);
}

TEST(StewardWatch, ALeaderThatSaysHowItIsAndHandsOutNothingIsFollowed) {
  Pool pool(4);
  pool.submit({1, 2, 3}, pool.manifest(3000, 2));
  silence_leader(pool, [](const Message& m) {
    return std::holds_alternative<LeaseGrant>(m) || std::holds_alternative<NoWork>(m) ||
           std::holds_alternative<RejoinReply>(m);
  });
  for (int second = 0; second < 120; ++second) {
    compute(pool, 1);
    pool.wait(1s);
  }
  EXPECT_TRUE(status_at(pool, 2).leads);
  pool.meddle = {};
  pool.run(honest);
  EXPECT_EQ(status_at(pool, 2).verified, 3000U);
}

TEST(StewardWatch, ALeaderThatShowsNoReceiptsIsFollowed) {
  Pool pool(4);
  pool.submit({1, 2, 3}, pool.manifest(60'000, 2));
  silence_leader(pool, [](const Message& m) { return std::holds_alternative<Results>(m); });
  for (int second = 0; second < 90; ++second) {
    compute(pool, 1);
    pool.wait(1s);
  }
  EXPECT_TRUE(status_at(pool, 2).leads);
  pool.run(honest);
  EXPECT_EQ(status_at(pool, 2).epoch, 2U);
  EXPECT_EQ(status_at(pool, 2).verified, 60'000U);
}

// As one does that leads another job as well, and has lost the program of this one.
TEST(StewardWatch, ALeaderThatSaysThatItDoesNotLeadIsFollowed) {
  Pool pool(4);
  pool.submit({1, 2, 3}, pool.manifest(3000, 2));
  compute(pool, 20);
  pool.meddle = [](std::size_t from, std::size_t, Message& message) {
    if (from != 1) return true;
    if (auto* reply = std::get_if<JobStatusReply>(&message)) {
      for (JobStatus& status : reply->jobs) status.leads = false;
    }
    return true;
  };
  pool.wait(90s);  // nobody computes, so that the ledger stands still
  EXPECT_TRUE(status_at(pool, 2).leads);
  pool.meddle = {};
  pool.run(honest);
  EXPECT_EQ(status_at(pool, 2).verified, 3000U);
}

TEST(StewardWatch, ALeaderWithReasonToWaitIsLeftAlone) {
  Pool long_units(4);
  long_units.submit({1, 2, 3}, long_units.manifest(8, 2));
  long_units.wait(600s);  // nobody has ended a unit yet
  EXPECT_TRUE(status_at(long_units, 1).leads);
  EXPECT_EQ(status_at(long_units, 1).epoch, 1U);

  Pool too_few(3);
  too_few.submit({1, 2, 3}, too_few.manifest(8, 4));
  too_few.run(honest, 600);
  EXPECT_TRUE(status_at(too_few, 1).leads);
  EXPECT_EQ(status_at(too_few, 1).epoch, 1U);
  EXPECT_EQ(status_at(too_few, 1).verified, 0U);
}

TEST(StewardWatch, APausedJobsLeaderIsLeftAlone) {
  Pool pool(4);
  const JobId job = pool.submit({1, 2, 3}, pool.manifest(3000, 2));
  compute(pool, 20);
  const Control pause{.job = job, .sequence = 1, .command = ControlCommand::kPause};
  pool.say(1, ControlRequest{sign_fact(pool.submitter(), Purpose::kControl, encode(pause))});
  pool.run(honest, 600);
  EXPECT_TRUE(status_at(pool, 1).leads);
  EXPECT_EQ(status_at(pool, 1).epoch, 1U);
}

// The question and the answer are few words, however long it lasts.
TEST(StewardWatch, AskingHowALeaderIsCostsNextToNothing) {
  Pool pool(4);
  pool.submit({1, 2, 3}, pool.manifest(8, 2));
  pool.wait(3600s);
  EXPECT_GT(pool.sent["JobStatusRequest"], 2U);
  EXPECT_LT(pool.sent["JobStatusRequest"], 40U);
}

}  // namespace
}  // namespace shoal
