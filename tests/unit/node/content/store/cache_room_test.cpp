// What has its place in a store for a while only.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

#include "node/content/core/block_check.h"
#include "node/content/store/content_store.h"
#include "node/protocol/hash.h"
#include "node/protocol/limits.h"
#include "node/protocol/rng.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr std::size_t kBlockBytes = limits::kBlockLeaves * kContentLeafBytes;

struct Made {
  Bytes bytes;
  ContentId id;

  Made(std::size_t blocks, std::uint64_t seed) : bytes(blocks * kBlockBytes) {
    Rng rng(seed);
    for (std::size_t at = 0; at < bytes.size(); at += 8) {
      const std::uint64_t word = rng.next();
      std::memcpy(bytes.data() + at, &word, 8);
    }
    id = content_id(bytes);
  }
};

class CacheRoomTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "shoal-room-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    auto store = ContentStore::open(folder_ / "content");
    ASSERT_TRUE(store) << store.error().what;
    store_ = std::move(*store);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string fetch(const Made& content, std::uint64_t index) {
    const ByteView bytes = ByteView(content.bytes).subspan(index * kBlockBytes, kBlockBytes);
    return store_
        ->perform(
            StoreBlock{content.id, content.bytes.size(), first_leaf_of(index), to_bytes(bytes)})
        .error;
  }
  ContentOpened open(const Made& content) {
    return store_->perform(OpenContent{content.id, content.bytes.size()});
  }
  fs::path file_of(const Made& content) const {
    const std::string hex = to_hex(content.id);
    return folder_ / "content" / hex.substr(0, 2) / hex;
  }

  fs::path folder_;
  std::unique_ptr<ContentStore> store_;
};

TEST_F(CacheRoomTest, WhatIsFetchedNoMoreMakesRoomForOthers) {
  const Made large(8, 1), other(5, 2);
  store_->limit(10 * kBlockBytes);
  ASSERT_EQ(fetch(large, 3), "");
  store_->set_needed({large.id});
  EXPECT_THAT(fetch(other, 0), HasSubstr("there is no room"));
  store_->set_needed({});  // whoever sent it is gone
  EXPECT_EQ(fetch(other, 0), "");
  EXPECT_FALSE(fs::exists(file_of(large).string() + ".part"));
}

TEST_F(CacheRoomTest, WhatMadeRoomIsFetchedFromItsBeginWhenItIsWantedAgain) {
  const Made large(8, 1), other(5, 2);
  store_->limit(10 * kBlockBytes);
  ASSERT_EQ(fetch(large, 3), "");
  store_->set_needed({});
  ASSERT_EQ(fetch(other, 0), "");
  store_->drop(other.id);
  EXPECT_TRUE(open(large).blocks_held.empty());
  for (std::uint64_t block = 0; block < 8; ++block) ASSERT_EQ(fetch(large, block), "");
  EXPECT_TRUE(store_->holds(large.id));
}

// Whoever names it under a wrong length has it read as often as he likes.
TEST_F(CacheRoomTest, ToSayThatALengthIsWrongNothingIsRead) {
  const Made content(5, 1);
  for (std::uint64_t block = 0; block < 5; ++block) ASSERT_EQ(fetch(content, block), "");
  ASSERT_TRUE(open(content).complete);
  // With a byte changed, to read it would be to find it damaged.
  {
    std::fstream file(file_of(content), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(3 * kBlockBytes);
    file.put(static_cast<char>(content.bytes[3 * kBlockBytes] ^ 1));
  }
  const auto opened = store_->perform(OpenContent{content.id, content.bytes.size() - 1});
  EXPECT_TRUE(opened.complete);
  EXPECT_EQ(opened.length, content.bytes.size());
}

}  // namespace
}  // namespace shoal
