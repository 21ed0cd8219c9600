#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "node/protocol/bytes.h"
#include "node/protocol/result.h"

// One process, from its start to its end.
namespace shoal {

struct ProcessOrder {
  std::filesystem::path program;
  std::vector<std::string> arguments;  // the program's name first
  std::vector<std::string> environment;
  std::filesystem::path folder;                 // to work in
  std::uint64_t wall_ms = 0;                    // 0: no limit
  std::uint64_t memory_bytes = 0;               // of address space, for each process; 0: no limit
  std::uint64_t stdout_bytes_max = 0;           // kept from its beginning; with more it is ended
  bool keep_stdout = false;                     // all of it, and not only its end
  const std::atomic<bool>* unwanted = nullptr;  // set: the process is ended
};

struct ProcessEnd {
  enum class By : std::uint8_t { kItself, kTime, kTooMuchOutput, kUnwanted };
  By by = By::kItself;
  int wait_status = 0;
  Bytes standard_output;
  std::string stderr_end;
  std::string stdout_end;
  std::uint64_t wall_ms = 0;
  std::uint64_t cpu_ms = 0;
  std::uint64_t memory_kib = 0;  // the most that one of its processes had resident
  // It died of SIGKILL, and the system has ended processes for want of memory while it ran.
  bool memory_was_short = false;
};

// Starts it with nothing on stdin and waits for its end. It leads a process group, all of which is
// ended with it, and dies with the calling thread. The error is a sentence: it could not be
// started. Safe to call from several threads at once.
Result<ProcessEnd, std::string> run_process(const ProcessOrder& order);

}  // namespace shoal
