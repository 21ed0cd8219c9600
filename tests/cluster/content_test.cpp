// Contents between real processes: put here, fetched there.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <chrono>
#include <optional>
#include <set>
#include <utility>

#include "node/content/core/content_text.h"
#include "tests/cluster/content_pool.h"
#include "tests/cluster/holder.h"

namespace shoal::cluster {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

using ContentTest = ContentPool;

// Half of it is the time in which others are looked for, and half is for a busy machine.
constexpr std::chrono::seconds kWithinSeconds(20);

TEST_F(ContentTest, WhatOneServesAnotherFetchesAndChecks) {
  start_pool(2);
  const std::string bytes = write("data", 9'000'001);
  const auto put = cluster_.start({"put", place("data"), "--serve"});
  const std::string name = served(*put);
  EXPECT_THAT(name, HasSubstr("file_"));
  EXPECT_THAT(name, HasSubstr("_9000001"));
  const auto get = cluster_.run({"get", name, "-o", place("copy")}, another("bob"));
  EXPECT_EQ(get.exit_code, 0) << get.err;
  EXPECT_TRUE(read("copy") == bytes);
  put->signal(SIGINT);
  EXPECT_EQ(put->exit_code(), 0) << put->err();
}

TEST_F(ContentTest, APoolWithoutAnyWorkerWillDo) {
  cluster_.start_coordinator();
  const std::string bytes = write("data", 9'000'001);
  const auto put = cluster_.start({"put", place("data"), "--serve"});
  const std::string name = served(*put);
  const auto get = cluster_.run({"get", name, "-o", place("copy")}, another("bob"));
  EXPECT_EQ(get.exit_code, 0) << get.err;
  EXPECT_TRUE(read("copy") == bytes);
  EXPECT_TRUE(cluster_.workers().empty());
  // What the coordinator tells is where they are, and no byte of what they have.
  EXPECT_EQ(cluster_.coordinator_figures()["job_bytes"], 0);
}

TEST_F(ContentTest, AFolderComesWithItsNamesAndModes) {
  start_pool(1);
  write("in/a/data", 700'000);
  write("in/run", 10);
  fs::permissions(place("in/run"), fs::perms::owner_all);
  fs::create_symlink("a/data", place("in/link"));
  const auto put = cluster_.start({"put", place("in"), "--serve"});
  const std::string name = served(*put);
  EXPECT_THAT(name, HasSubstr("folder_"));
  const auto get = cluster_.run({"get", name, "-o", place("out")}, another("bob"));
  EXPECT_EQ(get.exit_code, 0) << get.err;
  EXPECT_TRUE(read("out/link") == read("in/a/data"));
  EXPECT_NE(fs::status(place("out/run")).permissions() & fs::perms::owner_exec, fs::perms::none);
  const auto again = cluster_.run({"get", name, "-o", place("out")}, another("bob"));
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_THAT(again.err, HasSubstr("is there already"));
}

TEST_F(ContentTest, APinnedContentOutlivesWhoPutIt) {
  start_pool(1);
  const std::string bytes = write("data", 5'000'000);
  const auto put = cluster_.start({"put", place("data"), "--serve"});
  const std::string name = served(*put);
  Process& keeper = cluster_.start_worker("keeper", {"--pin", name});
  EXPECT_TRUE(keeper.await_err([](const std::string& err) {
    return err.find("is pinned here") != std::string::npos;
  })) << keeper.err();
  put->kill();
  const auto get = cluster_.run({"get", name, "-o", place("copy")}, another("bob"));
  EXPECT_EQ(get.exit_code, 0) << get.err;
  EXPECT_TRUE(read("copy") == bytes);
}

// Bytes of it on a worker's disk, whole or in part, under its name.
bool is_on_disk(const fs::path& state, const std::string& name) {
  const auto content = content_from_text(name);
  EXPECT_TRUE(content) << name;
  const std::string hex = to_hex(content->name.id);
  std::error_code gone;  // other files come and go meanwhile
  fs::recursive_directory_iterator it(state / "content", gone), end;
  for (; !gone && it != end; it.increment(gone)) {
    if (it->path().filename().string().starts_with(hex)) return true;
  }
  EXPECT_FALSE(gone) << gone.message();
  return false;
}

// Workers hear where it is, and pass that on: none of them takes it for that.
TEST_F(ContentTest, WhatIsPutStaysWithItsOwnerUntilAPinBringsItElsewhere) {
  start_pool(2);
  const std::string bytes = write("data", 5'000'000);
  const auto put = cluster_.start({"put", place("data"), "--serve"});
  const std::string name = served(*put);
  const auto get = cluster_.run({"get", name, "-o", place("copy")}, another("bob"));
  EXPECT_EQ(get.exit_code, 0) << get.err;
  EXPECT_TRUE(read("copy") == bytes);
  for (const std::string& worker : cluster_.workers()) {
    EXPECT_FALSE(is_on_disk(cluster_.state_of(worker), name)) << worker;
  }
  Process& keeper = cluster_.start_worker("keeper", {"--pin", name});
  ASSERT_TRUE(keeper.await_err([](const std::string& err) {
    return err.find("is pinned here") != std::string::npos;
  })) << keeper.err();
  for (const std::string& worker : cluster_.workers()) {
    EXPECT_EQ(is_on_disk(cluster_.state_of(worker), name), worker == "keeper") << worker;
  }
  put->signal(SIGINT);
  EXPECT_EQ(put->exit_code(), 0) << put->err();
}

TEST_F(ContentTest, ThatNobodyHasItIsSaidWithinSecondsAndOfWhomItWasAsked) {
  start_pool(2);
  for (const std::string length : {"7", "30000000"}) {
    const auto began = std::chrono::steady_clock::now();
    const auto get =
        cluster_.run({"get", "file_" + std::string(64, 'a') + "_" + length, "-o", place("copy")});
    EXPECT_EQ(get.exit_code, 1);
    EXPECT_THAT(get.err, HasSubstr("does not have it"));
    EXPECT_LT(std::chrono::steady_clock::now() - began, kWithinSeconds);
    EXPECT_FALSE(fs::exists(place("copy")));
  }
  const auto wrong = cluster_.run({"get", "aaaa"});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("is not the name of a content"));
}

// It was on two machines, and was fetched from there.
TEST_F(ContentTest, ThatEverybodyHasDroppedItIsSaidWithinSecondsAndOfWhomItWasAsked) {
  start_pool(1);
  write("data", 5'000'000);
  const auto put = cluster_.start({"put", place("data"), "--serve"});
  const std::string name = served(*put);
  Process& keeper = cluster_.start_worker("keeper", {"--pin", name});
  ASSERT_TRUE(keeper.await_err([](const std::string& err) {
    return err.find("is pinned here") != std::string::npos;
  })) << keeper.err();
  const auto before = cluster_.run({"get", name, "-o", place("copy")}, another("bob"));
  ASSERT_EQ(before.exit_code, 0) << before.err;

  put->signal(SIGINT);
  EXPECT_EQ(put->exit_code(), 0) << put->err();
  EXPECT_EQ(cluster_.run({"content", "drop", name}).exit_code, 0);
  const auto refused =
      cluster_.run({"content", "refuse", name, "--state", cluster_.state_of("keeper").string()});
  EXPECT_EQ(refused.exit_code, 0) << refused.err;
  const auto began = std::chrono::steady_clock::now();
  const auto get = cluster_.run({"get", name, "-o", place("again")}, another("bob"));
  EXPECT_EQ(get.exit_code, 1);
  EXPECT_THAT(get.err, HasSubstr("20 of 20 blocks are missing"));
  EXPECT_THAT(get.err, HasSubstr("does not have it"));
  EXPECT_LT(std::chrono::steady_clock::now() - began, kWithinSeconds);
  EXPECT_FALSE(fs::exists(place("again")));
}

// Nobody serves it, so whatever is said before the five seconds are over is said before a fetch.
TEST_F(ContentTest, APlaceThatCannotBeWrittenIsRefusedBeforeAnythingIsFetched) {
  cluster_.start_coordinator();
  const std::string name = "file_" + std::string(64, 'a') + "_7";
  ASSERT_EQ(::mkfifo(place("pipe").c_str(), 0600), 0);
  fs::create_directory(place("folder"));
  fs::create_symlink("pipe", place("link"));
  const std::pair<fs::path, std::string> wrong[] = {
      {place("nowhere/copy"), "There is no folder"},
      {place("pipe"), "is a link, a pipe or a device"},
      {place("link"), "is a link, a pipe or a device"},
      {place("folder"), "is a folder"},
  };
  for (const auto& [where, why] : wrong) {
    const auto get = cluster_.run({"get", name, "-o", where});
    EXPECT_EQ(get.exit_code, 2);
    EXPECT_THAT(get.err, HasSubstr(why));
    EXPECT_THAT(get.err, ::testing::Not(HasSubstr("could not be fetched")));
  }
  EXPECT_TRUE(fs::is_fifo(place("pipe")));
}

TEST_F(ContentTest, TheStoreOfAnAccountIsListedAndDropped) {
  write("data", 1000);
  const auto put = cluster_.run({"put", place("data")});
  ASSERT_EQ(put.exit_code, 0) << put.err;
  EXPECT_THAT(put.err, HasSubstr("--serve")) << "that others cannot fetch it now is not said";
  const std::string name = put.out.substr(0, put.out.find('\n'));
  const auto listed = cluster_.json({"content", "list", "--json"});
  EXPECT_EQ(listed["content"], name);
  EXPECT_EQ(listed["pinned"], true);
  EXPECT_EQ(listed["label"], place("data").string());
  EXPECT_THAT(cluster_.run({"content", "list", "--help"}).out,
              HasSubstr("not what a worker keeps"));
  EXPECT_EQ(cluster_.json({"content", "pin", name, "--json"})["pinned"], name);
  EXPECT_EQ(cluster_.json({"content", "drop", name, "--json"})["dropped"], name);
  EXPECT_EQ(cluster_.run({"content", "drop", name}).exit_code, 1);
  EXPECT_EQ(cluster_.run({"content", "list", "--json"}).out, "");
}

// All but the last block comes: of the seed, and then of nobody.
TEST_F(ContentTest, WhatAnEndedFetchHasLeftIsListedAndDropped) {
  constexpr std::size_t kSize = 3 * 256 * 1024;
  cluster_.start_coordinator();
  const std::string bytes = write("data", kSize);
  std::set<std::uint64_t> sent;
  Holder seed(cluster_.ticket(), Bytes(bytes.begin(), bytes.end()),
              [&](Block block) -> std::optional<Block> {
                if (sent.size() == 2 && !sent.contains(block.first_leaf)) return std::nullopt;
                sent.insert(block.first_leaf);
                return block;
              });
  const std::string name = to_text({seed.content(), false});
  const auto get = cluster_.run({"get", name, "-o", place("copy"), "--timeout", "3"});
  EXPECT_EQ(get.exit_code, 124) << get.err;
  EXPECT_THAT(get.err, HasSubstr("What has come is kept"));
  const auto listed = cluster_.json({"content", "list", "--json"});
  EXPECT_EQ(listed["content"], name);
  EXPECT_EQ(listed["bytes_here"], 2 * 256 * 1024);
  EXPECT_THAT(cluster_.run({"content", "list"}).out, HasSubstr("512.0 KiB so far"));
  EXPECT_EQ(cluster_.json({"content", "drop", name, "--json"})["dropped"], name);
  EXPECT_EQ(cluster_.run({"content", "list", "--json"}).out, "");
  EXPECT_EQ(cluster_.run({"content", "drop", name}).exit_code, 1);
}

// Another file system is full, or what is in the way came in the meantime.
TEST_F(ContentTest, ThatAllOfItIsKeptIsSaidWhereItCannotBePutInItsPlace) {
  start_pool(1);
  const std::string bytes = write("data", 5'000'000);
  const auto put = cluster_.start({"put", place("data"), "--serve"});
  const std::string name = served(*put);
  const std::string script =
      "mount -t tmpfs -o size=1m none \"$1\" || exit 77; shift; \"$@\"; echo \"ended $?\"";
  fs::create_directories(place("small"));
  const auto ended = cluster_.run_command(
      {"/usr/bin/unshare", "--mount", "/bin/sh", "-c", script, "sh", place("small").string(),
       "/usr/bin/env", "XDG_STATE_HOME=" + place("bob").string(), program("shoal").string(), "get",
       name, "-o", place("small/copy").string()});
  if (ended.exit_code == 77 || ended.exit_code == 1) {
    GTEST_SKIP() << "this machine lets nobody mount a small file system: " << ended.err;
  }
  EXPECT_THAT(ended.out, HasSubstr("ended 1\n"));
  EXPECT_THAT(ended.err, HasSubstr("All of it has come and is kept"));
  put->kill();
  const auto list = [&] { return cluster_.run({"content", "list", "--json"}, another("bob")).out; };
  EXPECT_THAT(list(), HasSubstr("\"bytes_here\":5000000"));
  const auto again = cluster_.run({"get", name, "-o", place("copy")}, another("bob"));
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_TRUE(read("copy") == bytes);
  EXPECT_EQ(list(), "") << "it stays where nobody asked for it";
}

}  // namespace
}  // namespace shoal::cluster
