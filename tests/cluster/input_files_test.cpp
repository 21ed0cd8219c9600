// Inputs that are files, of a program of a scientist's own.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "node/protocol/rng.h"
#include "tests/cluster/cluster.h"

namespace shoal::cluster {
namespace {

using ::testing::HasSubstr;

class InputFilesTest : public ::testing::Test {
 protected:
  // Units of checksums_main.cpp.
  static constexpr char kProgram[] = "checksums";

  std::string write(const std::string& name, std::uint64_t bytes) const {
    const auto path = cluster_.folder() / name;
    std::ofstream file(path, std::ios::binary);
    Rng rng(bytes);
    for (std::uint64_t at = 0; at < bytes; at += 8) {
      const std::uint64_t word = rng.next();
      file.write(reinterpret_cast<const char*>(&word),
                 static_cast<std::streamsize>(std::min<std::uint64_t>(8, bytes - at)));
    }
    return path.string();
  }

  Cluster cluster_{{}, {"--trust-all"}};
};

TEST_F(InputFilesTest, GoFromDiskToDisk) {
  constexpr std::uint64_t kMiB = 1 << 20;
  cluster_.start_coordinator();
  cluster_.start_worker("one");
  cluster_.start_worker("two");
  cluster_.await_workers(2);
  const std::string program_file = program(kProgram).string();
  const Line files{write("large", 96 * kMiB), write("empty", 0), write("small", 1001),
                   write("other", 64 * kMiB)};
  Line command{program_file};
  command.insert(command.end(), files.begin(), files.end());
  const auto in_pool = cluster_.run_command(command);
  ASSERT_EQ(in_pool.exit_code, 0) << in_pool.err;
  command.insert(command.begin() + 1, "--local");
  const auto here = cluster_.run_command(command);
  ASSERT_EQ(here.exit_code, 0) << here.err;
  EXPECT_EQ(in_pool.out, here.out);
  EXPECT_THAT(here.out, HasSubstr("1 0 "));
  const auto memory = in_pool.err.rfind("VmHWM:");
  ASSERT_NE(memory, std::string::npos) << in_pool.err;
  EXPECT_LT(std::stoull(in_pool.err.substr(memory + 6)) * 1024, 80 * kMiB)
      << "it held more than half of what it sent";
}

TEST_F(InputFilesTest, WhatIsNoInputIsSaidBeforeAnythingIsSubmitted) {
  cluster_.start_coordinator();
  const std::string program_file = program(kProgram).string();
  const std::string good = write("good", 100);
  const auto refused = [&](const std::string& file, const std::string& why) {
    for (const Line& where : {Line{}, Line{"--local"}}) {
      Line command{program_file};
      command.insert(command.end(), where.begin(), where.end());
      command.insert(command.end(), {good, file});
      const auto ended = cluster_.run_command(command);
      EXPECT_EQ(ended.exit_code, 2) << ended.err;
      EXPECT_THAT(ended.err, HasSubstr(file + " cannot be an input: " + why));
    }
  };
  refused((cluster_.folder() / "nowhere").string(), "No such file or directory");
  refused(cluster_.folder().string(), "it is not a file");
  const std::string huge = write("huge", 1);
  std::filesystem::resize_file(huge, (1ULL << 30) + 1);
  refused(huge, "it has 1073741825 bytes, and a unit is handed at most 1073741824");
}

}  // namespace
}  // namespace shoal::cluster
