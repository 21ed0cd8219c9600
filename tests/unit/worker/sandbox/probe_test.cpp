#include "worker/sandbox/probe.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "worker/sandbox/steps.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// A machine's /proc, as far as it says what is forbidden.
class WhatForbidsNamespaces : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "shoal-proc-XXXXXX").string();
    proc_ = ::mkdtemp(name.data());
  }
  void TearDown() override { fs::remove_all(proc_); }
  void set(const std::string& file, const std::string& text) {
    fs::create_directories((proc_ / file).parent_path());
    std::ofstream(proc_ / file) << text << '\n';
  }
  std::string sentence() const { return what_forbids_namespaces(proc_.string()); }

  fs::path proc_;
};

TEST_F(WhatForbidsNamespaces, IsNotSaidWhereNothingIsKnown) {
  EXPECT_EQ(sentence(), "");
  set("sys/user/max_user_namespaces", "96364");
  set("sys/kernel/unprivileged_userns_clone", "1");
  set("sys/kernel/apparmor_restrict_unprivileged_userns", "0");
  set("self/status", "Name:\tx\nSeccomp:\t0\nSeccomp_filters:\t2");
  EXPECT_EQ(sentence(), "");
}

TEST_F(WhatForbidsNamespaces, IsNamedWithWhatAllowsThem) {
  set("self/status", "Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1");
  EXPECT_THAT(sentence(), HasSubstr("seccomp=unconfined"));
  set("sys/kernel/apparmor_restrict_unprivileged_userns", "1");
  EXPECT_THAT(sentence(), HasSubstr("kernel.apparmor_restrict_unprivileged_userns=0"));
  set("sys/kernel/unprivileged_userns_clone", "0");
  EXPECT_THAT(sentence(), HasSubstr("kernel.unprivileged_userns_clone=1"));
  set("sys/user/max_user_namespaces", "0");
  EXPECT_THAT(sentence(), HasSubstr("user.max_user_namespaces is 0"));
}

constexpr uid_t kNobody = 65534;

// As an ordinary user, in a user namespace that may have none below it: what happens there stays
// there.
[[noreturn]] void probe_without_namespaces(int output) {
  const bool root = ::geteuid() == 0;
  const bool ordinary = !root || (::setgroups(0, nullptr) == 0 && ::setgid(kNobody) == 0 &&
                                  ::setuid(kNobody) == 0 && ::prctl(PR_SET_DUMPABLE, 1) == 0);
  const std::string user = std::to_string(::geteuid());
  const bool done = ordinary && ::unshare(CLONE_NEWUSER) == 0 &&
                    write_file("/proc/self/uid_map", "0 " + user + " 1") &&
                    write_file("/proc/sys/user/max_user_namespaces", "0");
  if (!done) ::_exit(97);
  ::dup2(output, STDOUT_FILENO);
  ::execl(SHOAL_PROGRAM_DIR "/shoal-sandbox", "shoal-sandbox", "--probe", nullptr);
  ::_exit(98);
}

TEST(SandboxProbe, SaysWhatForbidsNamespacesAndWhatWorksWithoutThem) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const pid_t pid = ::fork();
  if (pid == 0) probe_without_namespaces(ends[1]);
  ::close(ends[1]);
  std::string text;
  std::array<char, 1024> part{};
  for (ssize_t got = 0; (got = ::read(ends[0], part.data(), part.size())) > 0;) {
    text.append(part.data(), static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  int status = -1;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  ASSERT_EQ(status, 0);
  const auto report = parse_report(text);
  ASSERT_TRUE(report) << report.error();
  EXPECT_THAT(report->namespaces, StartsWith("making them: "));
  EXPECT_THAT(report->namespaces, HasSubstr("user.max_user_namespaces is 0"));
  EXPECT_EQ(report->seccomp, "");
  EXPECT_EQ(level_for(*report), SandboxLevel::kWeak);
  EXPECT_THAT(why_not(SandboxKind::kProgram, *report), HasSubstr("user.max_user_namespaces is 0"));
  const bool landlock = report->landlock_version > 0;
  EXPECT_EQ(why_not(SandboxKind::kWasm, *report).empty(), landlock);
}

}  // namespace
}  // namespace shoal
