// What the owner of a machine refuses, between real processes: it goes, stays away, and costs
// nobody else more than time.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/cluster/content_pool.h"
#include "tests/cluster/mersenne.h"

namespace shoal::cluster {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class RefusalsTest : public ContentPool {
 protected:
  Line at(const std::string& worker, Line command) const {
    command.insert(command.end(), {"--state", cluster_.state_of(worker).string()});
    return command;
  }
  Cluster::Ended at_worker(const std::string& worker, const Line& command) const {
    return cluster_.run(at(worker, command));
  }
  // Whole, by its id.
  bool holds(const std::string& worker, const std::string& name) const {
    const std::string hex = name.substr(name.find('_') + 1, 64);
    return fs::exists(cluster_.state_of(worker) / "content" / hex.substr(0, 2) / hex);
  }
  static std::size_t times(const std::string& text, const std::string& what) {
    std::size_t count = 0;
    for (std::size_t i = text.find(what); i != std::string::npos; i = text.find(what, i + 1)) {
      ++count;
    }
    return count;
  }
};

TEST_F(RefusalsTest, AContentIsDroppedAndNotServedUntilItIsAcceptedAgain) {
  start_pool(1);
  const std::string bytes = write("data", 5'000'000);
  auto put = cluster_.start({"put", place("data"), "--serve"});
  const std::string name = served(*put);
  Process& keeper = cluster_.start_worker("keeper", {"--pin", name});
  ASSERT_TRUE(keeper.await_err(has_text("is pinned here"))) << keeper.err();
  ASSERT_TRUE(holds("keeper", name));
  put->kill();

  const auto refused = at_worker("keeper", {"content", "refuse", name});
  EXPECT_EQ(refused.exit_code, 0) << refused.err;
  EXPECT_THAT(refused.err, HasSubstr("The worker acts on it"));
  EXPECT_FALSE(holds("keeper", name)) << "when the command has ended, it is gone";
  const auto listed = cluster_.json(at("keeper", {"content", "list", "--json"}));
  EXPECT_EQ(listed["content"], name);
  EXPECT_EQ(listed["refused"], true);
  const auto get = cluster_.run({"get", name, "-o", place("copy")}, another("bob"));
  EXPECT_EQ(get.exit_code, 1);
  EXPECT_THAT(get.err, HasSubstr("does not have it"));

  // Neither pin nor seed brings it back, and a restart does not make it forgotten.
  Process& again = cluster_.start_worker("keeper", {"--pin", name});
  put = cluster_.start({"put", place("data"), "--serve"});
  served(*put);
  const auto fetched = cluster_.run({"get", name, "-o", place("copy")}, another("bob"));
  EXPECT_EQ(fetched.exit_code, 0) << fetched.err;
  EXPECT_TRUE(read("copy") == bytes);
  EXPECT_FALSE(holds("keeper", name));

  EXPECT_EQ(at_worker("keeper", {"content", "accept", name}).exit_code, 0);
  EXPECT_TRUE(again.await_err(has_text("is pinned here"))) << again.err();
  EXPECT_TRUE(holds("keeper", name));
  EXPECT_EQ(at_worker("keeper", {"content", "accept", name}).exit_code, 1);
  put->signal(SIGINT);
}

TEST_F(RefusalsTest, AFetchThatIsUnderWayEndsAndNothingStays) {
  start_pool(1);
  write("data", 20'000'000);
  const auto put = cluster_.start({"put", place("data"), "--serve"});
  const std::string name = served(*put);
  Process& keeper = cluster_.start_worker("keeper", {"--pin", name, "--upload-rate", "200000"});
  ASSERT_TRUE(keeper.await_err(has_text("is pinned here"))) << keeper.err();
  put->signal(SIGINT);
  EXPECT_EQ(put->exit_code(), 0) << put->err();
  ASSERT_EQ(cluster_.run({"content", "drop", name}).exit_code, 0);

  const auto get = cluster_.start({"get", name, "-o", place("copy")});
  const auto listed = [&] { return cluster_.run({"content", "list", "--json"}).out; };
  std::string list;
  while (list.find(name) == std::string::npos) list = listed();  // the test's own end is the limit
  const auto refused = cluster_.run({"content", "refuse", name});
  EXPECT_EQ(refused.exit_code, 0) << refused.err;
  EXPECT_EQ(get->exit_code(), 1);
  EXPECT_THAT(get->err(), HasSubstr("'shoal content accept " + name + "'"));
  EXPECT_FALSE(fs::exists(place("copy")));
  ASSERT_EQ(cluster_.run({"content", "accept", name}).exit_code, 0);
  EXPECT_THAT(listed(), Not(HasSubstr(name)));
}

TEST_F(RefusalsTest, HoldForTheCommandsOfTheAccountToo) {
  write("data", 1000);
  const auto put = cluster_.run({"put", place("data")});
  ASSERT_EQ(put.exit_code, 0) << put.err;
  const std::string name = put.out.substr(0, put.out.find('\n'));
  const auto refused = cluster_.run({"content", "refuse", name});
  EXPECT_EQ(refused.exit_code, 0) << refused.err;
  EXPECT_THAT(refused.err, HasSubstr("it acts on this when it starts"));
  const std::string listed = cluster_.run({"content", "list", "--json"}).out;
  ASSERT_EQ(count_lines(listed), 1U) << listed;
  EXPECT_EQ(json_lines(listed)[0]["refused"], true);
  for (const Line& command :
       {Line{"put", place("data")}, Line{"get", name}, Line{"content", "pin", name}}) {
    const auto ended = cluster_.run(command);
    EXPECT_EQ(ended.exit_code, 1) << command.front();
    EXPECT_THAT(ended.err, HasSubstr("'shoal content accept " + name + "'"));
  }
  const auto accepted = cluster_.json({"content", "accept", name, "--json"});
  EXPECT_EQ(accepted["accepted"], name);
  EXPECT_EQ(accepted["worker_runs"], false);
  EXPECT_EQ(cluster_.run({"put", place("data")}).exit_code, 0);
  const auto wrong = cluster_.run({"content", "refuse", "that"});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("neither a content"));
}

TEST_F(RefusalsTest, WhereTheLeadersOwnerRefusesTheSubmitterOthersGoOn) {
  start_pool(4);
  const Mersenne job(cluster_.folder(), 4001, 6000);
  const auto submit = cluster_.start(job.submission());
  ASSERT_TRUE(submit->await_out(has_lines(5))) << submit->err();
  const std::string leader = cluster_.steward();
  const std::string key = cluster_.json({"job", "list", "--json"})["jobs"][0]["submitter"];
  const auto refused = at_worker(leader, {"content", "refuse", key});
  EXPECT_EQ(refused.exit_code, 0) << refused.err;
  EXPECT_EQ(submit->exit_code(), 0) << submit->err();
  job.expect_right(submit->out());
  EXPECT_THAT(cluster_.worker(leader).err(), HasSubstr("no more: its owner refuses what"));
  EXPECT_THAT(cluster_.run({"worker", "list"}).out, HasSubstr("its owner refuses what you submit"));
  EXPECT_NE(cluster_.steward(), leader);
}

TEST_F(RefusalsTest, WhomNobodyServesIsToldSo) {
  start_pool(2);
  const Mersenne job(cluster_.folder(), 4001, 4200);
  const auto first = cluster_.run(job.submission({"--json"}));
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const std::string key = cluster_.json({"job", "list", "--json"})["jobs"][0]["submitter"];
  EXPECT_EQ(at_worker("worker-1", {"content", "refuse", key}).exit_code, 0);
  // One is left, and two are needed: it says who will not.
  const auto detached = cluster_.run(job.submission({"--json", "--detach", "--stewards", "1"}));
  ASSERT_EQ(detached.exit_code, 0) << detached.err;
  const std::string id = json_lines(detached.out)[0]["job"];
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  std::string why;
  while (why.find("1 worker declines: its owner refuses what") == std::string::npos &&
         std::chrono::steady_clock::now() < deadline) {
    why = cluster_.run({"job", "explain", id}).out;
  }
  EXPECT_THAT(why, HasSubstr("1 worker declines: its owner refuses what"));
  EXPECT_EQ(at_worker("worker-2", {"content", "refuse", key}).exit_code, 0);
  const auto alone = cluster_.run(job.submission());
  EXPECT_NE(alone.exit_code, 0);
  EXPECT_THAT(alone.err, HasSubstr("its owner refuses what"));
}

}  // namespace
}  // namespace shoal::cluster
