#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "worker/sandbox/herd.h"
#include "worker/sandbox/policy.h"

// What the tests of programs in a sandbox have in common: one that attacks, and who starts it.
namespace shoal {

inline constexpr uid_t kNobody = 65534;
inline constexpr int kControl = 5;
inline constexpr std::uint64_t kMiB = 1 << 20;
inline constexpr int kPatienceMs = 60'000;

enum class User { kRoot, kOrdinary };

struct Outcome {
  int status = -1;
  std::vector<std::string> lines;
  HerdNews news;  // of the end
};

// One sandbox that runs; killed at the end.
class Sandboxed {
 public:
  // `surroundings` are made in the child, before it gives up any rights.
  Sandboxed(
      SandboxPolicy policy, User user, const std::function<void()>& surroundings = [] {}) {
    std::array<int, 2> out{}, control{};
    if (::pipe2(out.data(), O_CLOEXEC) != 0) std::abort();
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control.data()) != 0) std::abort();
    out_ = out[0];
    control_ = control[0];
    policy.control_fd = kControl;
    std::vector<std::string> words = to_arguments(policy);
    words.insert(words.begin(), SHOAL_PROGRAM_DIR "/shoal-sandbox");
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ != 0) {
      ::close(out[1]);
      ::close(control[1]);
      return;
    }
    surroundings();
    if (user == User::kOrdinary && ::geteuid() == 0 &&
        (::setgroups(0, nullptr) != 0 || ::setresgid(kNobody, kNobody, kNobody) != 0 ||
         ::setresuid(kNobody, kNobody, kNobody) != 0)) {
      ::_exit(99);
    }
    // Above the numbers that they are to have, first.
    const int output = ::fcntl(out[1], F_DUPFD, 20);
    const int orders = ::fcntl(control[1], F_DUPFD, 20);
    for (int fd : {1, 2, 3, 4}) ::dup2(output, fd);
    ::dup2(orders, kControl);
    ::close(output);
    ::close(orders);
    ::execv(arguments[0], arguments.data());
    ::_exit(98);
  }
  ~Sandboxed() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    ::close(out_);
    ::close(control_);
  }
  Sandboxed(const Sandboxed&) = delete;
  Sandboxed& operator=(const Sandboxed&) = delete;

  pid_t pid() const { return pid_; }
  void kill() const { ::kill(pid_, SIGKILL); }

  // Empty at the end of all that could write.
  std::string line() {
    std::string text;
    char c = 0;
    while (readable(out_) && ::read(out_, &c, 1) == 1 && c != '\n') text += c;
    return text;
  }
  void tell(HerdOrder what) {
    EXPECT_EQ(::send(control_, &what, sizeof what, MSG_NOSIGNAL),
              static_cast<ssize_t>(sizeof what));
  }
  HerdNews order(HerdOrder what) {
    tell(what);
    return news();
  }
  HerdNews news() {
    HerdNews news;
    EXPECT_TRUE(readable(control_));
    EXPECT_EQ(::recv(control_, &news, sizeof news, MSG_DONTWAIT),
              static_cast<ssize_t>(sizeof news));
    return news;
  }
  Outcome outcome() {
    Outcome all;
    // All of its processes have gone when nobody holds the pipe any more.
    for (std::string text = line(); !text.empty(); text = line()) all.lines.push_back(text);
    ::waitpid(pid_, &all.status, 0);
    pid_ = -1;
    all.news = news();
    return all;
  }

 private:
  static bool readable(int fd) {
    pollfd ready{fd, POLLIN, 0};
    const bool came = ::poll(&ready, 1, kPatienceMs) == 1;
    EXPECT_TRUE(came) << "nothing comes";
    return came;
  }

  pid_t pid_ = -1;
  int out_ = -1;
  int control_ = -1;
};

class Sandbox : public ::testing::TestWithParam<User> {
 protected:
  void SetUp() override {
    if (GetParam() == User::kRoot && ::geteuid() != 0) GTEST_SKIP() << "only root is root";
    namespace fs = std::filesystem;
    std::string name = (fs::temp_directory_path() / "shoal-sandbox-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    if (::geteuid() == 0 && GetParam() == User::kOrdinary &&
        ::chown(folder_.c_str(), kNobody, kNobody) != 0) {
      FAIL() << "chown";
    }
    policy_.kind = SandboxKind::kProgram;
    policy_.program = SHOAL_ATTACKER;
    policy_.processes = 32;
    policy_.memory_bytes = 256 * kMiB;
    policy_.scratch_bytes = 32 * kMiB;
  }
  void TearDown() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  // A file that the worker's user may read, and nobody else.
  std::string secret(const std::string& name) {
    namespace fs = std::filesystem;
    const fs::path path = folder_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << "secret";
    fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
    if (::geteuid() == 0 && GetParam() == User::kOrdinary) {
      EXPECT_EQ(::chown(path.c_str(), kNobody, kNobody), 0);
    }
    return path.string();
  }
  Outcome attack(std::vector<std::string> words) {
    policy_.arguments = std::move(words);
    return Sandboxed(policy_, GetParam(), surroundings_).outcome();
  }
  static void expect_clean_end(const Outcome& outcome) {
    EXPECT_TRUE(WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == 0) << outcome.status;
    EXPECT_THAT(outcome.lines, ::testing::Each(::testing::Not(::testing::HasSubstr("DONE"))));
  }

  std::filesystem::path folder_;
  SandboxPolicy policy_;
  std::function<void()> surroundings_ = [] {};
};

inline std::string name_of_user(const ::testing::TestParamInfo<User>& user) {
  return user.param == User::kRoot ? "OfRoot" : "OfAnOrdinaryUser";
}

}  // namespace shoal
