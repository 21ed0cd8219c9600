#include "sdk/cli/children.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <thread>

#include "node/state/key_file.h"

namespace shoal::cli {
namespace {

constexpr std::chrono::milliseconds kGrace{3'000};
constexpr std::chrono::milliseconds kLookEvery{10};

// In the child: only what may be called between fork and exec.
[[noreturn]] void become_child(char* const* argv, int out, int log, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(1);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::execv(argv[0], argv);
  ::_exit(127);
}

// Empty where it ended or said nothing for too long.
std::string first_line(int fd, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  std::string line;
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd waiting{fd, POLLIN, 0};
    if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) < 1) return {};
    char c = 0;
    if (::read(fd, &c, 1) != 1) return {};
    if (c == '\n') return line;
    line += c;
  }
}

bool ended_within(pid_t pid, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    if (::waitpid(pid, nullptr, WNOHANG) != 0) return true;
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(kLookEvery);
  }
}

}  // namespace

Children::~Children() {
  for (const Child& child : children_) ::kill(child.pid, SIGTERM);
  for (const Child& child : children_) {
    ::close(child.out);
    if (ended_within(child.pid, kGrace)) continue;
    ::kill(child.pid, SIGKILL);
    ::waitpid(child.pid, nullptr, 0);
  }
}

Result<std::string, std::string> Children::start(const std::filesystem::path& program,
                                                 const std::vector<std::string>& arguments,
                                                 const std::filesystem::path& log,
                                                 std::chrono::milliseconds patience) {
  std::string name = program.string();
  std::vector<std::string> texts = arguments;
  std::vector<char*> argv{name.data()};
  for (std::string& text : texts) argv.push_back(text.data());
  argv.push_back(nullptr);
  std::array<int, 2> out{-1, -1};
  const int log_fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log_fd < 0 || ::pipe2(out.data(), O_CLOEXEC) != 0) {
    const int error = errno;
    if (log_fd >= 0) ::close(log_fd);
    return tl::unexpected(name + " cannot be started: " + std::strerror(error));
  }
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) become_child(argv.data(), out[1], log_fd, parent);
  const int error = errno;
  ::close(out[1]);
  ::close(log_fd);
  if (pid < 0) {
    ::close(out[0]);
    return tl::unexpected(name + " cannot be started: " + std::strerror(error));
  }
  children_.push_back({pid, out[0]});
  std::string line = first_line(out[0], patience);
  if (!line.empty()) return line;
  const auto said = read_text_file(log);
  return tl::unexpected(name + " did not get ready" +
                        (said && !said->empty() ? ":\n" + *said : std::string(".")));
}

}  // namespace shoal::cli
