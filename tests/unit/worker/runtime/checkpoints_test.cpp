#include "worker/runtime/checkpoints.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

#include "node/protocol/bytes.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;

class CheckpointsTest : public ::testing::Test {
 protected:
  CheckpointsTest() {
    std::string name = (fs::temp_directory_path() / "shoal-checkpoints-XXXXXX").string();
    folder_ = mkdtemp(name.data());
  }
  ~CheckpointsTest() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  static JobId job(std::uint8_t n) {
    JobId id;
    id.bytes[0] = n;
    return id;
  }
  static Bytes state(const std::string& text) { return to_bytes(as_bytes(text)); }
  fs::path file(std::uint8_t n, UnitIndex unit) const {
    return folder_ / to_hex(job(n)) / std::to_string(unit);
  }

  fs::path folder_;
};

TEST_F(CheckpointsTest, TheLastOneCountsAndSurvives) {
  {
    Checkpoints kept(folder_);
    EXPECT_TRUE(kept.keep(job(1), 7, state("one")));
    EXPECT_TRUE(kept.keep(job(1), 7, state("two, which is longer")));
    EXPECT_TRUE(kept.keep(job(1), 1'000'000'000'000, state("")));
  }
  Checkpoints kept(folder_);
  EXPECT_EQ(kept.load(job(1), 7), state("two, which is longer"));
  EXPECT_EQ(kept.load(job(1), 1'000'000'000'000), Bytes{});
  EXPECT_EQ(kept.load(job(1), 8), std::nullopt);
  EXPECT_EQ(kept.load(job(2), 7), std::nullopt);
  EXPECT_EQ(kept.within(job(1), {0, 8}), std::vector<UnitIndex>{7});
  EXPECT_TRUE(kept.within(job(1), {8, 100}).empty());
  EXPECT_TRUE(kept.within(job(2), {0, 100}).empty());
}

TEST_F(CheckpointsTest, WhatIsDroppedIsGone) {
  Checkpoints kept(folder_);
  kept.keep(job(1), 1, state("a"));
  kept.keep(job(1), 2, state("b"));
  kept.keep(job(2), 1, state("c"));
  kept.keep(job(3), 1, state("d"));
  kept.drop(job(1), 1);
  EXPECT_FALSE(fs::exists(file(1, 1)));
  EXPECT_EQ(kept.load(job(1), 2), state("b"));
  kept.drop(job(1));
  EXPECT_FALSE(fs::exists(file(1, 2).parent_path()));
  kept.drop_all_but({job(3)});
  EXPECT_FALSE(fs::exists(file(2, 1)));
  EXPECT_EQ(kept.load(job(3), 1), state("d"));
}

TEST_F(CheckpointsTest, ADamagedFileIsNotTaken) {
  {
    Checkpoints kept(folder_);
    kept.keep(job(1), 1, state("whole"));
    kept.keep(job(1), 2, state("cut off"));
    kept.keep(job(1), 3, state("changed"));
  }
  fs::resize_file(file(1, 2), fs::file_size(file(1, 2)) - 1);
  std::fstream(file(1, 3), std::ios::in | std::ios::out | std::ios::binary).seekp(33).put('X');
  std::ofstream(file(1, 4).string() + ".new") << "half of one";
  Checkpoints kept(folder_);
  EXPECT_EQ(kept.load(job(1), 1), state("whole"));
  EXPECT_EQ(kept.load(job(1), 2), std::nullopt);
  EXPECT_EQ(kept.load(job(1), 3), std::nullopt);
  EXPECT_EQ(kept.within(job(1), {0, 100}), std::vector<UnitIndex>{1});
  EXPECT_FALSE(fs::exists(file(1, 4).string() + ".new"));
}

TEST_F(CheckpointsTest, WithoutARoomNothingIsKeptAndNothingLost) {
  std::ofstream(folder_ / "file") << "in the way";
  Checkpoints nowhere(folder_ / "file" / "folder");
  EXPECT_FALSE(nowhere.keep(job(1), 1, state("a")));
  EXPECT_TRUE(nowhere.within(job(1), {0, 100}).empty());
  Checkpoints none{fs::path()};
  EXPECT_FALSE(none.keep(job(1), 1, state("a")));

  Checkpoints kept(folder_ / "kept");
  kept.keep(job(1), 1, state("first"));
  fs::create_directory((folder_ / "kept" / to_hex(job(1)) / "1").string() + ".new");
  EXPECT_FALSE(kept.keep(job(1), 1, state("second")));
  EXPECT_EQ(kept.load(job(1), 1), state("first"));
}

}  // namespace
}  // namespace shoal
