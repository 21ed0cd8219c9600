#include <poll.h>

#include <chrono>
#include <string>

#include "bench/run.h"
#include "worker/runtime/executor_process.h"

namespace shoal::bench {
namespace {

constexpr int kRuns = 30;
constexpr int kPatienceMs = 10'000;

// From nothing to the executor's greeting.
Result<double, std::string> spawn_ms(const Run& run, SandboxLevel level) {
  LaunchSpec spec;
  spec.sandbox.program = run.programs / "shoal-sandbox";
  spec.sandbox.level = level;
  spec.program = run.programs / "shoal-bench-executor";
  spec.scratch = run.folder / "scratch";
  const auto start = std::chrono::steady_clock::now();
  auto process = ExecutorProcess::start(spec);
  if (!process) return tl::unexpected(process.error());
  bool greeted = false;
  while (!greeted) {
    pollfd ready{(*process)->socket(), POLLIN, 0};
    if (::poll(&ready, 1, kPatienceMs) != 1) return tl::unexpected(std::string("no greeting"));
    (*process)->read_frames([&](ByteView) {
      greeted = true;
      return std::string();
    });
    if ((*process)->finished_reading()) {
      (*process)->read_output();
      return tl::unexpected("the executor ended: " + (*process)->output_end());
    }
  }
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

}  // namespace

Measured measure_spawn(const Run& run) {
  Figure figure{"sandbox.spawn", "ms", {}, {}, "the same with limits alone", {}};
  figure.bound = Bound{Judged::kValue, Sense::kAtMost, 10, 5};
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
