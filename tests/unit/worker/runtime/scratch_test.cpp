#include "worker/runtime/scratch.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>
#include <memory>
#include <string>

#include "worker/runtime/executor_keeper.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;

class Scratch : public ::testing::Test {
 protected:
  Scratch() {
    std::string name = (fs::temp_directory_path() / "shoal-scratch-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    contents_ = *ContentStore::open(folder_ / "contents");
  }
  ~Scratch() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  fs::path made(const fs::path& path) {
    fs::create_directories((folder_ / path).parent_path());
    std::ofstream(folder_ / path) << "written\n";
    return folder_ / path;
  }
  void start_worker(const fs::path& scratch) {
    KeeperConfig config;
    config.scratch = scratch;
    ExecutorKeeper keeper(config, *contents_);
  }

  fs::path folder_;
  std::unique_ptr<ContentStore> contents_;
};

TEST_F(Scratch, WhatTheExecutorsOfAKilledWorkerHadGoesAtItsNextStart) {
  made("scratch/executor-3/work/unit-1/index/table");
  made("scratch/executor-3/work/unit-1/forbidden/table");
  ASSERT_EQ(chmod((folder_ / "scratch/executor-3/work/unit-1/forbidden").c_str(), 0), 0);
  made("scratch/executor-12/file");

  start_worker(folder_ / "scratch");

  EXPECT_FALSE(fs::exists(folder_ / "scratch/executor-3"));
  EXPECT_FALSE(fs::exists(folder_ / "scratch/executor-12"));
}

TEST_F(Scratch, NothingElseGoes) {
  const fs::path photo = made("home/photo");
  const fs::path notes = made("home/notes");
  ASSERT_EQ(chmod((folder_ / "home").c_str(), 0755), 0);
  made("scratch/executor-3/file");
  fs::create_symlink(photo, folder_ / "scratch/executor-3/link");
  fs::create_directory_symlink(folder_ / "home", folder_ / "scratch/executor-3/home");
  fs::create_directory_symlink(folder_ / "home", folder_ / "scratch/executor-4");
  const fs::path file = made("scratch/executor-5");
  const fs::path named_otherwise = made("scratch/executor-of-mine/file");
  const fs::path without_a_number = made("scratch/executor-/file");

  start_worker(folder_ / "scratch");

  EXPECT_FALSE(fs::exists(folder_ / "scratch/executor-3"));
  for (const fs::path& kept : {photo, notes, file, named_otherwise, without_a_number}) {
    EXPECT_TRUE(fs::exists(kept)) << kept;
  }
  EXPECT_TRUE(fs::is_symlink(folder_ / "scratch/executor-4"));
  struct stat home {};
  ASSERT_EQ(stat((folder_ / "home").c_str(), &home), 0);
  EXPECT_EQ(home.st_mode & 0777, 0755U);
}

TEST_F(Scratch, NothingGoesWhereItsFolderIsALink) {
  const fs::path file = made("elsewhere/executor-1/file");
  fs::create_directory_symlink(folder_ / "elsewhere", folder_ / "scratch");

  start_worker(folder_ / "scratch");

  EXPECT_TRUE(fs::exists(file));
}

}  // namespace
}  // namespace shoal
