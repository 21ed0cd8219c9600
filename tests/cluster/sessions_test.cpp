// Several programs of one submitter at the same time: they all have its key.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/cluster/cluster.h"
#include "tests/cluster/mersenne.h"

namespace shoal::cluster {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::size_t kSomeResults = 5;
constexpr int kLooks = 5;

TEST(SessionsTest, AJobIsWatchedAndShownWhileItsSubmitterWaits) {
  Cluster cluster;
  cluster.start_coordinator();
  for (const char* name : {"worker-1", "worker-2", "worker-3"}) {
    cluster.start_worker(name, {"--log-level", "debug"});
  }
  cluster.await_workers(3);
  const Mersenne job(cluster.folder(), 6001, 9000);
  const auto submit = cluster.start(job.submission({"--json"}));
  ASSERT_TRUE(submit->await_out(has_lines(1 + kSomeResults))) << submit->err();
  const std::string id = json_lines(submit->out()).front()["job"];
  const auto watch = cluster.start({"job", "watch", id});

  std::uint64_t verified = 0;
  for (int look = 0; look < kLooks; ++look) {
    const auto shown = cluster.json({"job", "show", id, "--json"});
    // Any of its stewards may answer, and those that follow are a moment behind.
    ASSERT_TRUE(shown["verified"].is_number()) << shown.dump(2);
    verified = std::max(verified, shown["verified"].get<std::uint64_t>());
  }
  EXPECT_GE(verified, kSomeResults) << "it was found, and its submitter went on being served";

  EXPECT_EQ(submit->exit_code(), 0) << submit->err();
  job.expect_right(submit->out());
  EXPECT_EQ(watch->exit_code(), 0) << watch->err();
  for (const std::string& name : cluster.workers()) {
    const std::string log = cluster.worker(name).err();
    EXPECT_THAT(log, HasSubstr("link to ")) << name << " says when a link comes";
    EXPECT_THAT(log, Not(HasSubstr("it came back on a new connection")))
        << "nobody has taken a link from another";
  }
}

}  // namespace
}  // namespace shoal::cluster
