#include "node/content/store/folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "node/content/core/block_check.h"
#include "node/protocol/hash.h"
#include "node/protocol/rng.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

using Kind = FolderEntryKind;

class FolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "shoal-folder-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    place_ = name;
    auto store = ContentStore::open(place_ / "store");
    ASSERT_TRUE(store) << store.error().what;
    store_ = std::move(*store);
  }
  void TearDown() override { fs::remove_all(place_); }

  void write(const fs::path& path, const std::string& text, unsigned mode = 0644) {
    fs::create_directories((place_ / path).parent_path());
    std::ofstream(place_ / path, std::ios::binary) << text;
    ASSERT_EQ(::chmod((place_ / path).c_str(), mode), 0);
  }
  std::string text_of(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(place_ / path, std::ios::binary).rdbuf();
    return text.str();
  }
  void write_sample(const std::string& folder) {
    write(folder + "/zebra", "last");
    write(folder + "/sub/deeper/data", std::string(700'000, 'x'));
    write(folder + "/sub/run", "#!/bin/sh\n", 0755);
    write(folder + "/sub-1", "sorts between sub and what is in it");
    write(folder + "/empty", "");
    fs::create_directories(place_ / folder / "nothing in it");
    fs::create_symlink("../zebra", place_ / folder / "sub/up");
    fs::create_symlink("sub/run", place_ / folder / "start");
  }
  ContentStore::Named pack(const std::string& folder) {
    auto named = pack_folder(*store_, place_ / folder);
    EXPECT_TRUE(named) << named.error().what;
    return named.value_or(ContentStore::Named{});
  }
  std::string refusal(const std::string& folder) {
    const auto named = pack_folder(*store_, place_ / folder);
    EXPECT_FALSE(named);
    if (named) return "";
    EXPECT_EQ(named.error().fault, StoreFault::kRefused);
    return named.error().what;
  }
  // What is said when this is unpacked, although no honest program makes it.
  std::string unpacking(Bytes content) {
    const auto id = store_->put(content);
    const auto unpacked = unpack_folder(*store_, *id, place_ / "out");
    EXPECT_FALSE(unpacked);
    EXPECT_FALSE(fs::exists(fs::symlink_status(place_ / "out")));
    return unpacked ? "" : unpacked.error().what;
  }
  std::size_t entries_of_place() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(place_), fs::directory_iterator()));
  }

  fs::path place_;
  std::unique_ptr<ContentStore> store_;
};

// In a process that is not root's, who may read all.
int says_what_is_not_read(ContentStore& store, const fs::path& folder, const fs::path& locked) {
  if (::geteuid() == 0 && ::seteuid(65534) != 0) return 1;
  const auto named = pack_folder(store, folder);
  if (named) return 2;
  std::fputs(named.error().what.c_str(), stderr);
  return named.error().what == "not allowed to read " + locked.string() ? 0 : 3;
}

TEST_F(FolderTest, WhatMayNotBeReadIsNamed) {
  write("public/sub/locked/data", "x");
  write("open/secret", "x", 0);
  const fs::path locked = place_ / "public/sub/locked";
  ASSERT_EQ(::chmod(place_.c_str(), 0755), 0);
  ASSERT_EQ(::chmod((place_ / "store").c_str(), 0777), 0);
  ASSERT_EQ(::chmod((place_ / "store/tmp").c_str(), 0777), 0);
  ASSERT_EQ(::chmod(locked.c_str(), 0), 0);
  const auto ends_well = testing::ExitedWithCode(0);
  EXPECT_EXIT(::_exit(says_what_is_not_read(*store_, place_ / "public", locked)), ends_well, "");
  EXPECT_EXIT(::_exit(says_what_is_not_read(*store_, place_ / "open", place_ / "open/secret")),
              ends_well, "");
  ::chmod(locked.c_str(), 0700);
}

TEST_F(FolderTest, ComesOutAsItWentIn) {
  write_sample("in");
  const auto named = pack("in");
  const auto listing = read_listing(*store_, named.id);
  ASSERT_TRUE(listing) << listing.error().what;
  EXPECT_EQ(content_bytes(*listing), named.length);
  EXPECT_EQ(*listing, (FolderListing{{Kind::kFile, "empty", 0},
                                     {Kind::kFolder, "nothing in it"},
                                     {Kind::kLink, "start", 0, "sub/run"},
                                     {Kind::kFolder, "sub"},
                                     {Kind::kFile, "sub-1", 35},
                                     {Kind::kFolder, "sub/deeper"},
                                     {Kind::kFile, "sub/deeper/data", 700'000},
                                     {Kind::kProgram, "sub/run", 10},
                                     {Kind::kLink, "sub/up", 0, "../zebra"},
                                     {Kind::kFile, "zebra", 4}}));
  const auto unpacked = unpack_folder(*store_, named.id, place_ / "out");
  ASSERT_TRUE(unpacked) << unpacked.error().what;
  EXPECT_EQ(text_of("out/zebra"), "last");
  EXPECT_EQ(text_of("out/sub/up"), "last");
  EXPECT_EQ(text_of("out/sub/deeper/data"), std::string(700'000, 'x'));
  EXPECT_EQ(text_of("out/start"), "#!/bin/sh\n");
  EXPECT_TRUE(fs::is_directory(place_ / "out/nothing in it"));
  EXPECT_EQ(::access((place_ / "out/sub/run").c_str(), X_OK), 0);
  struct stat about {};
  ASSERT_EQ(::stat((place_ / "out/zebra").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0111, 0U);
  EXPECT_EQ(entries_of_place(), 3U) << "nothing is left beside in, out and the store";
  EXPECT_EQ(pack("out").id, named.id);
}

TEST_F(FolderTest, TheSameNamesModesAndBytesGiveTheSameId) {
  write_sample("in");
  write_sample("copy");
  const ContentId id = pack("in").id;
  fs::last_write_time(place_ / "copy/zebra", fs::file_time_type::min());
  EXPECT_EQ(pack("copy").id, id);
  ::chmod((place_ / "copy/zebra").c_str(), 0755);
  EXPECT_NE(pack("copy").id, id);
}

TEST_F(FolderTest, AnEmptyFolderIsAFolder) {
  fs::create_directories(place_ / "in");
  const auto named = pack("in");
  EXPECT_EQ(named.length, kFolderHeaderBytes);
  ASSERT_TRUE(unpack_folder(*store_, named.id, place_ / "out/"));
  EXPECT_TRUE(fs::is_empty(place_ / "out"));
}

TEST_F(FolderTest, TwentyThousandSmallFilesAreOneContent) {
  for (int folder = 0; folder < 20; ++folder) {
    fs::create_directories(place_ / "in" / std::to_string(folder));
    for (int file = 0; file < 1000; ++file) {
      const std::string name = std::to_string(folder) + "/" + std::to_string(file);
      std::ofstream(place_ / "in" / name) << name;
    }
  }
  const auto named = pack("in");
  ASSERT_TRUE(unpack_folder(*store_, named.id, place_ / "out"));
  EXPECT_EQ(text_of("out/7/123"), "7/123");
  EXPECT_EQ(pack("out").id, named.id);
}

TEST_F(FolderTest, LinksThatLeadOutAreRefusedByName) {
  for (const std::string target :
       {"/etc/passwd", "..", "../x", "a/../../x", "sub/..", "", "./a", "a//b"}) {
    if (target.empty()) continue;  // the system knows no such link
    SCOPED_TRACE(target);
    fs::remove_all(place_ / "in");
    write("in/a", "");
    fs::create_symlink(target, place_ / "in/bad link");
    EXPECT_THAT(refusal("in"), HasSubstr("bad link"));
    EXPECT_THAT(refusal("in"), HasSubstr("leads out"));
  }
}

TEST_F(FolderTest, WhatIsNeitherFileNorFolderIsRefusedByName) {
  write("in/a", "");
  ASSERT_EQ(::mkfifo((place_ / "in/pipe").c_str(), 0600), 0);
  EXPECT_THAT(refusal("in"), HasSubstr("in/pipe is neither a file nor a folder"));
  const auto no_folder = pack_folder(*store_, place_ / "in/a");
  ASSERT_FALSE(no_folder);
  EXPECT_EQ(no_folder.error().fault, StoreFault::kMissing);
}

TEST_F(FolderTest, ListingsThatPlayTricksAreNotUnpacked) {
  const std::string longer(256, 'n');
  const std::vector<std::pair<FolderListing, std::string>> tricks{
      {{{Kind::kFile, "../x", 0}}, "no path within"},
      {{{Kind::kFile, "/x", 0}}, "no path within"},
      {{{Kind::kFile, "", 0}}, "no path within"},
      {{{Kind::kFile, ".", 0}}, "no path within"},
      {{{Kind::kFile, "x/", 0}}, "no path within"},
      {{{Kind::kFile, std::string("x\0y", 3), 0}}, "no path within"},
      {{{Kind::kFile, longer, 0}}, "no path within"},
      {{{Kind::kFolder, "a"}, {Kind::kFile, "a/../../x", 0}}, "no path within"},
      {{{Kind::kFile, "x", 0}, {Kind::kFile, "x", 0}}, "'x' is listed twice"},
      {{{Kind::kFile, "y", 0}, {Kind::kFile, "x", 0}}, "'x' is not in its place"},
      {{{Kind::kFile, "a/x", 0}}, "not listed as a folder"},
      {{{Kind::kFile, "a", 0}, {Kind::kFile, "a/x", 0}}, "not listed as a folder"},
      {{{Kind::kLink, "a", 0, "b"}, {Kind::kFile, "a/x", 0}}, "not listed as a folder"},
      {{{Kind::kLink, "a", 0, "/etc"}}, "leads out"},
      {{{Kind::kLink, "a", 0, "../x"}}, "leads out"},
      {{{Kind::kLink, "a", 0, ""}}, "leads out"},
      // By its letters "loop/../x" stays inside; on the disk it is the folder's own sibling.
      {{{Kind::kLink, "a", 0, "loop/../x"}, {Kind::kLink, "loop", 0, "."}}, "leads out"},
      {{{Kind::kFolder, "a"}, {Kind::kLink, "a/b", 0, "../../x"}}, "leads out"},
      {{{Kind::kFolder, "a", 5}}, "a size that it cannot have"},
      {{{Kind::kFile, "a", std::uint64_t{1} << 60}}, "a size that it cannot have"},
      {{{Kind::kFile, "a\x1b[2J/", 0}}, "a\\x1b[2J/"},
  };
  for (const auto& [listing, said] : tricks) {
    SCOPED_TRACE(said);
    EXPECT_THAT(unpacking(encode_listing(listing)), HasSubstr(said));
  }
  EXPECT_EQ(entries_of_place(), 1U) << "nothing but the store";
}

TEST_F(FolderTest, AListingThatIsNoneIsNotUnpacked) {
  const FolderListing listing{{Kind::kFolder, "a"}, {Kind::kFile, "a/x", 3}};
  const Bytes whole = encode_listing(listing);
  ASSERT_EQ(decode_listing(whole).value(), listing);
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    EXPECT_FALSE(decode_listing(ByteView(whole).first(cut))) << cut;
  }
  Bytes tail = whole;
  tail.push_back(0);
  EXPECT_FALSE(decode_listing(tail));
  EXPECT_THAT(unpacking(to_bytes(as_bytes("just a text"))), HasSubstr("is not a folder"));
  EXPECT_THAT(unpacking({}), HasSubstr("is not a folder"));
  EXPECT_THAT(unpacking(whole), HasSubstr("damaged")) << "three bytes of a/x are not there";
  Rng rng(7);
  for (int round = 0; round < 20'000; ++round) {
    Bytes mutated = whole;
    for (std::uint64_t n = rng.below(4) + 1; n > 0; --n) {
      mutated[rng.below(mutated.size())] = static_cast<std::uint8_t>(rng.next());
    }
    if (const auto decoded = decode_listing(mutated)) {
      EXPECT_EQ(flaw_of(*decoded), std::nullopt);
      EXPECT_EQ(encode_listing(*decoded), mutated) << "one folder has one listing";
    }
  }
}

TEST_F(FolderTest, BytesThatWentBadOnTheDiskAreNotUnpacked) {
  write_sample("in");
  const auto named = pack("in");
  {
    std::fstream file(*store_->path_of(named.id), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(500'000);
    file.put('!');
  }
  const auto unpacked = unpack_folder(*store_, named.id, place_ / "out");
  ASSERT_FALSE(unpacked);
  EXPECT_EQ(unpacked.error().fault, StoreFault::kCorrupt);
  EXPECT_EQ(entries_of_place(), 2U) << "nothing but in and the store";
}

TEST_F(FolderTest, WhatIsThereIsNotOverwrittenByAFolder) {
  write_sample("in");
  write("out/mine", "precious");
  const auto unpacked = unpack_folder(*store_, pack("in").id, place_ / "out");
  ASSERT_FALSE(unpacked);
  EXPECT_EQ(unpacked.error().fault, StoreFault::kRefused);
  EXPECT_THAT(unpacked.error().what, HasSubstr("is there already"));
  EXPECT_EQ(text_of("out/mine"), "precious");
}

TEST_F(FolderTest, ANameAsLongAsAnyMayBeIsTaken) {
  const std::string longest(255, 'n');
  fs::create_directories(place_ / "in");
  const auto folder = unpack_folder(*store_, pack("in").id, place_ / longest);
  EXPECT_TRUE(folder) << folder.error().what;
  fs::remove(place_ / longest);
  const ContentId id = *store_->put(as_bytes("bytes"));
  const auto file = unpack_file(*store_, id, place_ / longest);
  ASSERT_TRUE(file) << file.error().what;
  EXPECT_EQ(text_of(longest), "bytes");
}

TEST_F(FolderTest, AFileIsReplacedOnlyByTheRightBytes) {
  const ContentId id = *store_->put(as_bytes("new"));
  write("out", "old");
  ASSERT_TRUE(unpack_file(*store_, id, place_ / "out"));
  EXPECT_EQ(text_of("out"), "new");
  std::ofstream(*store_->path_of(id), std::ios::binary) << "bad";
  EXPECT_EQ(unpack_file(*store_, id, place_ / "out").error().fault, StoreFault::kCorrupt);
  EXPECT_EQ(text_of("out"), "new");
  EXPECT_EQ(entries_of_place(), 2U);
}

TEST_F(FolderTest, AFileThatIsTakenOutIsCheckedAndLeavesTheStore) {
  write("out", "old");
  const ContentId bad = *store_->put(as_bytes("other"));
  std::ofstream(*store_->path_of(bad), std::ios::binary) << "wrong";
  EXPECT_EQ(take_file(*store_, bad, place_ / "out").error().fault, StoreFault::kCorrupt);
  EXPECT_EQ(text_of("out"), "old");
  const ContentId id = *store_->put(as_bytes("new"));
  ASSERT_TRUE(take_file(*store_, id, place_ / "out"));
  EXPECT_EQ(text_of("out"), "new");
  EXPECT_FALSE(store_->holds(id));
  EXPECT_EQ(
      std::filesystem::status(place_ / "out").permissions() & std::filesystem::perms::owner_exec,
      std::filesystem::perms::none);
  EXPECT_EQ(entries_of_place(), 2U);
}

// Block by block from one store to the other, as an exchange does.
void fetch(ContentStore& from, ContentStore& to, const ContentStore::Named& content) {
  for (std::uint64_t i = 0; i < blocks_of(content.length); ++i) {
    const Block block = from.perform(ReadBlock{content.id, first_leaf_of(i), {}}).block;
    ASSERT_EQ(
        to.perform(StoreBlock{content.id, content.length, block.first_leaf, block.bytes}).error,
        "");
  }
}

TEST_F(FolderTest, AFileThatWasFetchedAndChangedSinceIsCheckedBeforeItIsTakenOut) {
  const std::string text(700'000, 'x');
  write("data", text);
  const auto content = store_->put_file(place_ / "data");
  ASSERT_TRUE(content);
  const auto other = ContentStore::open(place_ / "other");
  ASSERT_TRUE(other);
  fetch(*store_, **other, *content);
  EXPECT_TRUE((*other)->is_as_checked(content->id));
  ASSERT_TRUE(take_file(**other, content->id, place_ / "out"));
  EXPECT_EQ(text_of("out"), text);
  EXPECT_FALSE((*other)->is_as_checked(content->id));

  fetch(*store_, **other, *content);
  std::fstream(*(*other)->path_of(content->id), std::ios::binary | std::ios::in | std::ios::out)
      << "wrong";
  EXPECT_FALSE((*other)->is_as_checked(content->id));
  EXPECT_EQ(take_file(**other, content->id, place_ / "again").error().fault, StoreFault::kCorrupt);
  EXPECT_FALSE(store_->is_as_checked(content->id)) << "it was made there, of bytes as they were";
}

}  // namespace
}  // namespace shoal
