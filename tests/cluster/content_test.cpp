// Contents between real processes: put here, fetched there.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <fstream>
#include <sstream>

#include "node/protocol/rng.h"
#include "tests/cluster/cluster.h"

namespace shoal::cluster {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ContentTest : public ::testing::Test {
 protected:
  void start_pool(std::size_t workers) {
    cluster_.start_coordinator();
    for (std::size_t i = 1; i <= workers; ++i) {
      cluster_.start_worker("worker-" + std::to_string(i));
    }
    cluster_.await_workers(workers);
  }
  fs::path place(const std::string& name) const { return cluster_.folder() / name; }
  std::string write(const std::string& name, std::size_t size) {
    Rng rng(size);
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(rng.next());
    fs::create_directories(place(name).parent_path());
    std::ofstream(place(name), std::ios::binary) << bytes;
    return bytes;
  }
  std::string read(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(place(name), std::ios::binary).rdbuf();
    return text.str();
  }
  // Somebody else's account: nothing that this one has put is on its disk.
  Variables another(const std::string& name) const {
    return {{"XDG_STATE_HOME", place(name).string()}};
  }
  // The content's name, once it is served.
  static std::string served(Process& put) {
    EXPECT_TRUE(put.await_err([](const std::string& err) {
      return err.find("serving it") != std::string::npos;
    })) << put.err();
    // Said before, but on another pipe.
    EXPECT_TRUE(
        put.await_out([](const std::string& out) { return out.find('\n') != std::string::npos; }));
    return put.out().substr(0, put.out().find('\n'));
  }

  Cluster cluster_;
};

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

TEST_F(ContentTest, ThatNobodyHasItIsSaidWithinSecondsAndOfWhomItWasAsked) {
  start_pool(2);
  for (const std::string length : {"7", "30000000"}) {
    const auto began = std::chrono::steady_clock::now();
    const auto get =
        cluster_.run({"get", "file_" + std::string(64, 'a') + "_" + length, "-o", place("copy")});
    EXPECT_EQ(get.exit_code, 1);
    EXPECT_THAT(get.err, HasSubstr("does not have it"));
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(60));
    EXPECT_FALSE(fs::exists(place("copy")));
  }
  const auto wrong = cluster_.run({"get", "aaaa"});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("is not the name of a content"));
}

TEST_F(ContentTest, TheStoreOfAnAccountIsListedAndDropped) {
  write("data", 1000);
  const auto put = cluster_.run({"put", place("data")});
  ASSERT_EQ(put.exit_code, 0) << put.err;
  const std::string name = put.out.substr(0, put.out.find('\n'));
  const auto listed = cluster_.json({"content", "list", "--json"});
  EXPECT_EQ(listed["content"], name);
  EXPECT_EQ(listed["pinned"], true);
  EXPECT_EQ(listed["label"], place("data").string());
  EXPECT_EQ(cluster_.run({"content", "drop", name}).exit_code, 0);
  EXPECT_EQ(cluster_.run({"content", "drop", name}).exit_code, 1);
  EXPECT_EQ(cluster_.run({"content", "list", "--json"}).out, "");
}

}  // namespace
}  // namespace shoal::cluster
