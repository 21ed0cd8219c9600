#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "node/protocol/facts.h"
#include "node/protocol/result.h"
#include "node/protocol/ticket.h"
#include "node/protocol/transport.h"

// What the owner of the machine asked for. A flag wins over the environment, and the environment
// over the TOML file.
namespace shoal {

struct WorkerOptions {
  Ticket ticket;
  std::filesystem::path state;
  std::string listen;
  std::string advertise;    // empty: find out
  bool maps_ports = false;  // asks the router to let others in, where that is needed
  unsigned threads = 1;
  std::uint64_t memory_bytes = 0;                        // for one executor; 0: not said
  std::uint64_t scratch_bytes = std::uint64_t{1} << 30;  // of one executor's scratch folder
  unsigned cpu_share_percent = 100;                      // of the time of these threads
  bool sandbox = true;
  std::vector<std::filesystem::path> readable;  // by kernels, besides /usr
  std::vector<NodeId> trusted_submitters;
  std::filesystem::path owner_key;  // empty: nobody says whose the worker is
  // Of kernels, that the owner takes; none of the others, whoever submits them.
  std::set<KernelKind> kinds = {KernelKind::kShipped, KernelKind::kWasm, KernelKind::kNative,
                                KernelKind::kProgram};
  std::uint64_t upload_rate = 0;    // of contents, bytes a second; 0: no limit
  std::uint64_t download_rate = 0;  // likewise
  std::uint64_t upload_cap = 0;     // of contents, bytes a month; 0: no limit
  std::uint64_t download_cap = 0;   // likewise
  std::uint64_t cache_bytes = 0;    // that contents may take on the disk; 0: no limit
  std::vector<ContentName> pinned;  // contents that this machine keeps and serves
  LogLevel log_level = LogLevel::kInfo;
  std::filesystem::path executor;  // empty: find_executor() looks for it
  bool supervise = false;          // be the parent that starts the worker again when it dies
};

// Nothing is to be run: help was asked for, or something is wrong with what was asked.
struct EarlyEnd {
  int exit_code = 0;
  std::string out;  // for stdout
  std::string err;  // for stderr
};

inline constexpr int kExitClean = 0;
inline constexpr int kExitError = 1;
inline constexpr int kExitUsage = 2;

// getenv(3), or a test's own.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// `arguments` without the program's name. Reads the configuration and ticket files that they name.
Result<WorkerOptions, EarlyEnd> parse_worker_options(const std::vector<std::string>& arguments,
                                                     const Environment& environment,
                                                     const std::string& version);

// "512M", "2G", "1073741824"; K, M, G and T are powers of 1024.
std::optional<std::uint64_t> parse_byte_count(std::string_view text);

// The cores that this process may use.
unsigned usable_cores();

// The executor's program: as asked for, else beside the program, else in ../libexec/shoal. The
// error names the places where it was looked for.
Result<std::filesystem::path, std::string> find_executor(
    const std::filesystem::path& asked_for, const std::filesystem::path& program_folder);
// shoal-sandbox, likewise.
Result<std::filesystem::path, std::string> find_sandbox(
    const std::filesystem::path& program_folder);

}  // namespace shoal
