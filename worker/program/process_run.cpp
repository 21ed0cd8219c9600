#include "worker/program/process_run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <mutex>
#include <utility>

namespace shoal {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kEndBytes = 2048;      // of what is kept only for messages
constexpr std::size_t kPipeBytes = 1 << 20;  // no pipe of an ordinary user holds more
// How often it is looked whether the unit is still wanted.
constexpr int kLookMs = 50;
// Beyond the three that it is given: what failed between fork and exec is told there.
constexpr int kTroubleFd = 3;
constexpr int kAboveChild = 10;
constexpr std::size_t kScriptLineBytes = 256;  // as many as the system reads of it

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {
    if (fd < 0 || fd >= kAboveChild) return;
    fd_ = ::fcntl(fd, F_DUPFD_CLOEXEC, kAboveChild);
    ::close(fd);
  }
  ~Descriptor() { close(); }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }
  bool good() const { return fd_ >= 0; }
  void close() {
    if (good()) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

struct Pipe {
  Descriptor read;
  Descriptor write;
};

tl::unexpected<std::string> system_error(const std::string& what) {
  return tl::unexpected(what + ": " + std::strerror(errno));
}

Result<Pipe, std::string> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return system_error("cannot make a pipe");
  Pipe pipe{Descriptor(ends[0]), Descriptor(ends[1])};
  if (!pipe.read.good() || !pipe.write.good() ||
      ::fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK) != 0) {
    return system_error("cannot make a pipe");
  }
  return pipe;
}

// What the child needs, made before the fork: after it only calls are allowed that a signal handler
// may make, since other threads may have held any lock.
struct Prepared {
  std::vector<char*> arguments;
  std::vector<char*> environment;
  int input = -1;
  int output = -1;
  int errors = -1;
  int trouble = -1;
  pid_t parent = -1;
  rlim_t memory = RLIM_INFINITY;
};

[[noreturn]] void give_up() {
  const int error = errno;
  // Nobody is left to hear of it where this fails too.
  if (::write(kTroubleFd, &error, sizeof error) < 0) ::_exit(126);
  ::_exit(127);
}

[[noreturn]] void become(const ProcessOrder& order, const Prepared& p) {
  if (::setpgid(0, 0) != 0) ::_exit(127);
  if (::dup2(p.trouble, kTroubleFd) < 0) ::_exit(127);
  if (::fcntl(kTroubleFd, F_SETFD, FD_CLOEXEC) != 0) give_up();
  if (::dup2(p.input, STDIN_FILENO) < 0 || ::dup2(p.output, STDOUT_FILENO) < 0 ||
      ::dup2(p.errors, STDERR_FILENO) < 0) {
    give_up();
  }
  if (::syscall(SYS_close_range, kTroubleFd + 1, ~0U, 0) != 0) give_up();
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) give_up();
  if (::getppid() != p.parent) ::_exit(127);  // it has ended before we could ask for the signal
  if (p.memory != RLIM_INFINITY) {
    const rlimit limit{p.memory, p.memory};
    // A lower one is there already.
    if (::setrlimit(RLIMIT_AS, &limit) != 0 && errno != EPERM) give_up();
  }
  ::umask(022);  // modes are a part of results
  if (::chdir(order.folder.c_str()) != 0) give_up();
  ::execve(order.program.c_str(), p.arguments.data(), p.environment.data());
  give_up();
}

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// What comes out of a pipe: all of it up to a limit, or its end.
class Stream {
 public:
  Stream(Descriptor pipe, bool keep_all, std::uint64_t bytes_max)
      : pipe_(std::move(pipe)), keep_all_(keep_all), bytes_max_(bytes_max) {}

  int fd() const { return pipe_.get(); }
  bool too_much() const { return too_much_; }
  Bytes take() { return std::move(bytes_); }
  std::string end() const {
    const std::size_t size = std::min(bytes_.size(), kEndBytes);
    return std::string(as_text(ByteView(bytes_).last(size)));
  }

  // What is there now, as far as a pipe can hold it: some never stop writing. Closes at its end.
  void read() {
    std::uint8_t buffer[65'536];
    std::size_t taken = 0;
    while (pipe_.good() && taken < kPipeBytes) {
      const ssize_t got = ::read(pipe_.get(), buffer, sizeof buffer);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EAGAIN) return;
      if (got <= 0) return pipe_.close();
      take(ByteView(buffer, static_cast<std::size_t>(got)));
      taken += static_cast<std::size_t>(got);
    }
  }

 private:
  void take(ByteView more) {
    if (keep_all_ && bytes_.size() + more.size() > bytes_max_) too_much_ = true;
    if (too_much_) return;
    bytes_.insert(bytes_.end(), more.begin(), more.end());
    if (!keep_all_ && bytes_.size() > 32 * kEndBytes) {
      bytes_.erase(bytes_.begin(), bytes_.end() - static_cast<std::ptrdiff_t>(kEndBytes));
    }
  }

  Descriptor pipe_;
  bool keep_all_;
  std::uint64_t bytes_max_;
  bool too_much_ = false;
  Bytes bytes_;
};

// How many processes the system has ended for want of memory, whosever. It counts one before that
// one ends. 0 for ever where a container hides it.
std::uint64_t ended_for_memory() {
  std::ifstream file("/proc/vmstat");
  std::uint64_t value = 0;
  for (std::string name; file >> name >> value;) {
    if (name == "oom_kill") return value;
  }
  return 0;
}

// Why a file that is there could not be started: the system's word for it is about another file.
std::string why_not_started(const std::string& program, int error) {
  const std::string said = std::strerror(error);
  if (error == ENOEXEC) {
    return said + "; it is neither a program for this machine nor a script that begins with #!";
  }
  std::ifstream file(program, std::ios::binary);
  if (error != ENOENT || !file) return said;
  std::string line(kScriptLineBytes, '\0');
  file.read(line.data(), static_cast<std::streamsize>(line.size()));
  line.resize(std::min(static_cast<std::size_t>(file.gcount()), line.find('\n')));
  if (!line.starts_with("#!")) {
    return said + "; the loader of its libraries is not on this worker: link it statically";
  }
  if (line.ends_with('\r')) {
    return said + "; its first line ends as lines do on Windows: take the carriage returns away";
  }
  const std::size_t first = std::min(line.find_first_not_of(" \t", 2), line.size());
  const std::size_t last = std::min(line.find_first_of(" \t", first), line.size());
  return said + "; its interpreter " + line.substr(first, last - first) + " is not on this worker";
}

// How often this process has been stopped, along with all that it runs, and told to go on: by a
// worker whose owner pauses it, who lends a share of each second, or where others have their turn.
std::atomic<unsigned> goes_on{0};

void count_going_on() {
  struct sigaction action {};
  action.sa_handler = [](int) { goes_on.fetch_add(1, std::memory_order_relaxed); };
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGCONT, &action, nullptr);
}

class Child {
 public:
  Child(pid_t pid, Descriptor ended, Stream out, Stream err, std::uint64_t ended_for_memory_before)
      : pid_(pid),
        ended_(std::move(ended)),
        out_(std::move(out)),
        err_(std::move(err)),
        ended_for_memory_before_(ended_for_memory_before) {}

  ProcessEnd wait(const ProcessOrder& order) {
    const auto start = Clock::now();
    last_look_ = start;
    ProcessEnd end;
    while (!has_ended(order)) {
      if (out_.too_much()) stop(ProcessEnd::By::kTooMuchOutput, end);
      if (order.unwanted != nullptr && order.unwanted->load()) {
        stop(ProcessEnd::By::kUnwanted, end);
      }
      count_time();
      if (order.wall_ms != 0 && spent_ >= std::chrono::milliseconds(order.wall_ms)) {
        stop(ProcessEnd::By::kTime, end);
      }
    }
    // While it is not reaped, its number cannot be another group's.
    ::kill(-pid_, SIGKILL);
    rusage used{};
    while (::wait4(pid_, &end.wait_status, 0, &used) < 0 && errno == EINTR) {
    }
    // What it wrote last is still in the pipes.
    out_.read();
    err_.read();
    if (out_.too_much() && end.by == ProcessEnd::By::kItself) {
      end.by = ProcessEnd::By::kTooMuchOutput;
    }
    end.wall_ms = ms_since(start);
    end.cpu_ms = ms_of(used.ru_utime) + ms_of(used.ru_stime);
    end.memory_kib = static_cast<std::uint64_t>(used.ru_maxrss);
    end.memory_was_short = WIFSIGNALED(end.wait_status) && WTERMSIG(end.wait_status) == SIGKILL &&
                           ended_for_memory() > ended_for_memory_before_;
    end.stderr_end = err_.end();
    end.stdout_end = out_.end();
    if (order.keep_stdout) end.standard_output = out_.take();
    return end;
  }

 private:
  static std::uint64_t ms_since(Clock::time_point start) {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count());
  }
  static std::uint64_t ms_of(const timeval& time) {
    return static_cast<std::uint64_t>(time.tv_sec) * 1000 +
           static_cast<std::uint64_t>(time.tv_usec) / 1000;
  }

  void stop(ProcessEnd::By by, ProcessEnd& end) {
    if (end.by != ProcessEnd::By::kItself) return;
    end.by = by;
    ::kill(-pid_, SIGKILL);
  }

  // What it stood still is no time that the program had. When it was stopped is not known but that
  // it was after the last look.
  void count_time() {
    const auto now = Clock::now();
    const unsigned stops = goes_on.load(std::memory_order_relaxed);
    const Clock::duration look = std::chrono::milliseconds(kLookMs);
    spent_ += stops == stops_ ? now - last_look_ : std::min(now - last_look_, look);
    last_look_ = now;
    stops_ = stops;
  }

  // Waits for whatever comes first, and takes what has been written.
  bool has_ended(const ProcessOrder& order) {
    const int wait_ms = order.unwanted != nullptr || order.wall_ms != 0 ? kLookMs : -1;
    pollfd ready[3] = {{ended_.get(), POLLIN, 0}, {out_.fd(), POLLIN, 0}, {err_.fd(), POLLIN, 0}};
    if (::poll(ready, 3, wait_ms) < 0 && errno != EINTR) return true;
    if (ready[1].revents != 0) out_.read();
    if (ready[2].revents != 0) err_.read();
    return ready[0].revents != 0;
  }

  pid_t pid_;
  Descriptor ended_;
  Stream out_;
  Stream err_;
  std::uint64_t ended_for_memory_before_;
  Clock::time_point last_look_;
  Clock::duration spent_{};
  unsigned stops_ = goes_on.load();
};

}  // namespace

Result<ProcessEnd, std::string> run_process(const ProcessOrder& order) {
  static std::once_flag once;
  std::call_once(once, count_going_on);
  Descriptor input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  auto output = make_pipe();
  auto errors = make_pipe();
  auto trouble = make_pipe();
  if (!input.good()) return system_error("/dev/null");
  for (const auto* pipe : {&output, &errors, &trouble}) {
    if (!*pipe) return tl::unexpected(pipe->error());
  }
  Prepared p;
  p.arguments = pointers_to(order.arguments);
  p.environment = pointers_to(order.environment);
  p.input = input.get();
  p.output = output->write.get();
  p.errors = errors->write.get();
  p.trouble = trouble->write.get();
  p.parent = ::getpid();
  if (order.memory_bytes != 0) p.memory = order.memory_bytes;

  const std::uint64_t before = ended_for_memory();
  const pid_t pid = ::fork();
  if (pid == 0) become(order, p);
  if (pid < 0) return system_error("no process can be started");
  ::setpgid(pid, pid);  // both sides, so that neither depends on who comes first
  Descriptor ended(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  output->write.close();
  errors->write.close();
  trouble->write.close();
  // Its end comes with the exec.
  int error = ended.good() ? 0 : errno;
  pollfd started{trouble->read.get(), POLLIN, 0};
  while (::poll(&started, 1, -1) < 0 && errno == EINTR) {
  }
  const bool failed = ::read(trouble->read.get(), &error, sizeof error) > 0;
  if (failed || !ended.good()) {
    ::kill(-pid, SIGKILL);
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    const std::string& program = order.program.string();
    return tl::unexpected(program + " cannot be started: " + why_not_started(program, error));
  }
  Child child(pid, std::move(ended),
              Stream(std::move(output->read), order.keep_stdout, order.stdout_bytes_max),
              Stream(std::move(errors->read), false, 0), before);
  return child.wait(order);
}

}  // namespace shoal
