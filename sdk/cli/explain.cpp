#include "sdk/cli/explain.h"

#include <fmt/format.h>

#include <algorithm>

#include "sdk/cli/fetch_bar.h"
#include "sdk/cli/output.h"
#include "sdk/cli/quantities.h"
#include "sdk/cli/schema.h"

namespace shoal::cli {
namespace {

std::string ended_text(const Tally& tally) {
  if (tally.verified == tally.units) {
    const bool one = tally.units == 1;
    return "It is done: " + (one ? "its unit is" : "all " + units_text(tally.units) + " are") +
           " verified. 'shoal job results' prints " + (one ? "it." : "them.");
  }
  return "It is done: " + tally_text(tally) + ". 'shoal job results' says why, unit by unit.";
}

std::string running_text(const JobStatus& status) {
  const Tally tally = tally_of(status);
  if (tally.ended() >= tally.units) return ended_text(tally);
  const std::string rest = units_text(tally.units - tally.ended());
  if (!status.waiting_for.empty()) return "It waits: " + status.waiting_for + ".";
  if (status.workers == 0 && !status.leads && status.stewards.size() > 1) {
    return "Who leads it does not answer, and the others know only what has ended: " +
           tally_text(tally) + ". One of them takes its place within seconds; ask again then.";
  }
  if (status.workers == 0) {
    return "It waits: no worker computes any of the " + rest +
           " that are left. 'shoal worker list' shows who is there.";
  }
  return "It moves: " + std::to_string(status.workers) +
         (status.workers == 1 ? " worker computes" : " workers compute") + " what is left, " +
         rest + "; " + std::to_string(status.committed) + " of them wait for a second opinion.";
}

std::string counted(std::size_t n) {
  switch (n) {
    case 1:
      return "one";
    case 2:
      return "two";
    case 3:
      return "three";
    default:
      return std::to_string(n);
  }
}

std::string loss_text(std::size_t here, std::size_t all) {
  if (all == 1) return "if its disk is lost, so is the job";
  if (here > 1) {
    return "the job outlasts the loss of " + (here == 2 ? "either" : "any " + counted(here - 1)) +
           " of them";
  }
  if (here == 1) {
    return "if its disk is lost, so is all that the others have not heard of by then";
  }
  return "nothing moves until one of them is back";
}

std::string seconds_text(std::uint64_t ms) {
  return fmt::format("{:.1f} s", static_cast<double>(ms) / 1e3);
}

}  // namespace

std::string units_text(std::uint64_t count) {
  return std::to_string(count) + (count == 1 ? " unit" : " units");
}

std::string keeping_text(const JobStatus& status) {
  const std::size_t all = status.stewards.size();
  if (all == 0) return {};
  const std::size_t here = std::min<std::size_t>(status.stewards_here, all);
  std::string text = "The worker " + short_hex(status.stewards.front()) + " leads it; ";
  if (all == 1) {
    text += "it is its only steward";
  } else if (here == all) {
    text += "all " + counted(all) + " stewards are here";
  } else {
    text +=
        counted(here) + " of " + counted(all) + " stewards " + (here == 1 ? "is" : "are") + " here";
  }
  text += ": " + loss_text(here, all) + ".";
  if (status.kept_until != 0) {
    text += " Its results are kept until " + local_time(status.kept_until) + ".";
  } else if (status.keep_s != 0) {
    text += " Its results are kept for " + duration_text(std::chrono::seconds(status.keep_s)) +
            " after its end.";
  }
  return text;
}

std::string leaving_text(const JobStatus& status) {
  if (status.phase == JobPhase::kFetching) {
    return "If you left now it would wait for you: its steward lacks its program or inputs.";
  }
  std::string text = "You may leave: ";
  text += status.inputs_held == 0 ? "nothing of it is with you alone"
                                  : "its program and inputs are on " + counted(status.inputs_held) +
                                        (status.inputs_held == 1 ? " worker" : " workers");
  if (status.large_outputs == 0) return text + ".";
  const std::string large = std::to_string(status.large_outputs) + " large results ";
  if (status.thin_outputs == 0) return text + ", and its " + large + "on two or more.";
  return text + ". But " + std::to_string(status.thin_outputs) + " of its " + large +
         "are on less than two until copies are made: to be sure, fetch them first.";
}

std::vector<std::pair<const char*, std::string>> usage_rows(const JobUsage& usage) {
  if (usage.units == 0) return {};
  const auto both = [](const std::string& median, const std::string& most) {
    return median + " the median, " + most + " the most";
  };
  const auto memory = [](std::uint32_t kib) { return bytes_text(1024.0 * kib); };
  return {
      {"unit wall time",
       both(seconds_text(usage.wall_ms.median), seconds_text(usage.wall_ms.most))},
      {"unit CPU time", both(seconds_text(usage.cpu_ms.median), seconds_text(usage.cpu_ms.most))},
      {"unit memory", both(memory(usage.memory_kib.median), memory(usage.memory_kib.most))},
      {"CPU time", seconds_text(usage.cpu_ms_all) + " by the " + units_text(usage.units) +
                       " that were measured, each counted once"}};
}

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
        if (is_over(*status)) return ended_text(tally_of(*status));
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
    return "Nobody can be asked: a coordinator answers, but knows of no worker. Start those that "
           "keep the job again.";
  }
  return "No worker that can be reached keeps this job: those that do are away, and it goes on "
         "when "
         "one of them is back; or the job was closed.";
}

std::string not_taken_text(const NodeRecord& worker) {
  if (worker.kernels.empty() && !worker.runs_wasm) {
    return "; takes neither kernels that ship nor WebAssembly";
  }
  if (worker.kernels.empty()) return "; takes no kernels that ship";
  return worker.runs_wasm ? "" : "; takes no WebAssembly";
}

}  // namespace shoal::cli
