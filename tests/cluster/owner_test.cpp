// What the owner of a machine says to the worker on it, while it computes.

#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "tests/cluster/program_jobs.h"

namespace shoal::cluster {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;
using ::testing::AllOf;
using ::testing::HasSubstr;

class OwnerTest : public ::testing::Test {
 protected:
  OwnerTest() : cluster_({}, {"--trust-all"}) { cluster_.start_coordinator(); }

  // Units can read a folder that has its worker's name, and so know where they are, and when they
  // may end.
  void start_worker(const std::string& name, unsigned threads) {
    fs::create_directories(open_to(name));
    // Where the tests are root's, units are nobody's.
    fs::permissions(cluster_.folder(), fs::perms::group_exec | fs::perms::others_exec,
                    fs::perm_options::add);
    cluster_.start_worker(
        name, {"--threads", std::to_string(threads), "--readable", open_to(name).string()});
  }
  fs::path open_to(const std::string& worker) const { return cluster_.folder() / "open" / worker; }
  void let_units_end(const std::string& worker) const { std::ofstream(open_to(worker) / "end"); }
  // A unit that says on which worker it has been let to its end.
  std::string waiting_unit() const {
    return "cd " + (cluster_.folder() / "open").string() +
           "; until [ -e */end ]; do sleep 0.02; done; echo *";
  }

  Cluster::Ended tell(const std::string& worker, const std::string& what) const {
    return cluster_.run({"worker", what, "--state", cluster_.state_of(worker).string()});
  }
  nlohmann::json top(const std::string& worker) const {
    return cluster_.json(
        {"worker", "top", "--json", "--state", cluster_.state_of(worker).string()});
  }
  // Waits until it runs so many units, and returns them.
  nlohmann::json await_units(const std::string& worker, std::size_t count) const {
    nlohmann::json units;
    EXPECT_TRUE(comes_true([&] {
      units = top(worker)["units"];
      return units.size() == count;
    })) << units;
    return units;
  }
  // Of units, as long as nothing moves.
  std::size_t count_shells() const {
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator("/proc")) {
      std::ifstream file(entry.path() / "cmdline", std::ios::binary);
      const std::string line{std::istreambuf_iterator<char>(file), {}};
      const bool is_shell = line.starts_with(std::string("sh\0-c", 5));
      if (is_shell && line.find(cluster_.folder().string()) != std::string::npos) ++count;
    }
    return count;
  }

  Cluster cluster_;
};

TEST_F(OwnerTest, APausedUnitHasAllItsTimeAfterwards) {
  start_worker("ann", 1);
  cluster_.await_workers(1);
  const auto submit = cluster_.start({"submit", "--quorum", "1", "--time-limit", "6s",
                                      "--max-attempts", "1", "--", "sh", "-c", waiting_unit()});
  await_units("ann", 1);
  const auto paused = tell("ann", "pause");
  EXPECT_EQ(paused.exit_code, 0) << paused.err;
  EXPECT_THAT(paused.err, HasSubstr("paused"));
  const auto at_first = top("ann");
  EXPECT_EQ(at_first["state"], "paused");
  ASSERT_EQ(at_first["units"].size(), 1U);
  // Longer than it may run, and then once more as long by little and little.
  const auto stands_still_for = [&](std::chrono::milliseconds time) {
    const auto then = top("ann");
    const auto end = steady_clock::now() + time;
    ASSERT_TRUE(comes_true([&] {
      const auto now = top("ann");
      EXPECT_EQ(now["units"][0]["ms"], then["units"][0]["ms"]) << now;
      return HasFailure() || steady_clock::now() > end;
    }));
  };
  stands_still_for(std::chrono::seconds(7));
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(tell("ann", "resume").exit_code, 0);
    EXPECT_EQ(tell("ann", "pause").exit_code, 0);
    stands_still_for(std::chrono::milliseconds(800));
  }
  let_units_end("ann");
  EXPECT_EQ(tell("ann", "resume").exit_code, 0);
  EXPECT_EQ(submit->exit_code(), 0) << submit->err();
  EXPECT_EQ(submit->out(), "ann\n");
}

TEST_F(OwnerTest, AWorkerThatIsToFinishEndsWhatRunsAndBeginsNothing) {
  // It has a thread for more.
  start_worker("ann", 2);
  cluster_.await_workers(1);
  const auto first = cluster_.start({"submit", "--quorum", "1", "--", "sh", "-c", waiting_unit()});
  await_units("ann", 1);
  start_worker("ben", 1);
  cluster_.await_workers(2);
  const auto told = tell("ann", "finish");
  EXPECT_EQ(told.exit_code, 0) << told.err;
  EXPECT_THAT(told.err, HasSubstr("finishes what runs, and ends"));

  // Time enough for a free thread to take some.
  const auto second =
      cluster_.run({"submit", "--quorum", "1", "--array", "1-20", "--", "sh", "-c",
                    "cd " + (cluster_.folder() / "open").string() +
                        "; i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; echo *; : {}"});
  EXPECT_EQ(second.exit_code, 0) << second.err;
  EXPECT_EQ(count_lines(second.out), 20U);
  EXPECT_EQ(second.out.find("ann"), std::string::npos) << second.out;
  const auto finishing = top("ann");
  EXPECT_EQ(finishing["state"], "finishing");
  EXPECT_EQ(finishing["units"].size(), 1U) << finishing;

  let_units_end("ann");
  EXPECT_EQ(cluster_.worker("ann").exit_code(), 0) << cluster_.worker("ann").err();
  EXPECT_THAT(cluster_.worker("ann").err(), HasSubstr("finished, as its owner asked"));
  EXPECT_EQ(first->exit_code(), 0) << first->err();
  EXPECT_EQ(first->out(), "ann\n");
}

TEST_F(OwnerTest, TopShowsWhatRunsOfWhatKindForHowLongAndWithHowMuchMemory) {
  start_worker("ann", 2);
  cluster_.await_workers(1);
  // It takes long.
  std::ofstream(cluster_.folder() / "exponents") << "999983\n";
  const auto shipped =
      cluster_.run({"submit", "--detach", "--quorum", "1", "--kernel", "lucas_lehmer", "--inputs",
                    (cluster_.folder() / "exponents").string()});
  ASSERT_EQ(shipped.exit_code, 0) << shipped.err;
  const auto program =
      cluster_.start({"submit", "--quorum", "1", "--", "sh", "-c", waiting_unit()});
  auto units = await_units("ann", 2);
  ASSERT_TRUE(comes_true([&] {
    units = top("ann")["units"];
    return units.size() == 2 && std::all_of(units.begin(), units.end(), [](const auto& unit) {
             return unit["ms"] > 0 && unit["executor_memory_bytes"] > 0;
           });
  })) << units;
  if (units[0]["kind"] == "program") std::swap(units[0], units[1]);
  EXPECT_EQ(units[0]["kind"], "shipped");
  EXPECT_EQ(units[0]["kernel"], "lucas_lehmer");
  EXPECT_EQ(units[0]["unit"], 0);
  EXPECT_EQ(units[0]["job"], shipped.out.substr(0, shipped.out.find('\n')));
  EXPECT_EQ(units[1]["kind"], "program");
  EXPECT_EQ(units[1]["kernel"], "program");
  EXPECT_NE(units[0]["process"], units[1]["process"]);
  const auto later = top("ann");
  // Others' programs read this.
  EXPECT_EQ(later["schema"], 1);
  EXPECT_EQ(later["state"], "running");
  for (const char* key : {"process", "kind", "executor_memory_mib", "executor_memory_bytes", "job",
                          "unit", "kernel", "ms"}) {
    EXPECT_TRUE(units[0].contains(key)) << key;
  }
  ASSERT_EQ(later["units"].size(), 2U);
  for (const auto& unit : later["units"]) {
    const bool first = unit["process"] == units[0]["process"];
    EXPECT_GT(unit["ms"], units[first ? 0 : 1]["ms"]);
  }

  const auto text = tell("ann", "top");
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_THAT(text.out, AllOf(HasSubstr("process"), HasSubstr("memory"), HasSubstr("seconds"),
                              HasSubstr("shipped"), HasSubstr("program"), HasSubstr("iB")));
  let_units_end("ann");
  EXPECT_EQ(program->exit_code(), 0) << program->err();
  EXPECT_EQ(await_units("ann", 1)[0]["kernel"], "lucas_lehmer");
}

TEST_F(OwnerTest, NoMoreUnitsOfAJobRunThanThreadsAreLent) {
  start_worker("ann", 2);
  cluster_.await_workers(1);
  const std::string line =
      "i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done; echo {}; # " + cluster_.folder().string();
  const auto submit =
      cluster_.start({"submit", "--quorum", "1", "--array", "1-8", "--", "sh", "-c", line});
  std::size_t most_units = 0;
  std::size_t most_shells = 0;
  ASSERT_TRUE(comes_true([&] {
    // What stands still can be counted one by one.
    EXPECT_EQ(tell("ann", "pause").exit_code, 0);
    most_units = std::max(most_units, top("ann")["units"].size());
    most_shells = std::max(most_shells, count_shells());
    EXPECT_EQ(tell("ann", "resume").exit_code, 0);
    return count_lines(submit->out()) == 8;
  }));
  EXPECT_EQ(most_units, 2U);
  EXPECT_EQ(most_shells, 2U);
  EXPECT_EQ(submit->exit_code(), 0) << submit->err();
}

}  // namespace
}  // namespace shoal::cluster
