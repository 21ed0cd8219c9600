#include "sdk/cli/job_results.h"

#include <utility>

#include "sdk/cli/json_values.h"
#include "sdk/cli/schema.h"
#include "sdk/src/remote_job.h"

namespace shoal::cli {
namespace {

// As a line, and in the tally: an output that cannot be had counts as failed.
void print_unit(Client& client, RemoteJob& core, const detail::UnitRun& run, std::uint64_t place,
                Tally& tally) {
  const std::uint64_t unit = run.first + place;
  if (!run.ok) {
    const UnitError& error = run.errors.at(place);
    ++(error.kind == FailureReason::kDisputed ? tally.disputed : tally.failed);
    print(json_line(failure_json(unit, error)));
    return;
  }
  const auto large = run.large.find(place);
  if (large == run.large.end()) {
    print(json_line(result_json(unit, json_of_bytes(run.inline_output(place)))));
    ++tally.verified;
    return;
  }
  try {
    print(json_line(result_json(unit, json_of_bytes(core.fetch(run, place)))));
    ++tally.verified;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kOutputLost) throw;
    ++tally.failed;
    print(json_line(
        failure_json(unit, UnitError{FailureReason::kBadAnswer, error.what(), 0, std::string()})));
  }
  // It was printed: all outputs of a job together may be more than the disk takes.
  if (const auto content = id_from_hex<ContentId>(large->second.content)) {
    client.drop_output(*content);
  }
}

}  // namespace

Result<Tally, Failure> print_results(PoolAccess& pool, const JobId& job, std::uint64_t units,
                                     const Settings& settings) {
  Tally tally;
  tally.units = units;
  ProgressBar bar(settings);
  const auto notice = notices(settings, bar);
  RemoteJob core(pool.client, job, units, true, notice);
  try {
    while (const auto run = core.next()) {
      for (std::uint64_t place = 0; place < run->count; ++place) {
        if (pool.interrupts->reason() != Interrupts::Reason::kNone) {
          return tl::unexpected(pool.failure(Error(ErrorCode::kCancelled, "Interrupted.")));
        }
        bar.make_way();
        print_unit(*pool.client, core, *run, place, tally);
        bar.show(tally);
      }
      if (auto written = flush_output(); !written) return tl::unexpected(written.error());
      bar.show(tally, true);
      if (!notice) continue;
      for (const std::string& line : pool.client->take_complaints(job)) notice(line);
    }
  } catch (const Error& error) {
    return tl::unexpected(pool.failure(error));
  }
  return tally;
}

void close_job(PoolAccess& pool, const JobId& job) { pool.client->close_later(job); }

}  // namespace shoal::cli
