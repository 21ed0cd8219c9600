// Everything goes dark, or all that is left of a submitter is a key: what was promised is there.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>

#include "node/state/free_port.h"
#include "tests/cluster/cluster.h"
#include "tests/cluster/mersenne.h"

namespace shoal::cluster {
namespace {

constexpr std::size_t kSomeResults = 5;

std::string job_of(const std::string& out) {
  return json_lines(out.substr(0, out.find('\n')))[0]["job"];
}

class OutagesTest : public ::testing::Test {
 protected:
  void start_workers() {
    for (const char* name : {"worker-1", "worker-2", "worker-3"}) cluster_.start_worker(name);
  }
  // Of a machine on which nobody has worked with the pool yet.
  Variables elsewhere() const {
    const auto state = cluster_.folder() / "elsewhere";
    std::filesystem::create_directories(state / "shoal");
    return {{"XDG_STATE_HOME", state.string()}};
  }

  Cluster cluster_;
  Mersenne job_{cluster_.folder(), 4001, 6000};
};

TEST_F(OutagesTest, WhatWasAcknowledgedEndsThoughAllProcessesAreKilledAtOnce) {
  cluster_.start_coordinator();
  start_workers();
  cluster_.await_workers(3);
  const auto submit = cluster_.start(job_.submission({"--json", "--keep"}));
  ASSERT_TRUE(submit->await_out(has_lines(kSomeResults))) << submit->err();
  const std::string job = job_of(submit->out());
  for (Process* process :
       {&cluster_.coordinator(), &cluster_.worker("worker-1"), &cluster_.worker("worker-2"),
        &cluster_.worker("worker-3"), submit.get()}) {
    process->signal(SIGKILL);
  }
  cluster_.start_coordinator();
  start_workers();
  const auto results = cluster_.run({"job", "results", job, "--close"});
  EXPECT_EQ(results.exit_code, 0) << results.err;
  job_.expect_right(results.out);
}

TEST_F(OutagesTest, TheKeyIsEnoughToFindAJobAndToTakeItsResults) {
  cluster_.start_coordinator();
  start_workers();
  cluster_.await_workers(3);
  const auto detached = cluster_.run(job_.submission({"--json", "--detach"}));
  ASSERT_EQ(detached.exit_code, 0) << detached.err;
  const std::string job = job_of(detached.out);
  const Variables there = elsewhere();
  const auto before = cluster_.run({"job", "list", "--json"}, there);
  EXPECT_EQ(before.exit_code, 0) << before.err;
  EXPECT_TRUE(nlohmann::json::parse(before.out)["jobs"].empty()) << "it has another key";

  const auto key = std::filesystem::path("shoal") / "submitter.key";
  std::filesystem::remove_all(there.at("XDG_STATE_HOME"));
  static_cast<void>(elsewhere());
  std::filesystem::copy_file(cluster_.folder() / "state" / key, there.at("XDG_STATE_HOME") / key);
  const auto listed = cluster_.run({"job", "list", "--json"}, there);
  ASSERT_EQ(listed.exit_code, 0) << listed.err;
  const auto jobs = nlohmann::json::parse(listed.out)["jobs"];
  ASSERT_EQ(jobs.size(), 1U) << listed.out;
  EXPECT_EQ(jobs[0]["job"], job);
  const auto results = cluster_.run({"job", "results", job.substr(0, 16), "--close"}, there);
  EXPECT_EQ(results.exit_code, 0) << results.err;
  job_.expect_right(results.out);
}

TEST_F(OutagesTest, AWorkerIsTheWayInWhereThereIsNoCoordinatorAnyMore) {
  cluster_.start_coordinator();
  cluster_.start_worker("worker-1");
  cluster_.await_workers(1);
  const auto workers = cluster_.json({"worker", "list", "--json"})["workers"];
  ASSERT_EQ(workers.size(), 1U);
  const std::string door =
      workers[0]["node"].get<std::string>() + "@" + workers[0]["endpoints"][0].get<std::string>();
  const auto printed = cluster_.run(
      {"pool", "ticket", "--state", (cluster_.folder() / "pool").string(), "--door", door});
  ASSERT_EQ(printed.exit_code, 0) << printed.err;
  const std::string ticket = printed.out.substr(0, printed.out.find('\n'));
  cluster_.coordinator().kill();

  cluster_.start_worker("worker-2", {"--ticket", ticket});
  Variables there = elsewhere();
  there["SHOAL_TICKET"] = ticket;
  const auto submitted = cluster_.run(job_.submission({"--json", "--wait-for-quorum"}), there);
  EXPECT_EQ(submitted.exit_code, 0) << submitted.err;
  job_.expect_right(submitted.out);
}

// Nobody who comes after that has met anybody: the ticket's other way in is all there is.
TEST(TwoCoordinatorsTest, WhereOneIsKilledThoseWhoComeFindTheOther) {
  const std::string endpoint = "tcp://127.0.0.1:" + std::to_string(free_port());
  Cluster cluster({}, {"--coordinator", endpoint});
  cluster.start_coordinator();
  const std::string folder = (cluster.folder() / "pool" / "coordinator-2").string();
  const auto other = cluster.start({"coordinator", "--state", folder, "--listen", endpoint});
  ASSERT_TRUE(other->await_out(has_lines(1))) << other->err();
  cluster.start_worker("worker-1");
  cluster.await_workers(1);
  cluster.coordinator().kill();
  for (const char* name : {"worker-2", "worker-3"}) cluster.start_worker(name);
  cluster.await_workers(3);
  Mersenne job(cluster.folder(), 1000, 1100);
  const auto submitted = cluster.run(job.submission());
  EXPECT_EQ(submitted.exit_code, 0) << submitted.err;
  job.expect_right(submitted.out);
}

}  // namespace
}  // namespace shoal::cluster
