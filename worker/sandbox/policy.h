#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "node/protocol/result.h"

// What a sandbox is to hold, in words that fit on a command line: the worker writes them, and the
// program shoal-sandbox reads them.
namespace shoal {

// Whose code runs, and how.
enum class SandboxKind : std::uint8_t {
  kShipped,  // our own kernels, on data that strangers chose
  kNative,   // a submitter's program, linked with the SDK
  kWasm,     // our own engine, which runs a stranger's module; seals itself (seal.h)
  kProgram,  // our own executor, which runs a submitter's programs
};

enum class SandboxLevel : std::uint8_t {
  kNone,  // limits alone
  kWeak,  // and Landlock and seccomp: where there are no user namespaces
  kFull,  // and namespaces, with a root of its own
};

struct SandboxPolicy {
  SandboxKind kind = SandboxKind::kNative;
  SandboxLevel level = SandboxLevel::kFull;
  std::string program;                 // an absolute path
  std::vector<std::string> arguments;  // of the program
  // The folder to work in below kFull, where the scratch folder is a file system of its own.
  std::string scratch;
  std::vector<std::string> read_only;  // absolute paths that the program may read, besides /usr
  std::uint64_t memory_bytes = 0;      // 0: no limit
  std::uint64_t scratch_bytes = std::uint64_t{1} << 30;  // is memory
  std::uint64_t file_bytes = std::uint64_t{1} << 30;
  std::uint64_t cpu_seconds = 0;  // of one process; 0: no limit
  std::uint64_t processes = 256;  // and threads
  // Of how many processors they have the time, however many threads they start; 0: no limit. Only
  // at kFull.
  std::uint32_t threads = 0;
  std::uint64_t open_files = 256;
  int control_fd = -1;  // a UNIX datagram or seqpacket socket to the worker (herd.h); -1: none
};

const char* name_of(SandboxKind kind);

// The arguments of shoal-sandbox that say the policy.
std::vector<std::string> to_arguments(const SandboxPolicy& policy);
// The error is a sentence.
Result<SandboxPolicy, std::string> parse_policy(const std::vector<std::string>& arguments);

}  // namespace shoal
