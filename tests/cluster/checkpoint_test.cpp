// Units that take long, and workers that die in the midst of them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <sstream>

#include "tests/cluster/cluster.h"
#include "tests/cluster/mersenne.h"
#include "tests/cluster/stranger.h"

namespace shoal::cluster {
namespace {

using ::testing::HasSubstr;
using ::testing::IsSupersetOf;

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
  Process& start_worker(const std::string& name, unsigned threads = 1) {
    return cluster_.start_worker(name,
                                 {"--log-level", "debug", "--threads", std::to_string(threads)});
  }
  std::unique_ptr<Process> submit(unsigned units, unsigned interruptions,
                                  unsigned quorum = 1) const {
    Line command{program(kProgram).string(), std::to_string(units), std::to_string(interruptions),
                 std::to_string(quorum)};
    if (!module_.empty()) command.push_back(module_.string());
    return cluster_.start_command(command);
  }
  // "UNIT VALUE" of each unit, as it is without any worker and any interruption.
  std::set<std::string> undisturbed(unsigned units) const {
    const auto ended = cluster_.run_command(
        {program(kProgram).string(), "--local", std::to_string(units), "0", "1"});
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
  constexpr unsigned kUnits = 4;  // more than the two can begin, so that each begins one
  start_worker("ann");
  start_worker("ben");
  cluster_.await_workers(2);
  const auto job = submit(kUnits, 1);
  for (const char* name : {"ann", "ben"}) {
    ASSERT_TRUE(cluster_.worker(name).await_err(has_text(kKept))) << cluster_.worker(name).err();
  }
  const std::string steward = cluster_.steward();
  const std::string victim = steward == "ann" ? "ben" : "ann";
  const std::string log = cluster_.worker(victim).err();
  const std::size_t number = log.rfind("unit ", log.find(kKept)) + 5;
  const std::string unit = log.substr(number, log.find(' ', number) - number);
  ASSERT_TRUE(cluster_.worker(steward).await_err(has_text("is told how far unit " + unit + " of ")))
      << cluster_.worker(steward).err();
  cluster_.kill_worker(victim);

  // Room for all that the dead one had begun: the others of its units wait for ever.
  const Process& heir = start_worker("dan", kUnits);
  const auto is_its_line = [&](const std::string& line) { return line.starts_with(unit + " "); };
  ASSERT_TRUE(job->await_out([&](const std::string& text) {
    const auto lines = lines_of(text);
    return std::any_of(lines.begin(), lines.end(), is_its_line);
  })) << job->err()
      << heir.err();
  EXPECT_THAT(heir.err(), HasSubstr("unit " + unit + " of "));
  EXPECT_THAT(heir.err(), HasSubstr(kGoesOn));
  EXPECT_THAT(undisturbed(kUnits), IsSupersetOf(lines_of(job->out())));
}

TEST_P(CheckpointTest, WhateverIsKilledWheneverTheEndHasTheSameBytes) {
  constexpr unsigned kUnits = 3;
  constexpr unsigned kKills = 12;
  constexpr unsigned kMomentMs = 1200;  // a state is kept after a second
  constexpr std::uint32_t kSeed = 7;
  std::mt19937 draw(kSeed);
  const std::vector<std::string> names{"ann", "ben", "cid"};
  for (const std::string& name : names) start_worker(name, 2);
  cluster_.await_workers(3);
  // No replica ends before it was interrupted twice with a state that was kept.
  const auto job = submit(kUnits, 2, 2);
  const auto has_ended_in = [&](std::chrono::milliseconds time) {
    return job->await_out(has_lines(kUnits), time);
  };
  std::string killed;
  for (unsigned kill = 0; kill < kKills; ++kill) {
    if (has_ended_in(std::chrono::milliseconds(draw() % kMomentMs))) break;
    const std::string name = names[draw() % names.size()];
    const bool whole = draw() % 2 == 0;
    const auto executors = Cluster::executors_of(cluster_.worker(name));
    if (!whole && !executors.empty()) {
      Stranger(executors.front()).kill();
    } else {
      cluster_.kill_worker(name);
      start_worker(name, 2);
    }
    killed += " " + name + (whole || executors.empty() ? "" : "'s executor");
  }
  std::printf("seed %u killed:%s\n", kSeed, killed.c_str());
  // Replicas that nobody has interrupted often enough, for all that.
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!has_ended_in(std::chrono::milliseconds(100))) {
    ASSERT_LT(std::chrono::steady_clock::now(), end) << job->err();
    for (const std::string& name : names) {
      if (!has_text(kKept)(cluster_.worker(name).err())) continue;
      cluster_.kill_worker(name);
      start_worker(name, 2);
    }
  }
  EXPECT_EQ(job->exit_code(), 0) << job->err();
  EXPECT_EQ(lines_of(job->out()), undisturbed(kUnits));
}

INSTANTIATE_TEST_SUITE_P(Kernels, CheckpointTest, ::testing::Values(Way::kNative, Way::kModule),
                         [](const auto& way) {
                           return way.param == Way::kNative ? "Native" : "Module";
                         });

}  // namespace
}  // namespace shoal::cluster
