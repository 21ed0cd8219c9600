#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

// What befalls a pool, written down from a seed before anything runs: the same seed and options
// give the same script on every machine.
namespace shoal::cluster {

enum class Verb : std::uint8_t {
  kKill,  // a worker, as a power failure does; its disk stays
  kRestart,
  kStop,  // a worker freezes: its links stay, and nobody answers
  kContinue,
  kCut,  // two hear nothing of each other
  kHeal,
  kFill,  // a worker's disk
  kFree,
  kKillCoordinator,
  kRestartCoordinator,
  kLoseSteward,  // the worker that leads a job at that moment dies, and never comes back
};

struct Step {
  std::chrono::milliseconds pause{0};  // before it
  Verb verb = Verb::kKill;
  std::string one, other;  // on whom; `other` for kCut and kHeal
};
std::string to_string(const Step& step);

struct ScriptOptions {
  std::uint64_t seed = 1;
  std::size_t steps = 0;
  std::vector<std::string> workers;
  std::vector<std::string> others;  // may be cut off, and nothing else
  bool lose_steward = false;        // once, half way
};
// So many steps, and after them those that undo all that is left: every worker runs again, all hear
// each other, and no disk is full. At most a third of the workers are dead or frozen at once, and
// at most kFaultsAtOnce faults are there.
inline constexpr std::size_t kFaultsAtOnce = 4;
std::vector<Step> write_script(const ScriptOptions& options);

}  // namespace shoal::cluster
