// Which block is asked of whom, and when it is asked of another.

#include <gmock/gmock.h>

#include "node/content/core/exchange.h"
#include "node/content/core/exchange_rules.h"
#include "tests/unit/node/content/core/fetcher.h"

namespace shoal {
namespace {

using namespace test;
using namespace exchange_rules;

std::vector<std::uint64_t> first_blocks_but(std::uint64_t count, std::uint64_t left_out) {
  std::vector<std::uint64_t> blocks;
  for (std::uint64_t block = 0; block < count; ++block) {
    if (block != left_out) blocks.push_back(block);
  }
  return blocks;
}

// One block is rarer than all others, and only Ann has it, who is near and is asked before the
// others. Each request has its moment, by the donor's rate, so that all of that is known before the
// second.
TEST(ExchangeWindow, TheFirstFourBlocksAreAnyAndThenTheRarestComes) {
  constexpr std::uint64_t kBlocks = 40;
  constexpr std::uint64_t kRarest = 7;
  constexpr std::uint64_t kFetchers = 100;
  const Content content(kBlocks * kBlockBytes);
  std::set<std::uint64_t> begun_with;
  std::map<std::size_t, std::uint64_t> places;  // of the rarest among the requests -> how often
  for (std::uint64_t seed = 1; seed <= kFetchers; ++seed) {
    Fetcher fetcher;
    fetcher.exchange = Exchange(Rng(seed));
    fetcher.exchange.limit_rates(0, 4 * kBlockBytes);
    fetcher.run(fetcher.exchange.link_up(fetcher.now, kAnn, true));
    for (const NodeId& source : {kBob, kCat}) fetcher.link(source);
    fetcher.want(content, {});
    for (const NodeId& source : {kBob, kCat}) {
      fetcher.run(fetcher.exchange.on_holdings(
          fetcher.now, source, holding(content, first_blocks_but(kBlocks - 1, kRarest))));
    }
    fetcher.run(fetcher.exchange.on_holdings(
        fetcher.now, kAnn, holding(content, first_blocks_but(kBlocks - 1, kBlocks))));
    ASSERT_LT(fetcher.requests.size(), kBlocksAtRandom);
    while (fetcher.requests.size() <= kBlocksAtRandom) fetcher.wait_for_deadline();
    for (std::size_t i = 0; i <= kBlocksAtRandom; ++i) {
      const std::uint64_t block = fetcher.requests[i].what.first_leaf / limits::kBlockLeaves;
      if (i == 0) begun_with.insert(block);
      if (block == kRarest) ++places[i];
    }
  }
  EXPECT_GT(begun_with.size(), kBlocks / 2);
  std::uint64_t earlier = 0;
  for (std::size_t i = 0; i < kBlocksAtRandom; ++i) earlier += places[i];
  EXPECT_EQ(places[kBlocksAtRandom] + earlier, kFetchers) << "the fifth is the rarest";
  EXPECT_LT(earlier, kFetchers / 5) << "a tenth, if the first four are any";
}

// Ann is silent. Bob has what she was asked for and nothing else, and is asked for it when it is
// late, since others are still to be asked for the rest.
TEST(ExchangeWindow, WhileBlocksAreMissingNoneIsAskedOfTwoAndALateOneIsAskedOfAnother) {
  constexpr Duration kTimeout = 4s;
  const Content content(20 * kBlockBytes);
  Fetcher fetcher;
  fetcher.link(kAnn);
  fetcher.link(kBob);
  fetcher.want(content, {kAnn});
  ASSERT_EQ(fetcher.asked_of(kAnn), limits::kContentWindow);
  std::vector<std::uint64_t> asked;
  for (const auto& request : fetcher.requests) {
    asked.push_back(request.what.first_leaf / limits::kBlockLeaves);
  }
  const Instant began = fetcher.now;
  fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kBob, holding(content, asked)));
  while (fetcher.asked_of(kBob) == 0 && fetcher.now - began < 10s) {
    fetcher.want(content, {kBob});  // which looks again
    ASSERT_EQ(fetcher.asked_of(kBob), 0U) << (fetcher.now - began).count();
    fetcher.now = fetcher.now + 100ms;
    fetcher.run(fetcher.exchange.on_deadline(fetcher.now));
  }
  EXPECT_EQ(fetcher.now - began, kTimeout);
  EXPECT_EQ(fetcher.asked_of(kBob), limits::kContentWindow);
}

TEST(ExchangeWindow, AWindowIsWhatComesInThreeSeconds) {
  constexpr std::size_t kBlocksASecond = 5;
  const Content content(200 * kBlockBytes);
  Fetcher fetcher;
  fetcher.link(kAnn);
  fetcher.want(content, {kAnn});
  for (int second = 0; second < 20; ++second) {
    for (std::size_t i = 0; i < kBlocksASecond; ++i) {
      fetcher.now = fetcher.now + Duration(1s) / kBlocksASecond;
      fetcher.answer({&content});
    }
  }
  EXPECT_NEAR(static_cast<double>(fetcher.requests.size()), 3.0 * kBlocksASecond, 1);
}

TEST(ExchangeWindow, WhoIsNearIsAskedBeforeWhoIsFar) {
  const Content content(limits::kContentWindow * kBlockBytes);
  for (const NodeId& near : {kAnn, kBob}) {
    const NodeId& far = near == kAnn ? kBob : kAnn;
    Fetcher fetcher;
    fetcher.run(fetcher.exchange.link_up(fetcher.now, far, false));
    fetcher.run(fetcher.exchange.link_up(fetcher.now, near, true));
    fetcher.want(content, {far, near});
    EXPECT_EQ(fetcher.asked_of(near), limits::kContentWindow);
    EXPECT_EQ(fetcher.asked_of(far), 0U);
    // What he has no place for goes to the other.
    const Content another(2 * kBlockBytes, 2);
    fetcher.want(another, {far, near});
    EXPECT_EQ(fetcher.asked_of(far), 2U);
  }
}

}  // namespace
}  // namespace shoal
