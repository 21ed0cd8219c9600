#include "sdk/cli/submit_program.h"

#include <charconv>
#include <iterator>
#include <optional>
#include <sstream>
#include <utility>

#include "node/protocol/program_template.h"
#include "sdk/cli/explain.h"
#include "sdk/cli/job_results.h"
#include "sdk/cli/program_job.h"
#include "sdk/cli/program_results.h"
#include "sdk/cli/quantities.h"
#include "sdk/cli/results_folder.h"
#include "sdk/cli/schema.h"

namespace shoal::cli {
namespace {

// Those whose results are to be computed, by what is in the folder already.
std::vector<ProgramUnit> units_left(const ProgramJob& job, const ProgramWish& wish,
                                    const ResultsFolder& folder) {
  std::vector<ProgramUnit> left;
  for (const ProgramUnit& unit : job.units) {
    const Hash256 key = unit_key(job, unit);
    const bool wanted = wish.retry_failed ? folder.failed(key) : !folder.holds(key);
    if (wanted) left.push_back(unit);
  }
  return left;
}

// Where none of the units that it names has failed there: who has mended an input or an argument,
// and finds nothing done, must not take that for success.
std::optional<Failure> nothing_to_retry(const ProgramJob& job, const ResultsFolder& folder) {
  std::size_t missing = 0;
  for (const ProgramUnit& unit : job.units) missing += folder.holds(unit_key(job, unit)) ? 0 : 1;
  if (missing == 0) return std::nullopt;
  return Failure{kError, "none of the " + std::to_string(job.units.size()) +
                             " units has failed in " + folder.path().string() +
                             " with these arguments and inputs, and " + std::to_string(missing) +
                             " of them have no result there. --resume computes those."};
}

Outcome follow_program(PoolAccess& pool, const JobId& id, const ProgramJob& job,
                       const std::vector<ProgramUnit>& units, const Manifest& manifest,
                       ResultsFolder* folder, const SubmitPolicy& policy,
                       const Settings& settings) {
  const auto identify = [&](std::uint64_t index) {
    const ProgramUnit& unit = units.at(index);
    return UnitIdentity{unit.number, to_hex(unit_key(job, unit)), name_of(unit)};
  };
  auto tally = take_program_results(pool, id, manifest, folder, identify, settings);
  if (!tally) {
    Failure failure = tally.error();
    if (failure.exit_code != kCancelled) failure.what += "\n" + way_back(id);
    return tl::unexpected(std::move(failure));
  }
  if (settings.json) print(json_line(summary_json(id, *tally)));
  if (auto written = flush_output(); !written) {
    return fail(written.error().exit_code, written.error().what + "\n" + way_back(id));
  }
  if (!policy.keep) close_job(pool, id);
  if (!settings.quiet) {
    say(manifest.name + ": " + tally_text(*tally) +
        (folder != nullptr ? ", in " + folder->path().string() : ""));
  }
  return tally->exit_code();
}

}  // namespace

Result<void, Failure> apply(const SubmitPolicy& policy, const Settings& settings,
                            Manifest& manifest) {
  if (!policy.name.empty()) manifest.name = policy.name;
  manifest.quorum = settings.quorum;
  manifest.max_attempts = policy.max_attempts;
  if (policy.keep_for.empty()) return {};
  const auto keep = parse_duration(policy.keep_for);
  if (!keep || *keep < std::chrono::seconds(1)) {
    return fail(kUsage, "'" + policy.keep_for +
                            "' is no time for results to be kept: that looks like 36h or 30d, and "
                            "is at most 1000d.");
  }
  manifest.keep_s =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(*keep).count());
  return {};
}

Result<JobId, Failure> hand_over(PoolAccess& pool, const Manifest& manifest,
                                 const SubmitPolicy& policy, const Settings& settings) {
  const Signed signed_manifest = pool.client->sign(manifest);
  const JobId job = job_id_of(signed_manifest.body);
  auto accepted = pool.client->submit(signed_manifest, {.wait_for_quorum = policy.wait_for_quorum,
                                                        .stewards = policy.stewards,
                                                        .receipts = !policy.detach});
  if (!accepted) {
    Failure failure = pool.failure(accepted.error());
    if (accepted.error().kind == ClientError::Kind::kInterrupted) {
      failure.what +=
          " No worker has acknowledged the job yet; if one takes it all the same, "
          "'shoal job list' shows " +
          short_hex(job) + ".";
    } else if (accepted.error().why == JobRefused::Why::kQuorumTooLarge) {
      failure.what += " Here that is --quorum N or --wait-for-quorum.";
    }
    return tl::unexpected(std::move(failure));
  }
  if (settings.json) {
    print(json_line(submitted_json(job, manifest.units, manifest.quorum)));
  } else if (policy.detach) {
    print(to_hex(job));
  }
  if (auto written = flush_output(); !written) return tl::unexpected(written.error());
  if (!settings.quiet) {
    say(manifest.name + ": " + units_text(manifest.units) + ", job " + to_hex(job));
  }
  return job;
}

Outcome submit_program(const ProgramWish& wish, const SubmitPolicy& policy,
                       const Settings& settings) {
  auto job = plan_program(wish);
  if (!job) return tl::unexpected(job.error());
  Manifest policed;  // what is wrong with the policy is said before anything is put anywhere
  if (auto set = apply(policy, settings, policed); !set) return tl::unexpected(set.error());
  if (!ticket_of(settings)) return tl::unexpected(ticket_of(settings).error());
  auto pool = join_pool(settings);
  if (!pool) return tl::unexpected(pool.error());
  if (auto put = put_contents(wish, pool->client->content(), *job); !put) {
    return tl::unexpected(put.error());
  }
  const bool again = wish.resume || wish.retry_failed;
  std::optional<ResultsFolder> folder;
  if (!wish.results_folder.empty() || !wish.outputs.empty() || again) {
    auto opened =
        ResultsFolder::open(wish.results_folder.empty() ? kResultsUsual : wish.results_folder);
    if (!opened) return tl::unexpected(opened.error());
    folder.emplace(std::move(*opened));
  }
  const std::vector<ProgramUnit> units = again ? units_left(*job, wish, *folder) : job->units;
  if (units.size() < job->units.size() && !settings.quiet) {
    say(std::to_string(job->units.size() - units.size()) + " of " +
        std::to_string(job->units.size()) + " units are not computed: " +
        (wish.retry_failed ? "they have not failed" : "their results are in ") +
        (wish.retry_failed ? "" : folder->path().string()) + ".");
  }
  if (units.empty()) {
    if (wish.retry_failed) {
      if (auto none = nothing_to_retry(*job, *folder)) return tl::unexpected(std::move(*none));
    }
    return kSuccess;
  }
  auto manifest = manifest_of(*job, units, wish, pool->client->content());
  if (!manifest) return tl::unexpected(manifest.error());
  if (auto set = apply(policy, settings, *manifest); !set) return tl::unexpected(set.error());
  const auto id = hand_over(*pool, *manifest, policy, settings);
  if (!id) return tl::unexpected(id.error());
  if (policy.detach) {
    if (!settings.quiet) say(way_back(*id));
    return kSuccess;
  }
  return follow_program(*pool, *id, *job, units, *manifest, folder ? &*folder : nullptr, policy,
                        settings);
}

Outcome submit_job_file(const std::string& file, const ProgramWish& wish, SubmitPolicy policy,
                        Settings settings) {
  auto read = read_job_file(file, wish);
  if (!read) return tl::unexpected(read.error());
  if (policy.name.empty()) policy.name = read->name;
  if (policy.keep_for.empty()) policy.keep_for = read->keep_for;
  if (read->max_attempts != 0 && policy.max_attempts == limits::kAttemptsDefault) {
    policy.max_attempts = read->max_attempts;
  }
  if (read->quorum != 0 && !settings.quorum_given) settings.quorum = read->quorum;
  return submit_program(read->wish, policy, settings);
}

void add_program_options(CLI::App& submit, ProgramWish& wish) {
  const auto file = [&](const char* flag, std::string& to, const char* about) {
    submit.add_option(flag, to, about)->type_name("FILE");
  };
  const auto list = [&](const char* flag, std::vector<std::string>& to, const char* about,
                        const char* type) {
    submit.add_option(flag, to, about)->type_name(type)->allow_extra_args(false);
  };
  submit.add_option("--array", wish.array, "One unit for each number")
      ->type_name("FIRST-LAST[:STEP]");
  file("--each-line", wish.lines_file, "One unit for each line; - is stdin");
  file("--from-json", wish.json_file, "One unit for each value of a JSON list, or of each line");
  submit.add_option("--colsep", wish.column_separator, "Splits lines into {1}, {2}...")
      ->type_name("TEXT");
  list("--input", wish.inputs, "A file or folder that units need; PATH=NAME gives it another name",
       "PATH");
  list("--ship", wish.ships, "A program that is brought along, as a static binary or a script",
       "PATH");
  list("--output", wish.outputs, "A file or folder that a unit leaves as its result; * and ? match",
       "NAME");
  submit.add_flag("--stdout", wish.standard_output,
                  "What it writes to stdout is a result (usual where there is no --output)");
  list("--needs", wish.needs, "A program that must be installed on the worker", "NAME");
  list("--env", wish.environment, "A variable for the program", "NAME=VALUE");
  submit.add_option("--ok-exit", wish.exit_statuses, "Exit statuses that count as success (0)")
      ->type_name("N")
      ->delimiter(',')
      ->allow_extra_args(false);
  submit
      .add_option("--compare", wish.compare,
                  "When results are equal: bytes, text, image, numeric:TOLERANCE[,abs=TOLERANCE], "
                  "each with ,drop=PATTERN for lines to leave out")
      ->type_name("HOW");
  submit
      .add_option_function<std::string>(
          "--compare-with",
          [&wish](const std::string& command) {
            std::istringstream words(command);
            wish.compare_with.assign(std::istream_iterator<std::string>(words), {});
          },
          "A command that says whether two results are equal: it gets the names of two folders, "
          "and ends with 0 or 1")
      ->type_name("COMMAND");
  list("--drop", wish.dropped, "Leave lines that match out of results", "PATTERN");
  submit.add_option("--time-limit", wish.time_limit, "A unit may run so long (default 1h)")
      ->type_name("TIME");
  submit.add_option("--memory", wish.memory, "A unit may have so much memory")->type_name("SIZE");
  submit.add_option("--output-limit", wish.output_limit, "A unit's result may be so large (64M)")
      ->type_name("SIZE");
  submit.add_option("-o,--results", wish.results_folder, "Where results go (default results)")
      ->type_name("FOLDER");
  submit.add_flag("--resume", wish.resume,
                  "Compute only units whose results are not in that folder yet");
  submit.add_flag("--retry-failed", wish.retry_failed, "Compute only units that have failed there");
}

}  // namespace shoal::cli
