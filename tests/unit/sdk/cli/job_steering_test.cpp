#include "sdk/cli/job_steering.h"

#include <gtest/gtest.h>

#include "sdk/cli/schema.h"

namespace shoal::cli {
namespace {

JobStatus in(JobPhase phase, std::int32_t priority = 0) {
  JobStatus status;
  status.phase = phase;
  status.units = 1;
  status.priority = priority;
  return status;
}

TEST(JobSteeringTest, ACommandIsObeyedWhenTheJobShowsIt) {
  EXPECT_FALSE(obeys(in(JobPhase::kRunning), ControlCommand::kCancel, 0));
  EXPECT_TRUE(obeys(in(JobPhase::kCancelled), ControlCommand::kCancel, 0));
  EXPECT_FALSE(obeys(in(JobPhase::kRunning), ControlCommand::kPause, 0));
  EXPECT_TRUE(obeys(in(JobPhase::kPaused), ControlCommand::kPause, 0));
  EXPECT_FALSE(obeys(in(JobPhase::kPaused), ControlCommand::kResume, 0));
  EXPECT_TRUE(obeys(in(JobPhase::kRunning), ControlCommand::kResume, 0));
  EXPECT_FALSE(obeys(in(JobPhase::kRunning, 1), ControlCommand::kPriority, -4));
  EXPECT_TRUE(obeys(in(JobPhase::kRunning, -4), ControlCommand::kPriority, -4));
}

TEST(JobSteeringTest, AJobThatIsOverIsNotWaitedFor) {
  for (const ControlCommand command : {ControlCommand::kCancel, ControlCommand::kPause,
                                       ControlCommand::kResume, ControlCommand::kPriority}) {
    EXPECT_TRUE(obeys(in(JobPhase::kDone), command, 7));
  }
}

TEST(JobSteeringTest, AJobWhoseUnitsHaveAllEndedIsOverUnderAnyName) {
  for (const JobPhase phase : {JobPhase::kRunning, JobPhase::kPaused}) {
    JobStatus status = in(phase);
    status.units = 3;
    status.verified = 2;
    EXPECT_FALSE(is_over(status));
    status.failed = 1;
    EXPECT_TRUE(is_over(status));
  }
}

}  // namespace
}  // namespace shoal::cli
