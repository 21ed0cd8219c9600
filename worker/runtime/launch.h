#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "node/protocol/executor_messages.h"
#include "node/protocol/result.h"

// Starts executors: child processes with as little as they need. A child has no privileges to gain,
// runs only when nothing else wants the processor, holds no descriptor but those it is given, sees
// an almost empty environment, has limits on memory, files and processes, lives in a scratch folder
// of its own, and dies with the thread that started it.
namespace shoal {

struct LaunchSpec {
  std::filesystem::path program;
  std::vector<std::filesystem::path> contents;  // that it may read, its arguments; absolute
  std::filesystem::path scratch;   // exists; becomes the working folder, HOME and TMPDIR
  std::uint64_t memory_bytes = 0;  // address space; 0: no limit. Not applied under sanitizers
};

// The descriptors and the page belong to the caller, who must reap the child.
struct LaunchedChild {
  pid_t pid = -1;               // also its process group and session
  int pid_fd = -1;              // readable when it has ended
  int socket = -1;              // does not block
  int output = -1;              // its stdout and stderr; does not block
  RunningPage* page = nullptr;  // release with unmap_page
};

// Does not wait for the program to come up: where it cannot be executed, the child says so on its
// stderr and exits with status 127. The error is a sentence.
Result<LaunchedChild, std::string> launch_executor(const LaunchSpec&);
void unmap_page(RunningPage*);

// Runs `program argument` to its end and returns what it wrote to stdout; an error where it does
// not exit with status 0 within `limit_ms`. Blocks.
Result<std::string, std::string> run_and_read(const std::filesystem::path& program,
                                              const std::string& argument, int limit_ms);

}  // namespace shoal
