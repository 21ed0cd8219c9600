// The scripts are checked against a plain model of what they do to a pool.

#include "tests/cluster/chaos_script.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <utility>

namespace shoal::cluster {
namespace {

ScriptOptions options(std::uint64_t seed, std::size_t steps = 40) {
  return {.seed = seed,
          .steps = steps,
          .workers = {"a", "b", "c", "d", "e", "f", "g"},
          .others = {"coordinator", "submitter"}};
}

struct Model {
  std::set<std::string> dead, frozen, full;
  std::set<std::pair<std::string, std::string>> cut;
  bool coordinator = true;

  std::size_t faults() const {
    return dead.size() + frozen.size() + full.size() + cut.size() + (coordinator ? 0 : 1);
  }
  // False for a step that makes no sense.
  bool take(const Step& step) {
    const auto pair = std::minmax(step.one, step.other);
    switch (step.verb) {
      case Verb::kKill:
        return !frozen.contains(step.one) && dead.insert(step.one).second;
      case Verb::kRestart:
        return !full.contains(step.one) && dead.erase(step.one) == 1;
      case Verb::kStop:
        return !dead.contains(step.one) && frozen.insert(step.one).second;
      case Verb::kContinue:
        return frozen.erase(step.one) == 1;
      case Verb::kCut:
        return step.one != step.other && cut.insert(pair).second;
      case Verb::kHeal:
        return cut.erase(pair) == 1;
      case Verb::kFill:
        return full.insert(step.one).second;
      case Verb::kFree:
        return full.erase(step.one) == 1;
      case Verb::kKillCoordinator:
        return std::exchange(coordinator, false);
      case Verb::kRestartCoordinator:
        return !std::exchange(coordinator, true);
      case Verb::kLoseSteward:
        return true;
    }
    return false;
  }
};

TEST(ChaosScriptTest, EveryStepMakesSenseAndInTheEndAllIsUndone) {
  std::set<Verb> seen;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    Model pool;
    const auto script = write_script(options(seed));
    ASSERT_GE(script.size(), 40U);
    for (const Step& step : script) {
      seen.insert(step.verb);
      ASSERT_TRUE(pool.take(step)) << "seed " << seed << ": " << to_string(step);
      ASSERT_LE(pool.faults(), kFaultsAtOnce) << "seed " << seed;
      ASSERT_LE(3 * (pool.dead.size() + pool.frozen.size()), 7U) << "seed " << seed;
    }
    EXPECT_EQ(pool.faults(), 0U) << "seed " << seed;
  }
  EXPECT_EQ(seen.size(), 10U) << "every verb but the one that must be asked for";
}

TEST(ChaosScriptTest, TheSeedSaysAll) {
  const auto text_of = [](std::uint64_t seed) {
    std::string text;
    for (const Step& step : write_script(options(seed))) {
      text += std::to_string(step.pause.count()) + " " + to_string(step) + "\n";
    }
    return text;
  };
  EXPECT_EQ(text_of(7), text_of(7));
  EXPECT_NE(text_of(7), text_of(8));
}

TEST(ChaosScriptTest, AStewardIsLostOnceAndOnlyIfAskedFor) {
  const auto lost = [](const std::vector<Step>& script) {
    return std::count_if(script.begin(), script.end(),
                         [](const Step& step) { return step.verb == Verb::kLoseSteward; });
  };
  ScriptOptions asked = options(1);
  EXPECT_EQ(lost(write_script(asked)), 0);
  asked.lose_steward = true;
  EXPECT_EQ(lost(write_script(asked)), 1);
}

}  // namespace
}  // namespace shoal::cluster
