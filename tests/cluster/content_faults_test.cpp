// Contents between real processes, and what befalls them, or is done to them by others.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <fstream>
#include <set>

#include "node/content/core/content_text.h"
#include "node/content/core/exchange_rules.h"
#include "node/content/store/folder_listing.h"
#include "tests/cluster/content_pool.h"
#include "tests/cluster/holder.h"

namespace shoal::cluster {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr std::size_t kSize = 9'000'001;
constexpr std::uint64_t kBlocks = 35;

std::optional<Block> honest(Block block) { return block; }

class ContentFaults : public ContentPool {
 protected:
  // One who says that he holds it is linked first, and lies; the other is heard of after him. The
  // fetch ends well, and no more was asked of the liar than was under way when it was found out.
  void expect_liar_costs_little(const Holder::Answer& lie) {
    start_pool(1);
    const std::string bytes = write("data", kSize);
    const auto put = cluster_.start({"put", place("data"), "--serve"});
    const std::string name = served(*put);
    Holder liar(cluster_.ticket(), Bytes(bytes.begin(), bytes.end()), lie);
    ASSERT_EQ(name, to_text({liar.content(), false}));
    cluster_.await_workers(1);
    ASSERT_TRUE(liar.await([&] { return liar.linked() > 1; })) << "the worker does not know it";
    const auto get = cluster_.run({"get", name, "-o", place("copy")}, another("bob"));
    EXPECT_EQ(get.exit_code, 0) << get.err;
    EXPECT_TRUE(read("copy") == bytes);
    EXPECT_GT(liar.asked(), 0U);
    EXPECT_LE(liar.asked(), limits::kContentWindowMax);
  }
};

TEST_F(ContentFaults, WhoSendsPoisonedLeavesIsNotAskedAgain) {
  expect_liar_costs_little([](Block block) {
    block.bytes[block.bytes.size() / 2] ^= 1;
    return std::optional(std::move(block));
  });
}

TEST_F(ContentFaults, WhoSendsPiecesThatBelongElsewhereIsNotAskedAgain) {
  expect_liar_costs_little([](Block block) {
    block.proof[0].bytes[0] ^= 1;
    return std::optional(std::move(block));
  });
}

TEST_F(ContentFaults, WhoClaimsWhatItDoesNotHoldIsNotAskedAgain) {
  expect_liar_costs_little([](Block block) {
    return std::optional(Block{block.content, block.first_leaf, {}, {}, true});
  });
}

// The last block is sent by nobody else until the first seed is dead.
TEST_F(ContentFaults, ASeedThatDiesAtTheLastBlockHoldsUpNobodyWhoHasAnother) {
  start_pool(1);
  const std::string bytes = write("data", kSize);
  const Bytes content(bytes.begin(), bytes.end());
  std::set<std::uint64_t> sent;
  Holder* self = nullptr;
  Holder dying(cluster_.ticket(), content, [&](Block block) -> std::optional<Block> {
    if (sent.size() + 1 == kBlocks && !sent.contains(block.first_leaf)) {
      self->leave();
      return std::nullopt;
    }
    sent.insert(block.first_leaf);
    return block;
  });
  self = &dying;
  Holder living(cluster_.ticket(), content, [&](Block block) {
    return dying.gone() ? std::optional(std::move(block)) : std::nullopt;
  });
  for (Holder* holder : {&dying, &living}) {
    ASSERT_TRUE(holder->await([&] { return holder->linked() > 1; }));
  }
  const auto get =
      cluster_.run({"get", to_text({dying.content(), false}), "-o", place("copy")}, another("bob"));
  EXPECT_EQ(get.exit_code, 0) << get.err;
  EXPECT_TRUE(dying.gone());
  EXPECT_TRUE(read("copy") == bytes);
  EXPECT_GT(living.sent(), 0U);
  EXPECT_LE(living.sent(), limits::kContentWindow) << "what was here was fetched again";
}

// Nobody has the last block until another seed comes.
TEST_F(ContentFaults, AFetchThatHasAllButOneBlockWaitsForASeedThatComesBack) {
  start_pool(1);
  const std::string bytes = write("data", kSize);
  const Bytes content(bytes.begin(), bytes.end());
  const auto all_but_one = [](Holder*& self) {
    return [&self, sent = std::set<std::uint64_t>()](Block block) mutable -> std::optional<Block> {
      if (sent.size() + 1 == kBlocks && !sent.contains(block.first_leaf)) {
        self->leave();
        return std::nullopt;
      }
      sent.insert(block.first_leaf);
      return block;
    };
  };
  Holder* self = nullptr;
  Holder dying(cluster_.ticket(), content, all_but_one(self));
  self = &dying;
  ASSERT_TRUE(dying.await([&] { return dying.linked() > 1; }));
  const std::string name = to_text({dying.content(), false});
  const auto get = cluster_.start({"get", name, "-o", place("copy")}, another("bob"));
  EXPECT_TRUE(get->await_err([](const std::string& err) {
    return err.find("1 of 35 blocks are missing") != std::string::npos &&
           err.find("Waiting 2m for somebody who has it") != std::string::npos;
  })) << get->err();
  Holder back(cluster_.ticket(), content, honest);
  EXPECT_EQ(get->exit_code(), 0) << get->err();
  EXPECT_TRUE(read("copy") == bytes);
  EXPECT_LE(back.sent(), limits::kContentWindow) << "what was here was fetched again";

  Holder* other = nullptr;
  Holder last(cluster_.ticket(), content, all_but_one(other));
  other = &last;
  ASSERT_TRUE(last.await([&] { return last.linked() > 1; }));
  back.leave();
  ASSERT_TRUE(back.await([&] { return back.gone(); }));
  const auto in_vain =
      cluster_.run({"get", name, "-o", place("more"), "--wait", "1"}, another("carol"));
  EXPECT_EQ(in_vain.exit_code, 1);
  EXPECT_THAT(in_vain.err, HasSubstr("nobody else came in 1 s"));
  EXPECT_THAT(in_vain.err, HasSubstr("the same command goes on from there"));
}

// Half of it is sent, and then nothing until they are there again.
TEST_F(ContentFaults, FetchersThatAreAllRestartedDoNotBeginAnew) {
  constexpr std::size_t kLargeSize = 40'000'001;
  constexpr std::uint64_t kHalf = 76;
  cluster_.start_coordinator();
  const std::string bytes = write("data", kLargeSize);
  std::atomic<bool> held_back{true};
  Holder seed(cluster_.ticket(), Bytes(bytes.begin(), bytes.end()),
              [&, sent = std::uint64_t{0}](Block block) mutable -> std::optional<Block> {
                if (held_back && sent >= kHalf) return std::nullopt;
                ++sent;
                return block;
              });
  const Line pin{"--pin", to_text({seed.content(), false})};
  for (const char* worker : {"one", "two"}) cluster_.start_worker(worker, pin);
  ASSERT_TRUE(seed.await([&] { return seed.asked() > kHalf + limits::kContentWindowMin; }));
  for (const char* worker : {"one", "two"}) cluster_.kill_worker(worker);
  held_back = false;
  for (const char* worker : {"one", "two"}) {
    Process& again = cluster_.start_worker(worker, pin);
    EXPECT_TRUE(again.await_err([](const std::string& err) {
      return err.find("is pinned here") != std::string::npos;
    })) << again.err();
  }
  // What was under way when they were killed, and not all that had come.
  EXPECT_LT(seed.sent_again(), kHalf / 2);
}

TEST_F(ContentFaults, ASlowSourceAmongFastOnesHoldsUpNobody) {
  start_pool(1);
  const std::string bytes = write("data", kSize);
  const auto put = cluster_.start({"put", place("data"), "--serve"});
  const std::string name = served(*put);
  Process& slow = cluster_.start_worker("slow", {"--pin", name, "--upload-rate", "1K"});
  ASSERT_TRUE(slow.await_err([](const std::string& err) {
    return err.find("is pinned here") != std::string::npos;
  })) << slow.err();
  const auto began = std::chrono::steady_clock::now();
  const auto get = cluster_.run({"get", name, "-o", place("copy")}, another("bob"));
  EXPECT_EQ(get.exit_code, 0) << get.err;
  EXPECT_TRUE(read("copy") == bytes);
  // One block at that rate takes more than four minutes.
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(60));
}

TEST_F(ContentFaults, ADiskThatFillsUpInTheMiddleIsSaidAndNothingIsFetchedTwice) {
  constexpr std::size_t kLargeSize = 60'000'000;
  constexpr std::uint64_t kLargeBlocks = 229;
  start_pool(1);
  const std::string bytes = write("data", kLargeSize);
  Holder seed(cluster_.ticket(), Bytes(bytes.begin(), bytes.end()), honest);
  const std::string name = to_text({seed.content(), false});
  // The second time there is more room, and what is there has stayed.
  const std::string script =
      "mount -t tmpfs -o size=40m none \"$1\" || exit 77; state=$1; shift; "
      "XDG_STATE_HOME=$state \"$@\"; first=$?; "
      "mount -o remount,size=100m \"$state\" && XDG_STATE_HOME=$state \"$@\"; "
      "echo \"$first $?\"";
  fs::create_directories(place("small"));
  const auto ended = cluster_.run_command({"/usr/bin/unshare", "--mount", "/bin/sh", "-c", script,
                                           "sh", place("small").string(), program("shoal").string(),
                                           "get", name, "-o", place("copy").string()});
  if (ended.exit_code == 77 || ended.exit_code == 1) {
    GTEST_SKIP() << "this machine lets nobody mount a small file system: " << ended.err;
  }
  EXPECT_THAT(ended.out, HasSubstr("1 0\n")) << ended.err;
  EXPECT_THAT(ended.err, ::testing::AnyOf(HasSubstr("space"), HasSubstr("full")));
  EXPECT_THAT(ended.err, HasSubstr("the same command goes on from there"));
  EXPECT_TRUE(read("copy") == bytes);
  // Of 229 blocks some 150 found room; what was on its way to the disk then is sent again. It is
  // another session that asks the second time, so all that was sent is counted.
  EXPECT_LE(seed.sent(), kLargeBlocks + exchange_rules::kBlocksAhead);
}

// The bytes of a folder whose listing leads out of it, handed round as if it were one.
TEST_F(ContentFaults, AFolderWhosePathsPlayTricksIsNotUnpacked) {
  for (const std::string path : {"../evil", "/tmp/evil", "a/../../evil"}) {
    const Bytes listing =
        encode_listing({{.kind = FolderEntryKind::kFile, .path = path, .bytes = 4}});
    std::string bytes(listing.begin(), listing.end());
    std::ofstream(place("evil-folder"), std::ios::binary) << bytes << "evil";
    const auto put = cluster_.run({"put", place("evil-folder")});
    ASSERT_EQ(put.exit_code, 0) << put.err;
    auto name = content_from_text(put.out.substr(0, put.out.find('\n')));
    ASSERT_TRUE(name);
    name->folder = true;
    fs::create_directories(place("in/side"));
    const auto get = cluster_.run({"get", to_text(*name), "-o", place("in/side/out")});
    EXPECT_EQ(get.exit_code, 2);
    EXPECT_THAT(get.err, HasSubstr("is not unpacked")) << path;
    EXPECT_TRUE(fs::is_empty(place("in/side"))) << path;
    EXPECT_FALSE(fs::exists(place("in/evil"))) << path;
    EXPECT_FALSE(fs::exists("/tmp/evil")) << path;
  }
}

}  // namespace
}  // namespace shoal::cluster
