// A state folder that is copied while its worker runs: two workers, one key.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "node/protocol/shared_key.h"
#include "tests/cluster/cluster.h"
#include "tests/cluster/mersenne.h"

namespace shoal::cluster {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::size_t kSomeResults = 5;

class CopiedStateTest : public ::testing::Test {
 protected:
  CopiedStateTest() {
    cluster_.start_coordinator();
    for (const char* name : {"worker-1", "worker-2", "worker-3"}) cluster_.start_worker(name);
    cluster_.await_workers(3);
  }
  // As somebody would who moves a worker, or makes an image of its machine.
  void copy_state(const std::string& from, const std::string& to) {
    const auto copied = cluster_.run_command(
        {"/bin/cp", "-a", cluster_.state_of(from).string(), cluster_.state_of(to).string()});
    ASSERT_EQ(copied.exit_code, 0) << copied.err;
  }

  Cluster cluster_;
  Mersenne job_{cluster_.folder(), 4001, 6000};
};

TEST_F(CopiedStateTest, BothWorkersSaySoAndTheJobThatOneOfThemLeadsComesOutRight) {
  const auto submit = cluster_.start(job_.submission({"--json"}));
  ASSERT_TRUE(submit->await_out(has_lines(1 + kSomeResults))) << submit->err();
  const std::string leader = cluster_.steward();
  copy_state(leader, "copy");
  Process& copy = cluster_.start_worker("copy");
  const auto notices = has_text(std::string(kKeyIsShared));
  EXPECT_TRUE(cluster_.worker(leader).await_err(notices)) << cluster_.worker(leader).err();
  EXPECT_TRUE(copy.await_err(notices)) << copy.err();

  EXPECT_THAT(cluster_.run({"worker", "list"}).out, HasSubstr(kKeyIsShared));
  EXPECT_THAT(cluster_.run({"doctor"}).out, HasSubstr(kKeyIsShared));
  EXPECT_EQ(submit->exit_code(), 0) << submit->err();
  job_.expect_right(submit->out());
}

TEST_F(CopiedStateTest, AStateThatMovesToAnotherMachineIsNoCopy) {
  cluster_.kill_worker("worker-1");
  copy_state("worker-1", "moved");
  Process& moved = cluster_.start_worker("moved");
  const auto submit = cluster_.start(job_.submission({"--json"}));
  EXPECT_EQ(submit->exit_code(), 0) << submit->err();
  job_.expect_right(submit->out());
  EXPECT_THAT(moved.err(), Not(HasSubstr(kKeyIsShared)));
}

}  // namespace
}  // namespace shoal::cluster
