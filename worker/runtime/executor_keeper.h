#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "node/content/store/content_store.h"
#include "worker/core/peer.h"
#include "worker/runtime/launch.h"

// Keeps the executors of one worker: starts one child process for each program in use, feeds it
// chunks, gathers what they produce, and finds out which unit was to blame when one dies.
namespace shoal {

struct KeeperConfig {
  std::filesystem::path shipped_executor;  // the program that holds the kernels of tasks/
  std::filesystem::path program_executor;  // that runs programs; empty: none run here
  SandboxSettings sandbox;                 // for every executor
  std::filesystem::path scratch;           // a folder of its own for each executor is made below
  unsigned threads = 1;                    // that the donor lends
  std::uint64_t memory_bytes = 0;          // for one executor; 0: no limit
  std::size_t executors_max = 8;           // idle ones of the least recent programs are ended first
};

using KeeperEvent = std::variant<ComputeDone, CompareDone, Tell>;

// One thread only: the network thread. Never blocks on a child.
class ExecutorKeeper {
 public:
  // `contents` holds programs and inputs, and takes outputs larger than kInlineOutputBytes; it must
  // outlive the keeper.
  ExecutorKeeper(KeeperConfig, ContentStore& contents);
  // Ends all children and waits for them.
  ~ExecutorKeeper();

  void perform(const StartCompute&);
  void perform(const CancelCompute&);
  void perform(const StartCompare&);
  void perform(const ForgetJob&);

  // Descriptors to poll for reading; they change from call to call.
  std::vector<int> descriptors() const;
  // When collect() wants to be called though no descriptor is readable (wall-time limits).
  std::optional<std::chrono::nanoseconds> next_timeout() const;
  // What has happened since the last call. Does not block.
  std::vector<KeeperEvent> collect();

  // The names of the shipped kernels, asked once from the shipped executor (blocks, some ms).
  static Result<std::vector<std::string>, std::string> shipped_kernels(
      const std::filesystem::path& shipped_executor);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal
