#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

// A program that does what a sandbox must stop. It says what came of it in one line, and ends with
// status 0; where an attack succeeds, it says "DONE" and what.
namespace {

using Words = std::vector<std::string>;

void say(const std::string& what) {
  std::printf("%s\n", what.c_str());
  std::fflush(stdout);
}

// What a call that should have failed has given.
int stopped(long result) {
  say(result < 0 ? strerrorname_np(errno) : "DONE");
  return 0;
}

int read_file(const Words& words) {
  for (const std::string& path : words) stopped(::open(path.c_str(), O_RDONLY));
  return 0;
}

int write_file(const Words& words) {
  for (const std::string& path : words) stopped(::open(path.c_str(), O_WRONLY | O_CREAT, 0600));
  return 0;
}

// As scripts do, to a pipe that whoever runs them has made.
int write_to_stderr(const Words&) {
  int ends[2];
  if (::pipe(ends) != 0 || ::dup2(ends[1], STDERR_FILENO) < 0) return stopped(-1);
  return stopped(::open("/dev/stderr", O_WRONLY));
}

int list_root(const Words&) {
  DIR* list = ::opendir("/");
  if (list == nullptr) return stopped(-1);
  std::string names;
  while (const dirent* entry = ::readdir(list)) {
    if (entry->d_name[0] != '.') names += std::string(entry->d_name) + " ";
  }
  say(names);
  return 0;
}

int open_sockets(const Words& words) {
  stopped(::socket(AF_INET, SOCK_STREAM, 0));
  stopped(::socket(AF_INET6, SOCK_DGRAM, 0));
  stopped(::socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) return stopped(-1);
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::strncpy(to.sun_path + 1, words.at(0).c_str(), sizeof to.sun_path - 2);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + words[0].size());
  return stopped(::connect(fd, reinterpret_cast<const sockaddr*>(&to), size));
}

int fork_bomb(const Words&) {
  int children = 0;
  for (; children < 100'000; ++children) {
    const pid_t pid = ::fork();
    if (pid < 0) break;
    if (pid == 0) {
      ::pause();
      ::_exit(0);
    }
  }
  say(strerrorname_np(errno));
  say(std::to_string(children));
  return 0;
}

int fill(int fd) {
  const std::vector<char> much(1 << 20, 'x');
  std::uint64_t bytes = 0;
  for (;;) {
    const ssize_t written = ::write(fd, much.data(), much.size());
    if (written <= 0) break;
    bytes += static_cast<std::uint64_t>(written);
  }
  say(strerrorname_np(errno));
  say(std::to_string(bytes));
  return 0;
}

int fill_disk(const Words& words) {
  return fill(::open((words.at(0) + "/much").c_str(), O_WRONLY | O_CREAT, 0600));
}

int fill_memory(const Words& words) {
  const int kind = words.at(0) == "shared" ? MAP_SHARED : MAP_PRIVATE;
  constexpr std::size_t size = 16 << 20;
  for (int i = 0; i < 1000; ++i) {
    void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, kind | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return stopped(-1);
    std::memset(memory, 1, size);
  }
  return stopped(0);
}

// Each within the limit of one process, all together far above it; "hidden": from whoever wants to
// know how much it is.
int fill_memory_together(const Words& words) {
  if (words.back() == "hidden") ::prctl(PR_SET_DUMPABLE, 0);
  const auto each = std::strtoull(words.at(0).c_str(), nullptr, 10);
  for (int i = 0; i < 16; ++i) {
    if (::fork() != 0) continue;
    void* memory = ::mmap(nullptr, each, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) ::_exit(1);
    std::memset(memory, 1, each);
    ::pause();
    ::_exit(0);
  }
  for (;;) ::pause();
}

int hidden_memory(const Words&) {
  stopped(::memfd_create("hidden", 0));
  stopped(::shmget(IPC_PRIVATE, 1 << 30, IPC_CREAT | 0600));
  stopped(::semget(IPC_PRIVATE, 32'000, IPC_CREAT | 0600));
  return stopped(::syscall(SYS_io_uring_setup, 8, nullptr));
}

// In sockets that nobody reads: memory of the kernel.
int fill_sockets(const Words&) {
  const std::vector<char> much(1 << 16, 'x');
  for (int i = 0; i < 8; ++i) {
    if (::fork() != 0) continue;
    int pair[2];
    while (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0) {
      for (const int fd : pair) {
        while (::write(fd, much.data(), much.size()) > 0) {
        }
      }
    }
    for (;;) ::pause();
  }
  for (;;) ::pause();
}

int large_socket(const Words&) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return stopped(-1);
  const int bytes = 1 << 30;
  return stopped(::setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes));
}

// It is of the same user.
int hamper_keeper(const Words&) {
  const rlimit none{0, 0};
  stopped(::syscall(SYS_prlimit64, 1, RLIMIT_NOFILE, &none, nullptr));
  // Of which the kernel takes 32 bits.
  stopped(::syscall(SYS_prlimit64, (1L << 32) + 1, RLIMIT_NOFILE, &none, nullptr));
  const sched_param idle{};
  stopped(::sched_setscheduler(1, SCHED_IDLE, &idle));
  cpu_set_t one{};
  CPU_SET(0, &one);
  stopped(::sched_setaffinity(1, sizeof one, &one));
  stopped(::setpriority(PRIO_PROCESS, 1, 19));
  return stopped(::setpriority(PRIO_USER, 0, 19));
}

// Takes of what all processes of the user, or of the machine, have in common.
int take_from_the_user(const Words&) {
  stopped(::inotify_init());
  const int file = ::open("own", O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
  for (int kind : {F_WRLCK, F_RDLCK}) stopped(::fcntl(file, F_SETLEASE, kind));
  int timers = 0;
  sigevent silent{};
  silent.sigev_notify = SIGEV_SIGNAL;
  silent.sigev_signo = SIGUSR1;
  for (timer_t made{}; timers < 5000 && ::timer_create(CLOCK_MONOTONIC, &silent, &made) == 0;) {
    ++timers;
  }
  say(timers > 4096 ? "DONE: as many timers as it likes" : "few timers");
  // What is not done cannot fail.
  say(::syncfs(-1) == 0 ? "in vain" : "DONE: the machine's disks are busy");
  return 0;
}

// Where the limit is 0, the system hands what dies to a handler.
int want_cores(const Words&) {
  rlimit limit{};
  const auto tell = [&] {
    ::getrlimit(RLIMIT_CORE, &limit);
    say(std::to_string(limit.rlim_cur) + " " + std::to_string(limit.rlim_max));
  };
  tell();
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  tell();
  ::syscall(SYS_setrlimit, RLIMIT_CORE, &none);
  tell();
  ::syscall(SYS_prlimit64, ::getpid(), (1L << 32) + RLIMIT_CORE, &none, nullptr);
  tell();
  return 0;
}

int spin(const Words&) {
  volatile std::uint64_t turns = 0;
  for (;;) turns = turns + 1;
}

// Burns so many ms of processor time on each of so many threads, or processes, at once, and says
// how many ms that took.
int burn(const Words& words) {
  const bool threads = words.at(0) == "threads";
  const int count = std::atoi(words.at(1).c_str());
  const std::int64_t each_ms = std::atoll(words.at(2).c_str());
  const auto ms = [](clockid_t clock) {
    timespec now{};
    ::clock_gettime(clock, &now);
    return std::int64_t{now.tv_sec} * 1'000 + now.tv_nsec / 1'000'000;
  };
  const auto burn_here = [&] {
    while (ms(CLOCK_THREAD_CPUTIME_ID) < each_ms) {
    }
  };
  const std::int64_t begin = ms(CLOCK_MONOTONIC);
  std::vector<std::thread> others;
  for (int i = 1; i < count; ++i) {
    if (threads) {
      others.emplace_back(burn_here);
    } else if (::fork() == 0) {
      burn_here();
      ::_exit(0);
    }
  }
  burn_here();
  for (std::thread& other : others) other.join();
  while (::wait(nullptr) > 0) {
  }
  say(std::to_string(ms(CLOCK_MONOTONIC) - begin));
  return 0;
}

int sleep_for_ever(const Words&) {
  say("asleep");
  for (;;) ::pause();
}

int trace_parent(const Words&) {
  stopped(::ptrace(PTRACE_ATTACH, ::getppid(), nullptr, nullptr));
  iovec word{};
  return stopped(::process_vm_readv(::getppid(), &word, 1, &word, 1, 0));
}

int kill_parent(const Words&) {
  for (int number : {SIGKILL, SIGSTOP, SIGTERM}) ::kill(::getppid(), number);
  // It would be gone, and all with it.
  ::usleep(50'000);
  say(::kill(::getppid(), 0) == 0 || errno == EPERM ? "the parent lives" : "DONE");
  return 0;
}

int nested_namespaces(const Words&) {
  for (const int flag : {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET}) {
    stopped(::unshare(flag));
  }
  stopped(::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  stopped(::syscall(SYS_clone3, nullptr, 0));
  stopped(::mount("x", "/scratch/work", "tmpfs", 0, nullptr));
  return stopped(::umount2("/proc", MNT_DETACH));
}

int gain_rights(const Words& words) {
  stopped(::setuid(0));
  stopped(::setgid(0));
  struct statvfs about {};
  say(::statvfs("/usr", &about) == 0 && (about.f_flag & ST_NOSUID) != 0 ? "nosuid" : "DONE");
  say(::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? "no_new_privs" : "DONE");
  if (words.empty()) return 0;
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::execl(words[0].c_str(), words[0].c_str(), "-c", "id -u", nullptr);
    ::_exit(1);
  }
  ::waitpid(pid, nullptr, 0);
  return 0;
}

// A grandchild in a session of its own, with nobody to wait for it, that keeps stdout open.
int stay_behind(const Words&) {
  if (::fork() == 0) {
    ::setsid();
    if (::fork() == 0) {
      say("the grandchild is there");
      for (;;) ::pause();
    }
    ::_exit(0);
  }
  ::usleep(100'000);
  return 0;
}

// Where its code, its stack, its heap and a new mapping lie: no attack, but worth knowing to one.
int addresses(const Words& words) {
  const auto heap = std::make_unique<char>();
  const void* mapped = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  std::ostringstream text;
  text << reinterpret_cast<const void*>(&addresses) << ' ' << static_cast<const void*>(&words)
       << ' ' << static_cast<const void*>(heap.get()) << ' ' << mapped;
  say(text.str());
  return 0;
}

int die(const Words& words) {
  ::raise(std::atoi(words.at(0).c_str()));
  return 0;
}

// What a process is here: a name and a value a line.
int describe(const Words&) {
  const int scheduler = ::sched_getscheduler(0);
  say("scheduler " + (scheduler == SCHED_IDLE ? "idle" : std::to_string(scheduler)));
  say("nice " + std::to_string(::getpriority(PRIO_PROCESS, 0)));
  constexpr int this_process = 1;
  const long io_class = ::syscall(SYS_ioprio_get, this_process, 0) >> 13;
  say("io " + (io_class == 3 ? "idle" : std::to_string(io_class)));
  std::ifstream status("/proc/self/status");
  for (std::string name, value; status >> name && std::getline(status >> std::ws, value);) {
    if (name.starts_with("Cap")) say(name.append(" ").append(value));
  }
  status.close();
  for (const char* name : {"user", "mnt", "pid", "net", "ipc", "uts"}) {
    char link[64] = {};
    const std::string path = std::string("/proc/self/ns/") + name;
    if (::readlink(path.c_str(), link, sizeof link - 1) < 0) return stopped(-1);
    say(std::string(name) + " " + link);
  }
  utsname machine{};
  ::uname(&machine);
  say(std::string("host ") + machine.nodename);
  int last = 0;
  for (int fd = 0; (fd = ::dup(STDOUT_FILENO)) >= 0;) last = fd;
  const int error = errno;
  say(std::string("files ") + strerrorname_np(error) + " at " + std::to_string(last + 1));
  return 0;
}

// So many, one after another, whose parent has gone before them.
int orphan(const Words& words) {
  const int wanted = std::atoi(words.at(0).c_str());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  for (int i = 0; i < wanted; ++i) {
    pid_t parent = -1;
    // Whoever has ended counts until it is waited for, which takes a moment.
    while ((parent = ::fork()) < 0 && std::chrono::steady_clock::now() < deadline) ::sched_yield();
    if (parent < 0) return stopped(-1);
    if (parent == 0) {
      while (::fork() < 0 && std::chrono::steady_clock::now() < deadline) ::sched_yield();
      ::_exit(0);
    }
    ::waitpid(parent, nullptr, 0);
  }
  say(std::to_string(wanted) + " have gone");
  return 0;
}

// As GNU Common Lisp does, which Maxima is written in, and then what changes more than its own
// pages.
int personality_of_its_own(const Words& words) {
  const int now = ::personality(0xffffffff);
  if (now == -1) return 1;
  constexpr unsigned long own = READ_IMPLIES_EXEC | ADDR_NO_RANDOMIZE;
  if (::personality(static_cast<unsigned long>(now) | own) == -1) return 2;
  if ((static_cast<unsigned long>(::personality(0xffffffff)) & own) != own) return 3;
  if (words.at(0) == "1") return 0;  // sanitizers change it, and nothing of it is refused
  for (const unsigned long other :
       {1UL * PER_LINUX32, 1UL * MMAP_PAGE_ZERO, 1UL * STICKY_TIMEOUTS, own | WHOLE_SECONDS,
        0xffffffffUL & ~own, 0xffffffffUL & ~ADDR_NO_RANDOMIZE, 0xffffffffUL & ~MMAP_PAGE_ZERO}) {
    if (::personality(other) != -1 || errno != EPERM) return 4;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, std::function<int(const Words&)>> attacks = {
      {"read", read_file},
      {"write", write_file},
      {"write-to-stderr", write_to_stderr},
      {"list-root", list_root},
      {"sockets", open_sockets},
      {"fork-bomb", fork_bomb},
      {"fill-disk", fill_disk},
      {"fill-memory", fill_memory},
      {"fill-memory-together", fill_memory_together},
      {"hidden-memory", hidden_memory},
      {"fill-sockets", fill_sockets},
      {"large-socket", large_socket},
      {"hamper-keeper", hamper_keeper},
      {"take-from-the-user", take_from_the_user},
      {"want-cores", want_cores},
      {"spin", spin},
      {"burn", burn},
      {"sleep", sleep_for_ever},
      {"trace-parent", trace_parent},
      {"kill-parent", kill_parent},
      {"who",
       [](const Words&) {
         say(std::to_string(::getuid()));
         return 0;
       }},
      {"nested-namespaces", nested_namespaces},
      {"gain-rights", gain_rights},
      {"stay-behind", stay_behind},
      {"addresses", addresses},
      {"describe", describe},
      {"orphans", orphan},
      {"stay-oneself",
       [](const Words&) { return ::setuid(::getuid()) == 0 && ::setgid(::getgid()) == 0 ? 0 : 1; }},
      {"personality", personality_of_its_own},
      {"stop",
       [](const Words&) {
         ::raise(SIGSTOP);
         say("goes on");
         return 0;
       }},
      {"die", die},
      {"return", [](const Words& words) { return std::atoi(words.at(0).c_str()); }},
  };
  const auto attack = argc > 1 ? attacks.find(argv[1]) : attacks.end();
  if (attack == attacks.end()) return 2;
  return attack->second(Words(argv + 2, argv + argc));
}
