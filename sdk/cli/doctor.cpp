#include "sdk/cli/doctor.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "node/protocol/plain_text.h"
#include "node/protocol/shared_key.h"
#include "node/state/clock.h"
#include "node/state/key_file.h"
#include "sdk/cli/commands.h"
#include "sdk/cli/explain.h"
#include "sdk/cli/pool_access.h"
#include "sdk/cli/probe.h"
#include "sdk/cli/programs.h"
#include "sdk/cli/schema.h"
#include "sdk/src/places.h"

// shoal doctor
namespace shoal::cli {
namespace {

using Level = Finding::Level;

constexpr std::chrono::milliseconds kDialPatience{2'000};
// Records are dated by their makers: one from the future says that two clocks differ.
constexpr UnixMs kClockToleranceMs = 30'000;

std::string_view name_of(Level level) {
  switch (level) {
    case Level::kFact:
      return "note";
    case Level::kGood:
      return "good";
    case Level::kDoubtful:
      return "doubtful";
    case Level::kBad:
      return "bad";
  }
  return "note";
}

Colour colour_of(Level level) {
  switch (level) {
    case Level::kFact:
      return Colour::kNone;
    case Level::kGood:
      return Colour::kGreen;
    case Level::kDoubtful:
      return Colour::kYellow;
    case Level::kBad:
      return Colour::kRed;
  }
  return Colour::kNone;
}

void look_at_programs(Diagnosis& diagnosis) {
  if (program_folder().empty()) return diagnosis.add(Level::kBad, "programs", kNoProc);
  std::string missing;
  for (const char* name :
       {"shoal-coordinator", "shoal-worker", "shoal-executor", "shoal-sandbox"}) {
    if (!can_run(program_folder() / name))
      missing += (missing.empty() ? "" : ", ") + std::string(name);
  }
  const std::string folder = program_folder().string();
  if (missing.empty()) {
    diagnosis.add(Level::kGood, "programs", "all in " + folder);
  } else {
    // A machine that only submits needs none of them.
    diagnosis.add(Level::kDoubtful, "programs",
                  missing + " not in " + folder + ": this machine can only submit");
  }
  std::string tasks;
  for (const std::string& task : tasks_there()) tasks += (tasks.empty() ? "" : ", ") + task;
  diagnosis.add(Level::kFact, "tasks", tasks.empty() ? "none installed" : tasks);
}

void look_at_folders(Diagnosis& diagnosis) {
  const std::string config = folder_fault(config_folder());
  diagnosis.add(config.empty() ? Level::kGood : Level::kDoubtful, "config folder",
                config_folder().string() + (config.empty() ? "" : ": " + config));
  const std::string state = folder_fault(state_folder());
  if (state.empty()) {
    diagnosis.add(Level::kGood, "state folder", state_folder().string());
    return;
  }
  diagnosis.blame("state folder", state_folder().string() + ": " + state,
                  "the state folder cannot be written: mend that, or set XDG_STATE_HOME", kError);
}

// Only read: it is made when something is submitted.
void look_at_key(Diagnosis& diagnosis) {
  const auto key = load_key(state_folder() / "submitter.key");
  if (!key) return;
  diagnosis.add(Level::kFact, "your key",
                to_hex(key->id()) + ", for whoever starts a worker with --trust");
}

void look_at_pool(Diagnosis& diagnosis, const Settings& settings, const Ticket& ticket) {
  std::vector<SeenDoor> doors;
  for (const Ticket::Door& door : ticket.doors) {
    doors.push_back({door, dial_fault(door.endpoint, kDialPatience)});
  }
  Settings quiet = settings;
  quiet.quiet = true;
  auto pool = join_pool(quiet, ticket, state_folder());
  if (!pool) {
    judge_doors(diagnosis, doors, nullptr);
    diagnosis.blame("pool", pool.error().what, pool.error().what, pool.error().exit_code);
    return;
  }
  const auto seen = pool->client->workers();
  judge_doors(diagnosis, doors, seen ? &*seen : nullptr);
  if (!seen) {
    const Failure failure = pool->failure(seen.error());
    diagnosis.blame("pool", failure.what, failure.what, failure.exit_code);
    return;
  }
  judge_pool(diagnosis, *seen, doors, unix_ms_now());
  if (seen->workers.empty()) return;
  judge_keys(diagnosis, *seen);
  judge_kinds(diagnosis, *seen);
  judge_paths(diagnosis, *seen);
  if (const auto jobs = pool->client->jobs()) judge_jobs(diagnosis, *jobs);
}

// A machine that only submits needs none.
void look_at_engine(Diagnosis& diagnosis) {
  if (!can_run(program_folder() / "shoal-worker")) return;
  const std::string executor = "shoal-wasm-executor";
  const std::string version = engine_version(program_folder() / executor);
  if (!version.empty()) return diagnosis.add(Level::kGood, "WebAssembly", "by " + version);
  diagnosis.add(Level::kDoubtful, "WebAssembly",
                "a worker here takes none: " + executor +
                    (can_run(program_folder() / executor)
                         ? " cannot be started ('" + executor + " --engine' says why)"
                         : " is not installed beside shoal-worker"));
}

bool is_worker(const WorkersReady& seen, const NodeId& node) {
  return std::any_of(seen.workers.begin(), seen.workers.end(),
                     [&](const auto& worker) { return worker.record.node == node; });
}

Outcome run_doctor(const Settings& settings) {
  Diagnosis diagnosis;
  look_at_programs(diagnosis);
  look_at_folders(diagnosis);
  look_at_key(diagnosis);
  judge_sandbox(diagnosis, sandbox_layers(program_folder() / "shoal-sandbox"));
  look_at_engine(diagnosis);
  if (const auto ticket = ticket_of(settings)) {
    diagnosis.add(Level::kGood, "ticket",
                  "pool '" + ticket->name + "' (" + short_hex(ticket->pool) + "), " +
                      std::to_string(ticket->doors.size()) +
                      (ticket->doors.size() == 1 ? " way in, from " : " ways in, from ") +
                      settings.ticket_origin);
    look_at_pool(diagnosis, settings, *ticket);
  } else {
    diagnosis.blame("ticket", ticket.error().what, ticket.error().what, kUsage);
  }
  if (settings.json) {
    print(json_line(diagnosis_json(diagnosis)));
    return diagnosis.exit_code;
  }
  const bool colour = wants_colour(STDOUT_FILENO, process_environment());
  for (const Finding& finding : diagnosis.findings) {
    std::string level(name_of(finding.level));
    const std::string space(9 - level.size(), ' ');
    if (colour) level = painted(level, colour_of(finding.level));
    print(level + space + plain_text(finding.what + ": " + finding.text));
  }
  print(plain_text(last_line(diagnosis)));
  return diagnosis.exit_code;
}

}  // namespace

void Diagnosis::add(Level level, std::string what, std::string text) {
  findings.push_back({level, std::move(what), std::move(text)});
}

void Diagnosis::blame(std::string what, std::string text, const std::string& advice, int code) {
  add(Level::kBad, std::move(what), std::move(text));
  if (!reason.empty()) return;
  reason = advice;
  exit_code = code;
}

void judge_sandbox(Diagnosis& diagnosis, const std::vector<std::string>& layers) {
  if (layers.empty()) {
    return diagnosis.add(Level::kDoubtful, "sandbox", "shoal-sandbox cannot be run");
  }
  std::set<std::string> missing;
  for (const std::string& line : layers) {
    const std::string layer = line.substr(0, line.find(": "));
    const std::string value = line.substr(std::min(layer.size() + 2, line.size()));
    const bool works = value == "yes" || (!value.empty() && value != "0" &&
                                          value.find_first_not_of("0123456789") == value.npos);
    if (!works) missing.insert(layer);
    // Nothing needs it, and a service may have what this process has not.
    const Level lack = layer == "cgroup" ? Level::kFact : Level::kDoubtful;
    diagnosis.add(works ? Level::kGood : lack, "sandbox: " + layer,
                  value == "0" ? "not in this kernel, or forbidden here" : value);
  }
  const bool full = !missing.contains("namespaces");
  std::string so;
  if (missing.contains("not root")) {
    so = "nothing: strangers' code would run as root; let an ordinary user start the worker";
  } else if (missing.contains("seccomp") || (!full && missing.contains("landlock"))) {
    so = "nothing: strangers' code would be without a lock on files or on system calls";
  } else if (!full) {
    so = "WebAssembly and the kernels that ship with Shoal alone, by Landlock and seccomp; no "
         "native programs and no programs";
  } else if (missing.contains("proc")) {
    so = "all kinds; but programs find an empty /proc, and no /dev/stdin, /dev/stdout, /dev/stderr";
  }
  if (so.empty()) return diagnosis.add(Level::kGood, "sandbox: good for", "all kinds of units");
  diagnosis.add(Level::kDoubtful, "sandbox: good for", so + " (docs/sandbox.md)");
}

void judge_doors(Diagnosis& diagnosis, const std::vector<SeenDoor>& doors,
                 const WorkersReady* seen) {
  for (const SeenDoor& one : doors) {
    const bool listens = one.fault.empty();
    std::string what = "way in";
    if (seen != nullptr && is_worker(*seen, one.door.node)) {
      what = "worker as a way in";
    } else if (seen != nullptr && seen->coordinators_up > 0 && listens) {
      what = "coordinator";
    }
    diagnosis.add(listens ? Level::kGood : Level::kDoubtful, what,
                  one.door.endpoint + (listens ? " accepts connections" : ": " + one.fault));
  }
}

void judge_pool(Diagnosis& diagnosis, const WorkersReady& seen, const std::vector<SeenDoor>& doors,
                UnixMs now) {
  std::size_t coordinators = 0;
  std::size_t listening = 0;
  for (const SeenDoor& one : doors) {
    coordinators += is_worker(seen, one.door.node) ? 0 : 1;
    listening += one.fault.empty() ? 1 : 0;
  }
  const std::string up =
      std::to_string(seen.coordinators_up) + " of " + std::to_string(coordinators);
  if (seen.coordinators_up == 0 && seen.workers.empty()) {
    diagnosis.blame("coordinators", up + " answer",
                    listening == 0
                        ? "no coordinator can be reached: start one with 'shoal coordinator', or "
                          "see whether the network or a firewall is in the way"
                        : "what listens there is no coordinator of this pool: the ticket is of "
                          "another pool, or the coordinator has another key",
                    kUnreachable);
    return;
  }
  if (coordinators == 0) {
    diagnosis.add(Level::kFact, "coordinators", "the ticket names workers alone as ways in");
  } else {
    diagnosis.add(seen.coordinators_up >= coordinators ? Level::kGood : Level::kDoubtful,
                  "coordinators",
                  up + " answer; " + std::to_string(seen.nodes_known) + " nodes are known");
  }
  if (seen.workers.empty()) {
    diagnosis.blame("workers", "none can be seen",
                    seen.nodes_known > 0
                        ? "the coordinator knows nodes, but none is a worker whose record is "
                          "valid by the clock of this machine: start workers, and set the clock"
                        : "no worker has joined the pool: start one with 'shoal worker'",
                    kUnreachable);
    return;
  }
  std::size_t answering = 0;
  std::uint64_t threads = 0;
  UnixMs ahead = 0;
  for (const auto& worker : seen.workers) {
    answering += worker.status ? 1 : 0;
    threads += worker.record.threads;
    ahead = std::max(ahead, worker.record.sequence - now);
  }
  const std::string count = std::to_string(answering) + " of " +
                            std::to_string(seen.workers.size()) + " answer, with " +
                            std::to_string(threads) + " threads";
  if (answering == 0) {
    diagnosis.blame("workers", count,
                    "workers are known, but none of them can be reached from here: see whether a "
                    "firewall or address translation is in the way",
                    kUnreachable);
  } else {
    diagnosis.add(Level::kGood, "workers", count);
  }
  if (ahead > kClockToleranceMs) {
    diagnosis.add(Level::kDoubtful, "clock",
                  "a worker's clock is " + std::to_string(ahead / 1000) +
                      " s ahead of this machine's: set both by NTP");
  } else {
    diagnosis.add(Level::kGood, "clock", "no worker's is ahead of this machine's");
  }
}

void judge_keys(Diagnosis& diagnosis, const WorkersReady& seen) {
  for (const auto& worker : seen.workers) {
    const std::string doing = worker.status ? worker.status->doing : "";
    const auto said = doing.find(kKeyIsShared);
    if (said == std::string::npos) continue;
    diagnosis.add(Level::kDoubtful, "worker " + short_hex(worker.record.node), doing.substr(said));
  }
}

void judge_kinds(Diagnosis& diagnosis, const WorkersReady& seen) {
  std::size_t shipped = 0;
  std::size_t wasm = 0;
  for (const auto& worker : seen.workers) {
    shipped += worker.record.kernels.empty() ? 0 : 1;
    wasm += worker.record.runs_wasm ? 1 : 0;
  }
  const std::string all = std::to_string(seen.workers.size());
  // Of those that take none, the owners have said so, or their machines lack something: a job that
  // waits for it says which.
  diagnosis.add(shipped > 0 && wasm > 0 ? Level::kFact : Level::kDoubtful, "kinds of kernels",
                std::to_string(shipped) + " of " + all + " workers take those that ship, " +
                    std::to_string(wasm) + " of " + all +
                    " WebAssembly; programs and native code as their owners trust you");
}

void judge_paths(Diagnosis& diagnosis, const WorkersReady& seen) {
  std::map<LinkPath, std::size_t> paths;
  std::size_t hidden = 0;
  std::size_t stranded = 0;
  std::size_t mapped = 0;
  std::size_t punched = 0;
  std::size_t relayed = 0;
  for (const auto& worker : seen.workers) {
    punched += worker.status ? worker.status->links_punched : 0;
    relayed += worker.status ? worker.status->links_relayed : 0;
    if (worker.path) ++paths[*worker.path];
    if (!worker.record.via.empty()) ++hidden;
    if (worker.status && !worker.status->mapped.empty()) ++mapped;
    const bool unreachable =
        worker.status && worker.status->reachability == Reachability::kUnreachable;
    if (unreachable && worker.record.via.empty()) ++stranded;
  }
  std::string text;
  for (const auto& [path, count] : paths) {
    text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + std::string(name_of(path));
  }
  if (text.empty()) return;
  text += " from here";
  if (hidden > 0) text += "; " + std::to_string(hidden) + " cannot be dialled and have relays";
  if (mapped > 0) {
    text += "; routers let others in to " + std::to_string(mapped) + " that asked them to";
  }
  if (punched > 0 || relayed > 0) {
    text += "; of the workers' own links " + std::to_string(punched) + " ends are punched, " +
            std::to_string(relayed) + " relayed";
  }
  diagnosis.add(Level::kFact, "paths", text);
  if (stranded == 0) return;
  diagnosis.add(Level::kDoubtful, "relays",
                std::to_string(stranded) +
                    " workers cannot be dialled and name no relay: others of their kind reach them "
                    "only once there is a worker that can be dialled by all");
}

void judge_jobs(Diagnosis& diagnosis, const std::vector<JobStatus>& jobs) {
  for (const JobStatus& job : jobs) {
    const std::string why = explanation(job, std::nullopt);
    const bool waits = why.starts_with("It waits");
    diagnosis.add(waits ? Level::kDoubtful : Level::kGood, "job " + short_hex(job.job), why);
    if (waits && diagnosis.reason.empty()) {
      diagnosis.reason = "job " + short_hex(job.job) + ": " + why;
    }
  }
}

std::string last_line(const Diagnosis& diagnosis) {
  if (!diagnosis.reason.empty()) return "Most likely: " + diagnosis.reason;
  return "Nothing is in the way as far as can be seen from here.";
}

nlohmann::json diagnosis_json(const Diagnosis& diagnosis) {
  nlohmann::json findings = nlohmann::json::array();
  for (const Finding& finding : diagnosis.findings) {
    findings.push_back(
        {{"level", name_of(finding.level)}, {"what", finding.what}, {"text", finding.text}});
  }
  return {{"schema", kSchema}, {"findings", std::move(findings)}, {"reason", diagnosis.reason}};
}

void add_doctor(CLI::App& app, Chosen& chosen) {
  CLI::App* doctor = app.add_subcommand(
      "doctor", "Look for what is in the way; the last line is the most likely reason");
  add_ticket(*doctor, chosen);
  add_common(*doctor, chosen);
  doctor->callback([&chosen] { chosen.run = run_doctor; });
}

}  // namespace shoal::cli
