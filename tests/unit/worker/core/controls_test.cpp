#include <gtest/gtest.h>

#include "tests/unit/worker/core/pool.h"

// What a submitter says of his jobs while they run, and when the workers hear of it.
namespace shoal {
namespace {

using test::honest;
using test::Pool;

class Controls : public testing::Test {
 protected:
  Controls() { pool.unit_takes = 100ms; }
  JobId submit(std::uint64_t units) {
    const JobId job = pool.submit(1, pool.manifest(units, 1));
    pool.want_receipts(1, job);
    return job;
  }
  void say(const JobId& job, ControlCommand command, std::int32_t priority = 0) {
    const Control control{.job = job, .sequence = ++said, .command = command, .priority = priority};
    pool.say(1, ControlRequest{sign_fact(pool.submitter(), Purpose::kControl, encode(control))});
  }
  std::uint64_t verified() const {
    std::uint64_t units = 0;
    for (const Receipt& receipt : pool.receipts()) units += receipt.range.size();
    return units;
  }
  // Everybody computes what is begun there, and what is begun after that, for a while.
  std::size_t computed_from_now_on() {
    const auto all = [&] {
      std::size_t units = 0;
      for (const auto& [_, computed] : pool.computed) units += computed.size();
      return units;
    };
    const std::size_t before = all();
    pool.run(honest, 20);
    return all() - before;
  }
  std::uint64_t begun(std::size_t n) const { return pool.units_begun(n); }

  Pool pool{3};
  std::uint64_t said = 0;
};

TEST_F(Controls, WhatIsPausedIsNotBegunAndGoesOnWhenItIsResumed) {
  const JobId job = submit(60);
  for (int i = 0; i < 4; ++i) pool.compute(2, honest);
  const std::uint64_t runs = begun(1) + begun(2) + begun(3);
  say(job, ControlCommand::kPause);
  EXPECT_EQ(computed_from_now_on(), runs) << "what runs is not stopped, and nothing else begins";
  ASSERT_LT(verified(), 60U);
  say(job, ControlCommand::kResume);
  pool.run(honest, 20);
  EXPECT_EQ(verified(), 60U);
}

// All of it was begun before it was paused, so that nothing is left to be resumed.
TEST_F(Controls, APausedJobIsDoneWhenItsLastUnitEnds) {
  const JobId job = submit(6);
  ASSERT_EQ(begun(1) + begun(2) + begun(3), 6U);
  say(job, ControlCommand::kPause);
  EXPECT_EQ(test::status_at(pool, 1).phase, JobPhase::kPaused);
  pool.run(honest, 20);
  ASSERT_EQ(verified(), 6U);
  EXPECT_EQ(test::status_at(pool, 1).phase, JobPhase::kDone);
}

TEST_F(Controls, WhoWasAwayHearsOfIt) {
  const JobId job = submit(60);
  for (int i = 0; i < 4; ++i) pool.compute(2, honest);
  pool.cut(1, 2);
  say(job, ControlCommand::kPause);
  pool.link(1, 2);
  pool.settle();
  const std::uint64_t runs = begun(1) + begun(2) + begun(3);
  EXPECT_EQ(computed_from_now_on(), runs);
  ASSERT_LT(verified(), 60U);
  pool.cut(1, 2);
  say(job, ControlCommand::kResume);
  pool.link(1, 2);
  pool.settle();
  pool.run(honest, 20);
  EXPECT_EQ(verified(), 60U);
}

TEST_F(Controls, OfOnesOwnJobsTheMoreUrgentIsComputedFirst) {
  const JobId first = submit(200);
  const JobId second = pool.submit(1, pool.manifest(201, 1));
  ASSERT_TRUE(pool.compute(2, honest));
  for (const auto& [urgent, other] : {std::pair(second, first), std::pair(first, second)}) {
    say(urgent, ControlCommand::kPriority, 5);
    say(other, ControlCommand::kPriority, -5);
    // What was begun before it was said goes on.
    for (std::size_t chunks = pool.chunks_begun(2); chunks > 0; --chunks) {
      ASSERT_TRUE(pool.compute(2, honest));
    }
    int of_it = 0;
    for (int chunk = 0; chunk < 20; ++chunk) {
      ASSERT_TRUE(pool.computes(2));
      of_it += pool.computing(2).job == urgent;
      pool.compute(2, honest);
    }
    EXPECT_GE(of_it, 16) << "while more of it is asked for, a thread takes one of the other";
  }
}

}  // namespace
}  // namespace shoal
