#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "node/protocol/result.h"

namespace shoal::bench {

// A program that this one started. It is ended with this object, by its id, and by the kernel where
// this process dies before. Only the main thread may start one: it is the death of the thread that
// started it that the kernel looks at.
class Process {
 public:
  using Deadline = std::chrono::steady_clock::time_point;
  struct Wish {
    std::filesystem::path program;
    std::vector<std::string> arguments;
    std::filesystem::path log;        // for stderr; empty: where this process's goes
    std::optional<int> core;          // the only one that it may use; nothing: all
    std::optional<int> network = {};  // the namespace that it runs in, by descriptor
    std::map<std::string, std::string> variables = {};  // of its environment, beside ours
  };
  static Result<std::unique_ptr<Process>, std::string> start(const Wish& wish);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  void signal(int number) const;

  enum class Read : std::uint8_t { kLine, kEnded, kLate };
  // The next line of its stdout.
  Read read_line(std::string& line, Deadline deadline);

  // SIGTERM, and SIGKILL where that does not help. What waitpid(2) says of it; at once if it has
  // ended already.
  int end();
  // The same of one that ends by itself: its stdout ends a moment before it does. SIGTERM only
  // after the deadline.
  int await_end(Deadline deadline);

  // How it ended, or that it has not, and the end of its log: for whoever must find out why.
  std::string account() const;

 private:
  Process(pid_t pid, int out, std::filesystem::path log)
      : pid_(pid), out_(out), log_(std::move(log)) {}

  pid_t pid_;
  int out_;
  std::filesystem::path log_;
  std::string read_;
  std::optional<int> status_;
};

// --- What the kernel knows of a process ---

// CPU time that its threads have used, those that ended included. 0 where it is gone.
std::chrono::nanoseconds cpu_time(pid_t pid);
// Itself, its children, theirs, and so on.
std::vector<pid_t> family(pid_t pid);
// A field in kB of /proc/PID/status, as bytes: "VmRSS", "VmHWM", "RssAnon". 0: it is gone.
std::uint64_t memory_field(pid_t pid, const std::string& field);
// Its memory in bytes, where what it shares with others counts in parts (PSS). Nothing: the kernel
// does not tell.
std::optional<std::uint64_t> proportional_memory(pid_t pid);

// The cores that this process may use, by their numbers.
std::vector<int> usable_cores();
// From now on this thread, and those that it starts, use these alone.
void use_cores(const std::vector<int>& cores);

}  // namespace shoal::bench
