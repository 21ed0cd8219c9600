#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "node/protocol/limits.h"
#include "sdk/cli/pool_access.h"
#include "sdk/cli/program_wish.h"

// What `shoal submit` does for programs, and what it does for all jobs alike.
namespace shoal::cli {

struct SubmitPolicy {
  std::string name;  // for people; empty: the kernel's or program's
  unsigned max_attempts = limits::kAttemptsDefault;
  bool detach = false;
  bool wait_for_quorum = false;
  unsigned stewards = limits::kStewards;
  bool keep = false;
  std::string keep_for;  // as the user wrote it; empty: as usual
};
// Sets what the policy says of every job's manifest.
Result<void, Failure> apply(const SubmitPolicy& policy, const Settings& settings,
                            Manifest& manifest);

// Hands the job to the pool and says so, on stdout as far as the settings and the policy want it.
Result<JobId, Failure> hand_over(PoolAccess& pool, const Manifest& manifest,
                                 const SubmitPolicy& policy, const Settings& settings);

// --array, --input and so on, on a command that takes a program after --.
void add_program_options(CLI::App& submit, ProgramWish& wish);
Outcome submit_program(const ProgramWish& wish, const SubmitPolicy& policy,
                       const Settings& settings);
// `wish` has what the command line says, which wins over the file.
Outcome submit_job_file(const std::string& file, const ProgramWish& wish, SubmitPolicy policy,
                        Settings settings);

}  // namespace shoal::cli
