// What a program may do with its handle to a job in a pool.

#include <gtest/gtest.h>

#include <cstdint>
#include <sstream>
#include <string>

#include "node/protocol/sanitized.h"
#include "tests/cluster/cluster.h"
#include "tests/cluster/mersenne.h"

namespace shoal::cluster {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

class HandlesTest : public ::testing::Test {
 protected:
  static constexpr char kProgram[] = "handles";  // handles_main.cpp

  HandlesTest() {
    cluster_.start_coordinator();
    for (const char* name : {"worker-1", "worker-2"}) cluster_.start_worker(name);
    cluster_.await_workers(2);
  }
  void tell_workers(const std::string& word) const {
    for (const std::string& name : cluster_.workers()) {
      const auto told = cluster_.run({"worker", word, "--state", cluster_.state_of(name).string()});
      EXPECT_EQ(told.exit_code, 0) << told.err;
    }
  }
  Line line(const Line& arguments) const {
    Line command{program(kProgram).string()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return command;
  }
  nlohmann::json shown(const std::string& job) const {
    return cluster_.json({"job", "show", job, "--json"});
  }

  Cluster cluster_{{}, {"--trust-all"}};
};

// Nothing of it is computed before the handle is gone.
TEST_F(HandlesTest, AJobWhoseHandleWasDroppedGoesOnAndAnotherProgramAttaches) {
  constexpr std::uint64_t kUnits = 100;
  tell_workers("pause");
  const auto dropped = cluster_.start_command(line({"drop", std::to_string(kUnits)}));
  ASSERT_TRUE(dropped->await_out(has_lines(1))) << dropped->err();
  const std::string job = dropped->out().substr(0, dropped->out().find('\n'));
  EXPECT_EQ(shown(job)["verified"], 0);
  tell_workers("resume");
  ASSERT_TRUE(comes_true([&] { return shown(job)["state"] == "done"; })) << shown(job).dump(2);

  const auto attached = cluster_.run_command(line({"attach", job.substr(0, 12)}));
  EXPECT_EQ(attached.exit_code, 0) << attached.err;
  std::ostringstream wanted;
  for (std::uint64_t unit = 0; unit < kUnits; ++unit) {
    wanted << unit << ' ' << unit * unit + 1 << '\n';
  }
  EXPECT_EQ(attached.out, wanted.str());
}

// A byte for each unit would be a gigabyte.
TEST_F(HandlesTest, ABillionUnitsTakeNoMemoryBeforeTheyAreComputed) {
  constexpr std::uint64_t kMemoryMost = 192 * kMiB;
  const auto ended = cluster_.run_command(line({"some", "1000000000", "20000"}));
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  std::istringstream words(ended.out);
  std::string job;
  std::uint64_t missing = 1;
  words >> job >> missing;
  EXPECT_EQ(missing, 0U) << "it was shown fewer than it asked for";
  const auto seen = shown(job);
  EXPECT_EQ(seen["state"], "cancelled") << seen.dump(2);
  EXPECT_EQ(seen["units"], 1'000'000'000) << seen.dump(2);
  EXPECT_LT(seen["verified"], 500'000'000) << seen.dump(2);
  if (kSanitized) return;
  const auto memory = ended.err.rfind("VmHWM:");
  ASSERT_NE(memory, std::string::npos) << ended.err;
  EXPECT_LT(std::stoull(ended.err.substr(memory + 6)) * 1024, kMemoryMost) << "the submitter";
  for (const std::string& name : cluster_.workers()) {  // one of them leads
    EXPECT_LT(peak_memory_of(cluster_.worker(name).pid()), kMemoryMost) << name;
  }
}

}  // namespace
}  // namespace shoal::cluster
