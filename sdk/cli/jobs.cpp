#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "node/protocol/plain_text.h"
#include "node/protocol/program_spec.h"
#include "sdk/cli/commands.h"
#include "sdk/cli/explain.h"
#include "sdk/cli/job_results.h"
#include "sdk/cli/job_steering.h"
#include "sdk/cli/pool_access.h"
#include "sdk/cli/program_results.h"
#include "sdk/cli/quantities.h"
#include "sdk/cli/schema.h"

// shoal job list | show | watch | results | cancel | pause | resume | priority | explain
namespace shoal::cli {
namespace {

constexpr std::chrono::milliseconds kWatchEvery{1'000};
constexpr std::chrono::milliseconds kAttachPatience{15'000};

struct Asked {
  std::string id;
  bool close = false;
  std::string results_folder;
  std::int32_t priority = 0;
};
using Action = Outcome (*)(const Asked&, const Settings&);

std::string state_text(const JobStatus& status, bool found) {
  return std::string(found ? name_of(status.phase) : "unreachable");
}

// "2 of 3": those that are here.
std::string stewards_text(const JobStatus& status) {
  return std::to_string(status.stewards_here) + " of " + std::to_string(status.stewards.size());
}

struct Listed {
  JobStatus status;
  bool found = false;
};

// Those that the pool tells of, and those that only this account remembers.
Result<std::vector<Listed>, Failure> all_jobs(PoolAccess& pool) {
  auto told = pool.client->jobs();
  if (!told) return tl::unexpected(pool.failure(told.error()));
  std::vector<Listed> all;
  for (const JobStatus& status : *told) all.push_back({status, true});
  for (const JobId& job : pool.client->matching("")) {
    if (std::any_of(told->begin(), told->end(),
                    [&](const JobStatus& status) { return status.job == job; })) {
      continue;
    }
    const auto entry = pool.client->remembered(job);
    if (!entry.manifest) continue;
    if (const auto manifest = decode_manifest(entry.manifest->body)) {
      all.push_back({unknown_status(job, *manifest), false});
    }
  }
  std::sort(all.begin(), all.end(), [](const Listed& a, const Listed& b) {
    return std::pair(a.status.created, a.status.job) < std::pair(b.status.created, b.status.job);
  });
  return all;
}

Outcome run_list(const Asked&, const Settings& settings) {
  auto pool = join_pool(settings);
  if (!pool) return tl::unexpected(pool.error());
  const auto jobs = all_jobs(*pool);
  if (!jobs) return tl::unexpected(jobs.error());
  if (settings.json) {
    nlohmann::json list = nlohmann::json::array();
    for (const Listed& job : *jobs) list.push_back(job_json(job.status, job.found));
    print(json_line({{"schema", kSchema}, {"jobs", std::move(list)}}));
    return kSuccess;
  }
  if (jobs->empty()) {
    if (!settings.quiet) say("No job of this account is known. 'shoal submit' hands one in.");
    return kSuccess;
  }
  Table table(
      {"job", "name", "state", "units", "verified", "failed", "disputed", "stewards", "created"});
  for (const auto& [status, found] : *jobs) {
    const auto number = [known = found](std::uint64_t n) {
      return known ? std::to_string(n) : std::string("?");
    };
    table.add({to_hex(status.job).substr(0, 16), status.name, state_text(status, found),
               std::to_string(status.units), number(status.verified), number(status.failed),
               number(status.disputed), found ? stewards_text(status) : "?",
               local_time(status.created)});
  }
  print(table.text());
  return kSuccess;
}

// The pool, the job that is meant, and what its steward says of it.
struct Known {
  PoolAccess pool;
  JobId job;
  std::optional<JobStatus> status;
};
Result<Known, Failure> find_job(const Asked& asked, const Settings& settings) {
  auto pool = join_pool(settings);
  if (!pool) return tl::unexpected(pool.error());
  const auto job = resolve_job(*pool, asked.id);
  if (!job) return tl::unexpected(job.error());
  Known known{std::move(*pool), *job, std::nullopt};
  auto status = status_of(known.pool, known.job);
  if (!status) return tl::unexpected(status.error());
  known.status = std::move(*status);
  return known;
}

tl::unexpected<Failure> unknown_job(Known& known) {
  const auto seen = known.pool.client->workers();
  return fail(kError, "Job " + short_hex(known.job) + ": " +
                          explanation(std::nullopt, seen ? std::optional(*seen) : std::nullopt));
}

std::string kept_text(const JobStatus& status) {
  if (status.kept_until != 0) return local_time(status.kept_until);
  if (status.keep_s == 0) return "-";
  return duration_text(std::chrono::seconds(status.keep_s)) + " after its end";
}

void print_status(const JobStatus& status) {
  Table table({"job", to_hex(status.job)});
  const auto row = [&](const char* what, const std::string& value) { table.add({what, value}); };
  row("name", status.name);
  row("state", state_text(status, true));
  row("submitter", to_hex(status.submitter));
  row("created", local_time(status.created));
  row("units", std::to_string(status.units));
  row("verified", std::to_string(status.verified));
  row("failed", std::to_string(status.failed));
  row("disputed", std::to_string(status.disputed));
  row("committed", std::to_string(status.committed) + " wait for a second opinion");
  row("leased", std::to_string(status.leased) + " are with workers");
  row("workers", std::to_string(status.workers));
  row("moved", std::to_string(status.moved) + " came to their worker from another worker");
  row("recomputed", std::to_string(status.recomputed) + " beyond the quorum");
  row("unblinded", std::to_string(status.unblinded) + " had to be verified by the leader itself");
  row("waiting for", status.waiting_for.empty() ? "nothing" : status.waiting_for);
  row("priority", std::to_string(status.priority));
  for (const auto& [what, value] : usage_rows(status.usage)) row(what, value);
  for (std::size_t i = 0; i < status.stewards.size(); ++i) {
    row(i == 0 ? "led by" : "followed by", to_hex(status.stewards[i]));
  }
  row("stewards", stewards_text(status) + " are here");
  row("kept until", kept_text(status));
  print(table.text());
  if (const std::string keeping = keeping_text(status); !keeping.empty()) {
    print(plain_text(keeping));
  }
  print(plain_text(leaving_text(status)));
}

Outcome run_show(const Asked& asked, const Settings& settings) {
  auto known = find_job(asked, settings);
  if (!known) return tl::unexpected(known.error());
  if (!known->status) return unknown_job(*known);
  if (settings.json) {
    print(json_line(job_json(*known->status)));
  } else {
    print_status(*known->status);
  }
  return kSuccess;
}

// Which workers to look after, where none of them can be reached.
std::string remembered_text(const JobBook::Entry& entry) {
  std::string text;
  for (const Ticket::Door& steward : entry.stewards) {
    text += (text.empty() ? " It was kept by " : ", ") + short_hex(steward.node) +
            (steward.endpoint.empty() ? "" : " at " + steward.endpoint);
  }
  return text.empty() ? text : text + ".";
}

Outcome run_explain(const Asked& asked, const Settings& settings) {
  auto known = find_job(asked, settings);
  if (!known) return tl::unexpected(known.error());
  std::optional<WorkersReady> seen;
  if (!known->status) {
    if (auto workers = known->pool.client->workers()) seen = std::move(*workers);
  }
  std::string why = explanation(known->status, seen);
  if (known->status) {
    why += (why.empty() ? "" : " ") + keeping_text(*known->status);
  } else {
    why += remembered_text(known->pool.client->remembered(known->job));
  }
  if (settings.json) {
    print(json_line({{"schema", kSchema},
                     {"job", to_hex(known->job)},
                     {"state", known->status ? name_of(known->status->phase) : "unreachable"},
                     {"explanation", why}}));
  } else {
    print(plain_text(why));
  }
  return kSuccess;
}

Outcome run_watch(const Asked& asked, const Settings& settings) {
  auto known = find_job(asked, settings);
  if (!known) return tl::unexpected(known.error());
  PoolAccess& pool = known->pool;
  ProgressBar bar(settings);
  std::string said;
  for (;;) {
    if (!known->status) return unknown_job(*known);
    const JobStatus& status = *known->status;
    const std::string line =
        settings.json ? json_line(job_json(status))
                      : tally_text(tally_of(status)) +
                            (status.waiting_for.empty() ? "" : "; it waits: " + status.waiting_for);
    if (line != said && settings.json) bar.print(line + "\n");
    bar.show(tally_of(status), true);
    if (line != said && !settings.json && !bar.visible() && !settings.quiet) say(line);
    said = line;
    if (auto written = flush_output(); !written) return tl::unexpected(written.error());
    if (is_over(status)) break;
    if (!pool.interrupts->pause(kWatchEvery)) {
      bar.finish();
      Failure failure = pool.failure(Error(ErrorCode::kCancelled, "Interrupted."));
      failure.what += "\n" + way_back(known->job);
      return tl::unexpected(std::move(failure));
    }
    auto next = pool.client->status(known->job);
    if (!next) return tl::unexpected(pool.failure(next.error()));
    known->status = std::move(*next);
  }
  bar.finish();
  if (!settings.json) print(plain_text(explanation(known->status, std::nullopt)));
  if (known->status->phase == JobPhase::kCancelled) return kCancelled;
  return tally_of(*known->status).exit_code();
}

// Results that are files go into a folder, whether it is named or not.
Result<Tally, Failure> lay_out_results(PoolAccess& pool, const JobId& job, const Manifest& manifest,
                                       const std::string& named, const Settings& settings) {
  const auto spec = decode_program_spec(manifest.parameters);
  const bool files = spec && !spec->outputs.empty();
  std::optional<ResultsFolder> folder;
  if (files || !named.empty()) {
    auto opened = ResultsFolder::open(named.empty() ? kResultsUsual : named);
    if (!opened) return tl::unexpected(opened.error());
    folder.emplace(std::move(*opened));
  }
  return take_program_results(pool, job, manifest, folder ? &*folder : nullptr,
                              identities_of(pool, job, manifest), settings);
}

Outcome run_results(const Asked& asked, const Settings& settings) {
  auto pool = join_pool(settings);
  if (!pool) return tl::unexpected(pool.error());
  const auto job = resolve_job(*pool, asked.id);
  if (!job) return tl::unexpected(job.error());
  auto attached = pool->client->attach(*job, true, kAttachPatience);
  if (!attached) {
    Failure failure = pool->failure(attached.error());
    failure.what = "Job " + short_hex(*job) + ": " + failure.what;
    return tl::unexpected(std::move(failure));
  }
  const auto entry = pool->client->remembered(*job);
  const auto manifest = entry.manifest
                            ? decode_manifest(entry.manifest->body)
                            : Result<Manifest, DecodeError>(tl::unexpected(DecodeError{}));
  if (!manifest) {
    return fail(kError, "The manifest kept for job " + short_hex(*job) +
                            " is damaged: its results cannot be checked any more.");
  }
  const bool program = manifest->kernel_kind == KernelKind::kProgram;
  if (!program && !asked.results_folder.empty()) {
    return fail(kUsage,
                "-o is for jobs of programs, whose results are files. Those of this one are "
                "printed: send them into a file.");
  }
  auto tally = program ? lay_out_results(*pool, *job, *manifest, asked.results_folder, settings)
                       : print_results(*pool, *job, manifest->units, settings);
  if (!tally) {
    Failure failure = tally.error();
    if (failure.exit_code != kCancelled) failure.what += "\n" + way_back(*job);
    return tl::unexpected(std::move(failure));
  }
  if (settings.json) print(json_line(summary_json(*job, *tally)));
  if (auto written = flush_output(); !written) return tl::unexpected(written.error());
  if (asked.close) close_job(*pool, *job);
  if (!settings.quiet) say(manifest->name + ": " + tally_text(*tally));
  return tally->exit_code();
}

template <ControlCommand command>
Outcome run_steer(const Asked& asked, const Settings& settings) {
  return steer_job(asked.id, command, asked.priority, settings);
}

CLI::App* add_action(CLI::App& job, Chosen& chosen, const std::string& name,
                     const std::string& about, Action action, const std::shared_ptr<Asked>& asked,
                     bool of_one = true) {
  CLI::App* command = job.add_subcommand(name, about);
  if (of_one) {
    command->add_option("id", asked->id, "The job's id, or at least 4 of its first digits")
        ->required()
        ->type_name("ID");
  }
  add_ticket(*command, chosen);
  add_timeout(*command, chosen);
  add_common(*command, chosen);
  command->callback([asked, action, &chosen] {
    chosen.run = [asked, action](const Settings& settings) { return action(*asked, settings); };
  });
  return command;
}

}  // namespace

void add_job(CLI::App& app, Chosen& chosen) {
  CLI::App* job = app.add_subcommand("job", "What becomes of jobs that were submitted");
  job->require_subcommand(1);
  const auto asked = std::make_shared<Asked>();
  add_action(*job, chosen, "list", "All jobs of this account", run_list, asked, false);
  add_action(*job, chosen, "show", "All that is known of a job", run_show, asked);
  add_action(*job, chosen, "watch", "Follow a job until it ends", run_watch, asked);
  CLI::App* results = add_action(*job, chosen, "results",
                                 "Fetch each unit's verified result: a line of JSON, or what its "
                                 "program left; waits for those that are not there yet",
                                 run_results, asked);
  results
      ->add_option("-o,--results", asked->results_folder,
                   "The folder for results of programs (default results, where they are files)")
      ->type_name("FOLDER");
  results->add_flag("--close", asked->close,
                    "Accept the results for good: the pool may forget the job");
  add_action(*job, chosen, "cancel", "Stop a job for good", run_steer<ControlCommand::kCancel>,
             asked);
  add_action(*job, chosen, "pause", "Hand out no more of a job's units until it is resumed",
             run_steer<ControlCommand::kPause>, asked);
  add_action(*job, chosen, "resume", "Go on with a job that was paused",
             run_steer<ControlCommand::kResume>, asked);
  CLI::App* priority =
      add_action(*job, chosen, "priority", "Say how much a job matters beside others",
                 run_steer<ControlCommand::kPriority>, asked);
  priority->add_option("priority", asked->priority, "Higher goes first; jobs start with 0")
      ->required()
      ->type_name("N");
  add_action(*job, chosen, "explain", "Why nothing happens, in one line", run_explain, asked);
}

}  // namespace shoal::cli
