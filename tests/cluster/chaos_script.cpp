#include "tests/cluster/chaos_script.h"

#include <algorithm>
#include <optional>

#include "node/protocol/rng.h"

namespace shoal::cluster {
namespace {

constexpr std::uint64_t kPauseLeastMs = 300;
constexpr std::uint64_t kPauseMostMs = 1500;

Verb undoing(Verb verb) {
  switch (verb) {
    case Verb::kKill:
      return Verb::kRestart;
    case Verb::kStop:
      return Verb::kContinue;
    case Verb::kCut:
      return Verb::kHeal;
    case Verb::kFill:
      return Verb::kFree;
    case Verb::kKillCoordinator:
      return Verb::kRestartCoordinator;
    case Verb::kRestart:
    case Verb::kContinue:
    case Verb::kHeal:
    case Verb::kFree:
    case Verb::kRestartCoordinator:
    case Verb::kLoseSteward:
      break;
  }
  return verb;
}

std::string name_of(Verb verb) {
  switch (verb) {
    case Verb::kKill:
      return "kill";
    case Verb::kRestart:
      return "restart";
    case Verb::kStop:
      return "stop";
    case Verb::kContinue:
      return "continue";
    case Verb::kCut:
      return "cut";
    case Verb::kHeal:
      return "heal";
    case Verb::kFill:
      return "fill the disk of";
    case Verb::kFree:
      return "free the disk of";
    case Verb::kKillCoordinator:
      return "kill the coordinator";
    case Verb::kRestartCoordinator:
      return "restart the coordinator";
    case Verb::kLoseSteward:
      return "lose a steward";
  }
  return {};
}

class Writer {
 public:
  explicit Writer(const ScriptOptions& options) : options_(options), rng_(options.seed) {
    everybody_ = options.workers;
    everybody_.insert(everybody_.end(), options.others.begin(), options.others.end());
  }

  std::vector<Step> write() {
    while (script_.size() < options_.steps) {
      if (options_.lose_steward && script_.size() == options_.steps / 2) {
        add({{}, Verb::kLoseSteward, {}, {}});
      } else if (rng_.below(kFaultsAtOnce) < faults_.size()) {
        undo_one();
      } else {
        do_one();
      }
    }
    while (!faults_.empty()) undo_one();
    return std::move(script_);
  }

 private:
  void add(Step step) {
    step.pause =
        std::chrono::milliseconds(kPauseLeastMs + rng_.below(kPauseMostMs - kPauseLeastMs));
    script_.push_back(std::move(step));
  }
  void undo_one() {
    const auto which = faults_.begin() + static_cast<std::ptrdiff_t>(rng_.below(faults_.size()));
    Step step = *which;
    // A worker does not start on a full disk: first the space, then the worker.
    const auto full = find(Verb::kFill, step.one);
    if (step.verb == Verb::kKill && full != faults_.end()) step = *full;
    faults_.erase(find(step.verb, step.one, step.other));
    step.verb = undoing(step.verb);
    add(std::move(step));
  }
  void do_one() {
    // Kills are the commonest, since each finds the pool in another state.
    constexpr Verb kFaults[] = {Verb::kKill, Verb::kKill, Verb::kStop,
                                Verb::kCut,  Verb::kFill, Verb::kKillCoordinator};
    Step step;
    step.verb = kFaults[rng_.below(std::size(kFaults))];
    if (step.verb == Verb::kCut) {
      step.one = any(everybody_);
      step.other = any(everybody_);
    } else if (step.verb != Verb::kKillCoordinator) {
      step.one = any(options_.workers);
    }
    if (!possible(step)) return;
    faults_.push_back(step);
    add(std::move(step));
  }
  bool possible(const Step& step) {
    if (step.verb == Verb::kCut) {
      return step.one != step.other && find(step.verb, step.one, step.other) == faults_.end() &&
             find(step.verb, step.other, step.one) == faults_.end();
    }
    if (step.verb == Verb::kKill || step.verb == Verb::kStop) {
      const auto away = std::count_if(faults_.begin(), faults_.end(), [](const Step& fault) {
        return fault.verb == Verb::kKill || fault.verb == Verb::kStop;
      });
      return 3 * static_cast<std::size_t>(away + 1) <= options_.workers.size() &&
             find(Verb::kKill, step.one) == faults_.end() &&
             find(Verb::kStop, step.one) == faults_.end();
    }
    return find(step.verb, step.one) == faults_.end();
  }
  std::vector<Step>::iterator find(Verb verb, const std::string& one,
                                   const std::string& other = {}) {
    return std::find_if(faults_.begin(), faults_.end(), [&](const Step& fault) {
      return fault.verb == verb && fault.one == one && fault.other == other;
    });
  }
  const std::string& any(const std::vector<std::string>& names) {
    return names[rng_.below(names.size())];
  }

  const ScriptOptions& options_;
  Rng rng_;
  std::vector<std::string> everybody_;
  std::vector<Step> faults_;  // that are there, as the steps that made them
  std::vector<Step> script_;
};

}  // namespace

std::string to_string(const Step& step) {
  return name_of(step.verb) + (step.one.empty() ? "" : " " + step.one) +
         (step.other.empty() ? "" : " from " + step.other);
}

std::vector<Step> write_script(const ScriptOptions& options) { return Writer(options).write(); }

}  // namespace shoal::cluster
