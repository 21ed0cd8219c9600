#include "worker/sandbox/herd.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "worker/sandbox/limits.h"
#include "worker/sandbox/pace.h"

namespace shoal {
namespace {

// Memory is measured again before a program could have filled what is left, were it to take it as
// fast as a large machine gives it out; but within these. What is taken in between is bounded by
// the processes' own limits.
constexpr std::int64_t kMeasureLeastMs = 100;
constexpr std::int64_t kMeasureMostMs = 1000;
constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::uint64_t kTakenPerMs = 8 << 20;
// Measuring many processes takes long. Of a processor's time it has one part in so many at most.
constexpr std::int64_t kMeasuringPart = 20;
// What a socket may hold unread, and how many hold nothing that is worth counting. It is memory of
// the kernel, which no process's own limit knows.
constexpr std::uint64_t kSocketBytes = 320 << 10;
constexpr std::uint64_t kSocketsFew = 64;

std::string read_file(int folder, const std::string& path) {
  std::string text;
  const int fd = ::openat(folder, path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  std::array<char, 4096> part{};
  for (ssize_t got = 0; (got = ::read(fd, part.data(), part.size())) > 0;) {
    text.append(part.data(), static_cast<std::size_t>(got));
  }
  ::close(fd);
  return text;
}

// The bytes after "name:" in a file of lines like "Pss_Anon:  12 kB".
std::uint64_t kib_field(const std::string& text, const char* name) {
  const std::size_t at = text.find(std::string("\n") + name + ":");
  if (at == std::string::npos) return 0;
  return std::strtoull(text.c_str() + at + std::strlen(name) + 2, nullptr, 10) * 1024;
}

std::vector<std::string> names_in(int folder, const std::string& path) {
  std::vector<std::string> names;
  const int fd = ::openat(folder, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* list = fd >= 0 ? ::fdopendir(fd) : nullptr;
  if (list == nullptr) return names;
  while (const dirent* entry = ::readdir(list)) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  ::closedir(list);
  return names;
}

// What a process has taken, with those it has waited for: fields 14 to 17 of proc(5)'s "stat".
std::int64_t cpu_ns_in(const std::string& stat) {
  constexpr int kFirst = 14;
  constexpr int kLast = 17;
  const std::size_t name_end = stat.rfind(')');  // the name may hold anything
  if (name_end == std::string::npos) return 0;
  static const std::int64_t tick_ns = 1'000'000'000 / ::sysconf(_SC_CLK_TCK);
  std::istringstream fields(stat.substr(name_end + 1));
  std::int64_t ticks = 0;
  std::string field;
  for (int number = 3; number <= kLast && fields >> field; ++number) {
    if (number >= kFirst) ticks += std::strtoll(field.c_str(), nullptr, 10);
  }
  return ticks * tick_ns;
}

std::int64_t now_ns(clockid_t clock = CLOCK_MONOTONIC) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// All processes below this one, as this /proc calls them: in that of their own namespace all that
// there are. Elsewhere they are found by their parents: whoever loses its own becomes a child of
// the namespace's first process, which is this one.
std::vector<std::string> descendants_of_self(int proc) {
  std::array<char, 32> self{};
  if (::readlinkat(proc, "self", self.data(), self.size() - 1) <= 0) return {};
  std::vector<std::string> found{self.data()};
  if (found[0] == "1") {
    found = names_in(proc, ".");
    std::erase_if(found, [](const std::string& name) {
      return name == "1" || name.find_first_not_of("0123456789") != std::string::npos;
    });
    return found;
  }
  for (std::size_t i = 0; i < found.size(); ++i) {
    const std::string threads = found[i] + "/task/";
    for (std::string thread : names_in(proc, threads)) {
      std::istringstream children(read_file(proc, threads + thread.append("/children")));
      for (std::string child; children >> child;) found.push_back(child);
    }
  }
  found.erase(found.begin());
  return found;
}

class Keeper {
 public:
  explicit Keeper(const Herd& herd)
      : herd_(herd),
        pace_(herd.threads),
        // With more than itself in it: a signal to "all" would reach the user's whole session.
        whole_namespace_(::getpid() == 1) {}

  HerdNews run();

 private:
  void signal_all(int number) const { ::kill(whole_namespace_ ? -1 : -herd_.main, number); }
  void reap();
  void take_order();
  void seal();
  void measure();
  void hold_memory(const std::vector<std::string>& processes);
  void hold_pace(const std::vector<std::string>& processes);
  bool still() const { return frozen_ || pace_.stops(); }
  bool is_measured() const {
    return herd_.proc_fd >= 0 && (herd_.memory_bytes != 0 || pace_.holds());
  }
  std::int64_t measure_at_ns(std::int64_t now) const;
  std::uint64_t memory_of_all(const std::vector<std::string>& processes, bool exactly) const;
  std::uint64_t memory_of(const std::string& process, bool exactly) const;
  std::uint64_t memory_of_sockets() const;
  std::uint64_t reaped_cpu_ns() const;
  void tell(HerdNews::Kind kind, std::uint64_t memory) const;

  const Herd& herd_;
  Pace pace_;
  const bool whole_namespace_;
  bool ended_ = false;
  bool frozen_ = false;  // by the worker
  bool control_open_ = true;
  bool seal_open_ = true;
  bool out_of_memory_ = false;
  int status_ = 0;
  std::uint64_t last_ = 0;
  std::uint64_t most_ = 0;
  std::int64_t measuring_ns_ = 0;   // that it took, the last time
  std::int64_t measure_at_ns_ = 0;  // the next time
};

void Keeper::reap() {
  int status = 0;
  for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0;) {
    if (pid != herd_.main) continue;
    if (WIFSTOPPED(status)) {
      // By one that it runs: it could no longer end that one when its time is over.
      if (!still()) ::kill(herd_.main, SIGCONT);
      continue;
    }
    ended_ = true;
    status_ = status;
  }
}

std::uint64_t Keeper::memory_of(const std::string& process, bool exactly) const {
  if (exactly) {
    const std::string shares = read_file(herd_.proc_fd, process + "/smaps_rollup");
    if (!shares.empty()) return kib_field(shares, "Pss_Anon") + kib_field(shares, "Pss_Shmem");
    // It has forbidden others to look into it (PR_SET_DUMPABLE): then all that is resident counts.
  }
  const std::string pages = read_file(herd_.proc_fd, process + "/statm");
  const std::size_t space = pages.find(' ');
  if (space == std::string::npos) return 0;
  return std::strtoull(&pages[space], nullptr, 10) *
         static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t Keeper::memory_of_all(const std::vector<std::string>& processes, bool exactly) const {
  std::uint64_t bytes = memory_of_sockets();
  for (const std::string& process : processes) bytes += memory_of(process, exactly);
  return bytes;
}

std::uint64_t Keeper::memory_of_sockets() const {
  const std::string text = read_file(herd_.proc_fd, "self/net/sockstat");
  constexpr std::string_view begin = "sockets: used ";
  if (!text.starts_with(begin)) return 0;
  const std::uint64_t sockets = std::strtoull(text.c_str() + begin.size(), nullptr, 10);
  return sockets > kSocketsFew ? (sockets - kSocketsFew) * kSocketBytes : 0;
}

void Keeper::measure() {
  const std::int64_t begin_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID);
  const std::vector<std::string> processes = descendants_of_self(herd_.proc_fd);
  if (herd_.memory_bytes != 0) hold_memory(processes);
  if (pace_.holds()) hold_pace(processes);
  measuring_ns_ = now_ns(CLOCK_PROCESS_CPUTIME_ID) - begin_ns;
}

void Keeper::hold_memory(const std::vector<std::string>& processes) {
  std::uint64_t bytes = memory_of_all(processes, false);
  // What is resident counts shared pages once for each process, and files: an upper bound, and
  // cheap. The exact figure costs a walk through all pages.
  if (bytes > herd_.memory_bytes) bytes = memory_of_all(processes, true);
  last_ = bytes;
  most_ = std::max(most_, bytes);
  if (bytes <= herd_.memory_bytes) return;
  out_of_memory_ = true;
  signal_all(SIGKILL);
}

void Keeper::hold_pace(const std::vector<std::string>& processes) {
  auto taken_ns = static_cast<std::int64_t>(reaped_cpu_ns());
  for (const std::string& process : processes) {
    taken_ns += cpu_ns_in(read_file(herd_.proc_fd, process + "/stat"));
  }
  const bool stopped = pace_.stops();
  pace_.update(now_ns(), taken_ns);
  if (!frozen_ && pace_.stops() != stopped) signal_all(pace_.stops() ? SIGSTOP : SIGCONT);
}

std::int64_t Keeper::measure_at_ns(std::int64_t now) const {
  std::int64_t wait_ns = kMeasureMostMs * kNsPerMs;
  if (herd_.memory_bytes != 0) {
    const std::uint64_t left = herd_.memory_bytes - std::min(herd_.memory_bytes, last_);
    wait_ns = kNsPerMs * static_cast<std::int64_t>(std::clamp<std::uint64_t>(
                             left / kTakenPerMs, kMeasureLeastMs, kMeasureMostMs));
  }
  if (const auto pace_ns = pace_.next_ns()) wait_ns = std::min(wait_ns, *pace_ns - now);
  return now + std::max(wait_ns, kMeasuringPart * measuring_ns_);
}

std::uint64_t Keeper::reaped_cpu_ns() const {
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  const auto ns = [](const timeval& time) {
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(time.tv_usec) * 1'000;
  };
  return ns(usage.ru_utime) + ns(usage.ru_stime);
}

void Keeper::tell(HerdNews::Kind kind, std::uint64_t memory) const {
  if (herd_.control_fd < 0) return;
  HerdNews news{kind, out_of_memory_, status_, memory, reaped_cpu_ns()};
  ::send(herd_.control_fd, &news, sizeof news, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void Keeper::take_order() {
  HerdOrder order(HerdOrder::kUsage);
  const ssize_t got = ::recv(herd_.control_fd, &order, sizeof order, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got != static_cast<ssize_t>(sizeof order)) {  // the worker has gone, or wants no more of it
    control_open_ = false;
    return;
  }
  switch (order.kind) {
    case HerdOrder::kFreeze:
      frozen_ = true;
      signal_all(SIGSTOP);
      return tell(HerdNews::Kind::kFrozen, 0);
    case HerdOrder::kThaw:
      frozen_ = false;
      if (!still()) signal_all(SIGCONT);
      return tell(HerdNews::Kind::kThawed, 0);
    case HerdOrder::kThreads:
      pace_.set_threads(order.threads);
      measure_at_ns_ = 0;
      return;
    case HerdOrder::kUsage: {
      const bool seen = herd_.proc_fd >= 0;
      return tell(HerdNews::Kind::kUsage,
                  seen ? memory_of_all(descendants_of_self(herd_.proc_fd), true) : 0);
    }
  }
}

void Keeper::seal() {
  char request = 0;
  seal_open_ = false;
  if (::recv(herd_.seal_fd, &request, 1, MSG_DONTWAIT) != 1) return;
  const char answer = herd_.seal && herd_.seal() ? 'y' : 'n';
  ::send(herd_.seal_fd, &answer, 1, MSG_NOSIGNAL);
}

HerdNews Keeper::run() {
  sigset_t children;
  ::sigemptyset(&children);
  ::sigaddset(&children, SIGCHLD);
  const int signals = ::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
  pace_.update(now_ns(), 0);
  measure_at_ns_ = measure_at_ns(now_ns());
  reap();
  while (!ended_) {
    std::array<pollfd, 3> watched{{{signals, POLLIN, 0},
                                   {control_open_ ? herd_.control_fd : -1, POLLIN, 0},
                                   {seal_open_ ? herd_.seal_fd : -1, POLLIN, 0}}};
    const std::int64_t left_ns = std::max<std::int64_t>(measure_at_ns_ - now_ns(), 0);
    const std::int64_t left_ms = (left_ns + kNsPerMs - 1) / kNsPerMs;
    ::poll(watched.data(), watched.size(), is_measured() ? static_cast<int>(left_ms) : -1);
    if (watched[0].revents != 0) {
      signalfd_siginfo taken{};
      while (::read(signals, &taken, sizeof taken) == sizeof taken) {
      }
      reap();
    }
    if (ended_) break;
    if (watched[1].revents != 0) take_order();
    if (watched[2].revents != 0) seal();
    if (!is_measured() || now_ns() < measure_at_ns_) continue;
    measure();
    measure_at_ns_ = measure_at_ns(now_ns());
  }
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  most_ = std::max(most_, static_cast<std::uint64_t>(usage.ru_maxrss) * 1024);
  tell(HerdNews::Kind::kEnded, most_);
  ::close(signals);
  return {HerdNews::Kind::kEnded, out_of_memory_, status_, most_, reaped_cpu_ns()};
}

}  // namespace

HerdNews keep_herd(const Herd& herd) { return Keeper(herd).run(); }

void end_like(int wait_status) {
  if (WIFEXITED(wait_status)) ::_exit(WEXITSTATUS(wait_status));
  const int number = WTERMSIG(wait_status);
  forbid_cores();
  ::signal(number, SIG_DFL);
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_UNBLOCK, &all, nullptr);
  ::kill(::getpid(), number);
  ::_exit(128 + number);
}

}  // namespace shoal
