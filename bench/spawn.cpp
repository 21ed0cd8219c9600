#include <chrono>
#include <string>

#include "bench/lone_executor.h"
#include "bench/run.h"

namespace shoal::bench {
namespace {

constexpr int kRuns = 30;

// From nothing to the executor's greeting.
Result<double, std::string> spawn_ms(const Run& run, SandboxLevel level) {
  const LoneExecutor::Wish wish{SandboxKind::kNative, "shoal-bench-executor", {}, {}, {}, level};
  const auto start = std::chrono::steady_clock::now();
  const auto executor = LoneExecutor::start(run, wish);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  if (!executor) return tl::unexpected(executor.error());
  return took.count();
}

}  // namespace

Measured measure_spawn(const Run& run) {
  Figure figure{"sandbox.spawn", "ms", {}, {}, "the same with limits alone", {}};
  figure.bound = Bound{Judged::kDifference, Sense::kAtMost, 5, 3};
  for (int i = 0; i < kRuns; ++i) {
    const auto full = spawn_ms(run, SandboxLevel::kFull);
    if (!full) return tl::unexpected(full.error());
    const auto plain = spawn_ms(run, SandboxLevel::kNone);
    if (!plain) return tl::unexpected(plain.error());
    figure.values.push_back(*full);
    figure.references.push_back(*plain);
  }
  run.report(figure);
  return {};
}

}  // namespace shoal::bench
