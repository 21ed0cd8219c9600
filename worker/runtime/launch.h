#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "node/protocol/executor_messages.h"
#include "node/protocol/result.h"
#include "worker/sandbox/cgroup.h"
#include "worker/sandbox/policy.h"

// Starts executors: child processes in a sandbox (worker/sandbox), which holds no descriptor but
// those it is given, sees an almost empty environment, and dies with the thread that started it.
namespace shoal {

// The same for all executors of a worker.
struct SandboxSettings {
  std::filesystem::path program;  // shoal-sandbox
  SandboxLevel level = SandboxLevel::kFull;
  std::vector<std::filesystem::path> read_only;  // that kernels may read, besides /usr
  std::uint64_t scratch_bytes = std::uint64_t{1} << 30;
  ControlGroups* groups = nullptr;  // where there are any; outlives the executors
};

struct LaunchSpec {
  SandboxSettings sandbox;
  SandboxKind kind = SandboxKind::kNative;
  std::filesystem::path program;
  std::vector<std::string> arguments = {};    // of the program
  std::filesystem::path library_folder = {};  // where its libraries are, beside the system's
  std::vector<std::filesystem::path> contents =
      {};                          // that it may read; further arguments; absolute
  std::filesystem::path scratch;   // exists; to work in where the sandbox has none of its own
  std::uint64_t memory_bytes = 0;  // 0: no limit. Not applied under sanitizers
  unsigned threads = 1;  // that it will start for units; more have no more time than these
};

// The descriptors and the page belong to the caller, who must reap the child.
struct LaunchedChild {
  pid_t pid = -1;                            // also its process group and session
  int pid_fd = -1;                           // readable when it has ended
  int socket = -1;                           // does not block
  int control = -1;                          // takes HerdOrders, gives HerdNews; does not block
  int output = -1;                           // its stdout and stderr; does not block
  RunningPage* page = nullptr;               // release with unmap_page
  std::unique_ptr<ControlGroup> group = {};  // that it is in; none: there are none here
};

// Does not wait for the program to come up: where it cannot be executed, or the sandbox cannot be
// made, the child says so on its stderr and exits with status 127 or 126. The error is a sentence.
Result<LaunchedChild, std::string> launch_executor(const LaunchSpec&);
void unmap_page(RunningPage*);

// Runs `program argument` to its end and returns what it wrote to stdout; an error where it does
// not exit with status 0 within `limit_ms`. For programs of ours: there is no sandbox. Blocks.
Result<std::string, std::string> run_and_read(const std::filesystem::path& program,
                                              const std::string& argument, int limit_ms);

}  // namespace shoal
