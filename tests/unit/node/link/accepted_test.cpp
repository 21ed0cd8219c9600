#include "node/link/accepted.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

// Numbers that no descriptor of this process has: the books are kept all the same.
constexpr int kFd = 1'000'001;
constexpr int kOtherFd = 1'000'002;
const SteadyTime kStart{};

TEST(Accepted, AMessageBelongsToTheConnectionThatWasOpenWhenItWasLetIn) {
  Accepted accepted;
  accepted.opened(kFd, kStart);
  EXPECT_TRUE(accepted.claim(kFd, accepted.newest(), 7));
  EXPECT_EQ(accepted.closed(kFd), 7U);
  EXPECT_EQ(accepted.open_count(), 0U);
}

TEST(Accepted, ADescriptorThatIsUsedAgainIsNotTakenForTheOldConnection) {
  Accepted accepted;
  accepted.opened(kFd, kStart);
  const std::uint64_t let_in_first = accepted.newest();
  accepted.closed(kFd);
  accepted.opened(kFd, kStart);
  // Its message was still in a queue when its connection ended and the next one came.
  EXPECT_FALSE(accepted.claim(kFd, let_in_first, 7));
  EXPECT_TRUE(accepted.claim(kFd, accepted.newest(), 8));
  EXPECT_EQ(accepted.closed(kFd), 8U);
}

TEST(Accepted, AConnectionThatHasEndedCannotBeClaimed) {
  Accepted accepted;
  accepted.opened(kFd, kStart);
  accepted.closed(kFd);
  EXPECT_FALSE(accepted.claim(kFd, accepted.newest(), 7));
  EXPECT_EQ(accepted.closed(kFd), 0U);
}

TEST(Accepted, OneConnectionHasOneOwner) {
  Accepted accepted;
  accepted.opened(kFd, kStart);
  EXPECT_TRUE(accepted.claim(kFd, accepted.newest(), 7));
  EXPECT_FALSE(accepted.claim(kFd, accepted.newest(), 8));
}

TEST(Accepted, AnEndThatWasMissedIsToldByTheNextConnection) {
  Accepted accepted;
  accepted.opened(kFd, kStart);
  EXPECT_TRUE(accepted.claim(kFd, accepted.newest(), 7));
  EXPECT_EQ(accepted.opened(kFd, kStart), 7U);
  EXPECT_EQ(accepted.open_count(), 1U);
}

TEST(Accepted, OnlyTheSilentOnesRunOutOfTime) {
  Accepted accepted;
  accepted.opened(kFd, kStart);
  accepted.opened(kOtherFd, kStart + std::chrono::seconds(3));
  EXPECT_TRUE(accepted.claim(kOtherFd, accepted.newest(), 7));
  EXPECT_EQ(accepted.shut_silent(kStart - std::chrono::seconds(1)), kStart);
  EXPECT_EQ(accepted.shut_silent(kStart), std::nullopt);
  // Until libzmq says so, the connection counts.
  EXPECT_EQ(accepted.open_count(), 2U);
}

}  // namespace
}  // namespace shoal
