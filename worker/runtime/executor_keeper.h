#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
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
  std::filesystem::path wasm_executor;     // shoal-wasm-executor; empty: there is none
  std::filesystem::path wasm_libraries;    // the folder of its engine; empty: a system's
  std::filesystem::path program_executor;  // that runs programs; empty: none run here
  SandboxSettings sandbox;                 // for every executor
  // A folder of its own for each executor is made below; those of an earlier run go.
  std::filesystem::path scratch;
  unsigned threads = 1;               // that the donor lends
  std::uint64_t memory_bytes = 0;     // for one executor; 0: no limit
  unsigned cpu_share_percent = 100;   // of the time of those threads
  std::filesystem::path checkpoints;  // a folder for states of units; empty: none are kept
  std::chrono::milliseconds checkpoint_every{1000};  // of one unit
  // How long an executor may run without having asked for units.
  std::chrono::milliseconds greeting_patience{30'000};
  std::size_t executors_max = 8;  // idle ones of the least recent programs are ended first
};

// An executor at work, for people.
struct ExecutorView {
  int pid = -1;  // of the sandbox around it
  SandboxKind kind = SandboxKind::kNative;
  std::uint64_t memory_bytes = 0;  // when it was last measured; 0: not yet
  struct UnitView {
    JobId job;
    UnitIndex unit = 0;
    std::string kernel;
    std::int64_t running_ns = 0;  // without the time that it was frozen
  };
  std::vector<UnitView> units;
};

using KeeperEvent = std::variant<ComputeDone, StateSaved, CompareDone, Tell>;

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
  void perform(const KeepState&);
  void perform(const StartCompare&);
  void perform(const ForgetJob&);
  // Forgets what an earlier run left behind of other jobs.
  void keep_only(const std::set<JobId>& jobs);

  // All executors stand still, with their units' clocks, until they may go on; what is to be done
  // meanwhile waits.
  void pause();
  void resume();
  bool paused() const;
  bool busy() const;  // with anything that is to be done, paused or not
  // What runs, and asks for fresh figures of its memory, which are there some ms later.
  std::vector<ExecutorView> view();

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
