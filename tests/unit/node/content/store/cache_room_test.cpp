// What has its place in a store for a while only.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
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

// How often somebody has looked through a folder, from now on.
class Listings {
 public:
  explicit Listings(const fs::path& folder) : fd_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    EXPECT_GE(::inotify_add_watch(fd_, folder.c_str(), IN_OPEN), 0);
  }
  ~Listings() { ::close(fd_); }
  Listings(const Listings&) = delete;
  Listings& operator=(const Listings&) = delete;

  std::size_t count() {
    alignas(inotify_event) std::array<char, 4096> events{};
    for (;;) {
      const ssize_t got = ::read(fd_, events.data(), events.size());
      if (got <= 0) return count_;
      for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
        inotify_event event{};
        std::memcpy(&event, events.data() + at, sizeof event);
        // Of the folder itself, not of a file in it.
        if ((event.mask & IN_ISDIR) != 0 && event.len == 0) ++count_;
        at += sizeof event + event.len;
      }
    }
  }

 private:
  int fd_;
  std::size_t count_ = 0;
};

// Small outputs may be a hundred thousand: to count them all anew for each would take longer each
// time.
TEST_F(CacheRoomTest, WhatIsThereIsCountedWhenTheLimitSeemsToBeReachedAndNotForEach) {
  store_->limit(10 * kBlockBytes);
  Listings listings(folder_ / "content" / "tmp");
  for (std::uint64_t i = 0; i < 40; ++i) {
    const Made one(1, 100 + i);
    ASSERT_EQ(fetch(one, 0), "") << i;
    EXPECT_TRUE(store_->holds(one.id));
  }
  EXPECT_GE(listings.count(), 1U);
  EXPECT_LE(listings.count(), 6U) << "each time that all that it knows to be unused has gone";
  std::uint64_t bytes = 0;
  for (const auto& one : store_->list()) bytes += one.length;
  EXPECT_LE(bytes, 10 * kBlockBytes);
  EXPECT_GE(bytes, 8 * kBlockBytes);
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
