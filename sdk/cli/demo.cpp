#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "node/state/free_port.h"
#include "sdk/cli/children.h"
#include "sdk/cli/commands.h"
#include "sdk/cli/explain.h"
#include "sdk/cli/json_values.h"
#include "sdk/cli/pool_access.h"
#include "sdk/cli/pool_files.h"
#include "sdk/cli/programs.h"
#include "sdk/cli/schema.h"
#include "sdk/src/remote_job.h"
#include "shoal/values.h"

// shoal demo
namespace shoal::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kStartPatience{20'000};
constexpr std::chrono::milliseconds kDemoPatience{120'000};
constexpr std::size_t kWorkers = 3;
// The picture, in pixels; a character of the terminal shows two of them, one above the other.
constexpr std::uint64_t kWidth = 76;
constexpr std::uint64_t kHeight = 44;
constexpr std::uint64_t kTile = 4;
constexpr std::uint64_t kAcross = kWidth / kTile;
constexpr std::uint64_t kUnits = kAcross * (kHeight / kTile);
constexpr std::uint32_t kIterations = 20'000;
constexpr int kAttempts = 5;

// As the kernel `mandelbrot` gives it: how long each pixel of a tile took to leave.
struct Counts {
  std::vector<std::uint32_t> counts;
  SHOAL_FIELDS(counts)
};

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::error_code error;
    const fs::path base = fs::temp_directory_path(error);
    std::string name = ((error ? fs::path("/tmp") : base) / "shoal-demo-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

Result<MadePool, Failure> start_coordinator(Children& children, const fs::path& folder) {
  std::string last;
  // Somebody else may take the port in the meantime.
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const std::string endpoint = "tcp://127.0.0.1:" + std::to_string(free_port());
    const fs::path home = folder / ("pool-" + std::to_string(attempt));
    auto pool = make_pool({home, "demo", {endpoint}, false});
    if (!pool) return pool;
    auto ready = children.start(program_folder() / "shoal-coordinator",
                                {"--state", home.string(), "--listen", endpoint},
                                folder / "coordinator.log", kStartPatience);
    if (ready) return pool;
    last = ready.error();
  }
  return fail(kError, last);
}

Result<MadePool, Failure> start_pool(Children& children, const fs::path& folder) {
  auto pool = start_coordinator(children, folder);
  if (!pool) return pool;
  for (std::size_t i = 1; i <= kWorkers; ++i) {
    const std::string name = "worker-" + std::to_string(i);
    auto ready = children.start(program_folder() / "shoal-worker",
                                {"--ticket", pool->text, "--state", (folder / name).string(),
                                 "--listen", "tcp://127.0.0.1:0", "--threads", "1"},
                                folder / (name + ".log"), kStartPatience);
    if (!ready) return fail(kError, ready.error());
  }
  return pool;
}

class Picture {
 public:
  void add(std::uint64_t unit, const Counts& counts) {
    const std::uint64_t left = unit % kAcross * kTile;
    const std::uint64_t top = unit / kAcross * kTile;
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(counts.counts.size(), kTile * kTile);
         ++i) {
      pixels_.at((top + i / kTile) * kWidth + left + i % kTile) = counts.counts[i];
    }
  }
  std::string line(std::uint64_t row) const {
    static constexpr std::string_view kShades = " .:-=+*%#@";
    std::string text;
    for (std::uint64_t x = 0; x < kWidth; ++x) {
      const std::uint64_t count =
          (std::uint64_t{pixels_[2 * row * kWidth + x]} + pixels_[(2 * row + 1) * kWidth + x]) / 2;
      std::size_t shade = 0;
      while (shade + 1 < kShades.size() && count >> (shade + 1) != 0) ++shade;
      text += count >= kIterations ? kShades.back() : kShades[std::min(shade, kShades.size() - 2)];
    }
    return text;
  }

 private:
  std::vector<std::uint32_t> pixels_ = std::vector<std::uint32_t>(kWidth * kHeight);
};

Result<Tally, Failure> collect(PoolAccess& pool, const JobId& job, const Settings& settings,
                               Picture& picture) {
  Tally tally;
  tally.units = kUnits;
  ProgressBar bar(settings);
  RemoteJob core(pool.client, job, kUnits, true, {});
  try {
    while (const auto run = core.next()) {
      for (std::uint64_t i = 0; i < run->count; ++i) {
        const auto counts = run->ok ? decode<Counts>(run->inline_output(i))
                                    : tl::expected<Counts, DecodeFailure>(Counts{});
        if (!run->ok || !counts) {
          ++tally.failed;
          continue;
        }
        picture.add(run->first + i, *counts);
        ++tally.verified;
        bar.show(tally);
      }
    }
  } catch (const Error& error) {
    return tl::unexpected(pool.failure(error));
  }
  return tally;
}

Outcome compute(PoolAccess& pool, const Settings& settings) {
  auto parameters = bytes_of_json(
      fmt::format(R"({{"pixels_x":{},"pixels_y":{},"tile":{},"iterations":{},"width":3.2}})",
                  kWidth, kHeight, kTile, kIterations));
  check(parameters.has_value(), "the demo's parameters are unreadable");
  Manifest manifest = new_manifest("mandelbrot", std::move(*parameters));
  manifest.name = "demo";
  manifest.units = kUnits;
  manifest.quorum = 2;
  // The last worker may still be on its way to the coordinator.
  const auto accepted = pool.client->submit(pool.client->sign(manifest), {.wait_for_quorum = true});
  if (!accepted) return tl::unexpected(pool.failure(accepted.error()));
  Picture picture;
  const auto tally = collect(pool, accepted->job, settings, picture);
  if (!tally) return tl::unexpected(tally.error());
  const auto status = pool.client->status(accepted->job);
  const std::uint64_t moved = status && *status ? (*status)->moved : 0;
  if (settings.json) {
    nlohmann::json summary = summary_json(accepted->job, *tally);
    summary["workers"] = kWorkers;
    summary["quorum"] = manifest.quorum;
    summary["moved"] = moved;
    print(json_line(summary));
    return tally->exit_code();
  }
  for (std::uint64_t row = 0; row < kHeight / 2; ++row) print(picture.line(row));
  if (settings.quiet) return tally->exit_code();
  say(tally_text(*tally) + "; two of " + std::to_string(kWorkers) +
      " workers computed each and agreed, and this program has checked their signatures. " +
      units_text(moved) + " came to their worker from another worker.");
  say("All of it was on this machine, and is gone now: that shows the path, not the trust. "
      "'shoal pool init' makes a pool that stays.");
  return tally->exit_code();
}

Outcome run_demo(const Settings& settings) {
  // Until somebody waits for them, Ctrl-C and SIGTERM are kept: what was started must be ended.
  sigset_t wanted;
  ::sigemptyset(&wanted);
  ::sigaddset(&wanted, SIGINT);
  ::sigaddset(&wanted, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &wanted, nullptr);
  const TemporaryFolder folder;
  if (folder.path().empty()) {
    return fail(kError,
                "There is no place for the demo: no folder can be made in the one for "
                "temporary files. Set TMPDIR to one that is writable.");
  }
  Children children;
  if (!settings.quiet) say("Starting a coordinator and three workers on this machine ...");
  const auto started = start_pool(children, folder.path());
  if (!started) return tl::unexpected(started.error());
  Settings calm = settings;
  calm.quiet = true;  // of notices
  if (!calm.timeout) calm.timeout = kDemoPatience;
  auto pool = join_pool(calm, started->ticket, folder.path() / "submitter");
  if (!pool) return tl::unexpected(pool.error());
  return compute(*pool, settings);
}

}  // namespace

void add_demo(CLI::App& app, Chosen& chosen) {
  CLI::App* demo = app.add_subcommand(
      "demo", "A pool of three workers on this machine, a small job, and its verified result");
  add_timeout(*demo, chosen);
  add_common(*demo, chosen);
  demo->callback([&chosen] { chosen.run = run_demo; });
}

}  // namespace shoal::cli
