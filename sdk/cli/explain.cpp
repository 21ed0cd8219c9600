#include "sdk/cli/explain.h"

#include "sdk/cli/schema.h"

namespace shoal::cli {
namespace {

std::string units_text(std::uint64_t count) {
  return std::to_string(count) + (count == 1 ? " unit" : " units");
}

std::string ended_text(const Tally& tally) {
  if (tally.verified == tally.units) {
    return "It is done: all " + units_text(tally.units) +
           " are verified. 'shoal job results' prints them.";
  }
  return "It is done: " + tally_text(tally) + ". 'shoal job results' says why, unit by unit.";
}

std::string running_text(const JobStatus& status) {
  const Tally tally = tally_of(status);
  if (tally.ended() >= tally.units) return ended_text(tally);
  const std::string rest = units_text(tally.units - tally.ended());
  if (!status.waiting_for.empty()) return "It waits: " + status.waiting_for + ".";
  if (status.workers == 0) {
    return "It waits: no worker computes any of the " + rest +
           " that are left. 'shoal worker list' shows who is there.";
  }
  return "It moves: " + std::to_string(status.workers) +
         (status.workers == 1 ? " worker computes" : " workers compute") + " what is left, " +
         rest + "; " + std::to_string(status.committed) + " of them wait for a second opinion.";
}

}  // namespace

std::string explanation(const std::optional<JobStatus>& status,
                        const std::optional<WorkersReady>& seen) {
  if (status) {
    switch (status->phase) {
      case JobPhase::kFetching:
        return "It waits: " +
               (status->waiting_for.empty() ? "its steward still fetches the program or the inputs"
                                            : status->waiting_for) +
               ".";
      case JobPhase::kRunning:
        return running_text(*status);
      case JobPhase::kPaused:
        return "It waits: it is paused, and its submitter can resume it.";
      case JobPhase::kDone:
        return ended_text(tally_of(*status));
      case JobPhase::kCancelled:
        return "It was cancelled: " + tally_text(tally_of(*status)) + " by then.";
    }
  }
  if (seen && seen->workers.empty() && seen->coordinators_up == 0) {
    return "Nobody can be asked: no coordinator of the pool answers. 'shoal doctor' says more.";
  }
  if (seen && seen->workers.empty()) {
    return "Nobody can be asked: a coordinator answers, but knows of no worker. Start the one that "
           "leads the job again.";
  }
  return "No worker that can be reached leads this job: the one that does is away, and the job "
         "goes "
         "on when it is back; or the job was closed.";
}

}  // namespace shoal::cli
