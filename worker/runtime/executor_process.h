#pragma once

#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "node/protocol/executor_messages.h"
#include "worker/runtime/launch.h"
#include "worker/sandbox/herd.h"

namespace shoal {

// What `text` is when shown to people: control characters and broken UTF-8 replaced by '?', and
// only the last `bytes_max` bytes.
std::string clean_end_of(std::string_view text, std::size_t bytes_max);

// "died of SIGSEGV", "ended with status 3".
std::string describe_wait_status(int status);

// One executor: a child process, what is still to be written to it, and the end of what it printed.
// One thread only. Nothing blocks but the destructor, which kills the child and waits until it is
// gone (about 2 ms), and removes its scratch folder.
class ExecutorProcess {
 public:
  // Makes `spec.scratch`.
  static Result<std::unique_ptr<ExecutorProcess>, std::string> start(const LaunchSpec& spec);
  ~ExecutorProcess();
  ExecutorProcess(const ExecutorProcess&) = delete;
  ExecutorProcess& operator=(const ExecutorProcess&) = delete;

  int pid() const { return child_.pid; }
  int socket() const { return child_.socket; }
  int output() const { return child_.output; }
  int pid_fd() const { return child_.pid_fd; }
  const RunningPage& page() const { return *child_.page; }

  // To be written as the child takes it.
  void queue(Bytes frame);
  std::size_t queued_bytes() const { return queued_bytes_; }
  void write_queued();

  // It will be asked for outputs of so many bytes: only then are its answers taken that large.
  void expect_outputs(std::uint64_t output_bytes_max);

  // Takes what has arrived. `take` gets each whole frame's body, and returns what is wrong with it,
  // or nothing; after something wrong no more is read. Returns what was wrong.
  // Stops after some 16 MiB unless it is to read all that there is.
  std::string read_frames(const std::function<std::string(ByteView body)>& take,
                          bool to_the_end = false);
  void read_output();
  // Nothing more can come: the child has closed its end, or has sent what makes no sense.
  bool finished_reading() const { return finished_reading_; }
  bool output_closed() const { return output_closed_; }

  // The end of what it printed, for people. At most limits::kFailureTextBytes.
  std::string output_end() const;

  void order(HerdOrder what);
  // What the sandbox answered last to kUsage, if it has.
  std::optional<HerdNews> usage();

  void kill();
  // Its wait status once it has ended.
  std::optional<int> reap();
  // What the sandbox tells of its end; nothing: the sandbox itself was killed, or never came up.
  const std::optional<HerdNews>& ending() const { return ending_; }

 private:
  void read_news();

  ExecutorProcess(LaunchedChild child, std::filesystem::path scratch)
      : child_(std::move(child)), scratch_(std::move(scratch)) {}

  LaunchedChild child_;
  std::filesystem::path scratch_;
  std::optional<int> status_;
  std::optional<HerdNews> ending_;
  std::optional<HerdNews> usage_;
  std::deque<Bytes> queued_;
  std::size_t queued_bytes_ = 0;
  std::size_t written_ = 0;  // of the first one queued
  FrameSplitter frames_{executor_frame_bytes_max(0)};
  bool finished_reading_ = false;
  bool output_closed_ = false;
  std::string output_end_;
};

}  // namespace shoal
