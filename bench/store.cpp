#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <system_error>
#include <vector>

#include "bench/process.h"
#include "bench/random_file.h"
#include "bench/run.h"
#include "node/content/store/content_store.h"

// A file on its way into the store: copied, hashed, and safe on the disk.
namespace shoal::bench {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kFileBytes = 512 * kMiB;
constexpr int kRuns = 5;
constexpr std::chrono::seconds kPatience{60};

double mib_a_second(Clock::time_point start) {
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return static_cast<double>(kFileBytes) / kMiB / seconds;
}

// What was written before is on the disk, so that the next one need not wait for it.
void settle() { ::sync(); }

Result<double, std::string> store(const fs::path& file, const fs::path& folder) {
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  auto store = ContentStore::open(folder);
  if (!store) return tl::unexpected(store.error().what);
  settle();
  const auto start = Clock::now();
  const auto named = (*store)->put_file(file);
  if (!named) return tl::unexpected(named.error().what);
  return mib_a_second(start);
}

Result<double, std::string> program(const fs::path& name,
                                    const std::vector<std::string>& arguments) {
  settle();
  const auto start = Clock::now();
  auto process = Process::start({name, arguments, {}, {}});
  if (!process) return tl::unexpected(process.error());
  std::string line;
  while ((*process)->read_line(line, Clock::now() + kPatience) == Process::Read::kLine) {
  }
  const double rate = mib_a_second(start);
  const int status = (*process)->await_end(Clock::now() + kPatience);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return rate;
  return tl::unexpected(name.string() + " failed");
}

}  // namespace

Measured measure_store(const Run& run) {
  const fs::path file = run.folder / "data";
  const fs::path copy = run.folder / "copy";
  if (auto wrote = write_random_file(file, kFileBytes); !wrote) return wrote;
  std::vector<double> stored, hashed, copied;
  std::error_code ignored;
  for (int i = 0; i < kRuns; ++i) {
    const auto hash = program("/usr/bin/sha256sum", {file.string()});
    if (!hash) return tl::unexpected(hash.error());
    fs::remove(copy, ignored);
    const auto cp = program("/usr/bin/cp", {file.string(), copy.string()});
    if (!cp) return tl::unexpected(cp.error());
    const auto put = store(file, run.folder / "store");
    if (!put) return tl::unexpected(put.error());
    hashed.push_back(*hash);
    copied.push_back(*cp);
    stored.push_back(*put);
  }
  const bool hash_is_slower = median(hashed) < median(copied);
  run.report({"content.store", "MiB/s", stored, hash_is_slower ? hashed : copied,
              hash_is_slower ? "sha256sum" : "cp",
              Bound{Judged::kRatio, Sense::kAtLeast, 0.8, 1.0}});
  return {};
}

}  // namespace shoal::bench
