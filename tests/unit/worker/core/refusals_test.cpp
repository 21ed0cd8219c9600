#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/worker/core/pool.h"

// What an owner refuses: his worker has no part in it any more, at once, and the job goes on with
// the others.
namespace shoal {
namespace {

using test::honest;
using test::Pool;
using test::status_at;
using ::testing::HasSubstr;

Refusals the_submitter_of(const Pool& pool) {
  return {.contents = {}, .submitters = {pool.submitter().id()}};
}

// All computes by turns until so many units are verified, as worker n knows it.
void run_until(Pool& pool, std::size_t n, std::uint64_t verified) {
  for (int round = 0; round < 10'000 && status_at(pool, n).verified < verified; ++round) {
    bool any = false;
    for (std::size_t worker = 1; worker <= 9; ++worker) any |= pool.compute(worker, honest);
    if (!any) pool.wait(1s);
  }
  ASSERT_GE(status_at(pool, n).verified, verified);
}

TEST(OwnersRefusal, AWorkerStopsAtOnceAndOthersComputeWhatItHeld) {
  Pool pool(5);
  const Manifest manifest = pool.manifest(2000, 2);
  pool.submit({1, 2, 3}, manifest);
  run_until(pool, 1, 200);
  ASSERT_TRUE(pool.computes(5)) << "there is nothing to stop";
  const std::size_t before = pool.computed[5].size();
  pool.refuse(5, the_submitter_of(pool));
  EXPECT_FALSE(pool.computes(5));
  EXPECT_EQ(pool.facts_on_disk(5), 0U);
  run_until(pool, 1, 2000);
  EXPECT_EQ(pool.computed[5].size(), before);
}

TEST(OwnersRefusal, WhatIsTakenBackIsComputedAgain) {
  Pool pool(4);
  pool.submit({1, 2, 3}, pool.manifest(4000, 2));
  pool.refuse(4, the_submitter_of(pool));
  run_until(pool, 1, 500);
  EXPECT_TRUE(pool.computed[4].empty());
  pool.refuse(4, {});
  run_until(pool, 1, 4000);
  EXPECT_FALSE(pool.computed[4].empty());
}

TEST(OwnersRefusal, ALeaderIsFollowedAtOnceAndReplaced) {
  Pool pool(5);
  const Manifest manifest = pool.manifest(3000, 2);
  pool.submit({1, 2, 3}, manifest);
  run_until(pool, 1, 500);
  pool.refuse(1, the_submitter_of(pool));
  EXPECT_TRUE(pool.peer(1).jobs_led().empty());
  EXPECT_EQ(pool.facts_on_disk(1), 0U);
  pool.pass(1ms);
  EXPECT_TRUE(status_at(pool, 2).leads) << "it does not wait for the silence of one that is gone";
  pool.wait(10s);
  const auto stewards = status_at(pool, 2).stewards;
  EXPECT_EQ(stewards.size(), 3U);
  EXPECT_EQ(std::count(stewards.begin(), stewards.end(), pool.id(1)), 0);
  const std::size_t before = pool.computed[1].size();
  run_until(pool, 2, 3000);
  EXPECT_EQ(pool.computed[1].size(), before);
}

TEST(OwnersRefusal, ALeaderIsFollowedWhenTheDiskOfTheNextAnswersAgain) {
  Pool pool(5);
  pool.submit({1, 2, 3}, pool.manifest(3000, 2));
  run_until(pool, 1, 500);
  pool.kill(3);
  pool.hang_disk(2);
  run_until(pool, 1, 1000);
  pool.wait(10s);
  pool.refuse(1, the_submitter_of(pool));
  pool.pass(1ms);
  EXPECT_FALSE(status_at(pool, 2).leads);
  EXPECT_GT(*pool.peer(2).next_deadline(), pool.now()) << "it would be called at once, for ever";
  pool.free_disk(2);
  pool.wait(1s);
  EXPECT_TRUE(status_at(pool, 2).leads);
  run_until(pool, 2, 3000);
}

TEST(OwnersRefusal, AFollowerIsReplaced) {
  Pool pool(4);
  pool.submit({1, 2, 3}, pool.manifest(6000, 2));
  run_until(pool, 1, 100);
  pool.refuse(3, the_submitter_of(pool));
  EXPECT_EQ(status_at(pool, 1).stewards_here, 2U);
  pool.wait(10s);
  const auto stewards = status_at(pool, 1).stewards;
  EXPECT_EQ(std::count(stewards.begin(), stewards.end(), pool.id(3)), 0);
  EXPECT_EQ(std::count(stewards.begin(), stewards.end(), pool.id(4)), 1);
  EXPECT_EQ(status_at(pool, 1).stewards_here, 3U);
}

TEST(OwnersRefusal, AJobOfHisIsNotTakenAndTheAnswerSaysWhy) {
  Pool pool(1);
  pool.refuse(1, the_submitter_of(pool));
  pool.submit(1, pool.manifest(10, 1));
  const auto replies = pool.all_heard<SubmitReply>();
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_EQ(replies[0].outcome, SubmitOutcome::kFull);
  EXPECT_THAT(replies[0].detail, HasSubstr("its owner refuses"));
  pool.say(1, WorkerStatusRequest{});
  const auto statuses = pool.all_heard<WorkerStatus>();
  ASSERT_EQ(statuses.size(), 1U);
  EXPECT_THAT(statuses[0].doing, HasSubstr("its owner refuses what you submit"));
}

TEST(OwnersRefusal, TheJobSaysWhyNobodyComputesIt) {
  Pool pool(2);
  pool.refuse(2, the_submitter_of(pool));
  pool.submit(1, pool.manifest(10, 2));
  pool.wait(2s);
  const std::string why = status_at(pool, 1).waiting_for;
  EXPECT_THAT(why, HasSubstr("different workers"));
  EXPECT_THAT(why, HasSubstr("1 worker declines: its owner refuses"));
}

// Here each lacks a program; a layer of the sandbox that is missing takes the same way.
TEST(WhatAMachineLacks, IsSaidOfAJobThatNobodyComputes) {
  Pool pool(4);
  Manifest manifest = pool.manifest(10, 2);
  manifest.needs = {"vina"};
  pool.submit({1, 2, 3}, manifest);
  pool.wait(2s);
  const JobStatus status = status_at(pool, 1);
  EXPECT_THAT(status.waiting_for, HasSubstr("4 workers decline: it needs the program 'vina'"));
  EXPECT_EQ(status.stewards_here, 3U) << "a steward that lacks it keeps the job all the same";
  EXPECT_EQ(status.recomputed, 0U) << "what was given back uncomputed was not computed";
}

TEST(WhatAMachineLacks, IsSaidByALeaderAboutItself) {
  Pool pool(2);
  Manifest manifest = pool.manifest(10, 2);
  manifest.needs = {"vina"};
  pool.submit({1, 2}, manifest);
  pool.wait(2s);
  EXPECT_THAT(status_at(pool, 1).waiting_for,
              HasSubstr("2 workers decline: it needs the program 'vina'"));
}

// Worker 3 of three lends less than a unit needs, and is a steward.
Manifest of_large_units(Pool& pool) {
  pool.memory[3] = 1 << 20;
  pool.restart(3);
  Manifest manifest = pool.manifest(100, 2);
  manifest.unit_memory_bytes = 2 << 20;
  return manifest;
}

TEST(WhatAMachineLacks, OfAFollowerKeepsNoUnitWaitingForItsOpinion) {
  Pool pool(3);
  pool.submit({1, 2, 3}, of_large_units(pool));
  const Instant begun = pool.now();
  run_until(pool, 1, 100);
  EXPECT_LT(pool.now() - begun, 60s) << "it was believed to be at work";
  EXPECT_TRUE(pool.computed[3].empty());
  EXPECT_EQ(status_at(pool, 1).stewards_here, 3U);
}

TEST(WhatAMachineLacks, OfTheLeaderKeepsNoUnitWaitingForItsOpinion) {
  Pool pool(3);
  pool.submit({3, 1, 2}, of_large_units(pool));
  const Instant begun = pool.now();
  run_until(pool, 3, 100);
  EXPECT_LT(pool.now() - begun, 60s);
  EXPECT_TRUE(pool.computed[3].empty());
}

TEST(WhatAMachineLacks, OfAFollowerIsNoWorkerThatAUnitCouldWaitFor) {
  Pool pool(3);
  const Manifest manifest = of_large_units(pool);
  pool.submit({1, 3}, manifest);
  pool.kill(2);
  for (int round = 0; round < 100; ++round) {
    if (!pool.compute(1, honest)) pool.wait(100ms);
  }
  EXPECT_THAT(status_at(pool, 1).waiting_for,
              HasSubstr("2 different workers, and 1 is here; 1 worker declines: a unit needs 2 MiB "
                        "of memory, and this worker lends 1 MiB"));
}

TEST(OwnersRefusal, OfAContentMeansTheJobsThatNeedIt) {
  Pool pool(1);
  Manifest manifest = pool.manifest(10, 1);
  ContentId data;
  data.bytes.fill(7);
  manifest.contents = {{data, 100}};
  pool.refuse(1, {.contents = {data}, .submitters = {}});
  pool.submit(1, manifest);
  const auto replies = pool.all_heard<SubmitReply>();
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_THAT(replies[0].detail, HasSubstr("refuses content 0707"));
  pool.say(1, BlockRequest{.content = data, .length = 100, .first_leaf = 0});
  const auto blocks = pool.all_heard<Block>();
  ASSERT_EQ(blocks.size(), 1U);
  EXPECT_TRUE(blocks[0].missing) << "it is not even looked for";
  EXPECT_TRUE(pool.peer(1).contents_needed().empty());
}

TEST(OwnersRefusal, HoldsForWhatIsOnTheDiskWhenTheWorkerStarts) {
  Pool pool(4);
  pool.submit({1, 2, 3}, pool.manifest(2000, 2));
  run_until(pool, 1, 200);
  pool.kill(2);
  ASSERT_GT(pool.facts_on_disk(2), 0U);
  pool.refused[2] = the_submitter_of(pool);
  pool.restart(2);
  EXPECT_TRUE(pool.peer(2).jobs_led().empty());
  EXPECT_EQ(pool.facts_on_disk(2), 0U);
  const std::size_t before = pool.computed[2].size();
  run_until(pool, 1, 2000);
  EXPECT_EQ(pool.computed[2].size(), before);
}

}  // namespace
}  // namespace shoal
