#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "node/protocol/keys.h"
#include "node/protocol/result.h"
#include "node/protocol/ticket.h"
#include "node/state/key_file.h"

// What shoal-coordinator is told, and what it finds in its state folder.
namespace shoal {

struct CoordinatorOptions {
  std::string ticket;  // the ticket itself, or @FILE with it; empty: "ticket" in the folder
  std::string state;   // the folder
  std::string listen = "tcp://0.0.0.0:4242";
  bool verbose = false;
  std::uint64_t memory_bytes = 4ULL << 30;  // for the whole process; 0: no limit
  bool supervise = false;  // be the parent that starts the coordinator again when it dies
};
// Nothing, and the exit code, where the process has to end at once: usage was wrong, or help or
// the version wanted.
struct ParsedOptions {
  std::optional<CoordinatorOptions> options;
  int exit_code = 0;
};
ParsedOptions parse_options(int argc, const char* const* argv, const std::string& version);

// A coordinator is known by the key that the ticket names beside its door.
struct Identity {
  FolderLock lock;
  KeyPair key;
  Ticket ticket;
};
// Or a sentence for people: what is wrong, and what to do.
Result<Identity, std::string> load_identity(const CoordinatorOptions& options);

}  // namespace shoal
