#include "sdk/cli/explain.h"

#include <gtest/gtest.h>

namespace shoal::cli {
namespace {

TEST(ExplainTest, OneUnitIsNotSeveral) {
  EXPECT_EQ(units_text(0), "0 units");
  EXPECT_EQ(units_text(1), "1 unit");
  EXPECT_EQ(units_text(2), "2 units");
}

TEST(ExplainTest, AJobWhoseUnitsHaveAllEndedIsDoneUnderAnyName) {
  JobStatus status;
  status.units = 3;
  status.verified = 2;
  status.failed = 1;
  for (const JobPhase phase : {JobPhase::kRunning, JobPhase::kPaused, JobPhase::kDone}) {
    status.phase = phase;
    EXPECT_EQ(explanation(status, std::nullopt),
              "It is done: 2 of 3 units verified, 1 failed, 0 disputed. 'shoal job results' says "
              "why, unit by unit.");
  }
}

}  // namespace
}  // namespace shoal::cli
