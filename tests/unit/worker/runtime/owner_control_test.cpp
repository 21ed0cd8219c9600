#include "worker/runtime/owner_control.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace shoal {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// Of a worker with nothing to do; the time is the test's.
class Owner : public ::testing::Test {
 protected:
  Owner() {
    std::string name = (fs::temp_directory_path() / "shoal-owner-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    contents_ = *ContentStore::open(folder_ / "contents");
    keeper_ = std::make_unique<ExecutorKeeper>(KeeperConfig{}, *contents_);
    owner_ = std::make_unique<OwnerControl>(
        *keeper_, [this](Lend lend) { lent_.push_back(lend.what); }, [this] { return reread_; });
  }
  ~Owner() override {
    owner_.reset();
    keeper_.reset();
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  std::vector<Lend::What> lent() { return std::exchange(lent_, {}); }

  const Instant start_{3'600'000'000'000};
  fs::path folder_;
  std::unique_ptr<ContentStore> contents_;
  std::unique_ptr<ExecutorKeeper> keeper_;
  std::unique_ptr<OwnerControl> owner_;
  std::vector<Lend::What> lent_;
  Result<void, std::string> reread_;
};

TEST_F(Owner, AfterFiveMinutesOfPauseWhatIsInHandGoesBackOnce) {
  owner_->answer(start_, "pause");
  EXPECT_TRUE(keeper_->paused());
  EXPECT_EQ(lent(), std::vector{Lend::What::kWhatIsHeld}) << "what it took now would wait for it";
  ASSERT_EQ(owner_->next_deadline(), start_ + 5min);
  owner_->tick(start_ + 5min - 1ns);
  EXPECT_TRUE(lent().empty()) << "a short pause costs nobody anything";
  owner_->tick(start_ + 5min);
  EXPECT_EQ(lent(), std::vector{Lend::What::kNothing});
  EXPECT_EQ(owner_->next_deadline(), std::nullopt);
  owner_->tick(start_ + 10min);
  EXPECT_TRUE(lent().empty());
  EXPECT_TRUE(keeper_->paused());

  owner_->answer(start_ + 11min, "resume");
  EXPECT_EQ(lent(), std::vector{Lend::What::kAll});
  EXPECT_FALSE(keeper_->paused());
}

TEST_F(Owner, AShortPauseGivesNothingBack) {
  owner_->answer(start_, "pause");
  owner_->answer(start_ + 1min, "resume");
  EXPECT_EQ(lent(), (std::vector{Lend::What::kWhatIsHeld, Lend::What::kAll}));
  owner_->tick(start_ + 6min);
  EXPECT_TRUE(lent().empty());
  // Each pause counts from its own begin.
  owner_->answer(start_ + 7min, "pause");
  owner_->answer(start_ + 8min, "pause");
  EXPECT_EQ(owner_->next_deadline(), start_ + 12min);
}

TEST_F(Owner, WhoFinishesTakesNothingNewAfterAPauseEither) {
  owner_->answer(start_, "finish");
  EXPECT_EQ(lent(), std::vector{Lend::What::kWhatRuns});
  owner_->answer(start_, "pause");
  owner_->answer(start_ + 1s, "resume");
  EXPECT_EQ(lent(), std::vector{Lend::What::kWhatRuns});
}

TEST_F(Owner, HearsWhetherTheWorkerCouldReadWhatHeRefuses) {
  EXPECT_EQ(owner_->answer(start_, "refusals"), "ok\tacts on it from now on\n");
  reread_ = tl::unexpected(std::string("cannot read refused: Permission denied"));
  EXPECT_EQ(owner_->answer(start_, "refusals"), "error\tcannot read refused: Permission denied\n");
}

}  // namespace
}  // namespace shoal
