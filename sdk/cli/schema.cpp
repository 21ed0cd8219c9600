#include "sdk/cli/schema.h"

#include <utility>

namespace shoal::cli {

using nlohmann::json;

std::string_view name_of(JobPhase phase) {
  switch (phase) {
    case JobPhase::kFetching:
      return "fetching";
    case JobPhase::kRunning:
      return "running";
    case JobPhase::kPaused:
      return "paused";
    case JobPhase::kDone:
      return "done";
    case JobPhase::kCancelled:
      return "cancelled";
  }
  return "unknown";
}

std::string_view name_of(FailureReason reason) {
  switch (reason) {
    case FailureReason::kThrew:
      return "threw";
    case FailureReason::kCrashed:
      return "crashed";
    case FailureReason::kTimedOut:
      return "timed_out";
    case FailureReason::kOutOfMemory:
      return "out_of_memory";
    case FailureReason::kBadAnswer:
      return "bad_answer";
    case FailureReason::kRefused:
      return "refused";
    case FailureReason::kDisputed:
      return "disputed";
  }
  return "unknown";
}

std::string_view name_of(Reachability reachability) {
  switch (reachability) {
    case Reachability::kUnknown:
      return "unknown";
    case Reachability::kReachable:
      return "reachable";
    case Reachability::kUnreachable:
      return "unreachable";
  }
  return "unknown";
}

Tally tally_of(const JobStatus& status) {
  return {status.units, status.verified, status.failed, status.disputed};
}

bool is_over(const JobStatus& status) {
  return status.phase == JobPhase::kDone || status.phase == JobPhase::kCancelled ||
         tally_of(status).ended() >= status.units;
}

JobStatus unknown_status(const JobId& job, const Manifest& manifest) {
  JobStatus status;
  status.job = job;
  status.units = manifest.units;
  status.name = manifest.name;
  status.created = manifest.created;
  status.keep_s = manifest.keep_s;
  status.waiting_for = "no worker that can be reached keeps it";
  return status;
}

namespace {

json job_usage_json(const JobUsage& usage) {
  const auto spread = [](const Spread& of) {
    return json{{"median", of.median}, {"max", of.most}};
  };
  if (usage.units == 0) return nullptr;
  return {{"units", usage.units},
          {"cpu_ms_total", usage.cpu_ms_all},
          {"wall_ms", spread(usage.wall_ms)},
          {"cpu_ms", spread(usage.cpu_ms)},
          {"memory_kib", spread(usage.memory_kib)}};
}

}  // namespace

json job_json(const JobStatus& status, bool found) {
  json stewards = json::array();
  for (const NodeId& node : status.stewards) stewards.push_back(to_hex(node));
  return {{"schema", kSchema},
          {"job", to_hex(status.job)},
          {"name", status.name},
          {"state", found ? name_of(status.phase) : "unreachable"},
          {"units", status.units},
          {"verified", status.verified},
          {"failed", status.failed},
          {"disputed", status.disputed},
          {"committed", status.committed},
          {"leased", status.leased},
          {"workers", status.workers},
          {"moved", status.moved},
          {"recomputed", status.recomputed},
          {"unblinded", status.unblinded},
          {"waiting_for", status.waiting_for},
          {"submitter", to_hex(status.submitter)},
          {"created_unix_ms", status.created},
          {"priority", status.priority},
          {"epoch", status.epoch},
          {"stewards", std::move(stewards)},
          {"stewards_here", status.stewards_here},
          {"inputs_held", status.inputs_held},
          {"large_outputs", status.large_outputs},
          {"thin_outputs", status.thin_outputs},
          {"keep_s", status.keep_s},
          {"usage", job_usage_json(status.usage)},
          {"kept_until_unix_ms", status.kept_until == 0 ? json() : json(status.kept_until)}};
}

namespace {

json worker_json(const WorkersReady::Seen& seen) {
  json status = nullptr;
  if (seen.status) {
    status = {{"peers", seen.status->peers},
              {"units_computed", seen.status->units_computed},
              {"units_stolen", seen.status->units_stolen},
              {"units_failed", seen.status->units_failed},
              {"jobs_led", seen.status->jobs_led},
              {"backlog_units", seen.status->backlog_units},
              {"doing", seen.status->doing},
              {"reachability", name_of(seen.status->reachability)},
              {"mapped", seen.status->mapped.empty() ? json() : json(seen.status->mapped)},
              {"links",
               {{"direct", seen.status->links_direct},
                {"reversed", seen.status->links_reversed},
                {"punched", seen.status->links_punched},
                {"relayed", seen.status->links_relayed}}}};
  }
  json relays = json::array();
  for (const Via& via : seen.record.via) relays.push_back(to_hex(via.node));
  return {{"node", to_hex(seen.record.node)},
          {"owner", seen.owner == seen.record.node ? json() : json(to_hex(seen.owner))},
          {"address", seen.address},
          {"endpoints", seen.record.endpoints},
          {"threads", seen.record.threads},
          {"memory_bytes", seen.record.memory_bytes},
          {"kernels", seen.record.kernels},
          {"runs_wasm", seen.record.runs_wasm},
          {"agent", seen.record.agent},
          {"path", seen.path ? json(name_of(*seen.path)) : json(nullptr)},
          {"relays", std::move(relays)},
          {"status", std::move(status)}};
}

}  // namespace

json workers_json(const WorkersReady& seen) {
  json workers = json::array();
  for (const auto& one : seen.workers) workers.push_back(worker_json(one));
  return {{"schema", kSchema},
          {"coordinators_up", seen.coordinators_up},
          {"nodes_known", seen.nodes_known},
          {"workers", std::move(workers)}};
}

json result_json(std::uint64_t unit, json value) {
  return {{"schema", kSchema},
          {"type", "result"},
          {"unit", unit},
          {"ok", true},
          {"value", std::move(value)}};
}

json usage_json(const UnitUsage& usage) {
  return {{"exit_status", usage.exit_status},
          {"signal", usage.signal},
          {"wall_ms", usage.wall_ms},
          {"cpu_ms", usage.cpu_ms},
          {"memory_kib", usage.memory_kib}};
}

json failure_json(std::uint64_t unit, const UnitError& error) {
  json failure = {{"schema", kSchema},
                  {"type", "result"},
                  {"unit", unit},
                  {"ok", false},
                  {"error",
                   {{"kind", name_of(error.kind)},
                    {"message", error.message},
                    {"attempts", error.attempts},
                    {"stderr_end", error.stderr_end}}}};
  if (error.usage) failure["usage"] = usage_json(*error.usage);
  return failure;
}

json module_json(const std::string& file, std::uint64_t bytes, const ModuleInfo& info) {
  json kernels = json::array();
  for (const ModuleKernel& kernel : info.kernels) kernels.push_back(kernel.name);
  return {{"schema", kSchema}, {"module", file}, {"bytes", bytes}, {"kernels", std::move(kernels)}};
}

json submitted_json(const JobId& job, std::uint64_t units, unsigned quorum) {
  return {{"schema", kSchema},
          {"type", "submitted"},
          {"job", to_hex(job)},
          {"units", units},
          {"quorum", quorum}};
}

json summary_json(const JobId& job, const Tally& tally) {
  return {{"schema", kSchema},         {"type", "summary"},          {"job", to_hex(job)},
          {"units", tally.units},      {"verified", tally.verified}, {"failed", tally.failed},
          {"disputed", tally.disputed}};
}

}  // namespace shoal::cli
