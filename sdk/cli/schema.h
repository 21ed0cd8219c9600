#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "node/wasm/module.h"
#include "sdk/cli/output.h"
#include "sdk/src/client.h"
#include "shoal/job.h"

// The JSON that `--json` prints. Each object on a line of its own carries this number; it rises
// when a key is renamed, removed, or changes its meaning. New keys may be added without that.
namespace shoal::cli {

inline constexpr int kSchema = 1;

std::string_view name_of(JobPhase phase);
std::string_view name_of(FailureReason reason);
std::string_view name_of(Reachability reachability);

Tally tally_of(const JobStatus& status);
// Nothing more of it will be computed. An earlier version's worker may call such a job paused.
bool is_over(const JobStatus& status);
// Of a job that this account has submitted, but that no worker at hand keeps.
JobStatus unknown_status(const JobId& job, const Manifest& manifest);

// "stewards": their node ids, the leader first; "keep_s": for how long its results are kept after
// its end, and "kept_until_unix_ms": until when that is, null while the job runs;
// "inputs_held": workers that hold program and inputs; "thin_outputs": of "large_outputs" those
// that fewer than two workers hold.
nlohmann::json job_json(const JobStatus& status, bool found = true);
nlohmann::json workers_json(const WorkersReady& seen);
// One unit's end; `value` as in json_values.h.
nlohmann::json result_json(std::uint64_t unit, nlohmann::json value);
nlohmann::json usage_json(const UnitUsage& usage);
nlohmann::json failure_json(std::uint64_t unit, const UnitError& error);
// A module that was built, or was checked.
nlohmann::json module_json(const std::string& file, std::uint64_t bytes, const ModuleInfo& info);
// What comes first, when a job was handed over, and what comes last.
nlohmann::json submitted_json(const JobId& job, std::uint64_t units, unsigned quorum);
nlohmann::json summary_json(const JobId& job, const Tally& tally);

}  // namespace shoal::cli
