// Programs that attack, in the sandbox of a worker that is root's and in that of an ordinary
// user's.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "node/protocol/sanitized.h"
#include "tests/unit/worker/sandbox/sandboxed.h"
#include "worker/sandbox/root.h"
#include "worker/sandbox/steps.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;

// As containers do: then the kernel gives out no new /proc below.
void hide_a_part_of_proc() {
  const bool root = ::geteuid() == 0;
  const std::string user = std::to_string(::geteuid());
  bool done = ::unshare(root ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) == 0;
  if (!root) done = done && write_file("/proc/self/uid_map", user + " " + user + " 1");
  done = done && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("/dev/null", "/proc/version", nullptr, MS_BIND, nullptr) == 0;
  if (!done) ::_exit(97);
}

bool comes_true(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    ::usleep(1000);
  }
  return true;
}

INSTANTIATE_TEST_SUITE_P(Users, Sandbox, ::testing::Values(User::kRoot, User::kOrdinary),
                         name_of_user);

TEST_P(Sandbox, KeepsTheKeysOfItsUserToItself) {
  const auto outcome = attack({"read", secret(".ssh/id_ed25519"), "/root/.ssh", "/home"});
  expect_clean_end(outcome);
  EXPECT_THAT(outcome.lines, ElementsAre("ENOENT", "ENOENT", "ENOENT"));
}

TEST_P(Sandbox, HidesThePasswordsOfTheMachine) {
  const auto outcome = attack({"read", "/etc/shadow", "/etc/hostname", "/etc/machine-id"});
  expect_clean_end(outcome);
  EXPECT_THAT(outcome.lines, ElementsAre("ENOENT", "ENOENT", "ENOENT"));
}

TEST_P(Sandbox, HidesTheWorkersStateAndTheScratchOfOthers) {
  const auto outcome =
      attack({"read", secret("worker/node.key"), secret("worker/scratch/executor-1/half-done")});
  expect_clean_end(outcome);
  EXPECT_THAT(outcome.lines, ElementsAre("ENOENT", "ENOENT"));
}

TEST_P(Sandbox, ShowsOnlyWhatItListsInItsRoot) {
  const auto outcome = attack({"list-root"});
  ASSERT_EQ(outcome.lines.size(), 1U);
  std::istringstream names(outcome.lines[0]);
  for (std::string name; names >> name;) {
    EXPECT_THAT(
        (std::vector<std::string>{"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc",
                                  "program", "sbin", "scratch", "tmp", "usr", "var"}),
        IsSupersetOf({name}));
  }
}

TEST_P(Sandbox, TakesNoFilesButInItsScratchFolder) {
  const auto outcome = attack({"write", "/here", "/usr/here", "/etc/passwd", "/program",
                               "/proc/self/comm", "/proc/sys/kernel/core_pattern", "/dev/here"});
  expect_clean_end(outcome);
  for (const std::string& line : outcome.lines) {
    EXPECT_TRUE(line == "EROFS" || line == "EACCES" || line == "ENOENT") << line;
  }
  EXPECT_THAT(
      attack({"write", std::string(kSandboxWork) + "/here", "/tmp/here", "/dev/shm/here"}).lines,
      ElementsAre("DONE", "DONE", "DONE"));
  EXPECT_THAT(attack({"write-to-stderr"}).lines, ElementsAre("DONE"));
}

TEST_P(Sandbox, HasNoWayOutByProc) {
  const auto outcome =
      attack({"read", "/proc/1/root/etc/shadow", "/proc/1/cwd", "/proc/1/mem", "/proc/1/fd/0",
              "/proc/1/environ", "/proc/kcore", "/proc/self/root/etc/shadow"});
  expect_clean_end(outcome);
  EXPECT_EQ(outcome.lines.size(), 7U);
}

TEST_P(Sandbox, OpensNoSocket) {
  // An abstract socket that listens outside.
  const std::string name = "shoal-sandbox-test-" + std::to_string(::getpid());
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  std::copy(name.begin(), name.end(), at.sun_path + 1);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&at), size), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  const auto outcome = attack({"sockets", name});
  ::close(listener);
  expect_clean_end(outcome);
  EXPECT_EQ(outcome.lines, std::vector<std::string>(4, "EAFNOSUPPORT"));
}

TEST_P(Sandbox, AForkBombEndsAtTheLimit) {
  const auto outcome = attack({"fork-bomb"});
  expect_clean_end(outcome);
  ASSERT_EQ(outcome.lines.size(), 2U);
  EXPECT_EQ(outcome.lines[0], "EAGAIN");
  EXPECT_LE(std::stoul(outcome.lines[1]), policy_.processes);
  EXPECT_GT(std::stoul(outcome.lines[1]), 16U);
}

TEST_P(Sandbox, TheScratchFolderIsOneLimitForAll) {
  for (const char* folder : {"/scratch/work", "/tmp", "/dev/shm"}) {
    const auto outcome = attack({"fill-disk", folder});
    expect_clean_end(outcome);
    ASSERT_EQ(outcome.lines.size(), 2U);
    EXPECT_EQ(outcome.lines[0], "ENOSPC");
    EXPECT_LE(std::stoul(outcome.lines[1]), policy_.scratch_bytes);
  }
}

TEST_P(Sandbox, AFileHasALimitToo) {
  policy_.file_bytes = 4 * kMiB;
  const auto outcome = attack({"fill-disk", "/tmp"});
  ASSERT_TRUE(WIFSIGNALED(outcome.status)) << outcome.status;
  EXPECT_EQ(WTERMSIG(outcome.status), SIGXFSZ);
}

TEST_P(Sandbox, MemoryHasALimitWhicheverKindItIs) {
  if (kSanitized) GTEST_SKIP() << "sanitizers need the address space that the limit takes away";
  for (const char* kind : {"private", "shared"}) {
    const auto outcome = attack({"fill-memory", kind});
    expect_clean_end(outcome);
    EXPECT_THAT(outcome.lines, ElementsAre("ENOMEM")) << kind;
    EXPECT_GT(outcome.news.memory_bytes, policy_.memory_bytes / 2);
  }
}

TEST_P(Sandbox, ManyProcessesHaveNoMoreMemoryThanOne) {
  const auto outcome = attack({"fill-memory-together", std::to_string(64 * kMiB)});
  ASSERT_TRUE(WIFSIGNALED(outcome.status)) << outcome.status;
  EXPECT_EQ(WTERMSIG(outcome.status), SIGKILL);
  EXPECT_TRUE(outcome.news.out_of_memory);
}

TEST_P(Sandbox, MemoryThatNobodyMayLookIntoCountsToo) {
  const auto outcome = attack({"fill-memory-together", std::to_string(64 * kMiB), "hidden"});
  ASSERT_TRUE(WIFSIGNALED(outcome.status)) << outcome.status;
  EXPECT_TRUE(outcome.news.out_of_memory);
}

TEST_P(Sandbox, MemoryCountsWhereThereIsNoProcToo) {
  surroundings_ = hide_a_part_of_proc;
  EXPECT_THAT(attack({"read", "/proc/self/status"}).lines, ElementsAre("ENOENT"));
  for (const char* how : {"seen", "hidden"}) {
    const auto outcome = attack({"fill-memory-together", std::to_string(64 * kMiB), how});
    ASSERT_TRUE(WIFSIGNALED(outcome.status)) << outcome.status;
    EXPECT_TRUE(outcome.news.out_of_memory) << how;
  }
}

TEST_P(Sandbox, ThereIsNoMemoryThatNobodyCounts) {
  const auto outcome = attack({"hidden-memory"});
  expect_clean_end(outcome);
  EXPECT_THAT(outcome.lines, ElementsAre("ENOSYS", "ENOSYS", "ENOSYS", "ENOSYS"));
}

TEST_P(Sandbox, WhatWaitsInSocketsCountsAsMemory) {
  const auto outcome = attack({"fill-sockets"});
  ASSERT_TRUE(WIFSIGNALED(outcome.status)) << outcome.status;
  EXPECT_EQ(WTERMSIG(outcome.status), SIGKILL);
  EXPECT_TRUE(outcome.news.out_of_memory);
  EXPECT_THAT(attack({"large-socket"}).lines, ElementsAre("EPERM"));
}

TEST_P(Sandbox, CannotHamperWhoMeasuresIt) {
  const auto outcome = attack({"hamper-keeper"});
  expect_clean_end(outcome);
  EXPECT_EQ(outcome.lines, std::vector<std::string>(6, "EPERM"));
}

TEST_P(Sandbox, LeavesToTheUserWhatItsProcessesHaveTogether) {
  EXPECT_THAT(attack({"take-from-the-user"}).lines,
              ElementsAre("ENOSYS", "EPERM", "EPERM", "few timers", "in vain"));
}

TEST_P(Sandbox, WhatDiesIsHandedToNobody) {
  rlimit here{};
  if (::getrlimit(RLIMIT_CORE, &here) == 0 && here.rlim_max == 0) GTEST_SKIP() << "cores are off";
  EXPECT_EQ(attack({"want-cores"}).lines, std::vector<std::string>(4, "1 1"));
}

TEST_P(Sandbox, ASpinningProgramEndsAtItsProcessorTime) {
  policy_.cpu_seconds = 1;
  const auto outcome = attack({"spin"});
  ASSERT_TRUE(WIFSIGNALED(outcome.status)) << outcome.status;
  EXPECT_TRUE(WTERMSIG(outcome.status) == SIGXCPU || WTERMSIG(outcome.status) == SIGKILL);
}

TEST_P(Sandbox, OneThatSleepsForEverDiesWithWhoStartedIt) {
  policy_.arguments = {"sleep"};
  Sandboxed sandbox(policy_, GetParam());
  ASSERT_EQ(sandbox.line(), "asleep");
  sandbox.kill();
  EXPECT_EQ(sandbox.line(), "");  // nobody holds the pipe any more
}

TEST_P(Sandbox, LooksIntoNoOtherProcess) {
  if (kSanitized) GTEST_SKIP() << "sanitizers look for leaks by tracing";
  const auto outcome = attack({"trace-parent"});
  expect_clean_end(outcome);
  EXPECT_THAT(outcome.lines, ElementsAre("EPERM", "EPERM"));
}

TEST_P(Sandbox, CannotKillItsKeeper) {
  const auto outcome = attack({"kill-parent"});
  expect_clean_end(outcome);
  EXPECT_THAT(outcome.lines, ElementsAre("the parent lives"));
}

TEST_P(Sandbox, MakesNoNamespacesOrMounts) {
  const auto outcome = attack({"nested-namespaces"});
  expect_clean_end(outcome);
  ASSERT_EQ(outcome.lines.size(), 8U);
  EXPECT_EQ(outcome.lines[5], "ENOSYS");
}

TEST_P(Sandbox, GainsNoRightsBySetuid) {
  const char* setuid_program = "/usr/bin/su";
  struct stat about {};
  const bool there = ::stat(setuid_program, &about) == 0 && (about.st_mode & S_ISUID) != 0;
  const auto outcome = attack({"gain-rights"});
  expect_clean_end(outcome);
  EXPECT_THAT(outcome.lines, ElementsAre("EPERM", "EPERM", "nosuid", "no_new_privs"));
  if (there) {
    EXPECT_THAT(attack({"gain-rights", setuid_program}).lines, Not(::testing::Contains("0")));
  }
}

TEST_P(Sandbox, AProgramMayAskForWhatGivesItNothing) {
  expect_clean_end(attack({"stay-oneself"}));
  expect_clean_end(attack({"personality", kSanitized ? "1" : "0"}));
}

TEST_P(Sandbox, NobodyStaysBehind) {
  const auto outcome = attack({"stay-behind"});
  expect_clean_end(outcome);
  EXPECT_THAT(outcome.lines, ElementsAre("the grandchild is there"));
}

TEST_P(Sandbox, ProgramsLieAtTheSameAddressesInEachRun) {
  if (kSanitized) GTEST_SKIP() << "sanitizers choose addresses by themselves";
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(::personality(ADDR_NO_RANDOMIZE) == -1 ? 1 : 0);
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (status != 0) GTEST_SKIP() << "addresses that do not change are forbidden here";
  EXPECT_EQ(attack({"addresses"}).lines, attack({"addresses"}).lines);
  policy_.kind = SandboxKind::kNative;
  const auto native = attack({"addresses"});
  EXPECT_EQ(native.lines.size(), 1U);
  EXPECT_NE(native.lines, attack({"addresses"}).lines);
}

TEST_P(Sandbox, EndsTheWayItsProgramEnds) {
  EXPECT_EQ(WEXITSTATUS(attack({"return", "7"}).status), 7);
  for (const int number : {SIGSEGV, SIGABRT, SIGTERM, SIGKILL}) {
    const auto outcome = attack({"die", std::to_string(number)});
    ASSERT_TRUE(WIFSIGNALED(outcome.status)) << number;
    EXPECT_EQ(WTERMSIG(outcome.status), number);
    EXPECT_EQ(outcome.news.wait_status & 0x7f, number);
  }
}

TEST_P(Sandbox, FreezesAndThawsAllOfIt) {
  policy_.kind = SandboxKind::kNative;
  policy_.arguments = {"spin"};
  Sandboxed sandbox(policy_, GetParam());
  EXPECT_EQ(sandbox.order(HerdOrder::kUsage).kind, HerdNews::Kind::kUsage);
  EXPECT_EQ(sandbox.order(HerdOrder::kFreeze).kind, HerdNews::Kind::kFrozen);
  // Our child's child is the first process of the sandbox, whose child the program is.
  const auto only_child = [](pid_t parent) {
    const std::string name = std::to_string(parent);
    std::ifstream list("/proc/" + name + "/task/" + name + "/children");
    pid_t child = -1;
    list >> child;
    return child;
  };
  const pid_t program = only_child(only_child(sandbox.pid()));
  ASSERT_GT(program, 0);
  const auto state = [&] {
    std::ifstream file("/proc/" + std::to_string(program) + "/stat");
    std::string number, name, letter;
    file >> number >> name >> letter;
    return letter;
  };
  // It runs no more, but shows it only when it would have got a processor.
  EXPECT_TRUE(comes_true([&] { return state() == "T"; }));
  EXPECT_EQ(sandbox.order(HerdOrder::kThaw).kind, HerdNews::Kind::kThawed);
  EXPECT_TRUE(comes_true([&] { return state() != "T"; }));
}

// It has the time of as many processors as it was given, however many it uses. On a machine that
// has other work, it may have less.
TEST_P(Sandbox, ManyThreadsHaveNoMoreTimeThanWasGiven) {
  constexpr int kEachMs = 600;
  for (const char* what : {"threads", "processes"}) {
    policy_.threads = 1;
    const auto one = attack({"burn", what, "4", std::to_string(kEachMs)});
    expect_clean_end(one);
    ASSERT_EQ(one.lines.size(), 1U);
    EXPECT_GE(std::stoi(one.lines[0]), 4 * kEachMs * 85 / 100) << what;
  }
  // Whoever was given more than he uses does not stop.
  policy_.threads = 4;
  policy_.arguments = {"burn", "threads", "1", "50"};
  Sandboxed sandbox(policy_, GetParam());
  EXPECT_EQ(sandbox.outcome().lines.size(), 1U);
}

TEST_P(Sandbox, WhatWasGivenMayChange) {
  constexpr int kEachMs = 600;
  policy_.arguments = {"burn", "threads", "4", std::to_string(kEachMs)};
  Sandboxed sandbox(policy_, GetParam());
  sandbox.tell(HerdOrder::of_threads(1));
  const Outcome outcome = sandbox.outcome();
  ASSERT_EQ(outcome.lines.size(), 1U);
  EXPECT_GE(std::stoi(outcome.lines[0]), 4 * kEachMs * 85 / 100);
}

TEST_P(Sandbox, NobodyButTheWorkerStopsIt) {
  const auto outcome = attack({"stop"});
  expect_clean_end(outcome);
  EXPECT_THAT(outcome.lines, ElementsAre("goes on"));
}

TEST_P(Sandbox, SaysWhyAProgramCannotBeRun) {
  policy_.program = (folder_ / "nothing").string();
  policy_.arguments.clear();
  Sandboxed sandbox(policy_, GetParam());
  EXPECT_THAT(sandbox.line(), HasSubstr("No such file"));
}

// Where there are no namespaces, with the program and what it may read where root alone gets at
// them.
TEST_P(Sandbox, IsNobodyOfRootsWithoutNamespacesToo) {
  if (GetParam() != User::kRoot) GTEST_SKIP() << "it stays whom it is";
  const std::string readable = secret("module");
  const std::string key = secret("key");
  fs::copy_file(SHOAL_ATTACKER, folder_ / "program");
  fs::permissions(folder_ / "program", fs::perms::owner_all);
  policy_.kind = SandboxKind::kShipped;
  policy_.level = SandboxLevel::kWeak;
  policy_.program = (folder_ / "program").string();
  policy_.read_only = {readable};
  policy_.processes = 8192;
  const auto in_a_new_folder = [&] {
    policy_.scratch = (folder_ / "scratch").string();
    fs::remove_all(policy_.scratch);
    fs::create_directory(policy_.scratch);
  };
  in_a_new_folder();
  EXPECT_THAT(attack({"who"}).lines, ElementsAre(std::to_string(kNobody)));
  in_a_new_folder();
  EXPECT_THAT(attack({"read", readable, key}).lines, ElementsAre("DONE", "EACCES"));
  in_a_new_folder();
  EXPECT_THAT(attack({"kill-parent"}).lines, ElementsAre("the parent lives"));
  in_a_new_folder();
  policy_.arguments = {"sleep"};
  Sandboxed sandbox(policy_, GetParam());
  ASSERT_EQ(sandbox.line(), "asleep");
  sandbox.kill();
  EXPECT_EQ(sandbox.line(), "");  // it has died with its keeper, whose user it is not
}

// A sealed engine, at both levels that it may run at.
class SealedEngine : public Sandbox {
 protected:
  void SetUp() override {
    if (kSanitized) GTEST_SKIP() << "sanitizers need what the seal takes away";
    Sandbox::SetUp();
    policy_.program = SHOAL_SEALED;
    policy_.kind = SandboxKind::kWasm;
    policy_.scratch = folder_.string();
  }
  void expect_both_levels(const std::string& attack,
                          const std::function<void(const Outcome&)>& as) {
    for (const SandboxLevel level : {SandboxLevel::kFull, SandboxLevel::kWeak}) {
      policy_.level = level;
      // Below the full level all processes of the user count, everywhere.
      policy_.processes = level == SandboxLevel::kFull ? 32 : 8192;
      const Outcome outcome = this->attack({attack});
      ASSERT_FALSE(outcome.lines.empty());
      EXPECT_EQ(outcome.lines[0], "sealed");
      as(outcome);
    }
  }
  void expect_sigsys(const std::string& attack) {
    expect_both_levels(attack, [](const Outcome& outcome) {
      ASSERT_TRUE(WIFSIGNALED(outcome.status)) << outcome.status;
      EXPECT_EQ(WTERMSIG(outcome.status), SIGSYS);
      EXPECT_EQ(outcome.lines.size(), 1U);
    });
  }
};

INSTANTIATE_TEST_SUITE_P(Users, SealedEngine, ::testing::Values(User::kRoot, User::kOrdinary),
                         name_of_user);

TEST_P(SealedEngine, Computes) {
  expect_both_levels("compute", [](const Outcome& outcome) {
    EXPECT_EQ(outcome.status, 0);
    EXPECT_THAT(outcome.lines, ElementsAre("sealed", "a new thread", "still here"));
  });
}

TEST_P(SealedEngine, OpensNothing) {
  expect_both_levels("open", [](const Outcome& outcome) {
    EXPECT_EQ(outcome.status, 0);
    EXPECT_EQ(outcome.lines, (std::vector<std::string>{"sealed", "EPERM", "EPERM", "EPERM", "EPERM",
                                                       "EPERM", "still here"}));
  });
}

TEST_P(SealedEngine, StartsNoProgram) { expect_sigsys("exec"); }
TEST_P(SealedEngine, OpensNoSocket) { expect_sigsys("socket"); }
TEST_P(SealedEngine, HasNoThreadLeftWithoutTheSeal) { expect_sigsys("thread"); }
TEST_P(SealedEngine, DoesNotFork) {
  expect_both_levels("fork", [](const Outcome& outcome) {
    // By clone without CLONE_THREAD, which only fails.
    EXPECT_EQ(outcome.status, 0);
    EXPECT_EQ(outcome.lines, (std::vector<std::string>{"sealed", "still here"}));
  });
}

}  // namespace
}  // namespace shoal
