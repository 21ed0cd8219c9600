#include <gmock/gmock.h>

#include "node/protocol/hash.h"
#include "node/protocol/limits.h"
#include "tests/unit/sdk/core/submitter_world.h"

namespace shoal {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kBlockBytes = limits::kBlockLeaves * kContentLeafBytes;

class SubmitterContent : public World {
 protected:
  static constexpr std::uint64_t kLength = 10 * kBlockBytes;
  const ContentId content = content_id(as_bytes("only its name counts here"));
  KeyPair friend_key = key_of(50);

  Signed record_of_friend() const {
    NodeRecord r;
    r.node = friend_key.id();
    r.pool = pool_id();
    r.role = Role::kSubmitter;
    r.endpoints = {"tcp://10.0.0.50:9050"};
    r.sequence = kUnixZero;
    r.ttl_s = 600;
    return sign_fact(friend_key, Purpose::kRecord, encode(r));
  }
  // The coordinator was dialled, comes up, and knows the first `n` workers.
  void pool_knows(std::size_t n) {
    EXPECT_EQ(dialled(), std::vector<NodeId>{coordinator.id()});
    std::vector<Signed> records;
    for (std::size_t i = 0; i < n; ++i) records.push_back(record(workers[i]));
    introduce(records);
    take<Drop>();
  }
  void fetch() {
    step(FetchContent{content, kLength});
    EXPECT_EQ(take<OpenContent>().size(), 1u);
    step(ContentOpened{content, kLength, false, {}});
  }
  Holdings holdings(std::uint8_t bits, bool fetching = false) const {
    return {content, kLength, 0, bits == 0 ? Bytes{} : Bytes{bits, 0}, fetching};
  }
};

TEST_F(SubmitterContent, WhatIsSharedIsToldToWorkersAndServed) {
  start();
  step(ShareContent{content, kLength});
  pool_knows(3);
  EXPECT_EQ(dialled().size(), 3u);
  link(workers[0]);
  const auto told = sent<Holdings>(workers[0].id());
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0], holdings_for(workers[0].id(), content, kLength));
  EXPECT_EQ(told[0].bits.size(), 1u) << "one block is named: who fetches hears which to ask for";
  hear(workers[0].id(), BlockRequest{content, kLength, 16});
  EXPECT_EQ(take<ReadBlock>().size(), 1u);
  const ContentId secret = content_id(as_bytes("a diary"));
  hear(workers[0].id(), BlockRequest{secret, 7, 0});
  EXPECT_TRUE(take<ReadBlock>().empty());
  hear(workers[0].id(), Holdings{secret, kLength, 0, {}, true});
  EXPECT_TRUE(take<OpenContent>().empty());
  const auto nothing = sent<Holdings>(workers[0].id());
  ASSERT_EQ(nothing.size(), 1u);
  EXPECT_TRUE(nothing[0].bits.empty());
}

TEST_F(SubmitterContent, AFetchAsksWorkersWhoNameAHolderWhichIsDialledAndAsked) {
  start();
  fetch();
  pool_knows(2);
  EXPECT_EQ(dialled().size(), 2u);
  link(workers[0]);
  EXPECT_EQ(sent<Holdings>(workers[0].id()).size(), 1u);
  EXPECT_EQ(sent<HoldersRequest>(workers[0].id()).size(), 1u);
  EXPECT_TRUE(sent<BlockRequest>(workers[0].id()).empty()) << "it has not said that it has any";
  hear(workers[0].id(), holdings(0));
  hear(workers[0].id(), Holders{content, {record_of_friend()}});
  const auto dials = take<Dial>();
  ASSERT_EQ(dials.size(), 1u);
  EXPECT_EQ(dials[0].peer, friend_key.id());
  EXPECT_EQ(dials[0].endpoint, "tcp://10.0.0.50:9050");
  step(LinkUp{friend_key.id(), Role::kSubmitter, "10.0.0.50", record_of_friend()});
  EXPECT_TRUE(take<Drop>().empty());
  EXPECT_EQ(sent<Holdings>(friend_key.id()).size(), 1u);
  hear(friend_key.id(), holdings(0x07));
  EXPECT_EQ(sent<BlockRequest>(friend_key.id()).size(), 3u);
}

TEST_F(SubmitterContent, ARecordThatIsForgedOrOfAnotherPoolIsNotDialled) {
  start();
  fetch();
  pool_knows(1);
  dialled();
  link(workers[0]);
  Signed forged = record_of_friend();
  forged.body[forged.body.size() / 2] ^= 1;
  hear(workers[0].id(), Holders{content, {forged}});
  EXPECT_TRUE(dialled().empty());
}

TEST_F(SubmitterContent, ThatNobodyHasItIsSaidWithinSeconds) {
  start();
  const Instant began = now;
  fetch();
  pool_knows(2);
  dialled();
  for (std::size_t i : {0, 1}) {
    link(workers[i]);
    hear(workers[i].id(), holdings(0));
    hear(workers[i].id(), Holders{content, {}});
  }
  std::vector<ContentReady> ready;
  while (ready.empty()) {
    ASSERT_TRUE(submitter->next_deadline().has_value());
    pass();
    ready = take<ContentReady>();
  }
  EXPECT_THAT(ready[0].error, HasSubstr(short_hex(workers[0].id()) + " does not have it"));
  EXPECT_LE(now - began, Duration(10s));
}

}  // namespace
}  // namespace shoal
