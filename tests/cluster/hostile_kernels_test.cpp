// Native kernels that say what they like to their worker, beside an honest job on the same workers.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <utility>

#include "shoal/values.h"
#include "tests/cluster/mersenne.h"
#include "tests/cluster/program_jobs.h"
#include "tests/cluster/ungated.h"

namespace shoal::cluster {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// As in hostile_kernels_main.cpp.
struct Where {
  std::uint64_t unit = 0;
  std::string folder;
  SHOAL_FIELDS(unit, folder)
};

class HostileKernels : public ::testing::TestWithParam<WorkersOf> {
 protected:
  HostileKernels() : cluster_({}, {"--trust-all"}) {}
  void SetUp() override {
    if (GetParam() == WorkersOf::kRoot && ::geteuid() != 0) GTEST_SKIP() << "only root is root";
    cluster_.start_coordinator();
    for (const char* name : {"ann", "ben"}) {
      cluster_.place_worker(name, {.ordinary_user = GetParam() == WorkersOf::kOrdinaryUser});
      cluster_.start_worker(name, {"--threads", "3"});
    }
    cluster_.await_workers(2);
  }
  // The silent programs, which are `sleep` by then, of all workers.
  std::size_t silent_processes() const {
    std::size_t count = 0;
    for (const std::string& name : cluster_.workers()) {
      for (const pid_t pid : Cluster::descendants_of(cluster_.worker(name).pid())) {
        std::string process;
        std::getline(std::ifstream("/proc/" + std::to_string(pid) + "/comm"), process);
        count += process == "sleep" ? 1U : 0U;
      }
    }
    return count;
  }

  Cluster cluster_;
};

INSTANTIATE_TEST_SUITE_P(Users, HostileKernels,
                         ::testing::Values(WorkersOf::kRoot, WorkersOf::kOrdinaryUser),
                         [](const auto& user) {
                           return user.param == WorkersOf::kRoot ? "OfRoot" : "OfAnOrdinaryUser";
                         });

TEST_P(HostileKernels, FailAsWhatTheyAreWhileTheJobBesideThemGoesOn) {
  const Mersenne honest(cluster_.folder(), 1000, 1200);
  const auto beside = cluster_.start(honest.submission());
  ASSERT_TRUE(beside->await_out(has_lines(1))) << beside->err();

  Ungated submitter(cluster_);
  const std::string silent = submitter.submit(Ungated::manifest(KernelKind::kNative, "silent"),
                                              as_bytes("#!/bin/sh\nexec sleep 1000\n"));
  const std::string leaving = submitter.submit(Ungated::manifest(KernelKind::kNative, "leaving"),
                                               as_bytes("#!/bin/sh\nexit 0\n"));
  const Bytes kernels = to_bytes(as_bytes(text_of(program("hostile-kernels"))));
  const std::map<std::string, std::string> kinds{
      {"writes_garbage", "makes no sense"},     {"greets_again", "out of turn"},
      {"answers_unasked", "no question"},       {"answers_twice", "not asked for"},
      {"answers_for_another", "not asked for"}, {"answers_too_much", "larger than the job allows"},
      {"claims_too_much", "makes no sense"}};
  std::map<std::string, std::string> jobs;
  for (const auto& [kernel, why] : kinds) {
    Manifest manifest = Ungated::manifest(KernelKind::kNative, kernel, encode(Where{1, ""}));
    manifest.units = 3;
    jobs[kernel] = submitter.submit(std::move(manifest), kernels);
  }
  for (const auto& [kernel, why] : kinds) {
    std::map<std::uint64_t, std::string> units;
    for (const auto& line : json_lines(submitter.ends_of(jobs[kernel]))) {
      if (line["type"] == "result") units[line["unit"]] = line.dump();
    }
    EXPECT_THAT(units[0], HasSubstr("\"ok\":true")) << kernel;
    EXPECT_THAT(units[1], AllOf(HasSubstr("\"kind\":\"bad_answer\""), HasSubstr(why))) << kernel;
    EXPECT_THAT(units[2], HasSubstr("\"ok\":true")) << kernel;
  }
  EXPECT_THAT(submitter.ends_of(leaving),
              AllOf(HasSubstr("\"kind\":\"refused\""), HasSubstr("does it call shoal::run?")));

  EXPECT_TRUE(comes_true([&] { return silent_processes() > 0; }));
  EXPECT_EQ(cluster_.run({"job", "cancel", silent}).exit_code, 0);
  EXPECT_TRUE(comes_true([&] { return silent_processes() == 0; })) << silent_processes();
  EXPECT_EQ(beside->exit_code(), 0) << beside->err();
  honest.expect_right(beside->out());
  cluster_.expect_workers_end_well();
}

}  // namespace
}  // namespace shoal::cluster
