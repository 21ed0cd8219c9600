#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/sim/pool.h"

// What is too large for a ledger outlives those who hold it, and goes when its time is over.
namespace shoal::sim {
namespace {

constexpr std::uint32_t kOutputBytes = 20'000;

JobSpec large_results(std::uint64_t units) {
  JobSpec spec = Pool::job_of(units, 100ms);
  spec.kernel.output_bytes = kOutputBytes;
  return spec;
}

std::vector<ContentId> outputs_of(const JobRun& job) {
  std::vector<ContentId> ids;
  const SimKernel kernel = kernel_of(job.manifest);
  for (UnitIndex unit = 0; unit < job.manifest.units; ++unit) {
    ids.push_back(content_id(unit_output(kernel, job.id, unit, 0, 0)));
  }
  return ids;
}

// Workers that hold a content and are there.
std::size_t copies(Pool& pool, const ContentId& id) {
  const auto& workers = pool.all_workers();
  return static_cast<std::size_t>(
      std::count_if(workers.begin(), workers.end(), [&](NodeIndex worker) {
        const Node& node = pool.world().node(worker);
        return node.alive && node.contents.holds(id);
      }));
}
std::size_t fewest_copies(Pool& pool, const std::vector<ContentId>& ids) {
  std::size_t fewest = pool.all_workers().size();
  for (const ContentId& id : ids) fewest = std::min(fewest, copies(pool, id));
  return fewest;
}
std::uint64_t messages_of(Pool& pool) { return pool.world().job_traffic().messages; }

bool all_verified(Pool& pool, const JobRun& job) {
  return pool.world().run_until(
      [&] { return pool.status_at_steward(job).verified == job.manifest.units; }, 600s);
}

TEST(Copies, AResultWhoseHolderIsGoneIsCopiedToAnotherWorker) {
  Pool pool;
  pool.workers(6);
  JobRun& job = pool.submit(large_results(60));
  pool.stop(pool.submitter());
  ASSERT_TRUE(all_verified(pool, job));
  const std::vector<ContentId> outputs = outputs_of(job);
  EXPECT_EQ(fewest_copies(pool, outputs), 2U) << "those who computed it hold it";
  // One after the other, without its disk, each time until all is well again.
  for (int lost = 0; lost < 3; ++lost) {
    for (const NodeIndex worker : pool.all_workers()) {
      const bool keeps =
          std::find(job.stewards.begin(), job.stewards.end(), worker) != job.stewards.end();
      if (keeps || !pool.world().node(worker).alive) continue;
      pool.world().leave(worker);
      break;
    }
    ASSERT_TRUE(pool.world().run_until([&] { return fewest_copies(pool, outputs) >= 2; }, 300s))
        << lost;
  }
  pool.restart(pool.submitter());
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.fetched, 60U);
  EXPECT_EQ(pool.judgement(), "");
}

// All others were asked while it was away, in case that one of them had it too.
TEST(Copies, AResultWhoseOnlyHolderComesBackIsCopiedToOneWhoHadNothing) {
  Pool pool;
  pool.workers(4);
  JobSpec spec = large_results(8);
  spec.quorum = 1;
  JobRun& job = pool.submit(spec);
  pool.stop(pool.submitter());
  ASSERT_TRUE(all_verified(pool, job));
  pool.run(500ms);
  const std::vector<ContentId> outputs = outputs_of(job);
  ASSERT_EQ(fewest_copies(pool, outputs), 1U);
  const NodeIndex holder = pool.bystander(job);
  const auto of_holder = [&](const ContentId& output) {
    return pool.world().node(holder).contents.holds(output) && copies(pool, output) == 1;
  };
  const auto output = std::find_if(outputs.begin(), outputs.end(), of_holder);
  ASSERT_NE(output, outputs.end());
  pool.stop(holder);
  pool.run(300s);
  pool.restart(holder);
  EXPECT_TRUE(pool.world().run_until([&] { return copies(pool, *output) == 2; }, 200s));
}

// The leader is among them: who follows it goes on counting.
TEST(Copies, TheLossOfTwoHoldersAfterEachOtherIsSurvivedAlsoWhenTheLeaderIsOneOfThem) {
  Pool pool;
  pool.workers(6);
  JobRun& job = pool.submit(large_results(40));
  pool.stop(pool.submitter());
  ASSERT_TRUE(all_verified(pool, job));
  const std::vector<ContentId> outputs = outputs_of(job);
  for (const NodeIndex worker : {job.stewards[0], job.stewards[1]}) {
    pool.world().leave(worker);
    ASSERT_TRUE(pool.world().run_until([&] { return fewest_copies(pool, outputs) >= 2; }, 400s));
  }
  pool.restart(pool.submitter());
  ASSERT_TRUE(pool.run_until_finished());
  EXPECT_EQ(job.fetched, 40U);
}

TEST(Copies, InputsOutliveThreeLossesAndTheSubmitterNeedNotBeThere) {
  Pool pool;
  pool.workers(7);
  JobSpec spec = Pool::job_of(6000, 500ms);
  spec.program_bytes = 700'000;
  spec.input_bytes = 100;
  JobRun& job = pool.submit(spec);
  pool.stop(pool.submitter());
  const std::vector<ContentId> inputs{*job.manifest.program, *job.manifest.inputs};
  ASSERT_TRUE(pool.world().run_until([&] { return fewest_copies(pool, inputs) >= 3; }, 60s));
  pool.run(30s);
  for (std::size_t lost = 0; lost < 3; ++lost) {
    pool.world().leave(job.stewards[lost]);
    pool.run(90s);
    EXPECT_GE(fewest_copies(pool, inputs), 3U) << lost;
  }
}

// As many as are needed, a few at a time, and no more messages than that takes.
TEST(Copies, ManyHoldersThatVanishTogetherCauseNoStorm) {
  Pool pool;
  pool.workers(14);
  JobRun& job = pool.submit(large_results(200));
  pool.stop(pool.submitter());
  ASSERT_TRUE(all_verified(pool, job));
  pool.run(10s);
  const std::vector<ContentId> outputs = outputs_of(job);
  int left = 0;
  for (const NodeIndex worker : pool.all_workers()) {
    const bool keeps =
        std::find(job.stewards.begin(), job.stewards.end(), worker) != job.stewards.end();
    if (keeps || left == 4) continue;
    pool.world().leave(worker);
    ++left;
  }
  const auto to_copy = static_cast<std::uint64_t>(std::count_if(
      outputs.begin(), outputs.end(), [&](const ContentId& id) { return copies(pool, id) == 1; }));
  const auto lost_at_once = static_cast<std::uint64_t>(std::count_if(
      outputs.begin(), outputs.end(), [&](const ContentId& id) { return copies(pool, id) == 0; }));
  ASSERT_GT(to_copy, 10U);
  const std::uint64_t before = messages_of(pool);
  const auto safe = [&] {
    return std::all_of(outputs.begin(), outputs.end(),
                       [&](const ContentId& id) { return copies(pool, id) != 1; });
  };
  ASSERT_TRUE(pool.world().run_until(safe, 600s));
  // Keep, Kept, a request and a block, and the small talk of ten workers meanwhile.
  EXPECT_LT(messages_of(pool) - before, 8 * to_copy + 4000);
  pool.run(10s);
  EXPECT_EQ(pool.status_at_steward(job).thin_outputs, lost_at_once);
}

TEST(Copies, TheContentsOfAJobGoWhenItsTimeIsOverAndThoseOfOthersStay) {
  Pool pool;
  pool.workers(4);
  JobSpec spec = large_results(30);
  spec.program_bytes = 300'000;
  spec.keep_s = 600;
  JobRun& job = pool.submit(spec);
  ASSERT_TRUE(pool.run_until_finished());
  spec.keep_s = 100'000;
  JobRun& other = pool.submit(spec);
  ASSERT_TRUE(pool.run_until_finished());
  const std::vector<ContentId> outputs = outputs_of(job);
  pool.run(300s);
  EXPECT_GE(fewest_copies(pool, outputs), 2U);
  pool.run(500s);
  for (const ContentId& id : outputs) EXPECT_EQ(copies(pool, id), 0U);
  EXPECT_EQ(copies(pool, *job.manifest.program), 0U);
  EXPECT_GE(fewest_copies(pool, outputs_of(other)), 2U);
  EXPECT_GE(copies(pool, *other.manifest.program), 3U);
  EXPECT_EQ(pool.judgement(), "");
}

}  // namespace
}  // namespace shoal::sim
