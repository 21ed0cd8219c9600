#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sdk/cli/output.h"
#include "sdk/cli/pool_access.h"
#include "sdk/cli/results_folder.h"

// The results of a job of programs, as they arrive.
namespace shoal::cli {

// Who a unit of the job is: what its results are laid out under.
struct UnitIdentity {
  std::uint64_t number = 0;  // in the list of whoever submitted it
  std::string owner;         // see ResultsFolder::put
  std::string name;          // for a failure; a result has its own
};
using IdentifyUnit = std::function<UnitIdentity(std::uint64_t unit)>;

// With `folder`, lays results out there; without, writes what the programs wrote to stdout to
// stdout, in the order of the units. Failures are told on stderr. With --json one line for each
// unit goes to stdout instead. Waits for all units; counts an output that cannot be had as failed.
Result<Tally, Failure> take_program_results(PoolAccess& pool, const JobId& job,
                                            const Manifest& manifest, ResultsFolder* folder,
                                            const IdentifyUnit& identify, const Settings& settings);

// What is known of a job's units from its manifest alone, and from its inputs where they are here.
IdentifyUnit identities_of(PoolAccess& pool, const JobId& job, const Manifest& manifest);

}  // namespace shoal::cli
