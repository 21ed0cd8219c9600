#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <system_error>

#include "bench/pool.h"
#include "bench/process.h"
#include "bench/run.h"

// Memory that does not grow with the content.
namespace shoal::bench {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kContentBytes = 4ULL << 30;
constexpr double kMiB = 1 << 20;
constexpr double kMostMiB = 64;
constexpr auto kPatience = std::chrono::minutes(10);
constexpr auto kLookEvery = std::chrono::milliseconds(20);

Result<std::unique_ptr<Process>, std::string> shoal(const Run& run, const Pool& pool,
                                                    const std::string& who,
                                                    std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--ticket", pool.ticket_text()});
  return Process::start({.program = run.programs / "shoal",
                         .arguments = std::move(arguments),
                         .log = run.folder / (who + ".log"),
                         .core = {},
                         .variables = {{"XDG_STATE_HOME", (run.folder / who).string()}}});
}

// The most that it has had, until its stdout ends, a moment before it does.
double peak_until_its_end(Process& process) {
  double most = 0;
  std::string line;
  const auto deadline = Clock::now() + kPatience;
  while (Clock::now() < deadline) {
    most = std::max(most, static_cast<double>(memory_field(process.pid(), "VmHWM")) / kMiB);
    if (process.read_line(line, Clock::now() + kLookEvery) == Process::Read::kEnded) break;
  }
  return most;
}

}  // namespace

Measured measure_content_memory(const Run& run) {
  const fs::path file = run.folder / "data";
  std::ofstream(file).close();
  std::error_code error;
  fs::resize_file(file, kContentBytes, error);
  if (error) return tl::unexpected(file.string() + ": " + error.message());
  auto pool = Pool::start(run, {.workers = 0, .coordinator_core = {}});
  if (!pool) return tl::unexpected(pool.error());
  auto put = shoal(run, **pool, "putting", {"put", "--serve", file.string()});
  if (!put) return tl::unexpected(put.error());
  std::string name;
  if ((*put)->read_line(name, Clock::now() + kPatience) != Process::Read::kLine) {
    return tl::unexpected("nothing was put: " + (*put)->account());
  }
  const fs::path copy = run.folder / "copy";
  auto get = shoal(run, **pool, "getting", {"get", name, "-o", copy.string(), "--wait", "1m"});
  if (!get) return tl::unexpected(get.error());
  const double getting = peak_until_its_end(**get);
  const int status = (*get)->await_end(Clock::now() + kPatience);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return tl::unexpected("nothing was fetched: " + (*get)->account());
  }
  if (fs::file_size(copy, error) != kContentBytes)
    return tl::unexpected(std::string("the copy is not whole"));
  const double putting = static_cast<double>(memory_field((*put)->pid(), "VmHWM")) / kMiB;
  const Bound bound{Judged::kValue, Sense::kAtMost, kMostMiB, kMostMiB / 2};
  run.report({"content.memory.put", "MiB", {putting}, {}, "", bound});
  run.report({"content.memory.get", "MiB", {getting}, {}, "", bound});
  return {};
}

}  // namespace shoal::bench
