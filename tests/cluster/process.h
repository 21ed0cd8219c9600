#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace shoal::cluster {

// How long anything is waited for before a story has failed.
inline constexpr std::chrono::seconds kPatience{120};

using Variables = std::map<std::string, std::string>;

// The most memory that it has ever had, in bytes. 0: it is gone.
std::uint64_t peak_memory_of(pid_t pid);

// One real program. What it prints is read all the time, so that it never waits for us. Killed by
// its id at the end of the story where it still runs, and by the kernel if the thread that made
// this ends before: a test that is killed leaves nothing running.
class Process {
 public:
  // In a network namespace, given by its descriptor; -1: in our own. Of another user, where this
  // one is root. A program that cannot be started says so on its stderr and ends with 127.
  Process(const std::vector<std::string>& command, const Variables& environment,
          int net_namespace = -1, std::optional<uid_t> user = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  void signal(int number);
  // SIGKILL, and waits until it is gone.
  void kill();
  // Waits for its end: the exit code, or 128 and the signal. -1: it did not end in time.
  int exit_code(std::chrono::milliseconds patience = kPatience);

  std::string out() const;
  std::string err() const;
  // Waits until `holds(out)` or `holds(err)`; false where it ended or time passed without that.
  using Holds = std::function<bool(const std::string& text)>;
  bool await_out(const Holds& holds, std::chrono::milliseconds patience = kPatience);
  bool await_err(const Holds& holds, std::chrono::milliseconds patience = kPatience);

 private:
  void read_all(int fd, std::string& text);
  bool await(const std::string& text, const Holds& holds, std::chrono::milliseconds patience);

  pid_t pid_ = -1;
  int exit_code_ = -1;
  int ended_ = -1;  // a pidfd: readable once the process is gone
  int out_fd_ = -1;
  int err_fd_ = -1;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::string out_;
  std::string err_;
  int open_pipes_ = 2;
  std::thread out_reader_;
  std::thread err_reader_;
};

}  // namespace shoal::cluster
