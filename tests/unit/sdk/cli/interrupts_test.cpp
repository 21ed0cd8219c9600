#include "sdk/cli/interrupts.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <future>

namespace shoal::cli {
namespace {

using Reason = Interrupts::Reason;
constexpr std::chrono::minutes kLong{1};

TEST(InterruptsTest, ASignalStopsWhatIsWaitedFor) {
  Interrupts interrupts(std::nullopt);
  EXPECT_EQ(interrupts.reason(), Reason::kNone);
  std::promise<void> stopped;
  interrupts.on_interrupt([&] { stopped.set_value(); });
  ASSERT_EQ(::kill(::getpid(), SIGINT), 0);
  EXPECT_EQ(stopped.get_future().wait_for(kLong), std::future_status::ready);
  EXPECT_EQ(interrupts.reason(), Reason::kSignal);
  EXPECT_FALSE(interrupts.pause(kLong));
}

TEST(InterruptsTest, SoDoesTime) {
  Interrupts interrupts(std::chrono::milliseconds(1));
  EXPECT_FALSE(interrupts.pause(kLong));
  EXPECT_EQ(interrupts.reason(), Reason::kTimeout);
  bool told = false;
  interrupts.on_interrupt([&] { told = true; });
  EXPECT_TRUE(told) << "it happened before anybody asked";
}

TEST(InterruptsTest, WithoutEitherAPauseIsOnlyAPause) {
  Interrupts interrupts(kLong);
  EXPECT_TRUE(interrupts.pause(std::chrono::milliseconds(1)));
  EXPECT_EQ(interrupts.reason(), Reason::kNone);
}

}  // namespace
}  // namespace shoal::cli
