// Units that take long, and workers that die in the midst of them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "tests/cluster/cluster.h"
#include "tests/cluster/mersenne.h"

namespace shoal::cluster {
namespace {

using ::testing::Contains;

constexpr char kKept[] = ": its state is kept";
constexpr char kGoesOn[] = " goes on from the state";

enum class Way { kNative, kModule };

class CheckpointTest : public ::testing::TestWithParam<Way> {
 protected:
  // Units of interrupted_main.cpp never end where they begin anew.
  static constexpr char kProgram[] = "interrupted";

  void SetUp() override {
    cluster_.start_coordinator();
    if (GetParam() == Way::kNative) return;
    module_ = cluster_.folder() / "interrupted.wasm";
    const auto built =
        cluster_.run({"kernel", "build", SHOAL_INTERRUPTED_SOURCE, "-o", module_.string()});
    ASSERT_EQ(built.exit_code, 0) << built.err;
  }
  Process& start_worker(const std::string& name) {
    return cluster_.start_worker(name, {"--log-level", "debug"});
  }
  std::unique_ptr<Process> submit(unsigned units, unsigned interruptions) const {
    Line command{program(kProgram).string(), std::to_string(units), std::to_string(interruptions)};
    if (!module_.empty()) command.push_back(module_.string());
    return cluster_.start_command(command);
  }
  // "UNIT VALUE" of each unit, as it is without any worker and any interruption.
  std::set<std::string> undisturbed(unsigned units) const {
    const auto ended =
        cluster_.run_command({program(kProgram).string(), "--local", std::to_string(units), "0"});
    EXPECT_EQ(ended.exit_code, 0) << ended.err;
    return lines_of(ended.out);
  }
  static std::set<std::string> lines_of(const std::string& text) {
    std::set<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.insert(line);
    return lines;
  }

  Cluster cluster_{{}, {"--trust-all"}};
  std::filesystem::path module_;
};

TEST_P(CheckpointTest, AUnitOutlivesItsWorkerThreeTimesAndEndsWithTheSameBytes) {
  constexpr unsigned kDeaths = 3;
  start_worker("ann");
  cluster_.await_workers(1);
  const auto job = submit(1, kDeaths);
  for (unsigned death = 1; death <= kDeaths; ++death) {
    ASSERT_TRUE(cluster_.worker("ann").await_err(has_text(kKept))) << cluster_.worker("ann").err();
    cluster_.kill_worker("ann");
    start_worker("ann");
    ASSERT_TRUE(cluster_.worker("ann").await_err(has_text(kGoesOn)))
        << cluster_.worker("ann").err();
  }
  EXPECT_EQ(job->exit_code(), 0) << job->err();
  EXPECT_EQ(lines_of(job->out()), undisturbed(1));
}

TEST_P(CheckpointTest, AUnitGoesOnWithAnotherWorker) {
  for (const char* name : {"ann", "ben", "cid"}) start_worker(name);
  cluster_.await_workers(3);
  const auto job = submit(3, 1);
  for (const std::string& name : cluster_.workers()) {
    ASSERT_TRUE(cluster_.worker(name).await_err(has_text(kKept))) << cluster_.worker(name).err();
  }
  const std::string steward = cluster_.steward();
  const std::string victim = steward == "ann" ? "ben" : "ann";
  // The unit that it has, by its number.
  const std::string log = cluster_.worker(victim).err();
  const std::size_t kept = log.find(kKept);
  const std::size_t named = log.rfind("unit ", kept) + 5;
  const std::string unit = log.substr(named, log.find(' ', named) - named);
  ASSERT_TRUE(cluster_.worker(steward).await_err(has_text("is told how far unit " + unit + " of ")))
      << cluster_.worker(steward).err();
  cluster_.kill_worker(victim);

  ASSERT_TRUE(start_worker("dan").await_err(has_text("unit " + unit + " of "))) << job->err();
  ASSERT_TRUE(job->await_out(has_lines(1))) << job->err();
  const auto expected = undisturbed(3);
  for (const std::string& line : lines_of(job->out())) {
    EXPECT_TRUE(line.starts_with(unit + " ")) << line;
    EXPECT_THAT(expected, Contains(line));
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, CheckpointTest, ::testing::Values(Way::kNative, Way::kModule),
                         [](const auto& way) {
                           return way.param == Way::kNative ? "Native" : "Module";
                         });

}  // namespace
}  // namespace shoal::cluster
