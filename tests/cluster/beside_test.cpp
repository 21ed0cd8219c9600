// Programs that mean harm, on workers that compute an honest job at the same time.

#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "node/protocol/sanitized.h"
#include "tests/cluster/mersenne.h"
#include "tests/cluster/program_jobs.h"

namespace shoal::cluster {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kSecret[] = "what the donor wrote to a friend\n";
constexpr int kHonestUnits = 20;

class HostilePrograms : public ::testing::TestWithParam<WorkersOf> {
 protected:
  HostilePrograms() : cluster_({}, {"--trust-all"}) {}
  void SetUp() override {
    if (GetParam() == WorkersOf::kRoot && ::geteuid() != 0) GTEST_SKIP() << "only root is root";
    fs::create_directories(here());
    cluster_.start_coordinator();
    for (const char* name : {"ann", "ben"}) {
      cluster_.place_worker(name, {.ordinary_user = GetParam() == WorkersOf::kOrdinaryUser});
      // Sanitizers take more than that for themselves.
      cluster_.start_worker(
          name, {"--threads", "3", "--scratch", "64M", "--memory", kSanitized ? "2G" : "256M"});
    }
    cluster_.await_workers(2);
    // In the home folder of the workers' user, who may read it.
    fs::create_directories(secret().parent_path());
    std::ofstream(secret()) << kSecret;
    fs::permissions(secret(), fs::perms::owner_read | fs::perms::owner_write);
    if (GetParam() == WorkersOf::kOrdinaryUser) {
      give_to_ordinary_user(secret().parent_path());
      give_to_ordinary_user(secret());
    }
  }

  fs::path here() const { return cluster_.folder() / "here"; }
  fs::path secret() const { return cluster_.folder() / ".ssh/id_ed25519"; }
  Line in_here(const Line& arguments) const {
    Line command{"/usr/bin/env", "-C", here().string(), program("shoal").string()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return command;
  }
  // A shell's lines as units of one job. All of its processes have the line, which ends with the
  // cluster's folder, in their environment: it is the unit's entry.
  Line submission(const std::string& name, const std::map<std::string, std::string>& lines,
                  const Line& more) const {
    nlohmann::json units = nlohmann::json::array();
    for (const auto& [unit, line] : lines) {
      units.push_back({{"name", unit}, {"do", line + "\n# " + cluster_.folder().string()}});
    }
    std::ofstream(here() / (name + ".json")) << units;
    Line command{"submit", "--from-json", name + ".json", "-o", name, "--max-attempts", "1"};
    command.insert(command.end(), more.begin(), more.end());
    command.insert(command.end(), {"--", "sh", "-c", "{do}"});
    return in_here(command);
  }
  // The processes of hostile units, wherever they have gone.
  std::size_t hostile_processes() const {
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator("/proc")) {
      std::ifstream file(entry.path() / "environ", std::ios::binary);
      // Zeros end the variables; a process that has gone has none.
      for (std::string variable; std::getline(file, variable, '\0');) {
        if (variable.find("# " + cluster_.folder().string()) == std::string::npos) continue;
        ++count;
        break;
      }
    }
    return count;
  }
  void expect_honest_results() const {
    const std::string line =
        "echo {} >honest-secret; awk 'BEGIN { for (i = 0; i < 100000; ++i) "
        "s = (31 * s + i + {}) % 1000003; print s }'";
    const auto ended =
        cluster_.run_command(in_here({"submit", "--array", "1-" + std::to_string(kHonestUnits),
                                      "--quorum", "2", "--", "sh", "-c", line}));
    EXPECT_EQ(ended.exit_code, 0) << ended.err;
    std::string expected;
    for (int i = 1; i <= kHonestUnits; ++i) {
      long s = 0;
      for (long n = 0; n < 100'000; ++n) s = (31 * s + n + i) % 1'000'003;
      expected += std::to_string(s) + "\n";
    }
    EXPECT_EQ(ended.out, expected);
  }
  // What each unit of a hostile job has come to, by its name.
  std::map<std::string, std::string> ends_of(Process& job) const {
    EXPECT_GE(job.exit_code(), 0) << job.err();
    std::map<std::string, std::string> ends;
    for (const auto& line : json_lines(job.out())) {
      if (line.contains("name")) ends[line["name"]] = line.dump();
    }
    return ends;
  }
  std::map<std::string, std::string> lines_that_end() const;

  Cluster cluster_;
};

INSTANTIATE_TEST_SUITE_P(Users, HostilePrograms,
                         ::testing::Values(WorkersOf::kRoot, WorkersOf::kOrdinaryUser),
                         [](const auto& user) {
                           return user.param == WorkersOf::kRoot ? "OfRoot" : "OfAnOrdinaryUser";
                         });

std::map<std::string, std::string> HostilePrograms::lines_that_end() const {
  std::map<std::string, std::string> lines{
      {"steals", "cat " + secret().string() + " /proc/[0-9]*/root/" + secret().string() +
                     " /etc/shadow; find / -path /usr -prune -o -path /proc -prune -o "
                     "'(' -name 'honest-secret*' -o -name 'node.key' ')' -print; "
                     "echo looked everywhere"},
      {"hoards",
       "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do "
       "head -c 48000000 /dev/zero | tail -c 48000000 | sleep 1000 & done; wait"},
      {"fills", "cat /dev/zero >large"},
      {"kills_all", "kill -9 -1; sleep 1000"},
      {"kills_each",
       "i=1; while [ $i -lt 40000 ]; do [ $i = $$ ] || kill -9 $i; i=$((i+1)); done "
       "2>/dev/null; sleep 1000"},
      {"stops_its_parent", "kill -STOP $PPID; kill -TERM 1; echo went on"},
      {"stays_behind", "setsid sh -c 'sleep 1000 &'; echo has gone"},
  };
  if (kSanitized) lines.erase("hoards");  // it would wait for ever
  return lines;
}

TEST_P(HostilePrograms, HarmNeitherTheJobBesideThemNorTheDonor) {
  // One whose processes are as many as may be, and which then spins for as long as it is let.
  const auto endless = cluster_.run_command(submission(
      "endless", {{"bomb", "(while :; do sleep 1000 & done); while :; do :; done"}}, {"--detach"}));
  ASSERT_EQ(endless.exit_code, 0) << endless.err;
  const std::string endless_id = endless.out.substr(0, endless.out.find('\n'));
  ASSERT_TRUE(comes_true([&] { return cluster_.workers_at(endless_id) == 2; }));
  ASSERT_TRUE(comes_true([&] { return hostile_processes() > 500; })) << hostile_processes();
  const auto ending = cluster_.start_command(submission("ending", lines_that_end(), {"--json"}));
  // 10 GB each, but for one that is small enough to be written and still more than the job takes.
  const auto answering = cluster_.start_command(
      submission("answering",
                 {{"talks", ": >out; head -c 10000000000 /dev/zero; sleep 1000"},
                  {"claims", "truncate -s 10000000000 out"},
                  {"bulges", "head -c 20000000 /dev/zero >out"}},
                 {"--json", "--stdout", "--output", "out", "--output-limit", "8M"}));
  // Each in a sandbox of its own, since they would hamper those.
  const auto forking = cluster_.start_command(
      submission("forking", {{"forks", "while :; do sleep 1000 & done"}}, {"--json"}));
  const auto spinning = cluster_.start_command(
      submission("spinning", {{"spins", "while :; do :; done"}}, {"--json", "--time-limit", "2s"}));
  expect_honest_results();

  auto ends = ends_of(*ending);
  EXPECT_THAT(ends["steals"], HasSubstr("\"ok\":true"));
  EXPECT_EQ(text_of(here() / "ending/steals/stdout"), "looked everywhere\n");
  EXPECT_TRUE(kSanitized || has_text("\"kind\":\"out_of_memory\"")(ends["hoards"]))
      << ends["hoards"];
  EXPECT_THAT(ends["fills"], HasSubstr("No space left on device"));
  for (const char* unit : {"kills_all", "kills_each"}) {
    EXPECT_THAT(ends[unit], AllOf(HasSubstr("\"kind\":\"crashed\""), HasSubstr("SIGKILL")));
  }
  for (const char* unit : {"stops_its_parent", "stays_behind"}) {
    EXPECT_THAT(ends[unit], HasSubstr("\"ok\":true"));
  }
  ends = ends_of(*answering);
  EXPECT_THAT(ends["talks"], AllOf(HasSubstr("\"kind\":\"bad_answer\""),
                                   HasSubstr("more to stdout than the job allows")));
  EXPECT_THAT(ends["claims"], HasSubstr("File size limit exceeded"));
  EXPECT_THAT(ends["bulges"], HasSubstr("the outputs are more than the job allows"));
  EXPECT_THAT(ends_of(*forking)["forks"], HasSubstr("Cannot fork"));
  EXPECT_THAT(ends_of(*spinning)["spins"], HasSubstr("\"kind\":\"timed_out\""));

  // All that time:
  EXPECT_EQ(cluster_.workers_at(endless_id), 2U) << "the endless job has ended";
  EXPECT_EQ(cluster_.run({"job", "cancel", endless_id}).exit_code, 0);
  EXPECT_TRUE(comes_true([&] { return hostile_processes() == 0; })) << hostile_processes();
  EXPECT_EQ(text_of(secret()), kSecret);
  expect_honest_results();
  cluster_.expect_workers_end_well();
}

}  // namespace
}  // namespace shoal::cluster
