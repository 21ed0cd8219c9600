#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include "node/content/core/block_check.h"
#include "node/content/store/content_store.h"
#include "node/protocol/hash.h"
#include "node/protocol/limits.h"
#include "node/protocol/rng.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBlockBytes = limits::kBlockLeaves * kContentLeafBytes;

// Two processes of one account fetch the same content into the same folder.
class PartialContents : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "shoal-partial-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    Rng rng(5);
    for (auto& byte : bytes_) byte = static_cast<std::uint8_t>(rng.next());
    id_ = content_id(bytes_);
    one_ = std::move(*ContentStore::open(folder_));
    other_ = std::move(*ContentStore::open(folder_));
  }
  void TearDown() override { fs::remove_all(folder_); }

  // True: it is whole then.
  bool store(ContentStore& store, std::uint64_t block) const {
    const ByteView part = ByteView(bytes_).subspan(block * kBlockBytes, kBlockBytes);
    const BlockStored stored =
        store.perform(StoreBlock{id_, bytes_.size(), first_leaf_of(block), to_bytes(part)});
    EXPECT_EQ(stored.error, "");
    return stored.complete;
  }
  void expect_right() const {
    const auto bytes = one_->read(id_);
    ASSERT_TRUE(bytes) << bytes.error().what;
    EXPECT_TRUE(*bytes == bytes_);
  }
  std::vector<std::uint64_t> held(ContentStore& store) const {
    return store.perform(OpenContent{id_, bytes_.size()}).blocks_held;
  }
  fs::path file(const char* suffix) const {
    return folder_ / to_hex(id_).substr(0, 2) / (to_hex(id_) + suffix);
  }

  // The clock for files goes in ticks: what is made from now on is younger than what was there.
  void await_tick() const {
    struct stat before {
    }, about{};
    ASSERT_EQ(::stat(file(".part").c_str(), &before), 0);
    do {
      std::ofstream(folder_ / "tick") << "now";
      ASSERT_EQ(::stat((folder_ / "tick").c_str(), &about), 0);
    } while (about.st_ctim.tv_sec == before.st_ctim.tv_sec &&
             about.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
  }

  Bytes bytes_ = Bytes(3 * kBlockBytes);
  ContentId id_;
  fs::path folder_;
  std::unique_ptr<ContentStore> one_, other_;
};

// The number of an inode that is free is given to the next file, often at once.
TEST_F(PartialContents, WhatWasDroppedAndBegunAnewByAnotherIsNotTakenForWhatWasThere) {
  EXPECT_FALSE(store(*one_, 0));
  await_tick();
  other_->drop(id_);
  EXPECT_FALSE(store(*other_, 1));
  EXPECT_FALSE(store(*one_, 1));
  EXPECT_FALSE(store(*one_, 2)) << "the first has gone";
  EXPECT_EQ(held(*one_), (std::vector<std::uint64_t>{first_leaf_of(1), first_leaf_of(2)}));
  EXPECT_TRUE(store(*one_, 0));
  expect_right();
}

TEST_F(PartialContents, WhoComesWhileAnotherBeginsTakesNothingAwayFromIt) {
  EXPECT_FALSE(store(*one_, 0));
  std::fstream have(file(".have"), std::ios::binary | std::ios::in | std::ios::out);
  std::string root(32, '\0');
  have.seekg(16).read(root.data(), 32);
  have.seekp(16).write(std::string(32, '\0').data(), 32).flush();
  EXPECT_TRUE(held(*other_).empty()) << "the first block is not there yet";
  have.seekp(16).write(root.data(), 32).flush();
  EXPECT_FALSE(store(*other_, 1));
  EXPECT_FALSE(store(*one_, 1));
  EXPECT_TRUE(store(*one_, 2));
  expect_right();
}

TEST_F(PartialContents, WhatIsDroppedByAnotherBeforeItsLastBlockIsNotWhole) {
  EXPECT_FALSE(store(*one_, 0));
  EXPECT_FALSE(store(*one_, 1));
  other_->drop(id_);
  EXPECT_FALSE(store(*one_, 2));
  EXPECT_EQ(held(*one_), std::vector<std::uint64_t>{first_leaf_of(2)});
  EXPECT_FALSE(store(*one_, 0));
  EXPECT_TRUE(store(*one_, 1));
  expect_right();
}

// To bring a large one to the disk takes a while, in which a machine may lose its power.
TEST_F(PartialContents, WhatHadComeAllAndHadNoNameYetIsWholeWhenItIsOpenedAgain) {
  EXPECT_FALSE(store(*one_, 0));
  EXPECT_FALSE(store(*one_, 1));
  const ByteView last = ByteView(bytes_).subspan(2 * kBlockBytes);
  std::fstream part(file(".part"), std::ios::binary | std::ios::in | std::ios::out);
  part.seekp(2 * kBlockBytes)
      .write(reinterpret_cast<const char*>(last.data()), static_cast<std::streamsize>(last.size()))
      .flush();
  std::fstream have(file(".have"), std::ios::binary | std::ios::in | std::ios::out);
  const Hash256 root = block_root(last);
  have.seekp(16 + 2 * sizeof root)
      .write(reinterpret_cast<const char*>(root.bytes.data()), sizeof root)
      .flush();
  one_ = std::move(*ContentStore::open(folder_));
  EXPECT_TRUE(one_->perform(OpenContent{id_, bytes_.size()}).complete);
  expect_right();
  EXPECT_TRUE(one_->list_unfinished().empty());
}

// As few as it has already.
class NoMoreDescriptors {
 public:
  NoMoreDescriptors() {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    const rlimit none{0, before_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  }
  ~NoMoreDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

TEST_F(PartialContents, WhatHasComeStaysWhereTheDiskOrTheSystemFails) {
  const StoreBlock second{id_, bytes_.size(), first_leaf_of(1),
                          to_bytes(ByteView(bytes_).subspan(kBlockBytes, kBlockBytes))};
  EXPECT_FALSE(store(*one_, 0));
  {
    const NoMoreDescriptors now;
    EXPECT_NE(one_->perform(second).error, "");
    EXPECT_NE(other_->perform(second).error, "") << "it has not looked at what is there";
  }
  EXPECT_EQ(held(*one_), std::vector<std::uint64_t>{first_leaf_of(0)});
  EXPECT_EQ(held(*other_), std::vector<std::uint64_t>{first_leaf_of(0)});
  EXPECT_FALSE(store(*one_, 1));
  EXPECT_TRUE(store(*one_, 2)) << "nothing is fetched twice";
  expect_right();
}

TEST_F(PartialContents, NothingIsDroppedSinceItCannotBeOpenedForAMoment) {
  ASSERT_TRUE(one_->put(bytes_));
  fs::remove(file(".roots"));
  {
    const NoMoreDescriptors now;
    EXPECT_FALSE(one_->perform(OpenContent{id_, bytes_.size() + 1}).complete);
  }
  expect_right();
}

// What takes up the room is to be seen, and to be dropped.
TEST_F(PartialContents, AStoreOnAFullDiskIsOpenedToMakeRoom) {
  EXPECT_FALSE(store(*one_, 0));
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit full = before;
  full.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &full), 0);
  auto opened = ContentStore::open(folder_);
  const bool is_open = opened.has_value();
  std::size_t listed = 0, left = 1;
  std::optional<StoreError> put_error;
  if (is_open) {
    listed = (*opened)->list_unfinished().size();
    (*opened)->drop(id_);
    left = (*opened)->list_unfinished().size();
    if (const auto put = (*opened)->put(as_bytes("more")); !put) put_error = put.error();
  }
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_TRUE(is_open) << opened.error().what;
  EXPECT_EQ(listed, 1U);
  EXPECT_EQ(left, 0U);
  ASSERT_TRUE(put_error) << "there was no room";
  EXPECT_EQ(put_error->fault, StoreFault::kDiskFull);
}

}  // namespace
}  // namespace shoal
