#include "worker/sandbox/confine.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "worker/sandbox/filter.h"
#include "worker/sandbox/herd.h"
#include "worker/sandbox/landlock.h"
#include "worker/sandbox/limits.h"
#include "worker/sandbox/namespaces.h"
#include "worker/sandbox/nobody.h"
#include "worker/sandbox/root.h"
#include "worker/sandbox/seal.h"

namespace shoal {
namespace {

// stdin, stdout, stderr, and what an executor is given besides.
constexpr int kProgramDescriptors = 5;

struct Sockets {
  int ours = -1;
  int theirs = -1;
};

[[noreturn]] void give_up(const std::string& why, int status) {
  std::fprintf(stderr, "%s%s\n", kComplaint, why.c_str());
  ::_exit(status);
}

void must(const Step& step) {
  if (!step) give_up(step.error(), kNoSandbox);
}

void must(bool done, const char* what) {
  if (!done) give_up(step_failed(what).value(), kNoSandbox);
}

Sockets make_sockets() {
  int pair[2];
  must(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
  return {pair[0], pair[1]};
}

// So that the worker sees the end of what the program alone holds open.
void close_program_descriptors() {
  for (int fd = 0; fd < kProgramDescriptors; ++fd) ::close(fd);
}

// Or one of ours would get such a number, and be taken for the program's.
void fill_program_descriptors() {
  for (int fd = ::open("/dev/null", O_RDWR); fd >= 0; fd = ::dup(fd)) {
    if (fd < kProgramDescriptors) continue;
    ::close(fd);
    return;
  }
}

void block_all_signals() {
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
}

void set_environment(const SandboxPolicy& policy, int seal_fd) {
  const bool full = policy.level == SandboxLevel::kFull;
  const std::string work = full ? kSandboxWork : policy.scratch;
  const std::string temporary = full ? "/tmp" : policy.scratch;
  ::setenv("HOME", work.c_str(), 1);
  ::setenv("TMPDIR", temporary.c_str(), 1);
  ::setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1);
  // The same on all machines, so that programs write the same.
  for (const char* name : {"USER", "LOGNAME"}) ::setenv(name, "shoal", 1);
  for (const char* name : {"LC_ALL", "LANG"}) ::setenv(name, "C", 1);
  ::setenv("TZ", "UTC", 1);
  if (seal_fd >= 0) ::setenv(kSealVariable, std::to_string(seal_fd).c_str(), 1);
}

LandlockRules rules_of(const SandboxPolicy& policy) {
  LandlockRules rules;
  if (policy.level == SandboxLevel::kFull) {
    rules.readable = {"/"};
    rules.writable = {"/scratch", "/tmp", "/dev/shm"};
  } else {
    rules.readable = {"/usr", "/bin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/ld.so.cache"};
    rules.readable.push_back(policy.program);
    rules.readable.insert(rules.readable.end(), policy.read_only.begin(), policy.read_only.end());
    rules.writable = {policy.scratch};
  }
  for (const char* name : {"null", "zero", "full", "random", "urandom"}) {
    rules.writable.push_back(std::string("/dev/") + name);
  }
  return rules;
}

[[noreturn]] void become_program(const SandboxPolicy& policy, int seal_fd) {
  const bool full = policy.level == SandboxLevel::kFull;
  ::setpgid(0, 0);
  must(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
  if (policy.level != SandboxLevel::kNone) must(drop_capabilities());
  become_idle();
  apply_limits(policy);
  // Programs that go through things in the order of their addresses write the same on all machines.
  // Some containers forbid it.
  if (policy.kind == SandboxKind::kProgram) ::personality(ADDR_NO_RANDOMIZE);
  set_environment(policy, seal_fd);
  const std::string work = full ? kSandboxWork : policy.scratch;
  must(::chdir(work.c_str()) == 0, work.c_str());

  const std::string program = full ? kSandboxProgram : policy.program;
  std::vector<char*> arguments{const_cast<char*>(program.c_str())};
  for (const std::string& word : policy.arguments) {
    arguments.push_back(const_cast<char*>(word.c_str()));
  }
  arguments.push_back(nullptr);
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  // Where there are namespaces, Landlock is a second lock behind them; else it is the first.
  const bool landlock = policy.level == SandboxLevel::kWeak ||
                        (policy.level == SandboxLevel::kFull && landlock_version() > 0);
  if (landlock) must(restrict_files(rules_of(policy)));
  if (policy.level != SandboxLevel::kNone) must(deny_dangerous_calls());
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execv(program.c_str(), arguments.data());
  give_up(step_failed(policy.program).value(), kNoProgram);
}

// The child of the child: `seal` is passed on to it alone.
pid_t start_program(const SandboxPolicy& policy, const Sockets& seal) {
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  must(pid >= 0, "fork");
  if (pid > 0) return pid;
  SandboxPolicy followed = policy;
  // The keeper stays root, out of the program's reach.
  if (policy.level == SandboxLevel::kWeak) {
    auto as_nobody = become_nobody(policy);
    if (!as_nobody) give_up(as_nobody.error(), kNoSandbox);
    followed = std::move(*as_nobody);
  }
  // A namespace takes its processes along when its first one ends; elsewhere this does.
  must(::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, "PR_SET_PDEATHSIG");
  if (::getppid() != parent) ::_exit(kNoSandbox);
  int seal_fd = -1;
  if (seal.theirs >= 0) {
    seal_fd = ::fcntl(seal.theirs, F_DUPFD, kProgramDescriptors);
    must(seal_fd >= 0, "dup");
  }
  become_program(followed, seal_fd);
}

void close_all(const OpenedFiles& opened) {
  ::close(opened.program);
  for (const int fd : opened.read_only) {
    if (fd >= 0) ::close(fd);
  }
}

[[noreturn]] void be_first_process(const SandboxPolicy& policy, const OpenedFiles& opened,
                                   int outer_fd) {
  must(::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, "PR_SET_PDEATHSIG");
  // The parent may have ended before we asked for the signal; its end of the socket says so.
  pollfd outer{outer_fd, POLLIN, 0};
  if (::poll(&outer, 1, 0) != 0) ::_exit(kNoSandbox);
  // Or the program could look into this process: it is the same user.
  must(::prctl(PR_SET_DUMPABLE, 0) == 0, "PR_SET_DUMPABLE");
  // Containers hide parts of theirs, and then the kernel gives out no new one.
  const int proc_outside = ::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  auto root = build_root(policy, opened);
  if (!root) give_up(root.error(), kNoSandbox);
  close_all(opened);

  Herd herd;
  herd.proc_fd = proc_outside;
  if (root->proc) {
    ::close(proc_outside);
    herd.proc_fd = ::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }
  Sockets seal;
  if (policy.kind == SandboxKind::kWasm) {
    seal = make_sockets();
    herd.seal_fd = seal.ours;
    herd.seal = [&root] { return empty_root(*root) && drop_capabilities(); };
  }
  ::signal(SIGCHLD, SIG_DFL);
  ::prctl(PR_SET_DUMPABLE, 1);  // of the child, until exec sets it anew
  herd.main = start_program(policy, seal);
  ::prctl(PR_SET_DUMPABLE, 0);
  close_program_descriptors();
  if (seal.theirs >= 0) ::close(seal.theirs);
  if (policy.kind != SandboxKind::kWasm) must(drop_capabilities());
  herd.memory_bytes = policy.memory_bytes;
  herd.threads = policy.threads;
  herd.control_fd = policy.control_fd;
  const HerdNews news = keep_herd(herd);
  ::send(outer_fd, &news, sizeof news, MSG_NOSIGNAL);
  ::_exit(0);
}

// The end of the program, as the first process tells it; where that was killed, its own.
[[noreturn]] void be_outer_process(pid_t first, int fd) {
  HerdNews news;
  ssize_t got = 0;
  do {
    got = ::recv(fd, &news, sizeof news, 0);
  } while (got < 0 && errno == EINTR);
  int status = 0;
  while (::waitpid(first, &status, 0) < 0 && errno == EINTR) {
  }
  end_like(got == static_cast<ssize_t>(sizeof news) ? news.wait_status : status);
}

[[noreturn]] void confine_fully(const SandboxPolicy& policy) {
  OpenedFiles opened;
  opened.program = ::open(policy.program.c_str(), O_RDONLY | O_CLOEXEC);
  if (opened.program < 0) give_up(step_failed(policy.program).value(), kNoProgram);
  for (const std::string& path : policy.read_only) {
    opened.read_only.push_back(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  }
  const pid_t parent = ::getppid();
  must(stop_being_root());
  must(::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, "PR_SET_PDEATHSIG");
  if (::getppid() != parent) ::_exit(kNoSandbox);
  must(enter_namespaces());
  const Sockets between = make_sockets();
  const pid_t first = ::fork();
  must(first >= 0, "fork");
  if (first == 0) {
    ::close(between.ours);
    be_first_process(policy, opened, between.theirs);
  }
  close_program_descriptors();
  close_all(opened);
  ::close(between.theirs);
  if (policy.control_fd >= 0) ::close(policy.control_fd);
  must(drop_capabilities());
  be_outer_process(first, between.ours);
}

// No namespaces: this process is the keeper itself.
[[noreturn]] void confine_partly(const SandboxPolicy& policy) {
  Herd herd;
  herd.main = start_program(policy, {});
  close_program_descriptors();
  herd.memory_bytes = policy.memory_bytes;
  herd.control_fd = policy.control_fd;
  end_like(keep_herd(herd).wait_status);
}

}  // namespace

void confine(const SandboxPolicy& policy) {
  fill_program_descriptors();
  ::close_range(kProgramDescriptors, ~0U, CLOSE_RANGE_CLOEXEC);
  forbid_cores();
  block_all_signals();
  be_the_first_to_go();
  if (policy.level == SandboxLevel::kFull) confine_fully(policy);
  confine_partly(policy);
}

}  // namespace shoal
