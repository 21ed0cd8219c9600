#include "sdk/cli/pool_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

#include "node/state/key_file.h"

namespace shoal::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class PoolFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "shoal-pool-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }
  PoolWish wish() const {
    return {folder_ / "pool", "garden", {"tcp://a.example:4242", "tcp://[::1]:4243"}, true};
  }

  fs::path folder_;
};

TEST_F(PoolFilesTest, TheTicketNamesTheKeysThatLieBesideIt) {
  const auto made = make_pool(wish());
  ASSERT_TRUE(made) << made.error().what;
  const auto ticket = parse_ticket(made->text, Ed25519Checker());
  ASSERT_TRUE(ticket);
  EXPECT_EQ(*ticket, made->ticket);
  EXPECT_EQ(ticket->name, "garden");
  EXPECT_TRUE(ticket->native_from_anyone);
  EXPECT_EQ(ticket->pool.bytes, load_key(folder_ / "pool" / "pool.key")->id().bytes);
  ASSERT_EQ(ticket->doors.size(), 2U);
  ASSERT_EQ(made->coordinators.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(ticket->doors[i].endpoint, wish().endpoints[i]);
    EXPECT_EQ(load_key(made->coordinators[i] / "coordinator.key")->id(), ticket->doors[i].node);
    EXPECT_EQ(*read_text_file(made->coordinators[i] / "ticket"), made->text + "\n");
  }
  EXPECT_NE(ticket->doors[0].node, ticket->doors[1].node);
}

TEST_F(PoolFilesTest, OnlyTheOwnerMayReadTheKeys) {
  ASSERT_TRUE(make_pool(wish()));
  for (const char* name : {"pool.key", "coordinator.key", "coordinator-2/coordinator.key"}) {
    EXPECT_EQ(fs::status(folder_ / "pool" / name).permissions(),
              fs::perms::owner_read | fs::perms::owner_write)
        << name;
  }
}

TEST_F(PoolFilesTest, APoolThatIsThereStaysAsItIs) {
  const auto first = make_pool(wish());
  ASSERT_TRUE(first);
  const auto again = make_pool(wish());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().exit_code, kError);
  EXPECT_THAT(again.error().what, HasSubstr((folder_ / "pool").string()));
  EXPECT_EQ(*read_text_file(folder_ / "pool" / "ticket"), first->text + "\n");
  EXPECT_EQ(load_key(folder_ / "pool" / "pool.key")->id().bytes, first->ticket.pool.bytes);
}

TEST_F(PoolFilesTest, HalfAPoolIsTakenBack) {
  // A file where the second coordinator's folder would be.
  fs::create_directory(folder_ / "pool");
  std::ofstream(folder_ / "pool" / "coordinator-2") << "x";
  ASSERT_FALSE(make_pool(wish()));
  EXPECT_FALSE(fs::exists(folder_ / "pool" / "pool.key"));
  EXPECT_FALSE(fs::exists(folder_ / "pool" / "coordinator.key"));
  fs::remove(folder_ / "pool" / "coordinator-2");
  EXPECT_TRUE(make_pool(wish()));
}

TEST_F(PoolFilesTest, WhatNoTicketCanHoldIsUsageAndWritesNothing) {
  const auto expect_usage = [&](const PoolWish& wrong) {
    const auto made = make_pool(wrong);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().exit_code, kUsage) << made.error().what;
    EXPECT_FALSE(fs::exists(folder_ / "pool"));
  };
  for (const std::string& name : {std::string(), std::string(129, 'x'), std::string("a\nb"),
                                  std::string("\xc2\x85"), std::string("\xff")}) {
    PoolWish wrong = wish();
    wrong.name = name;
    expect_usage(wrong);
  }
  for (const std::string& endpoint :
       {std::string("tcp://"), std::string("a.example:4242"), std::string("tcp://a.example"),
        std::string("tcp://a.example:0"), std::string("tcp://a.example:65536"),
        std::string("tcp://a.example:42x"), std::string("tcp://:4242"),
        std::string("tcp://0.0.0.0:4242"), std::string("tcp://a b:4242"),
        std::string("tcp://::1:4242"), std::string("tcp://\xc3\xa4:4242"),
        "tcp://" + std::string(300, 'a') + ":4242"}) {
    PoolWish wrong = wish();
    wrong.endpoints = {endpoint};
    SCOPED_TRACE(endpoint);
    expect_usage(wrong);
  }
  PoolWish many = wish();
  many.endpoints.clear();
  expect_usage(many);
  for (int i = 1; i <= 17; ++i) many.endpoints.push_back("tcp://a.example:" + std::to_string(i));
  expect_usage(many);
  PoolWish twice = wish();
  twice.endpoints = {"tcp://a.example:1", "tcp://a.example:1"};
  expect_usage(twice);
}

TEST_F(PoolFilesTest, AWideNameIsFine) {
  PoolWish other = wish();
  other.name = "Gärtchen 魚群";
  ASSERT_TRUE(make_pool(other));
}

TEST_F(PoolFilesTest, AnyPeerMayBeAWayIn) {
  const auto made = make_pool(wish());
  ASSERT_TRUE(made) << made.error().what;
  const NodeId worker = new_key().id();
  const auto door = door_of(to_hex(worker) + "@tcp://w.example:5555");
  ASSERT_TRUE(door) << door.error().what;
  const auto more = ticket_with(folder_ / "pool", {*door});
  ASSERT_TRUE(more) << more.error().what;
  const auto ticket = parse_ticket(more->text, Ed25519Checker());
  ASSERT_TRUE(ticket);
  Ticket expected = made->ticket;
  expected.doors.push_back({worker, "tcp://w.example:5555"});
  EXPECT_EQ(*ticket, expected);

  const auto moved =
      ticket_with(folder_ / "pool", {{made->ticket.doors[0].node, "tcp://c.example:1"}});
  ASSERT_TRUE(moved);
  ASSERT_EQ(moved->ticket.doors.size(), 2U);
  EXPECT_EQ(moved->ticket.doors[1].endpoint, "tcp://c.example:1");
}

TEST_F(PoolFilesTest, AWayInThatCannotBeDialledIsUsage) {
  const std::string node = to_hex(new_key().id());
  for (const std::string& text : std::vector<std::string>{
           "", node, node + "@", "abcd@tcp://a:1", node + "@tcp://0.0.0.0:1", "@tcp://a:1"}) {
    const auto door = door_of(text);
    ASSERT_FALSE(door) << text;
    EXPECT_EQ(door.error().exit_code, kUsage) << text;
  }
}

TEST_F(PoolFilesTest, WithoutThePoolsKeyThereIsNoOtherTicket) {
  const auto made = make_pool(wish());
  ASSERT_TRUE(made);
  fs::remove(folder_ / "pool" / "pool.key");
  const auto more = ticket_with(folder_ / "pool", {});
  ASSERT_FALSE(more);
  EXPECT_THAT(more.error().what, HasSubstr("pool.key"));
}

}  // namespace
}  // namespace shoal::cli
