// Modules that mean harm, on workers that compute an honest job at the same time.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/cluster/cluster.h"
#include "tests/cluster/mersenne.h"
#include "tests/unit/node/wasm/modules.h"

namespace shoal::cluster {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class HostileModules : public ::testing::TestWithParam<WorkersOf> {
 protected:
  void SetUp() override {
    if (GetParam() == WorkersOf::kRoot && ::geteuid() != 0) GTEST_SKIP() << "only root is root";
    cluster_.start_coordinator();
    for (const char* name : {"one", "two"}) {
      cluster_.place_worker(name, {.ordinary_user = GetParam() == WorkersOf::kOrdinaryUser});
      cluster_.start_worker(name, {"--threads", "3", "--memory", "512M"});
    }
    cluster_.await_workers(2);
  }
  Line submission(const std::string& name, const Module& module, const Line& more = {}) const {
    const auto path = cluster_.folder() / (name + ".wasm");
    std::ofstream(path, std::ios::binary) << as_text(module.bytes());
    Line line{"submit", path.string(), "--units", "1", "--max-attempts", "1"};
    line.insert(line.end(), more.begin(), more.end());
    return line;
  }
  // What the one unit of such a module comes to, which is nothing good.
  std::string end_of(const std::string& name, const Module& module, const Line& more = {}) const {
    Line line = submission(name, module, more);
    line.emplace_back("--json");
    const auto ended = cluster_.run(line);
    EXPECT_EQ(ended.exit_code, 1) << name << ": " << ended.err;
    return ended.out;
  }
  std::string end_of(const std::string& name, Bytes unit) const {
    return end_of(name, with_unit(std::move(unit)));
  }

  Cluster cluster_;
};

INSTANTIATE_TEST_SUITE_P(Users, HostileModules,
                         ::testing::Values(WorkersOf::kRoot, WorkersOf::kOrdinaryUser),
                         [](const auto& user) {
                           return user.param == WorkersOf::kRoot ? "OfRoot" : "OfAnOrdinaryUser";
                         });

TEST_P(HostileModules, AreStoppedAsWhatTheyAreWhileTheJobBesideThemGoesOn) {
  const Bytes loop{0x03, 0x40, 0x0c, 0, 0x0b, 0x41, 0};
  const auto endless = cluster_.run(submission("endless", with_unit(loop), {"--detach"}));
  ASSERT_EQ(endless.exit_code, 0) << endless.err;
  const std::string endless_id = endless.out.substr(0, endless.out.find('\n'));
  ASSERT_TRUE(comes_true([&] { return cluster_.workers_at(endless_id) == 2; }));
  const Mersenne honest(cluster_.folder(), 1000, 1200);
  const auto beside = cluster_.start(honest.submission());

  EXPECT_THAT(end_of("trap", {0x00}), AllOf(HasSubstr("crashed"), HasSubstr("unreachable")));
  EXPECT_THAT(end_of("recursion", {0x20, 0, 0x20, 1, 0x10, Module::kUnit}),
              AllOf(HasSubstr("crashed"), HasSubstr("stack")));
  EXPECT_THAT(end_of("outside", {0x41, 0x7f}), HasSubstr("bad_answer"));
  // Four GiB of output, less one byte.
  EXPECT_THAT(end_of("large", {0x41, 4, 0x41, 0x7f, 0x36, 2, 0, 0x41, 0}), HasSubstr("bad_answer"));
  EXPECT_THAT(end_of("loop", with_unit(loop), {"--time-limit", "2s"}), HasSubstr("timed_out"));
  Module swollen;
  swollen.memory_limits = Bytes{1} + leb(4000) + leb(8000);  // 250 MiB to begin with
  EXPECT_THAT(end_of("swollen", swollen), HasSubstr("out_of_memory"));
  Module data;
  // One byte at an address of nearly 2 GiB.
  data.after_code = section(11, {1, 0, 0x41, 0xff, 0xff, 0xff, 0xff, 0x07, 0x0b, 1, 'x'});
  EXPECT_THAT(end_of("data", data), HasSubstr("refused"));

  EXPECT_EQ(beside->exit_code(), 0) << beside->err();
  honest.expect_right(beside->out());
  EXPECT_EQ(cluster_.workers_at(endless_id), 2U) << "the endless job has ended";
  EXPECT_EQ(cluster_.run({"job", "cancel", endless_id}).exit_code, 0);
  EXPECT_TRUE(comes_true([&] { return cluster_.workers_at(endless_id) == 0; }));
  cluster_.expect_workers_end_well();
}

}  // namespace
}  // namespace shoal::cluster
