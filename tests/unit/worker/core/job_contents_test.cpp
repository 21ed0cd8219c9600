// What a worker does about the program and the inputs of a job. The test is its disk.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/worker/core/pool.h"

namespace shoal {
namespace {

using namespace shoal::test;
using ::testing::Contains;

// Worker 1 leads the job, worker 2 computes for it.
class JobContents : public ::testing::Test {
 protected:
  JobContents() {
    Manifest manifest = pool_.manifest(kUnits, 1);
    manifest.inputs = ContentId{};
    manifest.inputs->bytes[0] = 7;
    manifest.inputs_bytes = 100;
    inputs_ = *manifest.inputs;
    pool_.paused.insert(1);
    job_ = pool_.submit(1, manifest);
    are_here(1);  // the steward keeps it
    are_here(1);  // and has its part in it
    pool_.want_receipts(1, job_);
  }
  // The disk answers whoever looks for the inputs.
  void are_here(std::size_t worker) {
    pool_.hear(worker, ContentOpened{.id = inputs_,
                                     .length = 100,
                                     .complete = true,
                                     .blocks_held = {},
                                     .for_reader = false});
  }
  void are_lost() { pool_.hear(2, ContentsLost{job_}); }
  std::size_t verified() const {
    std::size_t units = 0;
    for (const Receipt& receipt : pool_.receipts()) {
      if (receipt.end == UnitEnd::kVerified) units += receipt.range.size();
    }
    return units;
  }

  static constexpr std::uint64_t kUnits = 20;
  Pool pool_{2};
  JobId job_;
  ContentId inputs_;
};

TEST_F(JobContents, AreNeededAsLongAsItComputes) {
  EXPECT_FALSE(pool_.computes(2)) << "it began without its inputs";
  EXPECT_THAT(pool_.peer(2).contents_needed(), Contains(inputs_)) << "while they are fetched";
  are_here(2);
  ASSERT_TRUE(pool_.computes(2));
  EXPECT_THAT(pool_.peer(2).contents_needed(), Contains(inputs_)) << "while it computes";
  pool_.run(honest);
  EXPECT_EQ(verified(), kUnits);
}

TEST_F(JobContents, ThatAreLostBeforeAUnitBeginsAreFetchedAgainAndNoUnitFails) {
  are_here(2);
  ASSERT_TRUE(pool_.computes(2));
  const UnitIndex first = pool_.computing(2).range.first;
  are_lost();
  EXPECT_FALSE(pool_.computes(2)) << "it goes on without its inputs";
  pool_.wait(5s);
  EXPECT_FALSE(pool_.computes(2));
  EXPECT_THAT(pool_.peer(2).contents_needed(), Contains(inputs_));
  are_here(2);
  ASSERT_TRUE(pool_.computes(2));
  EXPECT_EQ(pool_.computing(2).range.first, first);
  pool_.run(honest);
  EXPECT_EQ(verified(), kUnits);
  EXPECT_EQ(pool_.sent["FailureNotice"], 0U);
}

// Whoever else there is must have them: here that is the leader.
TEST_F(JobContents, ThatAreLostAgainAndAgainKeepNoUnitFromOthers) {
  for (int i = 0; i < 4; ++i) {
    are_here(2);
    are_lost();
  }
  pool_.paused.clear();
  pool_.run([&](std::size_t n, UnitIndex unit) {
    EXPECT_EQ(n, 1U);
    return honest(n, unit);
  });
  EXPECT_EQ(verified(), kUnits);
  EXPECT_EQ(pool_.sent["FailureNotice"], 0U);
}

TEST_F(JobContents, AreNothingToOtherJobsThatLoseTheirs) {
  are_here(2);
  const std::uint64_t begun = pool_.units_begun(2);
  ASSERT_GT(begun, 0U);
  JobId other = job_;
  other.bytes[0] ^= 1;
  pool_.hear(2, ContentsLost{other});
  EXPECT_EQ(pool_.units_begun(2), begun);
}

}  // namespace
}  // namespace shoal
