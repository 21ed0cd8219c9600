#include "node/content/core/upload_queue.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "node/content/core/block_check.h"
#include "node/content/core/exchange_rules.h"
#include "node/protocol/hash.h"

namespace shoal {
namespace {

using namespace exchange_rules;

constexpr std::uint64_t kBlocks = 1000;
constexpr std::uint64_t kLength = kBlocks * limits::kBlockLeaves * kContentLeafBytes;

NodeId reader(std::size_t number) {
  NodeId id;
  id.bytes[0] = static_cast<std::uint8_t>(number >> 8);
  id.bytes[1] = static_cast<std::uint8_t>(number);
  return id;
}

class UploadQueueTest : public ::testing::Test {
 protected:
  static BlockRequest request(std::uint64_t block) {
    return {ContentId{}, kLength, first_leaf_of(block)};
  }
  void ask(const NodeId& node, std::uint64_t blocks) {
    for (std::uint64_t i = 0; i < blocks; ++i) queue_.ask(node, request(i));
  }
  // Those whose turn it is, until nobody's is.
  std::vector<NodeId> turns() {
    std::vector<NodeId> readers;
    while (const auto turn = queue_.next(now_)) readers.push_back(turn->reader);
    queue_.check_invariants();
    return readers;
  }
  void sent(const NodeId& node) {
    queue_.left(now_, node, true);
    queue_.check_invariants();
  }

  UploadQueue queue_;
  Instant now_ = Instant{} + 100s;
};

TEST_F(UploadQueueTest, OfOneReaderFewBlocksAreAheadAndEachThatLeftMakesRoomForOne) {
  ask(reader(1), 64);
  EXPECT_EQ(turns().size(), kBlocksAheadOfReader);
  EXPECT_TRUE(turns().empty());
  sent(reader(1));
  EXPECT_EQ(turns().size(), 1U);
  EXPECT_EQ(queue_.waiting(), 64 - kBlocksAheadOfReader - 1);
}

TEST_F(UploadQueueTest, OfAllReadersFewBlocksAreAheadAndEachIsServedInHisTurn) {
  constexpr std::size_t kReaders = 64;
  for (std::size_t i = 0; i < kReaders; ++i) ask(reader(i), 64);
  std::vector<NodeId> ahead = turns();
  EXPECT_EQ(ahead.size(), kBlocksAheadOfAll);
  std::map<NodeId, int> served;
  for (std::size_t n = 0; n < 10 * kReaders; ++n) {
    now_ = now_ + 10ms;
    ++served[ahead.at(n)];
    sent(ahead.at(n));
    for (const NodeId& node : turns()) ahead.push_back(node);
    ASSERT_LE(queue_.ahead(), kBlocksAheadOfAll);
  }
  ASSERT_EQ(served.size(), kReaders);
  for (const auto& [node, blocks] : served) EXPECT_EQ(blocks, 10);
}

TEST_F(UploadQueueTest, WhoTakesLongForABlockGetsOneAtATime) {
  ask(reader(1), 64);
  turns();
  for (std::size_t i = 0; i < kBlocksAheadOfReader; ++i) {
    now_ = now_ + 2 * kQuickBlock;
    sent(reader(1));
  }
  EXPECT_EQ(turns().size(), 1U);
  sent(reader(1));
  EXPECT_EQ(turns().size(), kBlocksAheadOfReader) << "it is quick again";
}

TEST_F(UploadQueueTest, ManyWhoTakeLongForABlockDoNotHoldAQuickOneToTheirPace) {
  constexpr Duration kStep = 20ms;
  constexpr int kSteps = 1000;
  const NodeId quick = reader(1000);
  std::map<NodeId, Instant> leaves_at;  // the first of those that are ahead of it
  std::map<NodeId, int> got;
  for (std::size_t i = 0; i < kBlocksAheadOfAll; ++i) ask(reader(i), 64);
  turns();
  for (int step = 0; step < kSteps; ++step) {
    ask(quick, 64);
    turns();
    for (std::size_t i = 0; i <= kBlocksAheadOfAll; ++i) {
      const NodeId node = i == kBlocksAheadOfAll ? quick : reader(i);
      if (queue_.ahead_of(node) == 0) continue;
      const auto [first, fresh] = leaves_at.try_emplace(node, now_ + (node == quick ? kStep : 5s));
      if (fresh || first->second > now_) continue;
      leaves_at.erase(first);
      ++got[node];
      sent(node);
      turns();
    }
    EXPECT_LE(queue_.ahead(), kBlocksAheadOfAll + kBlocksAheadOfQuick);
    now_ = now_ + kStep;
  }
  // It takes two steps for a block, and waits for a place for the first one.
  EXPECT_GE(got[quick], kSteps / 2 * 7 / 10);
  for (std::size_t i = 0; i < kBlocksAheadOfAll; ++i) EXPECT_GE(got[reader(i)], 2);
}

TEST_F(UploadQueueTest, PlacesForQuickReadersAreNotForThoseWhoHaveTakenNothingYet) {
  for (std::size_t i = 0; i < 2 * kBlocksAheadOfAll; ++i) ask(reader(i), 64);
  EXPECT_EQ(turns().size(), kBlocksAheadOfAll);
}

TEST_F(UploadQueueTest, ThoseWhoTakeNothingHoldUpTheOthersForAWhileOnly) {
  const std::size_t stuck = kBlocksAheadOfAll / kBlocksAheadOfReader;
  for (std::size_t i = 0; i < stuck; ++i) ask(reader(i), 64);
  EXPECT_EQ(turns().size(), kBlocksAheadOfAll);
  ask(reader(1000), 3);
  EXPECT_TRUE(turns().empty());
  ASSERT_EQ(queue_.next_deadline(), now_ + kStuckAfter);
  now_ = *queue_.next_deadline();
  EXPECT_EQ(turns(), std::vector<NodeId>(3, reader(1000)));
}

TEST_F(UploadQueueTest, HoweverManyTakeNothingMemoryHasAnEnd) {
  for (std::size_t i = 0; i < kBlocksAheadMax; ++i) {
    ask(reader(i), 64);
    turns();
    now_ = now_ + kStuckAfter;
  }
  EXPECT_EQ(queue_.ahead(), kBlocksAheadMax);
  EXPECT_EQ(queue_.next_deadline(), std::nullopt);
  queue_.forget(reader(0));
  EXPECT_LT(queue_.ahead(), kBlocksAheadMax);
  EXPECT_FALSE(turns().empty());
}

TEST_F(UploadQueueTest, WhoGivesGoesFirstAndWhoOnlyTakesIsServedAllTheSame) {
  for (std::size_t i = 0; i < 64; ++i) {
    if (i % 2 == 0) queue_.gave(reader(i), 1);
    ask(reader(i), 64);
  }
  std::vector<NodeId> ahead = turns();
  std::size_t to_takers = 0;
  constexpr std::size_t kTurns = 500;
  for (std::size_t n = 0; n < kTurns; ++n) {
    if (ahead.at(n).bytes[1] % 2 == 1) ++to_takers;
    sent(ahead.at(n));
    for (const NodeId& node : turns()) ahead.push_back(node);
  }
  EXPECT_EQ(to_takers, kTurns / 5);
}

TEST_F(UploadQueueTest, WhatIsTakenBackIsNotRead) {
  ask(reader(1), 6);
  turns();
  queue_.take_back(reader(1), {ContentId{}, first_leaf_of(5)});
  EXPECT_EQ(queue_.waiting(), 1U);
  sent(reader(1));
  const auto turn = queue_.next(now_);
  ASSERT_TRUE(turn);
  EXPECT_EQ(turn->request, request(4));
  queue_.forget(reader(1));
  EXPECT_EQ(queue_.ahead() + queue_.waiting(), 0U);
}

}  // namespace
}  // namespace shoal
