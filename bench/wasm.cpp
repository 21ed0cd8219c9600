#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/run.h"
#include "bench/task_module.h"
#include "tasks/align/kernel.h"
#include "tasks/ising/kernel.h"
#include "tasks/lucas_lehmer/kernel.h"
#include "tasks/mandelbrot/kernel.h"
#include "worker/wasm/instances.h"

namespace shoal::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRuns = 5;
constexpr int kWarmUnits = 2'000;
constexpr std::chrono::seconds kCompilePatience{60};

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// A kernel with one unit's arguments, both ways.
struct Contender {
  std::string name;
  KernelEntry native;
  Bytes parameters;
  Bytes input;
};

template <class P, class I, class O>
Contender contender(const Kernel<P, I, O>& kernel, const P& params, const I& input) {
  return {kernel.name(), kernel, encode(params), encode(input)};
}

std::vector<Contender> contenders() {
  mandelbrot::Params picture;
  picture.width = 0.003;
  picture.tile = 128;
  picture.centre_x = -0.743643887;
  picture.centre_y = 0.131825904;
  align::Params scoring;
  align::Tile tile;
  tile.first_target = 1;
  const std::string residues = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVKALPDA";
  tile.queries = {residues + residues + residues};
  tile.targets = {residues.substr(7) + residues, residues + residues.substr(20)};
  return {contender(ising::kernel(), ising::Params{}, ising::walk_at(2.2, 1)),
          contender(mandelbrot::kernel(), picture, std::uint64_t{26}),
          contender(align::kernel(), scoring, tile)};
}

// Units a second, over half a second or more.
template <class Unit>
double rate_of(const Unit& unit) {
  const auto begin = Clock::now();
  double units = 0;
  while (seconds_since(begin) < 0.5) {
    unit();
    ++units;
  }
  return units / seconds_since(begin);
}

Measured measure_speed(const Run& run, wasm::Instances& module) {
  for (const Contender& each : contenders()) {
    Figure figure{"wasm.speed." + each.name,
                  "units/s",
                  {},
                  {},
                  "the same source, natively",
                  Bound{Judged::kRatio, Sense::kAtLeast, 0.85, 1.0}};
    const UnitFunction native = each.native.prepare(each.parameters);
    Bytes expected;
    native({0, ByteView(each.input)}, expected);
    Bytes output;
    const auto in_wasm = [&] {
      output.clear();
      module.run_unit({each.name, each.parameters, 0, ByteView(each.input), nullptr}, output);
    };
    in_wasm();
    if (output != expected) return tl::unexpected(each.name + " has another result in wasm");
    for (int i = 0; i < kRuns; ++i) {
      figure.values.push_back(rate_of(in_wasm));
      figure.references.push_back(rate_of([&] {
        output.clear();
        native({0, ByteView(each.input)}, output);
      }));
    }
    run.report(figure);
  }
  return {};
}

// The least that a unit can be: an exponent that needs no test.
void measure_warm(const Run& run, wasm::Instances& module) {
  Figure figure{"wasm.unit_warm", "us", {}, {}, "", Bound{Judged::kValue, Sense::kAtMost, 150, 75}};
  const Bytes exponent = encode(std::uint32_t{4});
  const Bytes parameters = encode(lucas_lehmer::Params{});
  for (int i = 0; i < kRuns; ++i) {
    const auto begin = Clock::now();
    for (int unit = 0; unit < kWarmUnits; ++unit) {
      Bytes output;
      module.run_unit({"lucas_lehmer", parameters, 0, ByteView(exponent), nullptr}, output);
    }
    figure.values.push_back(seconds_since(begin) * 1e6 / kWarmUnits);
  }
  run.report(figure);
}

// From fork to the greeting on its socket.
Result<double, std::string> spawn_ms(const std::filesystem::path& program,
                                     const std::vector<std::string>& arguments) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return tl::unexpected(std::string("no socket"));
  }
  const std::string path = program.string();
  std::vector<std::string> texts = arguments;
  std::vector<char*> argv{const_cast<char*>(path.c_str())};
  for (std::string& text : texts) argv.push_back(text.data());
  argv.push_back(nullptr);
  std::string variable = "SHOAL_EXECUTOR_FD=3";
  char* environment[] = {variable.data(), nullptr};
  const auto begin = Clock::now();
  const pid_t pid = ::fork();
  if (pid == 0) {
    // dup2 onto itself would leave the descriptor to be closed.
    const int moved = ::dup(ends[1]);
    if (::dup2(moved, 3) == 3) ::execve(path.c_str(), argv.data(), environment);
    ::_exit(127);
  }
  ::close(ends[1]);
  char byte = 0;
  const bool greeted = pid > 0 && ::recv(ends[0], &byte, 1, 0) == 1;
  const double took = seconds_since(begin) * 1e3;
  ::close(ends[0]);
  if (pid > 0) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  if (!greeted) return tl::unexpected(path + " has not greeted");
  return took;
}

Measured measure_greeting(const Run& run, const std::filesystem::path& module) {
  Figure figure{"wasm.spawn",
                "ms",
                {},
                {},
                "shoal-executor, with no sandbox either",
                Bound{Judged::kValue, Sense::kAtMost, 40, 20}};
  for (int i = 0; i < kRuns; ++i) {
    auto took = spawn_ms(run.programs / "shoal-wasm-executor", {module.string()});
    if (!took) return tl::unexpected(took.error());
    auto reference = spawn_ms(run.programs / "shoal-executor", {});
    if (!reference) return tl::unexpected(reference.error());
    figure.values.push_back(*took);
    figure.references.push_back(*reference);
  }
  run.report(figure);
  return {};
}

}  // namespace

std::vector<std::string> wasm_figures() {
  return {"wasm.unit_warm", "wasm.speed.ising", "wasm.speed.mandelbrot", "wasm.speed.align",
          "wasm.spawn"};
}

Measured measure_wasm(const Run& run) {
  const auto file = build_task_module(run);
  if (!file) return tl::unexpected(file.error());
  std::ifstream stream(*file, std::ios::binary);
  const Bytes bytes{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  // First, while this process has no threads.
  if (auto measured = measure_greeting(run, *file); !measured) return measured;
  // Never ended: the engine's threads may be at work to the end of the process.
  [[maybe_unused]] const auto* engine = new wasm::Engine(2);
  auto module = wasm::CompiledModule::compile(bytes, kCompilePatience);
  if (!module) return tl::unexpected(module.error());
  wasm::Watchdog dog;
  wasm::Instances instances(*module, 0, dog);
  measure_warm(run, instances);
  return measure_speed(run, instances);
}

}  // namespace shoal::bench
