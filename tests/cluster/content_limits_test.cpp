// What contents take of a machine and its line: as much as its owner says, however large they are.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>

#include "node/protocol/sanitized.h"
#include "tests/cluster/content_pool.h"
#include "tests/cluster/mersenne.h"

namespace shoal::cluster {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kMiB = 1 << 20;
constexpr double kRate = 4 * kMiB;
constexpr std::size_t kSize = 48 * kMiB;  // 12 s
constexpr double kTooFast = 1.05;

class ContentLimits : public ContentPool {
 protected:
  // What lies on the disk of the contents of an account, or a worker. Of one that comes, that part
  // which has come.
  static std::uint64_t bytes_in(const fs::path& contents) {
    std::uint64_t bytes = 0;
    std::error_code ignored;
    for (const auto& entry : fs::recursive_directory_iterator(contents, ignored)) {
      struct stat about {};
      if (::stat(entry.path().c_str(), &about) == 0 && S_ISREG(about.st_mode)) {
        bytes += static_cast<std::uint64_t>(about.st_blocks) * 512;
      }
    }
    return bytes;
  }
  // From the first block until `await_end` comes back. A machine that is slow makes it slower, and
  // what comes after the last block too; nothing makes it faster than it is.
  static void expect_no_faster(const fs::path& contents, const std::function<void()>& await_end) {
    std::uint64_t before = 0;
    EXPECT_TRUE(comes_true([&] { return (before = bytes_in(contents)) >= kMiB; }));
    const auto began = Clock::now();
    await_end();
    const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
    const double rate =
        static_cast<double>(kSize - std::min<std::uint64_t>(before, kSize)) / seconds;
    std::printf("%.3f of the rate, for %.1f s\n", rate / kRate, seconds);
    EXPECT_LT(before, kSize / 6) << "too much had come before it was looked at";
    EXPECT_GT(seconds, 10 / kTooFast);
    EXPECT_LT(rate, kTooFast * kRate);
  }
  Process& pin(const std::string& worker, const std::string& name, Line more) {
    more.insert(more.end(), {"--pin", name});
    return cluster_.start_worker(worker, more);
  }
};

TEST_F(ContentLimits, AWorkerFetchesNoFasterThanItsOwnerAllows) {
  cluster_.start_coordinator();
  write("data", kSize);
  const auto put = cluster_.start({"put", place("data"), "--serve"});
  Process& worker = pin("slow", served(*put), {"--download-rate", "4M"});
  expect_no_faster(cluster_.state_of("slow") / "content", [&] {
    EXPECT_TRUE(worker.await_err(has_text("is pinned here"))) << worker.err();
  });
}

TEST_F(ContentLimits, AWorkerSendsNoFasterThanItsOwnerAllows) {
  cluster_.start_coordinator();
  const std::string bytes = write("data", kSize);
  const auto put = cluster_.start({"put", place("data"), "--serve"});
  const std::string name = served(*put);
  Process& worker = pin("slow", name, {"--upload-rate", "4M"});
  ASSERT_TRUE(worker.await_err(has_text("is pinned here"))) << worker.err();
  put->signal(SIGINT);
  EXPECT_EQ(put->exit_code(), 0) << put->err();
  const auto get =
      cluster_.start({"get", name, "-o", place("copy"), "--wait", "1m"}, another("bob"));
  expect_no_faster(place("bob"), [&] { EXPECT_EQ(get->exit_code(), 0) << get->err(); });
  EXPECT_TRUE(read("copy") == bytes);
}

TEST_F(ContentLimits, MemoryDoesNotGrowWithTheContent) {
  constexpr std::uint64_t kMost = 64 * kMiB;
  constexpr std::uint64_t kLarge = 1024 * kMiB;
  cluster_.start_coordinator();
  write("data", 1);
  fs::resize_file(place("data"), kLarge);
  const auto put = cluster_.start({"put", place("data"), "--serve"});
  const std::string name = served(*put);
  Process& worker = pin("keeper", name, {});
  ASSERT_TRUE(worker.await_err(has_text("is pinned here"), std::chrono::minutes(5)))
      << worker.err();
  const auto get = cluster_.start({"get", name, "-o", place("copy")}, another("bob"));
  std::uint64_t getting = 0;
  for (int code = -1; code != 0;) {
    getting = std::max(getting, peak_memory_of(get->pid()));
    code = get->exit_code(std::chrono::milliseconds(10));
    ASSERT_TRUE(code == 0 || code == -1) << get->err();
  }
  EXPECT_EQ(fs::file_size(place("copy")), kLarge);
  for (const auto& [what, peak] :
       {std::pair("put", peak_memory_of(put->pid())),
        std::pair("the worker", peak_memory_of(worker.pid())), std::pair("get", getting)}) {
    std::printf("%s had %llu MiB at most\n", what, static_cast<unsigned long long>(peak / kMiB));
    EXPECT_GT(peak, 0U) << what;
    EXPECT_TRUE(kSanitized || peak < kMost) << what;
  }
}

}  // namespace
}  // namespace shoal::cluster
