#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "node/protocol/facts.h"
#include "node/protocol/result.h"
#include "worker/runtime/launch.h"
#include "worker/runtime/options.h"
#include "worker/sandbox/probe.h"

namespace shoal {

// How a worker's executors are kept, by what the machine can do and what its owner asked for.
struct SandboxChoice {
  SandboxSettings settings;
  // Kinds, and which layer they miss, or that the owner declines them.
  std::map<KernelKind, std::string> cannot_run;
  // Without a sandbox, submitters must be named one by one: a pool's word for all is not enough.
  bool native_from_anyone = true;
  std::string summary;                // for the log
  std::vector<std::string> warnings;  // what the owner must not overlook
};

// Pure. `report` is what shoal-sandbox --probe says.
SandboxChoice choose_sandbox(const WorkerOptions& options, const SandboxReport& report);

// Takes folders that executors here cannot reach out of the choice, with a warning for each: a
// sandbox cannot be made with them, and every unit would fail. Forks and waits.
void leave_out_closed_folders(SandboxChoice& choice);

// Asks the program, which blocks for some ms; the error is a sentence.
Result<SandboxReport, std::string> ask_sandbox(const std::filesystem::path& sandbox_program);

}  // namespace shoal
