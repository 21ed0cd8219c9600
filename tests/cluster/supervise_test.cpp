// The parent that brings a node back: `--supervise`.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/cluster/cluster.h"
#include "tests/cluster/mersenne.h"
#include "tests/cluster/stranger.h"

namespace shoal::cluster {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// So many times it was ready.
Process::Holds ready_times(std::size_t count) {
  return [count](const std::string& text) {
    std::size_t found = 0;
    for (std::size_t at = text.find("ready "); at != std::string::npos;
         at = text.find("ready ", at + 1)) {
      ++found;
    }
    return found >= count;
  };
}

pid_t only_child_of(const Process& parent) {
  const auto children = Cluster::executors_of(parent);
  EXPECT_EQ(children.size(), 1U);
  return children.empty() ? -1 : children.front();
}

class SuperviseTest : public ::testing::Test {
 protected:
  Cluster cluster_;
};

TEST_F(SuperviseTest, AWorkerThatIsKilledComesBackAndGoesOn) {
  cluster_.start_coordinator();
  Process& parent = cluster_.start_worker("worker-1", {"--supervise"});
  const pid_t first = only_child_of(parent);
  for (std::size_t deaths = 1; deaths <= 2; ++deaths) {
    Stranger(only_child_of(parent)).kill();
    ASSERT_TRUE(parent.await_out(ready_times(1 + deaths))) << parent.err();
  }
  EXPECT_NE(only_child_of(parent), first);
  EXPECT_THAT(parent.err(), HasSubstr("shoal-worker died of SIGKILL after"));
  EXPECT_THAT(parent.err(), HasSubstr("it is started again in 200 ms"));
  EXPECT_THAT(parent.err(), HasSubstr("it is started again in 400 ms"));
  cluster_.start_worker("worker-2");
  cluster_.await_workers(2);
  Mersenne job(cluster_.folder(), 1000, 1100);
  const auto submit = cluster_.run(job.submission());
  EXPECT_EQ(submit.exit_code, 0) << submit.err;
  job.expect_right(submit.out);

  const Stranger worker(only_child_of(parent));
  parent.signal(SIGTERM);
  EXPECT_EQ(parent.exit_code(), 0) << parent.err();
  EXPECT_TRUE(worker.await_end());
}

TEST_F(SuperviseTest, NoWorkerOutlivesTheParentThatIsKilled) {
  cluster_.start_coordinator();
  Process& parent = cluster_.start_worker("worker-1", {"--supervise"});
  const Stranger worker(only_child_of(parent));
  parent.kill();
  EXPECT_TRUE(worker.await_end());
  // And leaves its folder to the next one.
  cluster_.start_worker("worker-1");
}

TEST_F(SuperviseTest, AWorkerThatCannotStartYetIsTriedAgain) {
  Process& first = cluster_.start_worker("worker-1");
  // The same folder, which the first one holds.
  const auto parent =
      cluster_.start({"worker", "--supervise", "--state", (cluster_.folder() / "worker-1").string(),
                      "--listen", "tcp://127.0.0.1:0"});
  ASSERT_TRUE(parent->await_err(has_text("shoal-worker ended with code 1 after"))) << parent->err();
  first.kill();
  EXPECT_TRUE(parent->await_out(ready_times(1))) << parent->err();
  parent->signal(SIGINT);
  EXPECT_EQ(parent->exit_code(), 0) << parent->err();
}

TEST_F(SuperviseTest, WrongUsageIsNotTriedAgain) {
  const auto worker = cluster_.run({"worker", "--supervise", "--threads", "none"});
  EXPECT_EQ(worker.exit_code, 2);
  EXPECT_THAT(worker.err, Not(HasSubstr("started again")));
  // What only the coordinator itself finds out: there is no ticket.
  const auto coordinator = cluster_.run(
      {"coordinator", "--supervise", "--state", (cluster_.folder() / "empty").string()});
  EXPECT_EQ(coordinator.exit_code, 2);
  EXPECT_THAT(coordinator.err, HasSubstr("there is no ticket"));
  EXPECT_THAT(coordinator.err, Not(HasSubstr("started again")));
}

TEST_F(SuperviseTest, ACoordinatorThatIsKilledComesBack) {
  const auto parent =
      cluster_.start({"coordinator", "--supervise", "--state",
                      (cluster_.folder() / "pool").string(), "--listen", cluster_.endpoint()});
  ASSERT_TRUE(parent->await_out(ready_times(1))) << parent->err();
  Stranger(only_child_of(*parent)).kill();
  ASSERT_TRUE(parent->await_out(ready_times(2))) << parent->err();
  EXPECT_THAT(parent->err(), HasSubstr("shoal-coordinator died of SIGKILL after"));
  cluster_.start_worker("worker-1");
  cluster_.await_workers(1);
  parent->signal(SIGTERM);
  EXPECT_EQ(parent->exit_code(), 0) << parent->err();
}

}  // namespace
}  // namespace shoal::cluster
