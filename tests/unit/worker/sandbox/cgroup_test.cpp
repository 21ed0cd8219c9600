#include "worker/sandbox/cgroup.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <functional>
#include <iterator>
#include <sstream>

namespace shoal {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::string text_of(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write(const fs::path& file, const std::string& text) { std::ofstream(file) << text; }

// What is written where, in a folder that only looks like a group.
class GroupFolder : public ::testing::Test {
 protected:
  GroupFolder() {
    std::string name = (fs::temp_directory_path() / "shoal-groups-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    write(folder_ / "cgroup.controllers", "cpuset cpu io memory pids\n");
  }
  ~GroupFolder() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  std::string text(const std::string& file) const { return text_of(folder_ / file); }

  fs::path folder_;
};

TEST_F(GroupFolder, TheWorkerMovesAsideBeforeItDivides) {
  ASSERT_TRUE(ControlGroups::divide(folder_, 3));
  EXPECT_EQ(text("worker/cgroup.procs"), "0");
  EXPECT_EQ(text("cgroup.subtree_control"), "+memory +pids +cpu");
  EXPECT_EQ(text("executors/cgroup.subtree_control"), "+memory +pids");
  EXPECT_EQ(text("executors/cpu.max"), "300000 100000");
  EXPECT_EQ(text("executors/cpu.idle"), "1");
}

TEST_F(GroupFolder, WithoutACpuControllerTheProcessorsAreTheSchedulers) {
  write(folder_ / "cgroup.controllers", "memory pids\n");
  ASSERT_TRUE(ControlGroups::divide(folder_, 3));
  EXPECT_EQ(text("cgroup.subtree_control"), "+memory +pids");
  EXPECT_FALSE(fs::exists(folder_ / "executors/cpu.max"));
}

TEST_F(GroupFolder, WhatCannotBeDividedIsLeftAsItWas) {
  fs::create_directory(folder_ / "cgroup.subtree_control");  // cannot be written
  const auto groups = ControlGroups::divide(folder_, 3);
  ASSERT_FALSE(groups);
  EXPECT_THAT(groups.error(), HasSubstr("cgroup.subtree_control"));
  EXPECT_EQ(text("cgroup.procs"), "0") << "it has not moved back";
}

TEST_F(GroupFolder, EachExecutorHasItsOwnLimits) {
  auto groups = ControlGroups::divide(folder_, 1);
  ASSERT_TRUE(groups);
  const auto limited = (*groups)->add(std::uint64_t{1} << 30, 100);
  const auto unlimited = (*groups)->add(0, 5);
  ASSERT_TRUE(limited);
  ASSERT_TRUE(unlimited);
  // And something for the sandbox around it.
  EXPECT_EQ(text("executors/1/memory.max"), std::to_string((1 << 30) + (32 << 20)));
  EXPECT_EQ(text("executors/1/memory.oom.group"), "1");
  EXPECT_EQ(text("executors/1/memory.swap.max"), "0");
  EXPECT_EQ(text("executors/1/pids.max"), "102");
  EXPECT_EQ(text("executors/2/pids.max"), "7");
  EXPECT_FALSE(fs::exists(folder_ / "executors/2/memory.max"));
  ASSERT_EQ(::write((*limited)->entry(), "0", 1), 1);
  EXPECT_EQ(text("executors/1/cgroup.procs"), "0");
}

TEST_F(GroupFolder, TheKernelTellsWhatItHasEndedForItsMemory) {
  auto groups = ControlGroups::divide(folder_, 1);
  ASSERT_TRUE(groups);
  const auto group = (*groups)->add(1 << 20, 1);
  ASSERT_TRUE(group);
  EXPECT_FALSE((*group)->out_of_memory());
  const fs::path events = folder_ / "executors/1/memory.events";
  write(events, "low 0\nhigh 0\nmax 12\noom 1\noom_kill 0\noom_group_kill 0\n");
  EXPECT_FALSE((*group)->out_of_memory());
  write(events, "low 0\nhigh 0\nmax 12\noom 1\noom_kill 3\noom_group_kill 1\n");
  EXPECT_TRUE((*group)->out_of_memory());
}

// Of a child, which may be moved about: it tells by its exit code.
int in_a_child(const std::function<int()>& what) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(what());
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// A group of the kernel's, where the test may make one; removed with the object.
class RealGroup {
 public:
  RealGroup() {
    std::istringstream lines(text_of("/proc/self/mountinfo"));
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string id, parent, device, root, place;
      words >> id >> parent >> device >> root >> place;
      if (root != "/" || line.find(" - cgroup2 ") == std::string::npos) continue;
      std::string name = place + "/shoal-test-XXXXXX";
      if (::mkdtemp(name.data()) != nullptr) folder = name;
    }
  }
  ~RealGroup() {
    if (folder.empty()) return;
    for (const char* part : {"worker", "executors", ""}) ::rmdir((folder / part).c_str());
  }
  RealGroup(const RealGroup&) = delete;
  RealGroup& operator=(const RealGroup&) = delete;

  // Of a process that has moved into it.
  int inside(const std::function<int()>& what) const {
    return in_a_child([&] {
      const int entry = ::open((folder / "cgroup.procs").c_str(), O_WRONLY);
      return entry >= 0 && ::write(entry, "0", 1) == 1 ? what() : 99;
    });
  }

  fs::path folder;
};

TEST(RealGroupTest, OnlyWhatIsMarkedAsDelegatedIsDivided) {
  const RealGroup group;
  if (group.folder.empty()) GTEST_SKIP() << "no control group of version 2 can be made here";
  const auto fault_has = [](const std::string& text) {
    const auto found = delegated_group();
    return !found && found.error().find(text) != std::string::npos ? 0 : 1;
  };
  EXPECT_EQ(group.inside([&] { return fault_has("not delegated"); }), 0);
  if (::setxattr(group.folder.c_str(), "user.delegate", "1", 1, 0) != 0) {
    GTEST_SKIP() << "a group cannot be marked here";
  }
  const bool whole =
      text_of(group.folder / "cgroup.controllers").find("memory") != std::string::npos;
  EXPECT_EQ(group.inside([&] {
    return whole ? delegated_group() == group.folder ? 0 : 1 : fault_has("without the controller");
  }),
            0);
}

TEST(RealGroupTest, TheKernelHoldsTheLimits) {
  const RealGroup group;
  if (group.folder.empty() ||
      text_of(group.folder / "cgroup.controllers").find("memory") == std::string::npos) {
    GTEST_SKIP() << "no control group of version 2 with the controller for memory can be made here";
  }
  const int ended = group.inside([&] {
    auto groups = ControlGroups::divide(group.folder, 1);
    if (!groups) return 1;
    auto one = (*groups)->add(32 << 20, 8);
    if (!one) return 2;
    const int hungry = in_a_child([&] {
      if (::write((*one)->entry(), "0", 1) != 1) return 1;
      constexpr std::size_t kTooMuch = 256 << 20;
      void* memory = ::mmap(nullptr, kTooMuch, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
      return memory == MAP_FAILED ? 2 : 3;
    });
    if (hungry != 128 + SIGKILL) return 3;
    return (*one)->out_of_memory() ? 0 : 4;
  });
  EXPECT_EQ(ended, 0);
}

}  // namespace
}  // namespace shoal
