#include "node/content/store/content_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <thread>
#include <vector>

#include "node/content/core/block_check.h"
#include "node/content/store/unplaced.h"
#include "node/protocol/hash.h"
#include "node/protocol/limits.h"
#include "node/protocol/rng.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::size_t kBlockBytes = limits::kBlockLeaves * kContentLeafBytes;
const std::vector<std::size_t> kSizes{0,
                                      1,
                                      kContentLeafBytes,
                                      kContentLeafBytes + 1,
                                      kBlockBytes,
                                      kBlockBytes + 1,
                                      5 * kBlockBytes + kContentLeafBytes + 3};

Bytes random_bytes(std::size_t size, std::uint64_t seed = 1) {
  Rng rng(seed);
  Bytes bytes(size);
  for (std::size_t at = 0; at < size; at += 8) {
    const std::uint64_t word = rng.next();
    std::memcpy(bytes.data() + at, &word, std::min<std::size_t>(8, size - at));
  }
  return bytes;
}

class ContentStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "shoal-content-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::unique_ptr<ContentStore> open(const std::string& name = "content") {
    auto store = ContentStore::open(folder_ / name);
    EXPECT_TRUE(store) << store.error().what;
    return store ? std::move(*store) : nullptr;
  }
  fs::path write_file(const Bytes& bytes, const std::string& name = "file") {
    std::ofstream(folder_ / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    return folder_ / name;
  }
  std::vector<fs::path> files_in(const std::string& name) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / name)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
    return files;
  }
  static StoreBlock block_of(const Bytes& bytes, const ContentId& id, std::uint64_t index) {
    const ByteView part = ByteView(bytes).subspan(
        index * kBlockBytes, std::min(kBlockBytes, bytes.size() - index * kBlockBytes));
    return {id, bytes.size(), first_leaf_of(index), to_bytes(part)};
  }

  fs::path folder_;
};

TEST_F(ContentStoreTest, KeepsWhatIsPut) {
  auto store = open();
  for (const std::size_t size : kSizes) {
    const Bytes bytes = random_bytes(size);
    const auto id = store->put(bytes);
    ASSERT_TRUE(id) << id.error().what;
    EXPECT_EQ(*id, content_id(bytes));
    EXPECT_TRUE(store->holds(*id));
    EXPECT_EQ(*store->read(*id), bytes);
  }
  store = open();
  EXPECT_TRUE(store->holds(content_id(random_bytes(kBlockBytes))));
}

TEST_F(ContentStoreTest, KeepsAContentAsAProgramThatOnlyItsOwnerMayRun) {
  auto store = open();
  const auto id = store->put(as_bytes("#!/bin/sh\nexit 7\n"));
  const auto path = store->path_of(*id);
  ASSERT_TRUE(path);
  struct stat about {};
  ASSERT_EQ(::stat(path->c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0700U);
  EXPECT_EQ(path->filename(), to_hex(*id));
  EXPECT_EQ(path->parent_path().filename(), to_hex(*id).substr(0, 2));
  const int status = std::system(path->c_str());
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST_F(ContentStoreTest, AFileGetsTheIdOfItsBytes) {
  auto store = open();
  for (const std::size_t size : kSizes) {
    const Bytes bytes = random_bytes(size, 2);
    const auto named = store->put_file(write_file(bytes));
    ASSERT_TRUE(named) << named.error().what;
    EXPECT_EQ(named->id, content_id(bytes)) << size;
    EXPECT_EQ(named->length, size);
    EXPECT_EQ(*store->read(named->id), bytes);
  }
}

TEST_F(ContentStoreTest, WhatIsNoFileIsRefusedByName) {
  auto store = open();
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  for (const fs::path& path : {folder_ / "nothing", folder_, folder_ / "pipe"}) {
    const auto named = store->put_file(path);
    ASSERT_FALSE(named);
    EXPECT_EQ(named.error().fault, StoreFault::kMissing);
    EXPECT_THAT(named.error().what, HasSubstr(path.string()));
  }
  EXPECT_TRUE(files_in("content").empty());
}

TEST_F(ContentStoreTest, AFileThatGrowsWhileItIsReadIsNoContent) {
  auto store = open();
  const fs::path path = write_file(random_bytes(64 * kBlockBytes));
  std::atomic<bool> read = false;
  std::atomic<bool> grows = false;
  std::thread writer([&] {
    std::ofstream file(path, std::ios::binary | std::ios::app);
    while (!read) {
      file.put('x').flush();
      grows = true;
      grows.notify_one();
    }
  });
  grows.wait(false);
  const auto named = store->put_file(path);
  read = true;
  writer.join();
  ASSERT_FALSE(named);
  EXPECT_EQ(named.error().fault, StoreFault::kRefused);
  EXPECT_THAT(named.error().what,
              AllOf(HasSubstr(path.string()), HasSubstr("changed while it was read")));
  EXPECT_TRUE(files_in("content").empty());
}

TEST_F(ContentStoreTest, WhatIsNotHereIsMissing) {
  auto store = open();
  const ContentId id = content_id(as_bytes("elsewhere"));
  EXPECT_FALSE(store->holds(id));
  EXPECT_EQ(store->read(id).error().fault, StoreFault::kMissing);
  EXPECT_EQ(store->path_of(id).error().fault, StoreFault::kMissing);
  EXPECT_TRUE(store->perform(ReadBlock{id, 0, {}}).block.missing);
}

TEST_F(ContentStoreTest, BlocksTravelFromOneStoreToAnother) {
  auto from = open("from");
  auto to = open("to");
  for (const std::size_t size : kSizes) {
    SCOPED_TRACE(size);
    const Bytes bytes = random_bytes(size, 3);
    const ContentId id = *from->put(bytes);
    ContentOpened opened = to->perform(OpenContent{id, size});
    EXPECT_FALSE(opened.complete);
    EXPECT_TRUE(opened.blocks_held.empty());
    const std::uint64_t blocks = std::max<std::uint64_t>(blocks_of(size), 1);
    for (std::uint64_t i = blocks; i-- > 0;) {  // in any order
      const Block block = from->perform(ReadBlock{id, first_leaf_of(i), {}}).block;
      ASSERT_TRUE(block_belongs(id, size, block)) << "block " << i;
      const BlockStored stored = to->perform(StoreBlock{id, size, block.first_leaf, block.bytes});
      EXPECT_EQ(stored.error, "");
      EXPECT_EQ(stored.complete, i == 0) << i;
      EXPECT_EQ(to->holds(id), i == 0);
    }
    EXPECT_EQ(*to->read(id), bytes);
    opened = to->perform(OpenContent{id, size});
    EXPECT_TRUE(opened.complete);
    EXPECT_TRUE(from->perform(ReadBlock{id, first_leaf_of(blocks), {}}).block.missing);
  }
}

TEST_F(ContentStoreTest, ABlockIsPassedOnBeforeTheRestIsHere) {
  auto from = open("from");
  auto to = open("to");
  // An odd number of blocks: their proofs are not all of the same length.
  const Bytes bytes = random_bytes(6 * kBlockBytes + 10);
  const ContentId id = *from->put(bytes);
  for (const std::uint64_t i : {0, 3, 6}) {
    const Block block = from->perform(ReadBlock{id, first_leaf_of(i), {}}).block;
    ASSERT_EQ(
        to->perform(StoreBlock{id, bytes.size(), first_leaf_of(i), block.bytes, block.proof}).error,
        "");
  }
  for (std::uint64_t i = 0; i < 7; ++i) {
    const Block block = to->perform(ReadBlock{id, first_leaf_of(i), {}}).block;
    EXPECT_EQ(block_belongs(id, bytes.size(), block), i % 3 == 0) << i;
    EXPECT_EQ(block.missing, i % 3 != 0) << i;
  }
  const std::vector<std::uint64_t> held{first_leaf_of(0), first_leaf_of(3), first_leaf_of(6)};
  EXPECT_EQ(to->perform(OpenContent{id, bytes.size(), true}).blocks_held, held);
  EXPECT_FALSE(to->perform(OpenContent{id, bytes.size(), true}).complete);
  // A stranger's question about another length makes nobody read a whole content.
  EXPECT_FALSE(from->perform(OpenContent{id, bytes.size() + 1, true}).complete);
  EXPECT_TRUE(from->perform(OpenContent{id, bytes.size(), true}).complete);

  to = open("to");
  ASSERT_EQ(to->perform(OpenContent{id, bytes.size()}).blocks_held, held);
  EXPECT_TRUE(
      block_belongs(id, bytes.size(), to->perform(ReadBlock{id, first_leaf_of(3), {}}).block));
}

TEST_F(ContentStoreTest, ResumesAfterARestartAndTrustsNoTornBlock) {
  const Bytes bytes = random_bytes(6 * kBlockBytes + 10);
  const ContentId id = content_id(bytes);
  auto store = open();
  for (const std::uint64_t i : {0, 2, 6}) {
    const BlockStored stored = store->perform(block_of(bytes, id, i));
    EXPECT_EQ(stored.error, "");
    EXPECT_FALSE(stored.complete);
  }
  EXPECT_FALSE(store->holds(id));
  store.reset();
  for (const fs::path& file : files_in("content")) {
    if (file.extension() != ".part") continue;
    std::fstream part(file, std::ios::binary | std::ios::in | std::ios::out);
    part.seekp(2 * kBlockBytes + 99);
    part.put('!').put('!').put('!');
  }
  store = open();
  const ContentOpened opened = store->perform(OpenContent{id, bytes.size()});
  EXPECT_FALSE(opened.complete);
  EXPECT_EQ(opened.blocks_held, (std::vector<std::uint64_t>{first_leaf_of(0), first_leaf_of(6)}));
  for (const std::uint64_t i : {1, 2, 3, 4, 5}) {
    const BlockStored stored = store->perform(block_of(bytes, id, i));
    EXPECT_EQ(stored.error, "");
    EXPECT_EQ(stored.complete, i == 5);
  }
  EXPECT_EQ(*store->read(id), bytes);
  for (const fs::path& file : files_in("content")) {
    EXPECT_NE(file.extension(), ".part");
    EXPECT_NE(file.extension(), ".have");
    EXPECT_NE(file.extension(), ".proofs");
  }
}

TEST_F(ContentStoreTest, ABlockOfTheWrongShapeOrPlaceIsRefused) {
  auto store = open();
  const Bytes bytes = random_bytes(2 * kBlockBytes);
  const ContentId id = content_id(bytes);
  for (StoreBlock block : {StoreBlock{id, bytes.size(), 3, Bytes(kBlockBytes)},
                           StoreBlock{id, bytes.size(), first_leaf_of(2), Bytes(kBlockBytes)},
                           StoreBlock{id, bytes.size(), 0, Bytes(kBlockBytes - 1)},
                           StoreBlock{id, 10, 0, Bytes(10)}, StoreBlock{id, 0, 0, Bytes(1)}}) {
    const BlockStored stored = store->perform(block);
    EXPECT_THAT(stored.error, HasSubstr("does not belong"));
    EXPECT_FALSE(stored.complete);
  }
  EXPECT_TRUE(files_in("content").empty());
}

TEST_F(ContentStoreTest, BlocksThatDoNotMakeTheWholeNeverGetItsName) {
  auto store = open();
  const Bytes bytes = random_bytes(2 * kBlockBytes);
  const ContentId id = content_id(bytes);
  StoreBlock wrong = block_of(bytes, id, 0);
  wrong.bytes[5] ^= 1;
  EXPECT_EQ(store->perform(wrong).error, "");
  EXPECT_THAT(store->perform(block_of(bytes, id, 1)).error, HasSubstr("do not make the whole"));
  EXPECT_FALSE(store->holds(id));
  EXPECT_TRUE(files_in("content").empty());
}

void damage(const fs::path& path) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(kBlockBytes + 17);
  file.put('!').put('!').put('!');
}

TEST_F(ContentStoreTest, DamageOnTheDiskIsFoundAndTheContentFetchedAgain) {
  const Bytes bytes = random_bytes(3 * kBlockBytes);
  auto store = open();
  const ContentId id = *store->put(bytes);
  damage(*store->path_of(id));
  EXPECT_TRUE(store->perform(ReadBlock{id, 0, {}}).block.missing);
  EXPECT_FALSE(store->holds(id));

  ASSERT_TRUE(store->put(bytes));
  fs::resize_file(*store->path_of(id), kBlockBytes);
  EXPECT_FALSE(store->perform(OpenContent{id, bytes.size()}).complete);
  EXPECT_FALSE(store->holds(id));

  ASSERT_TRUE(store->put(bytes));
  fs::resize_file(*store->path_of(id), kBlockBytes);
  const auto read = store->read(id);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().fault, StoreFault::kCorrupt);
  EXPECT_THAT(read.error().what, HasSubstr("damaged"));
  EXPECT_FALSE(store->holds(id));
}

// A damaged block is not sent, and the others are: so the content stays, and can be fetched of
// nobody.
TEST_F(ContentStoreTest, WhatIsPutAgainTakesThePlaceOfWhatWasDamaged) {
  const Bytes bytes = random_bytes(3 * kBlockBytes);
  const fs::path path = folder_ / "file";
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  auto store = open();
  const auto named = store->put_file(path);
  ASSERT_TRUE(named);
  damage(*store->path_of(named->id));
  ASSERT_TRUE(store->put_file(path));
  EXPECT_EQ(store->read(named->id), bytes);
  damage(*store->path_of(named->id));
  ASSERT_TRUE(store->put(bytes));
  EXPECT_EQ(store->read(named->id), bytes);
}

TEST_F(ContentStoreTest, ADamagedListOfRootsIsMadeAgain) {
  const Bytes bytes = random_bytes(3 * kBlockBytes);
  auto store = open();
  const ContentId id = store->put_file(write_file(bytes))->id;
  std::size_t damaged = 0;
  for (const fs::path& file : files_in("content")) {
    if (file.extension() != ".roots") continue;
    std::fstream(file, std::ios::binary | std::ios::in | std::ios::out).put('!').put('!');
    ++damaged;
  }
  EXPECT_EQ(damaged, 1U);
  store = open();  // nothing of it in memory
  EXPECT_TRUE(
      block_belongs(id, bytes.size(), store->perform(ReadBlock{id, first_leaf_of(1), {}}).block));
}

TEST_F(ContentStoreTest, AWrongLengthDoesNotHarmAContentThatIsHere) {
  const Bytes bytes = random_bytes(3 * kBlockBytes);
  auto store = open();
  const ContentId id = *store->put(bytes);
  EXPECT_TRUE(store->perform(OpenContent{id, bytes.size() + 1}).complete);
  EXPECT_EQ(*store->read(id), bytes);
}

TEST_F(ContentStoreTest, DropLeavesNothing) {
  const Bytes bytes = random_bytes(3 * kBlockBytes);
  const Bytes other = random_bytes(3 * kBlockBytes, 9);
  auto store = open();
  const ContentId id = store->put_file(write_file(bytes))->id;
  store->perform(block_of(other, content_id(other), 1));
  EXPECT_EQ(files_in("content").size(),
            5U);  // the content, its roots; a part, what it holds, proofs
  store->drop(id);
  store->drop(content_id(other));
  EXPECT_FALSE(store->holds(id));
  EXPECT_TRUE(files_in("content").empty());
}

TEST_F(ContentStoreTest, SweepsUpWhatAKilledProcessLeftBehind) {
  open();
  const fs::path tmp = folder_ / "content" / "tmp";
  std::ofstream(tmp / "new-old") << "half";
  std::ofstream(tmp / "new-young") << "half";
  fs::last_write_time(tmp / "new-old", fs::file_time_type::clock::now() - std::chrono::hours(1));
  open();
  EXPECT_FALSE(fs::exists(tmp / "new-old"));
  EXPECT_TRUE(fs::exists(tmp / "new-young")) << "it may belong to a process that lives";
}

TEST_F(ContentStoreTest, AFolderThatCannotBeMadeIsAnErrorThatSaysWhatToDo) {
  write_file({}, "file");
  const auto store = ContentStore::open(folder_ / "file" / "content");
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().fault, StoreFault::kNotWritable);
  EXPECT_THAT(store.error().what, HasSubstr((folder_ / "file").string()));
  EXPECT_THAT(store.error().what, HasSubstr("choose another folder"));
}

TEST_F(ContentStoreTest, WhatWasFetchedAndIsUnusedTheLongestGoesFirst) {
  auto store = open();
  store->limit(4 * kBlockBytes + 1024);  // the names of pins take some bytes, too
  std::vector<ContentId> ids;
  const auto fetch = [&](std::uint64_t seed) {
    const Bytes bytes = random_bytes(kBlockBytes, seed);
    ids.push_back(content_id(bytes));
    return store->perform(block_of(bytes, ids.back(), 0)).error;
  };
  const auto put = store->put(random_bytes(kBlockBytes, 1));
  ASSERT_TRUE(put);
  for (std::uint64_t seed = 2; seed < 5; ++seed) ASSERT_EQ(fetch(seed), "");
  // Oldest last: the first to go would be the one that was fetched last.
  auto age = std::chrono::hours(1);
  for (const ContentId& id : ids) {
    fs::last_write_time(folder_ / "content" / to_hex(id).substr(0, 2) / to_hex(id),
                        fs::file_time_type::clock::now() - age);
    age += std::chrono::hours(1);
  }
  store->set_needed({ids[2]});
  ASSERT_EQ(fetch(5), "");
  EXPECT_TRUE(store->holds(ids[0]));
  EXPECT_FALSE(store->holds(ids[1])) << "older than the first, and not needed";
  EXPECT_TRUE(store->holds(ids[2]));
  EXPECT_TRUE(store->holds(*put)) << "it was made here, and may be nowhere else";
  ASSERT_TRUE(store->pin(ids[0], "mine"));
  ASSERT_TRUE(store->pin(ids[3], "mine"));
  const std::string refusal = fetch(6);
  EXPECT_THAT(refusal, HasSubstr("there is no room"));
  EXPECT_THAT(refusal, HasSubstr("--cache"));
  EXPECT_TRUE(store->holds(ids[0]));
}

TEST_F(ContentStoreTest, AContentThatIsTooLargeForTheQuotaIsRefusedBeforeItFillsTheDisk) {
  auto store = open();
  store->limit(2 * kBlockBytes);
  const Bytes bytes = random_bytes(3 * kBlockBytes);
  EXPECT_THAT(store->perform(block_of(bytes, content_id(bytes), 1)).error,
              HasSubstr("there is no room"));
  EXPECT_EQ(store->put(bytes).error().fault, StoreFault::kDiskFull);
  EXPECT_EQ(store->put_file(write_file(bytes)).error().fault, StoreFault::kDiskFull);
  EXPECT_TRUE(files_in("content").empty());
}

TEST_F(ContentStoreTest, WhatAnEarlierRunLeftUnfinishedMakesRoomUnlessItIsNeeded) {
  const auto fetch_first_block_of = [](ContentStore& store, const Bytes& bytes) {
    return store.perform(block_of(bytes, content_id(bytes), 0)).error;
  };
  const Bytes abandoned = random_bytes(3 * kBlockBytes, 1);
  const Bytes needed = random_bytes(3 * kBlockBytes, 2);
  const Bytes resumed = random_bytes(3 * kBlockBytes, 3);
  for (const Bytes* bytes : {&abandoned, &needed, &resumed}) {
    ASSERT_EQ(fetch_first_block_of(*open(), *bytes), "");
  }
  auto store = open();
  store->limit(10 * kBlockBytes);
  store->set_needed({content_id(needed)});
  const auto held = [&](const Bytes& bytes) {
    return store->perform(OpenContent{content_id(bytes), bytes.size()}).blocks_held.size();
  };
  ASSERT_EQ(held(resumed), 1U);
  ASSERT_EQ(fetch_first_block_of(*store, random_bytes(3 * kBlockBytes, 4)), "");
  EXPECT_EQ(held(abandoned), 0U);
  EXPECT_EQ(held(needed), 1U);
  EXPECT_EQ(held(resumed), 1U);
  EXPECT_THAT(fetch_first_block_of(*store, random_bytes(3 * kBlockBytes, 5)),
              HasSubstr("there is no room"))
      << "nothing of what is left may go";
}

TEST_F(ContentStoreTest, AQuotaThatWasLoweredHoldsAsSoonAsItIsKnownWhatIsNeeded) {
  std::vector<ContentId> ids;
  {
    auto store = open();
    for (std::uint64_t seed = 1; seed < 4; ++seed) {
      const Bytes bytes = random_bytes(kBlockBytes, seed);
      ids.push_back(content_id(bytes));
      ASSERT_EQ(store->perform(block_of(bytes, ids.back(), 0)).error, "");
    }
  }
  auto store = open();
  store->limit(kBlockBytes + 1024);
  EXPECT_TRUE(store->holds(ids[0])) << "a running job may need it";
  store->set_needed({ids[1]});
  EXPECT_FALSE(store->holds(ids[0]));
  EXPECT_TRUE(store->holds(ids[1]));
  EXPECT_FALSE(store->holds(ids[2]));
}

TEST_F(ContentStoreTest, WhatIsWrittenAsItComesTakesRoomOnce) {
  auto store = open();
  store->limit(4 * kBlockBytes);
  EXPECT_TRUE(store->put_file(write_file(random_bytes(3 * kBlockBytes))));
}

TEST_F(ContentStoreTest, WhatHasComeOfAContentIsListedAndCanBeDropped) {
  const Bytes bytes = random_bytes(3 * kBlockBytes + 5);
  const ContentId id = content_id(bytes);
  ASSERT_EQ(open()->perform(block_of(bytes, id, 1)).error, "");
  auto store = open();
  EXPECT_TRUE(store->list().empty());
  const auto unfinished = store->list_unfinished();
  ASSERT_EQ(unfinished.size(), 1U);
  EXPECT_EQ(unfinished[0].id, id);
  EXPECT_EQ(unfinished[0].length, bytes.size());
  EXPECT_EQ(unfinished[0].bytes_here, kBlockBytes);
  EXPECT_FALSE(unfinished[0].folder);
  store->drop(id);
  EXPECT_TRUE(store->list_unfinished().empty());
}

// A limit on the size of files stands for a disk that is full: the kernel says EFBIG instead of
// ENOSPC, and both are the same fault.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST_F(ContentStoreTest, AFullDiskIsSaidAndLeavesNoHalfFile) {
  const Bytes bytes = random_bytes(3 * kBlockBytes);
  const ContentId id = content_id(bytes);
  const fs::path file = write_file(bytes);
  auto store = open();
  StoreError put, put_file;
  std::string stored;
  {
    const FileSizeLimit limit(kBlockBytes);
    const auto kept = store->put(bytes);
    if (!kept) put = kept.error();
    const auto named = store->put_file(file);
    if (!named) put_file = named.error();
    stored = store->perform(block_of(bytes, id, 1)).error;
  }
  EXPECT_EQ(put.fault, StoreFault::kDiskFull);
  EXPECT_EQ(put_file.fault, StoreFault::kDiskFull);
  for (const std::string& what : {put.what, put_file.what, stored}) {
    EXPECT_THAT(what, HasSubstr("the disk is full: free some space there"));
  }
  EXPECT_TRUE(files_in("content").empty());
  EXPECT_FALSE(store->holds(id));
  ASSERT_TRUE(store->put(bytes)) << "it works again once there is room";
  EXPECT_EQ(*store->read(id), bytes);
}

TEST_F(ContentStoreTest, WhatHasComeStaysWhereTheDiskIsFullInTheMiddle) {
  const Bytes bytes = random_bytes(4 * kBlockBytes);
  const ContentId id = content_id(bytes);
  auto store = open();
  for (const std::uint64_t i : {0, 1}) EXPECT_EQ(store->perform(block_of(bytes, id, i)).error, "");
  {
    const FileSizeLimit limit(2 * kBlockBytes);
    EXPECT_THAT(store->perform(block_of(bytes, id, 3)).error, HasSubstr("the disk is full"));
  }
  const std::vector<std::uint64_t> come{first_leaf_of(0), first_leaf_of(1)};
  EXPECT_EQ(store->perform(OpenContent{id, bytes.size()}).blocks_held, come);
  store.reset();
  store = open();
  EXPECT_EQ(store->perform(OpenContent{id, bytes.size()}).blocks_held, come);
  for (const std::uint64_t i : {2, 3}) EXPECT_EQ(store->perform(block_of(bytes, id, i)).error, "");
  const auto whole = store->read(id);
  ASSERT_TRUE(whole) << whole.error().what;
  EXPECT_EQ(*whole, bytes);
}

TEST_F(ContentStoreTest, WhatCouldNotBePutInItsPlaceIsMarkedUntilSomebodyWantsItHere) {
  auto store = open();
  const Bytes bytes = random_bytes(kBlockBytes + 1);
  const fs::path file = write_file(bytes);
  const ContentId id = content_id(bytes);
  mark_unplaced(*store, id);
  EXPECT_FALSE(is_unplaced(*store, id)) << "it is not here";
  ASSERT_TRUE(store->put(bytes));
  EXPECT_FALSE(is_unplaced(*store, id));
  const std::function<void()> ways[] = {[&] { ASSERT_TRUE(store->put(bytes)); },
                                        [&] { ASSERT_TRUE(store->put_file(file)); },
                                        [&] { ASSERT_TRUE(store->pin(id, "mine")); }};
  for (const auto& want : ways) {
    mark_unplaced(*store, id);
    store = open();
    EXPECT_TRUE(is_unplaced(*store, id));
    want();
    EXPECT_FALSE(is_unplaced(*store, id));
    EXPECT_EQ(*store->read(id), bytes);
  }
  mark_unplaced(*store, id);
  store->drop(id);
  EXPECT_TRUE(files_in("content").empty());
}

}  // namespace
}  // namespace shoal
