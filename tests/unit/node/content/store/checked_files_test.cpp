#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "node/content/store/content_store.h"
#include "node/content/store/content_store_impl.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// Two processes with one folder: what one has checked, the other has not.
class CheckedFilesTest : public ::testing::Test {
 protected:
  CheckedFilesTest() {
    std::string name = (fs::temp_directory_path() / "shoal-checked-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    maker_ = *ContentStore::open(folder_);
    store_ = *ContentStore::open(folder_);
  }
  ~CheckedFilesTest() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  void alter(const ContentId& id, std::streamoff at) const {
    std::fstream file(*store_->path_of(id), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(at);
    file.put('!');
  }

  fs::path folder_;
  std::unique_ptr<ContentStore> maker_, store_;
};

TEST_F(CheckedFilesTest, OneByteThatChangedIsFoundAndWhatItWasInIsRemoved) {
  for (const std::size_t size : {1U, 300U, 700'000U}) {
    const Bytes bytes(size, 'x');
    const ContentId id = *maker_->put(bytes);
    EXPECT_FALSE(store_->is_as_checked(id));
    ASSERT_TRUE(store_->check(id));
    EXPECT_TRUE(store_->is_as_checked(id));
    alter(id, static_cast<std::streamoff>(size - 1));
    EXPECT_FALSE(store_->is_as_checked(id));
    const auto checked = store_->check(id);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().fault, StoreFault::kCorrupt);
    EXPECT_THAT(checked.error().what, HasSubstr("was damaged on the disk and has been removed"));
    EXPECT_FALSE(store_->holds(id));
    EXPECT_EQ(store_->check(id).error().fault, StoreFault::kMissing);
    EXPECT_EQ(*maker_->put(bytes), id);
    EXPECT_TRUE(store_->check(id)) << "it was put again";
  }
}

TEST_F(CheckedFilesTest, OneThatWasCutShortIsFound) {
  const ContentId id = *maker_->put(Bytes(700'000, 'x'));
  ASSERT_TRUE(store_->check(id));
  fs::resize_file(*store_->path_of(id), 699'999);
  EXPECT_FALSE(store_->check(id));
}

// The clock of files goes in ticks of some ms: what is written within the same one shows, too.
TEST_F(CheckedFilesTest, WhatIsWrittenInTheVeryMomentOfTheCheckShows) {
  for (int round = 0; round < 50; ++round) {
    const ContentId id = *store_->put(as_bytes("round " + std::to_string(round)));
    ASSERT_TRUE(store_->is_as_checked(id));
    ASSERT_TRUE(store_->path_of(id)) << "which notes that it is in use";
    ASSERT_TRUE(store_->is_as_checked(id));
    alter(id, 0);
    ASSERT_FALSE(store_->is_as_checked(id)) << round;
  }
}

TEST_F(CheckedFilesTest, ACheckThatIsToldToStopLeavesWhatItRead) {
  const ContentId id = *maker_->put(Bytes(700'000, 'x'));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(store_->check(id, stop.get_token()).error().fault, StoreFault::kSystem);
  EXPECT_TRUE(store_->holds(id));
  EXPECT_FALSE(store_->is_as_checked(id));
}

TEST_F(CheckedFilesTest, OfVeryManyThoseAreRememberedThatAreAskedFor) {
  CheckedFiles files;
  const auto id_of = [](std::uint32_t n) {
    ContentId id;
    for (unsigned i = 0; i < 4; ++i) id.bytes[i] = static_cast<std::uint8_t>(n >> (8 * i));
    return id;
  };
  for (std::uint32_t n = 0; n < 4 * CheckedFiles::kMost; ++n) {
    files.note(id_of(n), FileStamp{.inode = n + 1});
    ASSERT_NE(files.find(id_of(0)), nullptr) << n;
    EXPECT_EQ(files.find(id_of(0))->inode, 1U);
    ASSERT_NE(files.find(id_of(n)), nullptr);
  }
  EXPECT_EQ(files.find(id_of(1)), nullptr);
  files.forget(id_of(0));
  EXPECT_EQ(files.find(id_of(0)), nullptr);
}

}  // namespace
}  // namespace shoal
