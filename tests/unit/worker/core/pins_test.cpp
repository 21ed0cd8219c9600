#include "worker/core/pins.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "node/content/core/block_check.h"
#include "tests/unit/worker/core/pool.h"

// A worker that keeps a content on its donor's wish, among many who have nothing of it.
namespace shoal {
namespace {

using test::PlainChecker;
using test::PlainSigner;

constexpr std::uint64_t kLength = 20 * limits::kBlockLeaves * kContentLeafBytes;

class PinsTest : public ::testing::Test {
 protected:
  PinsTest() {
    PeerConfig config;
    config.pool = pool_;
    config.record.endpoints = {"tcp://127.0.0.1:1"};
    config.record.threads = 1;
    config.unix_ms_at_zero = 1'000'000;
    content_.bytes[0] = 77;
    config.pinned = {{content_, kLength}};
    peer_ = std::make_unique<Peer>(std::move(config), self_, checker_, Rng(1), RecoveredState{});
    step(Started{});
  }

  void step(PeerEvent event) {
    for (PeerAction& action : peer_->step(now_, std::move(event))) {
      if (const auto* open = std::get_if<OpenContent>(&action)) {
        step(ContentOpened{open->id, open->length, false, {}, open->for_reader});
      } else if (const auto* dial = std::get_if<Dial>(&action)) {
        dialled_.insert(dial->peer);
      } else if (const auto* send = std::get_if<Send>(&action)) {
        const auto message = decode(send->bytes);
        ASSERT_TRUE(message);
        if (std::holds_alternative<HoldersRequest>(*message)) asked_.insert(send->peer);
      }
    }
  }
  void hear(const PlainSigner& from, const Message& message) {
    step(Received{.peer = from.id(), .bytes = encode(message)});
  }
  Signed record_of(const PlainSigner& node) const {
    NodeRecord record;
    record.node = node.id();
    record.pool = pool_;
    record.endpoints = {"tcp://127.0.0.1:" + std::to_string(2000 + node.id().bytes[0])};
    record.threads = 1;
    record.sequence = 1'000'000;
    record.ttl_s = 600;
    return sign_fact(node, Purpose::kRecord, encode(record));
  }
  void link(const PlainSigner& node) {
    step(LinkUp{.peer = node.id(),
                .role = Role::kWorker,
                .address = "127.0.0.1",
                .record = record_of(node)});
  }

  PoolId pool_ = {{9}};
  PlainChecker checker_;
  PlainSigner self_{1};
  ContentId content_;
  Instant now_{1'000'000'000};
  std::unique_ptr<Peer> peer_;
  std::set<NodeId> dialled_, asked_;
};

// As many as a fetch keeps links to, and more.
TEST_F(PinsTest, WhoIsNamedIsDialledHoweverManyAreLinkedWhoHaveNothing) {
  for (std::uint8_t n = 10; n < 10 + 2 * limits::kContentPeers; ++n) link(PlainSigner(n));
  EXPECT_EQ(asked_.size(), 2 * limits::kContentPeers);
  const PlainSigner holder(200);
  hear(PlainSigner(10), Holders{content_, {record_of(holder)}});
  EXPECT_TRUE(dialled_.contains(holder.id()));
}

// Nor does anybody have it dial without end.
TEST_F(PinsTest, OfThoseWhoAreNamedSoManyAreDialledAsAFetchMayHave) {
  link(PlainSigner(10));
  for (std::uint8_t n = 0; n < 100; n += 10) {
    Holders holders{content_, {}};
    for (std::uint8_t i = 0; i < 10; ++i) {
      const auto name = static_cast<std::uint8_t>(100 + n + i);
      holders.records.push_back(record_of(PlainSigner(name)));
    }
    hear(PlainSigner(10), holders);
  }
  EXPECT_GE(dialled_.size(), limits::kContentPeers);
  EXPECT_LE(dialled_.size(), 64U);
}

}  // namespace
}  // namespace shoal
