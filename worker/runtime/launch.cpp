#include "worker/runtime/launch.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "node/protocol/sanitized.h"

namespace shoal {
namespace {

// The descriptors of the child. Ours are moved above them, so that none is overwritten on the way.
constexpr int kChildSocket = 3;
constexpr int kChildPage = 4;
constexpr int kChildControl = 5;
constexpr int kAboveChild = 10;

// Beside the threads for units: those that a kernel or its libraries start by themselves.
constexpr std::uint64_t kProcessesBeside = 128;
constexpr std::uint64_t kProcessesPerThread = 4;
constexpr std::uint64_t kProcessesOfPrograms = 512;
constexpr std::uint64_t kOpenFiles = 256;
constexpr std::uint64_t kOpenFilesOfPrograms = 1024;
// Below the full level all processes of the user count, everywhere.
constexpr std::uint64_t kProcessesEverywhere = 8192;

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {
    if (fd < 0 || fd >= kAboveChild) return;
    fd_ = fcntl(fd, F_DUPFD_CLOEXEC, kAboveChild);
    close(fd);
  }
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }
  bool good() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

tl::unexpected<std::string> system_error(const std::string& what) {
  return tl::unexpected(what + ": " + std::strerror(errno));
}

bool set_nonblocking(int fd) { return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0; }

// All that the child needs between fork and exec, made before: from there on only calls that are
// safe in a signal handler are allowed, since other threads may have held any lock.
struct Prepared {
  std::string program;
  std::string folder;
  std::vector<std::string> words;  // the program's name first
  std::vector<std::string> environment;
  std::vector<char*> arguments;
  std::vector<char*> variables;
  int input = -1;
  int output = -1;
  int socket = -1;
  int page = -1;
  int control = -1;
  int group = -1;
  pid_t parent = -1;
};

[[noreturn]] void give_up(const char* what) {
  const char* why = strerrordesc_np(errno);
  if (why == nullptr) why = "unknown error";
  for (const char* text : {what, ": ", why, "\n"}) {
    if (write(STDERR_FILENO, text, std::strlen(text)) < 0) break;
  }
  _exit(127);
}

[[noreturn]] void become_child(const Prepared& p) {
  // First, since the descriptor may be in the way of what follows.
  if (p.group >= 0 && write(p.group, "0", 1) != 1) give_up("the control group");
  setsid();
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);

  if (dup2(p.input, STDIN_FILENO) < 0 || dup2(p.output, STDOUT_FILENO) < 0 ||
      dup2(p.output, STDERR_FILENO) < 0) {
    _exit(127);
  }
  if (p.socket >= 0 && dup2(p.socket, kChildSocket) < 0) give_up("dup2");
  if (p.page >= 0 && dup2(p.page, kChildPage) < 0) give_up("dup2");
  if (p.control >= 0 && dup2(p.control, kChildControl) < 0) give_up("dup2");
  const int first_unused = p.socket >= 0 ? kChildControl + 1 : STDERR_FILENO + 1;
  if (syscall(SYS_close_range, first_unused, ~0U, 0) != 0) give_up("close_range");

  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) give_up("PR_SET_PDEATHSIG");
  if (getppid() != p.parent) _exit(127);  // it has ended before we could ask for the signal
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) give_up("PR_SET_NO_NEW_PRIVS");
  if (chdir(p.folder.c_str()) != 0) give_up(p.folder.c_str());
  execve(p.program.c_str(), p.arguments.data(), p.variables.data());
  give_up(p.program.c_str());
}

void finish(Prepared& p, std::vector<std::string> arguments) {
  p.words = std::move(arguments);
  p.words.insert(p.words.begin(), p.program);
  for (std::string& word : p.words) p.arguments.push_back(word.data());
  p.arguments.push_back(nullptr);
  // glibc picks other variants of exp() and its like on other processors, with other last bits:
  // results of honest workers would differ.
  p.environment.push_back("GLIBC_TUNABLES=glibc.cpu.hwcaps=-FMA,-FMA4,-AVX2");
  p.environment.push_back("LC_ALL=C");
  if (kSanitized) {
    for (const char* name : {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS"}) {
      if (const char* value = std::getenv(name)) {
        p.environment.push_back(std::string(name) + "=" + value);
      }
    }
  }
  for (std::string& variable : p.environment) p.variables.push_back(variable.data());
  p.variables.push_back(nullptr);
  p.parent = getpid();
}

// An anonymous page that both sides see. Sealed: a child that made it smaller would kill its parent
// with SIGBUS.
Result<std::pair<Descriptor, RunningPage*>, std::string> make_page() {
  Descriptor fd(memfd_create("shoal-running", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.good() || ftruncate(fd.get(), sizeof(RunningPage)) != 0 ||
      fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return system_error("cannot make the executor's shared page");
  }
  void* memory =
      mmap(nullptr, sizeof(RunningPage), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return system_error("cannot map the executor's shared page");
  return std::make_pair(std::move(fd), static_cast<RunningPage*>(memory));
}

struct Pipe {
  Descriptor read;
  Descriptor write;
};
Result<Pipe, std::string> make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return system_error("cannot make a pipe");
  Pipe made{Descriptor(ends[0]), Descriptor(ends[1])};
  if (!made.read.good() || !made.write.good()) return system_error("cannot make a pipe");
  return made;
}

// Connected, and ours does not block.
struct Sockets {
  Descriptor ours;
  Descriptor theirs;
};
Result<Sockets, std::string> make_sockets(int type) {
  int pair[2];
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) != 0) {
    return system_error("cannot make the executor's sockets");
  }
  Sockets made{Descriptor(pair[0]), Descriptor(pair[1])};
  if (!made.ours.good() || !made.theirs.good() || !set_nonblocking(made.ours.get())) {
    return system_error("cannot make the executor's sockets");
  }
  return made;
}

SandboxPolicy policy_of(const LaunchSpec& spec) {
  SandboxPolicy policy;
  policy.kind = spec.kind;
  policy.level = spec.sandbox.level;
  policy.program = std::filesystem::absolute(spec.program).string();
  policy.arguments = spec.arguments;
  policy.scratch = std::filesystem::absolute(spec.scratch).string();
  for (const auto& path : spec.sandbox.read_only) {
    policy.read_only.push_back(std::filesystem::absolute(path).string());
  }
  for (const auto& path : spec.contents) {
    policy.arguments.push_back(path.string());
    // One that is there twice is bound once.
    if (std::find(policy.read_only.begin(), policy.read_only.end(), path.string()) ==
        policy.read_only.end()) {
      policy.read_only.push_back(path.string());
    }
  }
  policy.memory_bytes = spec.memory_bytes;
  policy.scratch_bytes = spec.sandbox.scratch_bytes;
  policy.file_bytes = std::max(policy.file_bytes, policy.scratch_bytes);
  const bool programs = spec.kind == SandboxKind::kProgram;
  policy.open_files = programs ? kOpenFilesOfPrograms : kOpenFiles;
  policy.processes =
      (programs ? kProcessesOfPrograms : kProcessesBeside) + kProcessesPerThread * spec.threads;
  if (policy.level != SandboxLevel::kFull) policy.processes = kProcessesEverywhere;
  if (spec.sandbox.groups == nullptr) policy.threads = spec.threads;
  policy.control_fd = kChildControl;
  return policy;
}

// None where there are no groups here.
Result<std::unique_ptr<ControlGroup>, std::string> group_for(const LaunchSpec& spec,
                                                             const SandboxPolicy& policy) {
  if (spec.sandbox.groups == nullptr) return nullptr;
  // The scratch folder is memory too.
  const bool limited = policy.memory_bytes != 0 && !kSanitized;
  return spec.sandbox.groups->add(limited ? policy.memory_bytes + policy.scratch_bytes : 0,
                                  policy.processes);
}

}  // namespace

void unmap_page(RunningPage* page) {
  if (page != nullptr) munmap(page, sizeof(RunningPage));
}

Result<LaunchedChild, std::string> launch_executor(const LaunchSpec& spec) {
  auto socket = make_sockets(SOCK_STREAM);
  if (!socket) return tl::unexpected(socket.error());
  auto control = make_sockets(SOCK_SEQPACKET);
  if (!control) return tl::unexpected(control.error());
  Descriptor input(open("/dev/null", O_RDONLY | O_CLOEXEC));
  auto output = make_pipe();
  if (!output) return tl::unexpected(output.error());
  if (!input.good() || !set_nonblocking(output->read.get())) {
    return system_error("cannot prepare an executor");
  }
  auto page = make_page();
  if (!page) return tl::unexpected(page.error());
  const SandboxPolicy policy = policy_of(spec);
  auto group = group_for(spec, policy);
  if (!group) return tl::unexpected(group.error());

  Prepared p;
  p.program = std::filesystem::absolute(spec.sandbox.program).string();
  p.folder = "/";
  p.environment = {"SHOAL_EXECUTOR_FD=" + std::to_string(kChildSocket),
                   "SHOAL_EXECUTOR_PAGE_FD=" + std::to_string(kChildPage)};
  p.input = input.get();
  p.output = output->write.get();
  p.socket = socket->theirs.get();
  p.page = page->first.get();
  p.control = control->theirs.get();
  if (*group) p.group = (*group)->entry();
  if (!spec.library_folder.empty()) {
    p.environment.push_back("LD_LIBRARY_PATH=" + spec.library_folder.string());
  }
  finish(p, to_arguments(policy));

  const pid_t pid = fork();
  if (pid == 0) become_child(p);
  LaunchedChild child;
  child.pid = pid;
  if (pid > 0) child.pid_fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (child.pid_fd < 0) {
    auto error = system_error("cannot start an executor");
    if (pid > 0) {
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
    unmap_page(page->second);
    return error;
  }
  child.socket = socket->ours.release();
  child.control = control->ours.release();
  child.output = output->read.release();
  child.page = page->second;
  child.group = std::move(*group);
  return child;
}

Result<std::string, std::string> run_and_read(const std::filesystem::path& program,
                                              const std::string& argument, int limit_ms) {
  Descriptor input(open("/dev/null", O_RDONLY | O_CLOEXEC));
  auto output = make_pipe();
  if (!output) return tl::unexpected(output.error());
  if (!input.good()) return system_error("/dev/null");
  Prepared p;
  p.program = std::filesystem::absolute(program).string();
  p.folder = "/";
  p.input = input.get();
  p.output = output->write.get();
  finish(p, {argument});
  const pid_t pid = fork();
  if (pid < 0) return system_error("cannot start " + p.program);
  if (pid == 0) become_child(p);
  output->write = Descriptor();

  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::milliseconds(limit_ms);
  std::string text;
  bool ended = false;
  while (!ended) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd ready{output->read.get(), POLLIN, 0};
    if (left <= 0 || poll(&ready, 1, static_cast<int>(left)) == 0) break;
    char buffer[4096];
    const ssize_t got = read(output->read.get(), buffer, sizeof buffer);
    if (got > 0 && text.size() < (1U << 20)) text.append(buffer, static_cast<std::size_t>(got));
    ended = got == 0;
  }
  if (!ended) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!ended) return tl::unexpected(p.program + " did not answer in time");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return tl::unexpected(p.program + " " + argument + " failed: " + text);
  }
  return text;
}

}  // namespace shoal
