#include "node/content/core/block_dealer.h"

#include <gmock/gmock.h>

#include "node/content/core/exchange_rules.h"
#include "tests/unit/node/content/core/fetcher.h"

namespace shoal {
namespace {

using namespace test;
using namespace exchange_rules;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::uint64_t kBlocks = 100;
const Instant kNow = Instant{} + Duration(100s);

TEST(BlockDealer, NoBlockIsDealtTwice) {
  BlockDealer dealer(kBlocks * kBlockBytes, 90);
  std::set<std::uint64_t> dealt;
  std::size_t count = 0;
  std::map<NodeId, std::vector<std::uint64_t>> hands;
  const auto take = [&](const NodeId& fan, const std::vector<std::uint64_t>& blocks) {
    dealt.insert(blocks.begin(), blocks.end());
    count += blocks.size();
    hands[fan].insert(hands[fan].end(), blocks.begin(), blocks.end());
  };
  for (const NodeId& fan : {kAnn, kBob, kCat}) take(fan, dealer.join(kNow, fan));
  EXPECT_EQ(count, kDealtAhead + kDealtAhead / 2 + kDealtAhead / 3) << "each as many as were there";
  EXPECT_THAT(dealer.join(kNow, kAnn), IsEmpty()) << "it was dealt to already";
  for (bool any = true; any;) {
    any = false;
    for (const NodeId& fan : {kAnn, kBob, kCat}) {
      if (hands[fan].empty()) continue;
      any = true;
      const std::uint64_t block = hands[fan].back();
      hands[fan].pop_back();
      take(fan, dealer.asked(kNow, fan, block));
    }
  }
  EXPECT_THAT(dealt, SizeIs(kBlocks));
  EXPECT_EQ(count, kBlocks);
}

TEST(BlockDealer, WhatSomebodyHasAskedForIsNotDealt) {
  BlockDealer dealer(kBlocks * kBlockBytes, 0);
  dealer.asked(kNow, kBob, 3);  // nobody that it knows
  const auto hand = dealer.join(kNow, kAnn);
  EXPECT_THAT(hand, SizeIs(kDealtAhead));
  EXPECT_THAT(hand, ::testing::Not(::testing::Contains(3U)));
}

TEST(BlockDealer, AHandThatIsLeftIsDealtAgain) {
  BlockDealer dealer(8 * kBlockBytes, 0);
  EXPECT_THAT(dealer.join(kNow, kAnn), SizeIs(8));
  EXPECT_THAT(dealer.join(kNow, kBob), IsEmpty());
  dealer.leave(kAnn);
  EXPECT_THAT(dealer.asked(kNow, kBob, 0), SizeIs(7));
}

TEST(BlockDealer, WhatLiesTooLongIsDealtToThoseWhoHaveNothing) {
  BlockDealer dealer(8 * kBlockBytes, 0);
  EXPECT_THAT(dealer.join(kNow, kAnn), SizeIs(8));
  dealer.join(kNow, kBob);
  const Instant later = kNow + Duration(1s);
  dealer.asked(later, kAnn, 0);
  EXPECT_THAT(dealer.deal_again(later),
              ::testing::Each(::testing::Field(&BlockDealer::Deal::blocks, IsEmpty())));
  EXPECT_EQ(dealer.next_deadline(), kNow + kDealtFor);
  const auto deals = dealer.deal_again(kNow + kDealtFor);
  ASSERT_THAT(deals, SizeIs(1));
  EXPECT_EQ(deals[0].fan, kBob);
  EXPECT_THAT(deals[0].blocks, SizeIs(7));
}

TEST(BlockDealer, WhoLeavesWhenAllIsDealtMayTakeTheLastWithHim) {
  BlockDealer dealer(8 * kBlockBytes, 0);
  dealer.join(kNow, kAnn);
  dealer.join(kNow, kBob);
  for (std::uint64_t block = 0; block < 8; ++block) dealer.asked(kNow, kAnn, block);
  EXPECT_THAT(dealer.take_idle(kNow), IsEmpty());
  dealer.leave(kAnn);
  EXPECT_LE(dealer.next_deadline(), kNow);
  EXPECT_THAT(dealer.take_idle(kNow), ::testing::ElementsAre(kBob));
}

TEST(BlockDealer, AllAreToldOfEverythingOnceNobodyAsksForAnythingNew) {
  BlockDealer dealer(8 * kBlockBytes, 0);
  dealer.join(kNow, kAnn);
  dealer.join(kNow, kBob);
  dealer.join_knowing_all(kCat);
  const Instant later = kNow + Duration(1s);
  for (std::uint64_t block = 0; block < 8; ++block) dealer.asked(later, kAnn, block);
  dealer.asked(later + Duration(1s), kCat, 3);  // not the first to ask for it
  EXPECT_EQ(dealer.next_deadline(), later + kDealtFor);
  EXPECT_THAT(dealer.take_idle(kNow + kDealtFor), IsEmpty());
  EXPECT_EQ(dealer.take_idle(later + kDealtFor), (std::vector{kAnn, kBob}));
  EXPECT_EQ(dealer.next_deadline(), std::nullopt);
  EXPECT_THAT(dealer.asked(later, kAnn, 1), IsEmpty());
}

}  // namespace
}  // namespace shoal
