// Real processes, and what befalls them in the middle of a job.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/cluster/cluster.h"
#include "tests/cluster/mersenne.h"
#include "tests/cluster/stranger.h"

namespace shoal::cluster {
namespace {

using ::testing::HasSubstr;

constexpr std::size_t kSomeResults = 5;

class FaultsTest : public ::testing::Test {
 protected:
  void start_pool(std::size_t workers) {
    cluster_.start_coordinator();
    for (std::size_t i = 1; i <= workers; ++i) {
      cluster_.start_worker("worker-" + std::to_string(i));
    }
    cluster_.await_workers(workers);
  }
  // A worker that is not the steward of the job that runs.
  std::string follower() {
    const std::string steward = cluster_.steward();
    for (const std::string& name : cluster_.workers()) {
      if (name != steward) return name;
    }
    ADD_FAILURE() << "there is only one worker";
    return steward;
  }
  void expect_finished(Process& submit) {
    EXPECT_EQ(submit.exit_code(), 0) << submit.err();
    job_.expect_right(submit.out());
  }
  void expect_over(Line command, const std::string& how) {
    command.insert(command.begin(), "job");
    const auto steered = cluster_.run(command);
    EXPECT_EQ(steered.exit_code, 1) << steered.err;
    EXPECT_THAT(steered.err, HasSubstr("is over, so that nothing was changed. " + how));
  }

  Cluster cluster_;
  // A few seconds of work, of which the first results come at once.
  Mersenne job_{cluster_.folder(), 4001, 6000};
};

TEST_F(FaultsTest, ThreeWorkersShareAJobAndTheCoordinatorCarriesNothingOfIt) {
  start_pool(3);
  // Leases are cut so that workers end together: whether one runs dry while another has units left
  // is a matter of milliseconds, and in one job of four nobody does.
  constexpr int kJobsMost = 6;
  std::uint64_t jobs = 0;
  std::uint64_t moved = 0;
  for (; jobs < kJobsMost && moved == 0; ++jobs) {
    const auto submit = cluster_.start(job_.submission({"--json", "--keep"}));
    EXPECT_EQ(submit->exit_code(), 0) << submit->err();
    job_.expect_right(submit->out());

    const auto lines = json_lines(submit->out());
    ASSERT_GE(lines.size(), 2U);
    const std::string job = lines.front()["job"];
    const auto& summary = lines.back();
    EXPECT_EQ(summary["type"], "summary");
    EXPECT_EQ(summary["verified"], job_.exponents().size());

    const auto shown = cluster_.json({"job", "show", job, "--json"});
    EXPECT_EQ(shown["verified"], job_.exponents().size());
    moved = shown["moved"].get<std::uint64_t>();
  }
  EXPECT_GT(moved, 0U) << "no unit of " << jobs << " jobs went from worker to worker";
  std::uint64_t computed = 0;
  const auto listed = cluster_.json({"worker", "list", "--json"});
  for (const auto& worker : listed["workers"]) {
    EXPECT_GT(worker["status"]["units_computed"], 0) << worker.dump(2);
    computed += worker["status"]["units_computed"].get<std::uint64_t>();
  }
  EXPECT_GE(computed, 2 * jobs * job_.exponents().size()) << "each unit is computed by two workers";

  const auto figures = cluster_.coordinator_figures();
  EXPECT_EQ(figures["job_bytes"], 0) << figures.dump(2);
  EXPECT_GT(figures["announcements"], 0) << figures.dump(2);
}

TEST_F(FaultsTest, AnExecutorThatIsKilledCostsNothingButTime) {
  start_pool(3);
  const auto submit = cluster_.start(job_.submission());
  ASSERT_TRUE(submit->await_out(has_lines(kSomeResults))) << submit->err();
  const auto executors = Cluster::executors_of(cluster_.worker(follower()));
  ASSERT_FALSE(executors.empty());
  for (const pid_t executor : executors) ::kill(executor, SIGKILL);
  expect_finished(*submit);
}

TEST_F(FaultsTest, AWorkerThatIsKilledIsDoneWithout) {
  start_pool(3);
  const auto submit = cluster_.start(job_.submission());
  ASSERT_TRUE(submit->await_out(has_lines(kSomeResults))) << submit->err();
  cluster_.kill_worker(follower());
  expect_finished(*submit);
}

TEST_F(FaultsTest, NoExecutorOutlivesAWorkerThatIsKilled) {
  start_pool(3);
  const auto submit = cluster_.start(job_.submission());
  ASSERT_TRUE(submit->await_out(has_lines(kSomeResults))) << submit->err();
  const std::string killed = follower();
  std::vector<std::unique_ptr<Stranger>> descendants;
  for (const pid_t process : Cluster::descendants_of(cluster_.worker(killed).pid())) {
    descendants.push_back(std::make_unique<Stranger>(process));
  }
  ASSERT_GE(descendants.size(), 2U) << "a sandbox, and what runs in it";
  cluster_.worker(killed).signal(SIGKILL);
  for (const auto& process : descendants) EXPECT_TRUE(process->await_end());
}

TEST_F(FaultsTest, OfAWorkerThatIsToldToEndNoRecordStays) {
  start_pool(2);
  ASSERT_EQ(cluster_.coordinator_figures()["records"], 2);
  Process& told = cluster_.worker("worker-1");
  told.signal(SIGTERM);
  EXPECT_EQ(told.exit_code(), 0) << told.err();
  EXPECT_EQ(cluster_.coordinator_figures()["records"], 1);
  // The other one's coordinator is gone: nobody waits for it.
  cluster_.coordinator().kill();
  Process& alone = cluster_.worker("worker-2");
  alone.signal(SIGTERM);
  EXPECT_EQ(alone.exit_code(), 0) << alone.err();
}

TEST_F(FaultsTest, TheEndOfATerminalEndsItsNodesCleanlyAndANohupDoesNot) {
  start_pool(1);
  Process& worker = cluster_.worker("worker-1");
  worker.signal(SIGHUP);
  EXPECT_EQ(worker.exit_code(), 0) << worker.err();
  EXPECT_EQ(cluster_.coordinator_figures()["records"], 0);
  Process& coordinator = cluster_.coordinator();
  coordinator.signal(SIGHUP);
  EXPECT_EQ(coordinator.exit_code(), 0) << coordinator.err();

  const auto kept = cluster_.start_command(
      {"/bin/sh", "-c", "trap '' HUP; exec \"$@\"", "sh", program("shoal-worker").string(),
       "--state", cluster_.state_of("kept").string(), "--listen", "tcp://127.0.0.1:0"});
  ASSERT_TRUE(kept->await_out(has_lines(1))) << kept->err();
  kept->signal(SIGHUP);
  kept->signal(SIGUSR2);  // which nothing waits for
  EXPECT_EQ(kept->exit_code(), 128 + SIGUSR2) << "the first was ignored";
}

TEST_F(FaultsTest, TheCoordinatorIsNotNeededOnceNodesKnowEachOther) {
  Process& coordinator = cluster_.start_coordinator();
  for (const char* name : {"worker-1", "worker-2", "worker-3"}) cluster_.start_worker(name);
  cluster_.await_workers(3);
  const auto submit = cluster_.start(job_.submission());
  ASSERT_TRUE(submit->await_out(has_lines(kSomeResults))) << submit->err();
  coordinator.kill();
  expect_finished(*submit);
}

TEST_F(FaultsTest, AStewardThatWasKilledTakesItsJobUpAgain) {
  start_pool(3);
  const auto submit = cluster_.start(job_.submission());
  ASSERT_TRUE(submit->await_out(has_lines(kSomeResults))) << submit->err();
  const std::string steward = cluster_.steward();
  cluster_.kill_worker(steward);
  cluster_.start_worker(steward);
  expect_finished(*submit);
}

TEST_F(FaultsTest, WhoeverLeavesWithCtrlCIsToldHowToComeBack) {
  start_pool(2);
  const auto submit = cluster_.start(job_.submission({"--json"}));
  ASSERT_TRUE(submit->await_out(has_lines(kSomeResults))) << submit->err();
  const std::string job = json_lines(submit->out().substr(0, submit->out().find('\n')))[0]["job"];
  submit->signal(SIGINT);
  EXPECT_EQ(submit->exit_code(), 130);
  EXPECT_THAT(submit->err(), HasSubstr("shoal job results " + job.substr(0, 16)));

  const auto results = cluster_.run({"job", "results", job.substr(0, 16), "--close"});
  EXPECT_EQ(results.exit_code, 0) << results.err;
  job_.expect_right(results.out);
}

TEST_F(FaultsTest, ALaptopThatWasShutGetsItsResultsWithoutTheCoordinator) {
  Process& coordinator = cluster_.start_coordinator();
  for (const char* name : {"worker-1", "worker-2", "worker-3"}) cluster_.start_worker(name);
  cluster_.await_workers(3);
  const auto detached = cluster_.run(job_.submission({"--json", "--detach"}));
  ASSERT_EQ(detached.exit_code, 0) << detached.err;
  const Mersenne other(cluster_.folder(), 6001, 7000);
  const auto submit = cluster_.start(other.submission({"--json"}));
  ASSERT_TRUE(submit->await_out(has_lines(kSomeResults))) << submit->err();
  submit->kill();
  coordinator.kill();

  // Nobody but the workers is left, and what this account wrote down.
  const auto expect_results = [&](const Mersenne& job, const std::string& said) {
    const std::string id = json_lines(said.substr(0, said.find('\n')))[0]["job"];
    const auto results = cluster_.run({"job", "results", id, "--close"});
    EXPECT_EQ(results.exit_code, 0) << results.err;
    job.expect_right(results.out);
  };
  expect_results(job_, detached.out);
  expect_results(other, submit->out());
}

TEST_F(FaultsTest, ATimeoutLeavesTheJobRunning) {
  start_pool(2);
  const auto submit = cluster_.run(job_.submission({"--json", "--timeout", "1"}));
  EXPECT_EQ(submit.exit_code, 124) << submit.err;
  EXPECT_THAT(submit.err, HasSubstr("shoal job"));
}

TEST_F(FaultsTest, ACancelledJobEndsForItsSubmitterToo) {
  start_pool(2);
  const auto submit = cluster_.start(job_.submission({"--json"}));
  ASSERT_TRUE(submit->await_out(has_lines(kSomeResults))) << submit->err();
  const std::string job = json_lines(submit->out().substr(0, submit->out().find('\n')))[0]["job"];
  const auto cancel = cluster_.run({"job", "cancel", job.substr(0, 8)});
  EXPECT_EQ(cancel.exit_code, 0) << cancel.err;
  EXPECT_EQ(submit->exit_code(), 3) << submit->err();
  const auto explained = cluster_.run({"job", "explain", job.substr(0, 8)});
  EXPECT_EQ(explained.exit_code, 0) << explained.err;
  EXPECT_THAT(explained.out, HasSubstr("cancelled"));
  EXPECT_EQ(count_lines(explained.out), 1U);
  expect_over({"resume", job}, "It was cancelled");
  EXPECT_EQ(cluster_.run({"job", "cancel", job}).exit_code, 0);
}

TEST_F(FaultsTest, AJobThatIsOverIsSteeredNoMore) {
  start_pool(2);
  const Mersenne short_job(cluster_.folder(), 100, 110);
  const auto submitted = cluster_.run(short_job.submission({"--json", "--detach"}));
  ASSERT_EQ(submitted.exit_code, 0) << submitted.err;
  const std::string id = json_lines(submitted.out).front()["job"];
  ASSERT_EQ(cluster_.run({"job", "watch", id}).exit_code, 0);
  for (const Line& command : {Line{"pause", id}, {"resume", id}, {"priority", id, "7"}}) {
    expect_over(command, "It is done");
  }
  EXPECT_EQ(cluster_.run({"job", "cancel", id}).exit_code, 0);
}

}  // namespace
}  // namespace shoal::cluster
