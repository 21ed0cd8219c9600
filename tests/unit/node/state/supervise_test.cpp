#include "node/state/supervise.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

TEST(RestartPauses, GrowWhileTheProgramDiesYoung) {
  RestartPauses pauses;
  Duration last{};
  for (const Duration expected :
       {200ms, 400ms, 800ms, 1600ms, 3200ms, 6400ms, 12'800ms, 25'600ms}) {
    last = pauses.next(1s);
    EXPECT_EQ(last, expected);
  }
  for (int i = 0; i < 100; ++i) EXPECT_EQ(pauses.next(59s), RestartPauses::kLongest);
}

TEST(RestartPauses, BeginAnewAfterALongLife) {
  RestartPauses pauses;
  for (int i = 0; i < 20; ++i) pauses.next(0s);
  EXPECT_EQ(pauses.next(60s), RestartPauses::kFirst);
  EXPECT_EQ(pauses.next(1s), 2 * RestartPauses::kFirst);
}

TEST(Supervise, TheProgramIsNotToldToSuperviseItself) {
  const std::vector<std::string> arguments{
      "--state", "dir", "--supervise", "--quiet", "--supervise=true", "--supervised"};
  EXPECT_EQ(without_flag(arguments, "--supervise"),
            (std::vector<std::string>{"--state", "dir", "--quiet", "--supervised"}));
}

}  // namespace
}  // namespace shoal
