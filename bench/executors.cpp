#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "bench/curve_echo.h"
#include "bench/kernels.h"
#include "bench/lone_executor.h"
#include "bench/process.h"
#include "bench/run.h"
#include "bench/task_module.h"
#include "node/protocol/program_spec.h"
#include "worker/runtime/launch.h"
#if defined(SHOAL_WASM)
#include "tasks/mandelbrot/kernel.h"
#endif

namespace shoal::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr int kPrograms = 50;
constexpr int kNoopRuns = 5;
constexpr int kMemoryRuns = 5;
constexpr std::uint64_t kNoopUnits = 2'000'000;
constexpr std::uint64_t kRequests = 300'000;
constexpr std::uint64_t kWindow = 64;
[[maybe_unused]] constexpr int kEngineMs = 10'000;
constexpr char kTrue[] = "/bin/true";
constexpr double kMiB = 1024.0 * 1024.0;

void ignore(const ChunkPart&) {}

// One kind of executor, and a kernel of which it can compute unit 0 without any input.
struct Kind {
  std::string name;
  LoneExecutor::Wish wish;
  std::string kernel;
  Bytes parameters;
};

Kind native() {
  return {"native", {SandboxKind::kNative, "shoal-bench-executor"}, "noop", encode(Nothing{})};
}

Kind program() {
  ProgramSpec spec;
  spec.arguments = {kTrue};
  spec.standard_output = true;
  spec.wall_ms = 60'000;
  spec.output_bytes_max = 1 << 20;
  return {
      "program", {SandboxKind::kProgram, "shoal-program-executor"}, kProgramKernel, encode(spec)};
}

#if defined(SHOAL_WASM)
// As a worker starts it.
Result<Kind, std::string> wasm(const Run& run) {
  const auto module = build_task_module(run);
  if (!module) return tl::unexpected(module.error());
  const auto engine = run_and_read(run.programs / "shoal-wasm-executor", "--engine", kEngineMs);
  if (!engine) return tl::unexpected(engine.error());
  // Its version, and the library's path.
  std::istringstream lines(*engine);
  std::string line;
  std::getline(lines, line);
  std::getline(lines, line);
  const std::filesystem::path libraries = std::filesystem::path(line).parent_path();
  LoneExecutor::Wish wish{
      SandboxKind::kWasm, "shoal-wasm-executor", {module->string(), "0"}, {*module}};
  if (!libraries.string().starts_with("/usr/")) {
    wish.readable.push_back(libraries);
    wish.library_folder = libraries;
  }
  return Kind{"wasm", wish, "mandelbrot", encode(mandelbrot::Params{})};
}
#endif

// It has computed a unit by then.
Result<std::unique_ptr<LoneExecutor>, std::string> warm(const Run& run, const Kind& kind) {
  auto executor = LoneExecutor::start(run, kind.wish);
  if (!executor) return executor;
  (*executor)->use(kind.kernel, kind.parameters);
  if (auto done = (*executor)->compute(1, ignore); !done) return tl::unexpected(done.error());
  return executor;
}

// With nothing around it.
Result<double, std::string> plain_ms() {
  std::string path = kTrue;
  char* arguments[] = {path.data(), nullptr};
  int status = 0;
  const auto begin = Clock::now();
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::execve(path.c_str(), arguments, ::environ);
    ::_exit(127);
  }
  if (pid < 0 || ::waitpid(pid, &status, 0) != pid || status != 0) {
    return tl::unexpected(path + " cannot be run");
  }
  return Milliseconds(Clock::now() - begin).count();
}

Measured measure_programs(const Run& run) {
  Figure figure{"program.spawn",
                "ms",
                {},
                {},
                "fork, exec and wait of the same program",
                Bound{Judged::kDifference, Sense::kAtMost, 5, 3}};
  if (!run.wants(figure.name)) return {};
  auto executor = warm(run, program());
  if (!executor) return tl::unexpected(executor.error());
  for (int i = 0; i < kPrograms; ++i) {
    const auto begin = Clock::now();
    if (auto done = (*executor)->compute(1, ignore); !done) return done;
    figure.values.push_back(Milliseconds(Clock::now() - begin).count());
    const auto reference = plain_ms();
    if (!reference) return tl::unexpected(reference.error());
    figure.references.push_back(*reference);
  }
  run.report(figure);
  return {};
}

Measured measure_noop_rate(const Run& run) {
  Figure figure{"executor.noop",
                "units/s",
                {},
                {},
                "raw ZeroMQ requests/s over CURVE, window 64",
                Bound{Judged::kRatio, Sense::kAtLeast, 10, 20}};
  if (!run.wants(figure.name)) return {};
  auto executor = warm(run, native());
  if (!executor) return tl::unexpected(executor.error());
  auto echo = CurveEcho::start();
  if (!echo) return tl::unexpected(echo.error());
  for (int i = 0; i < kNoopRuns; ++i) {
    figure.references.push_back((*echo)->requests_per_second(kRequests, kWindow));
    std::uint64_t bytes = 0;
    const auto begin = Clock::now();
    const auto done = (*executor)->compute(
        kNoopUnits, [&](const ChunkPart& part) { bytes += part.outputs.size(); });
    const std::chrono::duration<double> took = Clock::now() - begin;
    if (!done) return done;
    if (bytes < kNoopUnits) return tl::unexpected(std::string("units have no output"));
    figure.values.push_back(static_cast<double>(kNoopUnits) / took.count());
  }
  run.report(figure);
  return {};
}

// Of the executors, with the sandboxes around them.
Result<double, std::string> memory_mib(
    const std::vector<std::unique_ptr<LoneExecutor>>& executors) {
  double sum = 0;
  for (const auto& executor : executors) {
    for (const pid_t pid : family(executor->pid())) {
      const auto bytes = proportional_memory(pid);
      if (!bytes) return tl::unexpected(std::string("the kernel does not tell what it shares"));
      sum += static_cast<double>(*bytes);
    }
  }
  return sum / kMiB;
}

// Beside another of its kind, which has the same programs and libraries in memory.
Measured measure_memory(const Run& run, const Kind& kind, const Bound& bound) {
  Figure figure{"executor.memory." + kind.name, "MiB", {}, {}, "", bound};
  if (!run.wants(figure.name)) return {};
  for (int i = 0; i < kMemoryRuns; ++i) {
    std::vector<std::unique_ptr<LoneExecutor>> executors;
    double before = 0;
    for (int count = 0; count < 2; ++count) {
      auto executor = warm(run, kind);
      if (!executor) return tl::unexpected(executor.error());
      executors.push_back(std::move(*executor));
      const auto taken = memory_mib(executors);
      if (!taken) return tl::unexpected(taken.error());
      if (count == 1) figure.values.push_back(*taken - before);
      before = *taken;
    }
  }
  run.report(figure);
  return {};
}

}  // namespace

std::vector<std::string> executor_figures() {
  std::vector<std::string> names{"program.spawn", "executor.noop", "executor.memory.native",
                                 "executor.memory.program"};
#if defined(SHOAL_WASM)
  names.emplace_back("executor.memory.wasm");
#endif
  return names;
}

Measured measure_executors(const Run& run) {
  const auto at_most = [](double bound) {
    return Bound{Judged::kValue, Sense::kAtMost, bound, bound / 2};
  };
  if (auto measured = measure_programs(run); !measured) return measured;
  if (auto measured = measure_memory(run, native(), at_most(4)); !measured) return measured;
  if (auto measured = measure_memory(run, program(), at_most(4)); !measured) return measured;
  if (auto measured = measure_noop_rate(run); !measured) return measured;
#if defined(SHOAL_WASM)
  if (run.wants("executor.memory.wasm")) {
    const auto kind = wasm(run);
    if (!kind) return tl::unexpected(kind.error());
    return measure_memory(run, *kind, at_most(48));
  }
#endif
  return {};
}

}  // namespace shoal::bench
