// When executors stand still: for their owner, and for each other.

#include <gtest/gtest.h>

#include <map>
#include <utility>

#include "tests/unit/worker/runtime/keeper_fixture.h"

namespace shoal {
namespace {

TEST_F(Keeper, APauseStopsAllAndWhatComesMeanwhileWaits) {
  const auto spinning = compute("spins", {3, 4}, {3, ""});
  keeper_->perform(spinning);
  ASSERT_TRUE(turn_until([&] {
    const auto view = keeper_->view();
    return view.size() == 1 && view[0].units.size() == 1 && view[0].units[0].unit == 3;
  }));
  keeper_->pause();
  const auto waiting = compute("square", {0, 10});
  keeper_->perform(waiting);
  EXPECT_EQ(keeper_->next_timeout(), std::nullopt) << "no clock runs";
  const std::int64_t before = keeper_->view().at(0).units.at(0).running_ns;
  for (int i = 0; i < 5; ++i) turn();
  EXPECT_FALSE(done_.contains(waiting.chunk));
  EXPECT_EQ(keeper_->view().at(0).units.at(0).running_ns, before) << "its clock stands still";
  keeper_->perform(CancelCompute{spinning.chunk});
  keeper_->resume();
  ASSERT_TRUE(turn_until([&] { return done_.contains(waiting.chunk); }));
  expect_squares_except(done_[waiting.chunk], {0, 10}, {});
}

TEST_F(Keeper, ExecutorsOfSeveralJobsTakeTurnsOnTheThreadsThatAreLent) {
  config_.threads = 1;
  start_keeper();
  const auto program = contents_->put_file(SHOAL_HOSTILE_KERNELS);
  ASSERT_TRUE(program);
  ASSERT_TRUE(contents_->check(program->id));
  auto made = manifest("spins", encode(Where{5, ""}));
  made->kernel_kind = KernelKind::kNative;
  made->program = program->id;
  const auto own = compute(made, {5, 6});
  const auto shipped = compute("spins", {3, 4}, {3, ""});
  keeper_->perform(own);
  keeper_->perform(shipped);
  std::map<UnitIndex, pid_t> executors;
  ASSERT_TRUE(turn_until([&] {
    for (const ExecutorView& view : keeper_->view()) {
      for (const auto& unit : view.units) executors[unit.unit] = view.pid;
    }
    return executors.size() == 2;
  }));
  for (int i = 0; i < 2; ++i) {
    for (const auto& [one, other] : {std::pair<UnitIndex, UnitIndex>{3, 5}, {5, 3}}) {
      EXPECT_TRUE(turn_until([&] {
        return stands_still(executors.at(one)) && !stands_still(executors.at(other));
      })) << one;
    }
  }
  // And what is left has all of the time.
  keeper_->perform(CancelCompute{own.chunk});
  ASSERT_TRUE(
      turn_until([&] { return keeper_->view().size() == 1 && !stands_still(executors.at(3)); }));
  EXPECT_EQ(keeper_->view().at(0).pid, executors.at(3));
}

// Also where all stands still in between, before two seconds are over.
TEST_F(Keeper, ACancelledChunkGivesWayEvenIfItsUnitsDoNotStop) {
  config_.threads = 1;
  config_.cpu_share_percent = 70;
  start_keeper();
  const auto spinning = compute("spins", {3, 4}, {3, ""});
  keeper_->perform(spinning);
  ASSERT_TRUE(turn_until([&] {
    const auto view = keeper_->view();
    return view.size() == 1 && view[0].units.size() == 1 && view[0].units[0].unit == 3;
  }));
  keeper_->perform(CancelCompute{spinning.chunk});
  expect_squares_except(run(compute("square", {0, 100})), {0, 100}, {});
  EXPECT_FALSE(done_.contains(spinning.chunk));
  EXPECT_EQ(told_, std::vector<std::string>{}) << "its executor was ended on purpose";
}

}  // namespace
}  // namespace shoal
