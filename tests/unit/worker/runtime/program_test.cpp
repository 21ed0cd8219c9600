// shoal-worker as its user meets it: what it says, and how it ends.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "node/protocol/keys.h"
#include "node/protocol/ticket.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

constexpr int kPatienceMs = 60'000;

std::string a_ticket() {
  std::array<std::uint8_t, KeyPair::kSeedBytes> seed{};
  seed.fill(5);
  const KeyPair pool(seed);
  Ticket ticket;
  ticket.pool.bytes = pool.id().bytes;
  ticket.name = "garden";
  ticket.doors = {{pool.id(), "tcp://127.0.0.1:1"}};  // nobody listens there
  return print_ticket(ticket, pool);
}

// One run of the program; killed at the end if it still runs.
class Program {
 public:
  explicit Program(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), SHOAL_PROGRAM_DIR "/shoal-worker");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    std::array<int, 2> out{}, err{};
    if (::pipe2(out.data(), O_CLOEXEC) != 0 || ::pipe2(err.data(), O_CLOEXEC) != 0) std::abort();
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    ::posix_spawn_file_actions_adddup2(&actions, err[1], 2);
    const int error = ::posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(out[1]);
    ::close(err[1]);
    out_ = out[0];
    err_ = err[0];
    EXPECT_EQ(error, 0) << "cannot start " << argv[0];
    if (error != 0) pid_ = -1;
  }
  ~Program() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    ::close(out_);
    ::close(err_);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  std::string first_line() {
    std::string line;
    char c = 0;
    while (readable(out_) && ::read(out_, &c, 1) == 1 && c != '\n') line += c;
    return line;
  }
  void end() { ::kill(pid_, SIGTERM); }
  // Waits for its end; the exit code, or 128 and the signal.
  int exit_code() {
    std::array<char, 4096> piece{};
    ssize_t got = 0;
    while (readable(err_) && (got = ::read(err_, piece.data(), piece.size())) > 0) {
      errors_.append(piece.data(), static_cast<std::size_t>(got));
    }
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  const std::string& errors() const { return errors_; }

 private:
  static bool readable(int fd) {
    pollfd waiting{fd, POLLIN, 0};
    const bool something = ::poll(&waiting, 1, kPatienceMs) > 0;
    EXPECT_TRUE(something) << "the program says nothing";
    return something;
  }

  pid_t pid_ = -1;
  int out_ = -1, err_ = -1;
  std::string errors_;
};

class WorkerProgramTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "shoal-worker-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::vector<std::string> arguments(const std::string& state = "state") const {
    return {"--ticket", a_ticket(),          "--state",   (folder_ / state).string(),
            "--listen", "tcp://127.0.0.1:0", "--threads", "1"};
  }

  fs::path folder_;
};

TEST_F(WorkerProgramTest, SaysWhenItIsReadyAndEndsCleanlyOnSigterm) {
  Program worker(arguments());
  const std::string ready = worker.first_line();
  EXPECT_THAT(ready, MatchesRegex("ready [0-9a-f]+ tcp://127\\.0\\.0\\.1:[1-9][0-9]*"));
  worker.end();
  EXPECT_EQ(worker.exit_code(), 0) << worker.errors();

  Program again(arguments());
  const std::string ready_again = again.first_line();
  EXPECT_EQ(ready_again.substr(0, 70), ready.substr(0, 70)) << "it is another node after a restart";
  again.end();
  EXPECT_EQ(again.exit_code(), 0) << again.errors();
}

TEST_F(WorkerProgramTest, ASecondOneOnTheSameStateFolderIsRefused) {
  Program first(arguments());
  ASSERT_THAT(first.first_line(), HasSubstr("ready"));
  Program second(arguments());
  EXPECT_EQ(second.exit_code(), 1);
  EXPECT_THAT(second.errors(), HasSubstr((folder_ / "state").string()));
  first.end();
  EXPECT_EQ(first.exit_code(), 0) << first.errors();
}

TEST_F(WorkerProgramTest, AStateFolderThatCannotBeMadeIsSaid) {
  std::ofstream(folder_ / "file") << "x";
  Program worker(arguments("file/state"));
  EXPECT_EQ(worker.exit_code(), 1);
  EXPECT_THAT(worker.errors(), HasSubstr((folder_ / "file").string()));
}

TEST_F(WorkerProgramTest, ADamagedLedgerIsSaid) {
  fs::create_directories(folder_ / "state");
  std::ofstream(folder_ / "state" / "ledger.sqlite3") << std::string(9000, 'x');
  Program worker(arguments());
  EXPECT_EQ(worker.exit_code(), 1);
  EXPECT_THAT(worker.errors(), HasSubstr("the ledger is damaged"));
}

TEST_F(WorkerProgramTest, AKindThatTheOwnerDeclinesNeedsNoExecutor) {
  auto all = arguments();
  all.insert(all.end(), {"--executor", "/nowhere"});
  Program without(all);
  EXPECT_EQ(without.exit_code(), 1);
  EXPECT_THAT(without.errors(), HasSubstr("there is no executor at /nowhere"));
  auto programs_alone = all;
  programs_alone.insert(programs_alone.end(), {"--kinds", "program"});
  Program worker(programs_alone);
  EXPECT_THAT(worker.first_line(), HasSubstr("ready"));
  worker.end();
  EXPECT_EQ(worker.exit_code(), 0);
  EXPECT_THAT(worker.errors(), HasSubstr("declined by the owner (--kinds): shipped, native, wasm"));
}

TEST_F(WorkerProgramTest, AMistypedTicketOrFlagIsUsage) {
  std::string mistyped = a_ticket();
  mistyped[20] = mistyped[20] == 'A' ? 'B' : 'A';
  Program ticket({"--ticket", mistyped, "--state", (folder_ / "state").string()});
  EXPECT_EQ(ticket.exit_code(), 2);
  EXPECT_THAT(ticket.errors(), HasSubstr(parse_ticket(mistyped, Ed25519Checker()).error().what));
  EXPECT_FALSE(fs::exists(folder_ / "state"));
  Program flag({"--tikcet", "x"});
  EXPECT_EQ(flag.exit_code(), 2);
  EXPECT_THAT(flag.errors(), HasSubstr("--tikcet"));
}

// As cron starts it: its place is then what the system knows of its user, as for all of `shoal`.
TEST_F(WorkerProgramTest, WithoutHomeItHasAPlaceForItsStateAllTheSame) {
  const std::string home = std::getenv("HOME") != nullptr ? std::getenv("HOME") : "/";
  ::unsetenv("HOME");
  Program program({"--ticket", a_ticket(), "--listen", "nonsense"});
  ::setenv("HOME", home.c_str(), 1);
  EXPECT_EQ(program.exit_code(), 2);
  EXPECT_THAT(program.errors(), HasSubstr("nonsense"));
}

TEST_F(WorkerProgramTest, AMissingExecutorIsSaid) {
  auto with = arguments();
  with.insert(with.end(), {"--executor", (folder_ / "none").string()});
  Program worker(with);
  EXPECT_EQ(worker.exit_code(), 1);
  EXPECT_THAT(worker.errors(), HasSubstr("--executor"));
}

}  // namespace
}  // namespace shoal
