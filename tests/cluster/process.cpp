#include "tests/cluster/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <utility>

namespace shoal::cluster {
namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

struct Prepared {
  std::vector<char*> arguments;
  std::vector<char*> variables;
  int out = -1;
  int err = -1;
  int net_namespace = -1;
  std::optional<uid_t> user;
  pid_t parent = -1;
};

[[noreturn]] void give_up(const char* what) {
  for (const char* text : {"cannot start this program: ", what, "\n"}) {
    if (::write(STDERR_FILENO, text, std::strlen(text)) < 0) break;
  }
  ::_exit(127);
}

// The child, after fork(): only calls that are safe in a signal handler, since other threads may
// have held any lock.
[[noreturn]] void become(const Prepared& p) {
  const int in = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (in < 0 || ::dup2(in, STDIN_FILENO) < 0 || ::dup2(p.out, STDOUT_FILENO) < 0 ||
      ::dup2(p.err, STDERR_FILENO) < 0) {
    ::_exit(127);
  }
  if (p.net_namespace >= 0 && ::setns(p.net_namespace, CLONE_NEWNET) != 0) give_up("setns");
  // By the kernel's own calls: those of the library would wait for our parent's threads.
  if (p.user && (::syscall(SYS_setgroups, 0, nullptr) != 0 ||
                 ::syscall(SYS_setresgid, *p.user, *p.user, *p.user) != 0 ||
                 ::syscall(SYS_setresuid, *p.user, *p.user, *p.user) != 0)) {
    give_up("setresuid");
  }
  // Last, since a change of user takes it back.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) give_up("PR_SET_PDEATHSIG");
  if (::getppid() != p.parent) ::_exit(127);  // it ended before we could ask for the signal
  ::execve(p.arguments[0], p.arguments.data(), p.variables.data());
  give_up(p.arguments[0]);
}

}  // namespace

std::uint64_t peak_memory_of(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) * 1024;
  }
  return 0;
}

Process::Process(const std::vector<std::string>& command, const Variables& environment,
                 int net_namespace, std::optional<uid_t> user) {
  std::vector<std::string> arguments = command;
  std::vector<std::string> variables;
  for (const auto& [name, value] : environment) {
    variables.push_back(std::string(name).append("=").append(value));
  }
  std::array<int, 2> out{}, err{};
  std::array<int, 2> begun{};
  if (::pipe2(out.data(), O_CLOEXEC) != 0 || ::pipe2(err.data(), O_CLOEXEC) != 0 ||
      ::pipe2(begun.data(), O_CLOEXEC) != 0) {
    std::abort();
  }
  const Prepared prepared{
      pointers(arguments), pointers(variables), out[1], err[1], net_namespace, user, ::getpid()};
  pid_ = ::fork();
  if (pid_ == 0) become(prepared);
  ::close(out[1]);
  ::close(err[1]);
  ::close(begun[1]);
  if (pid_ < 0) std::abort();
  // Its end closes when the program runs, or never will. The signal is for the end of this thread,
  // which must not come before the child has asked for it.
  char none = 0;
  while (::read(begun[0], &none, 1) < 0 && errno == EINTR) {
  }
  ::close(begun[0]);
  out_fd_ = out[0];
  err_fd_ = err[0];
  ended_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  if (ended_ < 0) std::abort();
  out_reader_ = std::thread([this] { read_all(out_fd_, out_); });
  err_reader_ = std::thread([this] { read_all(err_fd_, err_); });
}

Process::~Process() {
  kill();
  ::close(ended_);
}

void Process::read_all(int fd, std::string& text) {
  std::array<char, 65536> piece{};
  for (;;) {
    const ssize_t got = ::read(fd, piece.data(), piece.size());
    std::lock_guard lock(mutex_);
    if (got > 0) text.append(piece.data(), static_cast<std::size_t>(got));
    if (got <= 0) --open_pipes_;
    changed_.notify_all();
    if (got <= 0) return;
  }
}

void Process::signal(int number) {
  if (exit_code_ < 0) ::kill(pid_, number);
}

void Process::kill() {
  signal(SIGKILL);
  exit_code();
}

int Process::exit_code(std::chrono::milliseconds patience) {
  if (exit_code_ >= 0) return exit_code_;
  pollfd waiting{ended_, POLLIN, 0};
  if (::poll(&waiting, 1, static_cast<int>(patience.count())) < 1) return -1;
  int status = 0;
  ::waitpid(pid_, &status, 0);
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  out_reader_.join();
  err_reader_.join();
  ::close(out_fd_);
  ::close(err_fd_);
  return exit_code_;
}

std::string Process::out() const {
  std::lock_guard lock(mutex_);
  return out_;
}

std::string Process::err() const {
  std::lock_guard lock(mutex_);
  return err_;
}

bool Process::await(const std::string& text, const Holds& holds,
                    std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience, [&] { return holds(text) || open_pipes_ == 0; });
  return holds(text);
}

bool Process::await_out(const Holds& holds, std::chrono::milliseconds patience) {
  return await(out_, holds, patience);
}
bool Process::await_err(const Holds& holds, std::chrono::milliseconds patience) {
  return await(err_, holds, patience);
}

}  // namespace shoal::cluster
