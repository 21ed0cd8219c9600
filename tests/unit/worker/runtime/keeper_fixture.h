#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "shoal/values.h"
#include "worker/runtime/executor_keeper.h"

// A keeper whose shipped executor is hostile-kernels, in a folder of its own.
namespace shoal {

// As in hostile_kernels_main.cpp.
struct Where {
  std::uint64_t unit = 0;
  std::string folder;
  SHOAL_FIELDS(unit, folder)
};

class Keeper : public ::testing::Test {
 protected:
  Keeper() {
    std::string name = (std::filesystem::temp_directory_path() / "shoal-keeper-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    contents_ = *ContentStore::open(folder_ / "contents");
    config_.shipped_executor = SHOAL_HOSTILE_KERNELS;
    config_.sandbox.program = SHOAL_PROGRAM_DIR "/shoal-sandbox";
    config_.scratch = folder_ / "scratch";
    config_.threads = 2;
    start_keeper();
  }
  ~Keeper() override {
    keeper_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  void start_keeper() { keeper_ = std::make_unique<ExecutorKeeper>(config_, *contents_); }

  std::shared_ptr<Manifest> manifest(const std::string& kernel, Bytes parameters) {
    auto made = std::make_shared<Manifest>();
    made->kernel = kernel;
    made->parameters = std::move(parameters);
    made->units = 1'000'000;
    return made;
  }
  // Of its own for each manifest.
  StartCompute compute(std::shared_ptr<const Manifest> made, Range range) {
    StartCompute start;
    start.chunk = ++last_chunk_;
    start.job.bytes[0] = static_cast<std::uint8_t>(last_chunk_);
    start.manifest = std::move(made);
    start.range = range;
    return start;
  }
  StartCompute compute(const std::string& kernel, Range range, Where where = {}) {
    const bool plain = kernel == "square" || kernel == "noop" || kernel == "sums_in_parallel";
    return compute(manifest(kernel, plain ? encode(Nothing{}) : encode(where)), range);
  }

  // One round: waits for the keeper's descriptors or timeout, and takes what has happened.
  void turn() {
    std::vector<pollfd> watched;
    for (int fd : keeper_->descriptors()) watched.push_back({fd, POLLIN, 0});
    long wait_ms = 20;
    if (const auto timeout = keeper_->next_timeout()) {
      wait_ms =
          std::min<long>(wait_ms, std::chrono::ceil<std::chrono::milliseconds>(*timeout).count());
    }
    poll(watched.data(), watched.size(), static_cast<int>(wait_ms));
    for (KeeperEvent& event : keeper_->collect()) {
      if (auto* done = std::get_if<ComputeDone>(&event)) done_[done->chunk] = std::move(*done);
      if (auto* compared = std::get_if<CompareDone>(&event)) compared_.push_back(*compared);
      if (auto* tell = std::get_if<Tell>(&event)) told_.push_back(tell->text);
    }
  }
  bool turn_until(const std::function<bool()>& holds) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!holds()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      turn();
    }
    return true;
  }
  // Computes `start` to its end.
  ComputeDone run(const StartCompute& start) {
    keeper_->perform(start);
    EXPECT_TRUE(turn_until([&] { return done_.contains(start.chunk); }));
    return done_[start.chunk];
  }

  // Every unit of `range` once: a square in `done`, or in `failed`.
  static void expect_squares_except(const ComputeDone& done, Range range,
                                    const std::set<UnitIndex>& failed) {
    std::set<UnitIndex> seen;
    for (const auto& run : done.done) {
      ASSERT_EQ(run.outputs.sizes.size(), run.range.size());
      ByteView bytes = run.outputs.inline_bytes;
      for (UnitIndex unit = run.range.first; unit < run.range.last; ++unit) {
        const std::size_t size = run.outputs.sizes[unit - run.range.first];
        ASSERT_GE(bytes.size(), size);
        const auto value = decode<std::uint64_t>(bytes.first(size));
        bytes = bytes.subspan(size);
        ASSERT_TRUE(value) << value.error().what;
        EXPECT_EQ(*value, unit * unit);
        EXPECT_TRUE(seen.insert(unit).second) << "twice: " << unit;
      }
      EXPECT_TRUE(bytes.empty());
    }
    std::set<UnitIndex> ended;
    for (const auto& unit : done.failed) ended.insert(unit.unit);
    EXPECT_EQ(ended, failed);
    EXPECT_EQ(done.failed.size(), failed.size());
    for (UnitIndex unit : failed) EXPECT_FALSE(seen.contains(unit));
    EXPECT_EQ(seen.size() + failed.size(), range.size());
  }
  void expect_one_failure(const std::string& kernel, FailureKind kind, const std::string& message) {
    const ComputeDone done = run(compute(kernel, {0, 40}, {7, ""}));
    expect_squares_except(done, {0, 40}, {7});
    ASSERT_EQ(done.failed.size(), 1U);
    EXPECT_EQ(done.failed[0].kind, kind);
    EXPECT_NE(done.failed[0].message.find(message), std::string::npos) << done.failed[0].message;
    // Nothing is left behind: the next chunk runs as if nothing had been.
    expect_squares_except(run(compute("square", {0, 10})), {0, 10}, {});
  }

  static bool is_locked(const std::filesystem::path& file) {
    const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
    const bool locked = flock(fd, LOCK_EX | LOCK_NB) != 0;
    close(fd);
    return locked;
  }
  static std::vector<pid_t> children_of(pid_t process) {
    const std::string pid = std::to_string(process);
    std::ifstream list("/proc/" + pid + "/task/" + pid + "/children");
    return {std::istream_iterator<pid_t>(list), {}};
  }
  static std::vector<pid_t> children_of_this_process() { return children_of(getpid()); }
  // Of an executor, by the sandbox around it, whose first process never stands still.
  static bool stands_still(pid_t process) {
    for (pid_t child : children_of(process)) {
      if (stands_still(child)) return true;
    }
    std::ifstream stat("/proc/" + std::to_string(process) + "/stat");
    const std::string line{std::istreambuf_iterator<char>(stat), {}};
    const auto name_end = line.rfind(')');
    return name_end != std::string::npos && line.substr(name_end).starts_with(") T");
  }

  std::filesystem::path folder_;
  std::unique_ptr<ContentStore> contents_;
  KeeperConfig config_;
  std::unique_ptr<ExecutorKeeper> keeper_;
  std::uint64_t last_chunk_ = 0;
  std::map<std::uint64_t, ComputeDone> done_;
  std::vector<CompareDone> compared_;
  std::vector<std::string> told_;
};

}  // namespace shoal
