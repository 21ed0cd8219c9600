#include "sdk/cli/job_steering.h"

#include <gtest/gtest.h>

namespace shoal::cli {
namespace {

JobStatus in(JobPhase phase, std::int32_t priority = 0) {
  JobStatus status;
  status.phase = phase;
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

}  // namespace
}  // namespace shoal::cli
