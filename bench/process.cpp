#include "bench/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

namespace shoal::bench {
namespace {

constexpr std::chrono::seconds kGrace{5};
constexpr std::chrono::milliseconds kLookEvery{5};
constexpr std::streamoff kLogEnd = 2000;  // bytes of a log that are shown

// In the child: only what may be called between fork and exec.
struct Prepared {
  std::vector<char*> arguments;
  std::vector<char*> variables;
  int out = -1;
  int log = -1;
  int network = -1;
  pid_t parent = -1;
  const cpu_set_t* core = nullptr;
};

[[noreturn]] void become(const Prepared& prepared) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != prepared.parent) ::_exit(1);
  if (prepared.core != nullptr) ::sched_setaffinity(0, sizeof *prepared.core, prepared.core);
  if (prepared.network >= 0 && ::setns(prepared.network, CLONE_NEWNET) != 0) ::_exit(1);
  ::dup2(prepared.out, STDOUT_FILENO);
  if (prepared.log >= 0) ::dup2(prepared.log, STDERR_FILENO);
  ::execve(prepared.arguments[0], prepared.arguments.data(), prepared.variables.data());
  ::_exit(127);
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  list.reserve(texts.size() + 1);
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

// Ours, with `beside` added or in place of what has the same name.
std::vector<std::string> environment_with(const std::map<std::string, std::string>& beside) {
  std::vector<std::string> all;
  for (char** variable = ::environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    if (!beside.contains(text.substr(0, text.find('=')))) all.push_back(text);
  }
  for (const auto& [name, value] : beside)
    all.push_back(std::string(name).append("=").append(value));
  return all;
}

// PID (NAME) STATE PARENT ...: a name may hold anything, so the last parenthesis counts.
pid_t parent_of(const std::filesystem::path& proc_folder) {
  std::ifstream file(proc_folder / "stat");
  std::string stat;
  std::getline(file, stat);
  const std::size_t close = stat.rfind(')');
  if (close == std::string::npos) return 0;  // it has ended
  std::istringstream rest(stat.substr(close + 1));
  char state = 0;
  pid_t parent = 0;
  rest >> state >> parent;
  return parent;
}

// A field in kB, as bytes.
std::optional<std::uint64_t> kib_field(const std::string& path, const std::string& field) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(field + ":")) continue;
    std::istringstream text(line.substr(field.size() + 1));
    std::uint64_t kib = 0;
    if (text >> kib) return kib * 1024;
  }
  return std::nullopt;
}

std::string end_of(const std::filesystem::path& log) {
  std::ifstream file(log, std::ios::binary | std::ios::ate);
  const std::streamoff size = file ? std::streamoff(file.tellg()) : 0;
  if (size == 0) return "; it logged nothing";
  file.seekg(std::max<std::streamoff>(0, size - kLogEnd));
  std::ostringstream text;
  text << file.rdbuf();
  return "; the end of its log:\n" + text.str();
}

}  // namespace

Result<std::unique_ptr<Process>, std::string> Process::start(const Wish& wish) {
  const std::string name = wish.program.string();
  std::vector<std::string> arguments{name};
  arguments.insert(arguments.end(), wish.arguments.begin(), wish.arguments.end());
  std::vector<std::string> variables = environment_with(wish.variables);
  cpu_set_t core;
  CPU_ZERO(&core);
  if (wish.core) CPU_SET(*wish.core, &core);

  const auto failed = [&] { return tl::unexpected(name + ": " + std::strerror(errno)); };
  if (::access(name.c_str(), X_OK) != 0) return failed();
  int log = -1;
  if (!wish.log.empty()) {
    log = ::open(wish.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0) return failed();
  }
  std::array<int, 2> out{-1, -1};
  pid_t pid = -1;
  Prepared prepared{
      pointers(arguments), pointers(variables),        -1, log, wish.network.value_or(-1),
      ::getpid(),          wish.core ? &core : nullptr};
  if (::pipe2(out.data(), O_CLOEXEC) == 0) {
    prepared.out = out[1];
    pid = ::fork();
  }
  if (pid == 0) become(prepared);
  const int error = errno;
  if (log >= 0) ::close(log);
  if (out[1] >= 0) ::close(out[1]);
  if (pid < 0) {
    if (out[0] >= 0) ::close(out[0]);
    errno = error;
    return failed();
  }
  return std::unique_ptr<Process>(new Process(pid, out[0], wish.log));
}

Process::~Process() {
  end();
  ::close(out_);
}

void Process::signal(int number) const {
  if (!status_) ::kill(pid_, number);
}

Process::Read Process::read_line(std::string& line, Deadline deadline) {
  for (;;) {
    if (const std::size_t end = read_.find('\n'); end != std::string::npos) {
      line = read_.substr(0, end);
      read_.erase(0, end + 1);
      return Read::kLine;
    }
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return Read::kLate;
    pollfd waiting{out_, POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(left.count())) < 1) continue;
    std::array<char, 4096> piece{};
    const ssize_t got = ::read(out_, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Read::kEnded;
    read_.append(piece.data(), static_cast<std::size_t>(got));
  }
}

int Process::end() {
  if (status_) return *status_;
  int status = 0;
  const auto give_up = std::chrono::steady_clock::now() + kGrace;
  bool gone = ::waitpid(pid_, &status, WNOHANG) != 0;
  if (!gone) ::kill(pid_, SIGTERM);
  while (!gone && std::chrono::steady_clock::now() < give_up) {
    std::this_thread::sleep_for(kLookEvery);
    gone = ::waitpid(pid_, &status, WNOHANG) != 0;
  }
  if (!gone) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, &status, 0);
  }
  status_ = status;
  return status;
}

int Process::await_end(Deadline deadline) {
  int status = 0;
  while (!status_ && std::chrono::steady_clock::now() < deadline) {
    if (::waitpid(pid_, &status, WNOHANG) != 0) {
      status_ = status;
    } else {
      std::this_thread::sleep_for(kLookEvery);
    }
  }
  return end();
}

std::string Process::account() const {
  std::string how = "has not ended";
  if (status_ && WIFEXITED(*status_)) {
    how = "ended with code " + std::to_string(WEXITSTATUS(*status_));
  } else if (status_) {
    how = "was ended by signal " + std::to_string(WTERMSIG(*status_));
  }
  return how + end_of(log_);
}

std::chrono::nanoseconds cpu_time(pid_t pid) {
  clockid_t clock{};
  timespec time{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &time) != 0) {
    return std::chrono::nanoseconds(0);
  }
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

std::vector<pid_t> family(pid_t pid) {
  std::multimap<pid_t, pid_t> children;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string number = entry.path().filename().string();
    if (number.find_first_not_of("0123456789") != std::string::npos) continue;
    children.emplace(parent_of(entry.path()), static_cast<pid_t>(std::stol(number)));
  }
  std::vector<pid_t> all{pid};
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto [first, last] = children.equal_range(all[i]);
    for (auto it = first; it != last; ++it) all.push_back(it->second);
  }
  return all;
}

std::uint64_t memory_field(pid_t pid, const std::string& field) {
  return kib_field("/proc/" + std::to_string(pid) + "/status", field).value_or(0);
}

std::optional<std::uint64_t> proportional_memory(pid_t pid) {
  return kib_field("/proc/" + std::to_string(pid) + "/smaps_rollup", "Pss");
}

std::vector<int> usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(core, &set)) cores.push_back(core);
    }
  }
  if (cores.empty()) cores.push_back(0);
  return cores;
}

void use_cores(const std::vector<int>& cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int core : cores) CPU_SET(core, &set);
  ::sched_setaffinity(0, sizeof set, &set);
}

}  // namespace shoal::bench
