// What the exchange says of what it holds, and what it makes of what others say.

#include "node/content/core/exchange.h"

#include <gmock/gmock.h>

#include <numeric>

#include "tests/unit/node/content/core/fetcher.h"

namespace shoal {
namespace {

using namespace test;

TEST(Exchange, GreetsItsSourcesAndTellsThoseWhoFetchOfEachBlockThatComes) {
  const Content content(20 * kBlockBytes);
  Fetcher fetcher;
  fetcher.held_before[content.id] = {first_leaf_of(9)};
  fetcher.link(kAnn);
  fetcher.link(kBob);
  fetcher.want(content, {kAnn});
  ASSERT_EQ(fetcher.holdings.size(), 1U);
  EXPECT_EQ(
      fetcher.holdings[0],
      std::pair(kAnn, Holdings{content.id, content.bytes.size(), 0, {0x00, 0x02, 0x00}, true}));
  EXPECT_EQ(fetcher.holders_asked, (std::vector{std::pair(kAnn, content.id)}));
  // Bob fetches it too, and is answered once.
  fetcher.holdings.clear();
  fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kBob, holding(content, {3})));
  ASSERT_EQ(fetcher.holdings.size(), 1U);
  EXPECT_EQ(fetcher.holdings[0].first, kBob);
  fetcher.holdings.clear();
  while (fetcher.disk[content.id].size() < 5) fetcher.answer({&content});
  EXPECT_GE(fetcher.holdings.size(), 4U);
  for (const auto& [to, said] : fetcher.holdings) {
    EXPECT_EQ(to, kBob);
    EXPECT_TRUE(said.fetching);
    EXPECT_EQ(said.bits.size(), 1U);
  }
  while (!fetcher.requests.empty()) fetcher.answer({&content});
  EXPECT_EQ(fetcher.arrived[content.id], "");
  EXPECT_FALSE(fetcher.holdings.back().second.fetching) << "Bob is not told that all is here";
  EXPECT_EQ(fetcher.exchange.holders_of(content.id), std::vector{kBob});
}

// Bob was told before he wanted anything, and has kept nothing of it.
TEST(Exchange, OneWhoBeginsToFetchLaterIsToldAgainWhatIsHere) {
  const Content content(20 * kBlockBytes);
  Fetcher fetcher;
  fetcher.held_before[content.id] = {first_leaf_of(9)};
  fetcher.link(kBob);
  fetcher.want(content, {kBob});
  const std::pair greeting(kBob,
                           Holdings{content.id, content.bytes.size(), 0, {0x00, 0x02, 0x00}, true});
  ASSERT_EQ(fetcher.holdings, std::vector{greeting});
  fetcher.holdings.clear();
  fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kBob, holding(content, {3})));
  EXPECT_EQ(fetcher.holdings, std::vector{greeting});
  fetcher.holdings.clear();
  fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kBob, holding(content, {3, 4})));
  EXPECT_TRUE(fetcher.holdings.empty()) << "each greeting is answered with another";
}

TEST(Exchange, OneWhoSpeaksWhileTheDiskIsAskedIsAnsweredWhenItHasSaidWhatIsHere) {
  const Content content(20 * kBlockBytes);
  Fetcher fetcher;
  fetcher.link(kBob);
  const auto asked = fetcher.exchange.want(fetcher.now, content.id, content.bytes.size(), {});
  ASSERT_EQ(asked.size(), 1U);
  ASSERT_TRUE(std::holds_alternative<OpenContent>(asked.front()));
  fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kBob, holding(content, {3})));
  EXPECT_TRUE(fetcher.holdings.empty());
  fetcher.held_before[content.id] = {first_leaf_of(9)};
  fetcher.run(asked);
  EXPECT_EQ(fetcher.holdings,
            (std::vector{std::pair(
                kBob, Holdings{content.id, content.bytes.size(), 0, {0x00, 0x02, 0x00}, true})}));
}

TEST(Exchange, WhoElseHasItIsAskedAgainWhereTheLinkBrokeBeforeTheAnswer) {
  const Content content(20 * kBlockBytes);
  Fetcher fetcher;
  fetcher.link(kAnn);
  fetcher.want(content, {kAnn});
  ASSERT_EQ(fetcher.holders_asked.size(), 1U);
  fetcher.run(fetcher.exchange.link_lost(fetcher.now, kAnn));
  fetcher.now = fetcher.now + 1s;
  fetcher.link(kAnn);
  EXPECT_EQ(fetcher.holders_asked.size(), 2U);
}

TEST(Exchange, ThoseWhoHaveNothingKeepNoPlaceFromOneWhoHas) {
  const Content content(20 * kBlockBytes);
  Fetcher fetcher;
  fetcher.want(content, {});
  for (std::uint8_t n = 100; n < 200; ++n) {
    fetcher.link(node(n));
    fetcher.run(fetcher.exchange.on_holdings(fetcher.now, node(n), holding(content, {}, false)));
  }
  fetcher.link(kAnn);
  EXPECT_TRUE(fetcher.exchange.takes(content.id, kAnn));
  fetcher.want(content, {kAnn});
  while (!fetcher.requests.empty()) fetcher.answer({&content});
  EXPECT_EQ(fetcher.fetched(content), content.bytes);
}

TEST(Exchange, OneWhoFetchesIsAskedOnlyForWhatItHolds) {
  const Content content(20 * kBlockBytes);
  Fetcher fetcher;
  fetcher.link(kBob);
  fetcher.want(content, {});
  fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kBob, holding(content, {2, 17})));
  ASSERT_EQ(fetcher.requests.size(), 2U);
  fetcher.answer({&content});
  fetcher.answer({&content});
  EXPECT_TRUE(fetcher.requests.empty());
  fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kBob, holding(content, {2, 5, 17})));
  ASSERT_EQ(fetcher.requests.size(), 1U);
  EXPECT_EQ(fetcher.requests[0].what.first_leaf, first_leaf_of(5));
}

TEST(Exchange, TheSeedIsAskedForWhatNobodyElseHolds) {
  const Content content(40 * kBlockBytes);
  Fetcher fetcher;
  fetcher.link(kAnn);
  fetcher.link(kBob);
  std::vector<std::uint64_t> all, lower;
  for (std::uint64_t block = 0; block < 40; ++block) {
    all.push_back(block);
    if (block < 6) lower.push_back(block);
  }
  fetcher.want(content, {});
  fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kBob, holding(content, lower)));
  fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kAnn, holding(content, all, false)));
  EXPECT_EQ(fetcher.asked_of(kBob), 6U);
  while (!fetcher.requests.empty()) {
    const auto& request = fetcher.requests.front();
    EXPECT_EQ(request.source == kBob, request.what.first_leaf < first_leaf_of(6));
    fetcher.answer({&content});
  }
  EXPECT_EQ(fetcher.fetched(content), content.bytes);
}

TEST(Exchange, TheRarestBlockIsAskedForFirst) {
  const Content content(30 * kBlockBytes);
  std::vector<std::uint64_t> many, most;
  for (std::uint64_t block = 0; block < 29; ++block) {
    if (block != 13) many.push_back(block);
    most.push_back(block);
  }
  Fetcher fetcher;
  for (const NodeId& source : {kAnn, kBob, kCat}) fetcher.link(source);
  fetcher.want(content, {});
  for (const NodeId& source : {kBob, kCat}) {
    fetcher.run(fetcher.exchange.on_holdings(fetcher.now, source, holding(content, many)));
  }
  fetcher.requests.clear();
  fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kAnn, holding(content, most)));
  ASSERT_FALSE(fetcher.requests.empty());
  EXPECT_EQ(fetcher.requests.front().source, kAnn);
  EXPECT_EQ(fetcher.requests.front().what.first_leaf, first_leaf_of(13));
}

std::vector<std::uint64_t> first_blocks(std::uint64_t count) {
  std::vector<std::uint64_t> blocks(count);
  std::iota(blocks.begin(), blocks.end(), 0);
  return blocks;
}

// How often those who are asked say that they have not what they claimed, until nobody is asked.
int claims_in_vain(Fetcher& fetcher) {
  int lies = 0;
  while (!fetcher.requests.empty()) {
    fetcher.answer_missing();
    ++lies;
    std::erase_if(fetcher.requests, [&](const auto& request) {
      return !fetcher.exchange.is_asked(request.source, request.what);
    });
  }
  return lies;
}

TEST(Exchange, OneThatClaimsWhatItHasNotIsOutAfterAFewTimes) {
  const Content content(40 * kBlockBytes);
  const auto all = first_blocks(40);
  Fetcher fetcher;
  fetcher.link(kBob);
  fetcher.want(content, {});
  fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kBob, holding(content, all)));
  EXPECT_EQ(claims_in_vain(fetcher), 4) << "-2 each, out at -7";
  fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kBob, holding(content, all)));
  EXPECT_TRUE(fetcher.requests.empty()) << "it came back";
  fetcher.link(kAnn);
  fetcher.want(content, {kAnn});
  while (!fetcher.requests.empty()) fetcher.answer({&content});
  EXPECT_EQ(fetcher.fetched(content), content.bytes);
}

TEST(Exchange, OneThatTakesBackWhatItSaidIsAskedForNoMoreAndBlamedOnce) {
  const Content content(40 * kBlockBytes);
  const auto all = first_blocks(40);
  Fetcher fetcher;
  fetcher.link(kBob);
  fetcher.want(content, {});
  fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kBob, holding(content, all)));
  fetcher.answer({&content});
  const Holdings nothing{content.id, content.bytes.size(), 0, {}, false};
  fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kBob, nothing));
  while (!fetcher.requests.empty()) fetcher.answer_missing();
  EXPECT_TRUE(fetcher.exchange.sources_of(content.id) == std::vector{kBob});
  // Whoever does so again and again is out like all who claim what they have not.
  int times = 0;
  for (; times < 20 && !fetcher.exchange.sources_of(content.id).empty(); ++times) {
    fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kBob, holding(content, all)));
    EXPECT_FALSE(fetcher.requests.empty());
    fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kBob, nothing));
    while (!fetcher.requests.empty()) fetcher.answer_missing();
  }
  EXPECT_EQ(times, 4) << "-2 each, from +1, out at -7";
  while (!fetcher.arrived.contains(content.id)) fetcher.wait_for_deadline();
  EXPECT_NE(fetcher.arrived[content.id].find("1 did not send what they said they hold"),
            std::string::npos)
      << fetcher.arrived[content.id];
}

// After so many good blocks, how many claims in vain until it is asked no more.
int lies_until_out(int good) {
  const Content content(60 * kBlockBytes);
  const auto all = first_blocks(60);
  Fetcher fetcher;
  fetcher.link(kBob);
  fetcher.want(content, {});
  fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kBob, holding(content, all)));
  for (int i = 0; i < good; ++i) fetcher.answer({&content});
  return claims_in_vain(fetcher);
}

TEST(Exchange, AGoodBlockGainsOnePointAFalseClaimCostsTwoAndSevenBelowZeroIsOut) {
  EXPECT_EQ(lies_until_out(0), 4);   // -8
  EXPECT_EQ(lies_until_out(1), 4);   // -7: that is out
  EXPECT_EQ(lies_until_out(2), 5);   // -8; after four it was -6
  EXPECT_EQ(lies_until_out(3), 5);   // -7
  EXPECT_EQ(lies_until_out(10), 9);  // -8
  EXPECT_EQ(lies_until_out(30), 9);  // nobody saves up more than ten
}

TEST(Exchange, OneWrongBlockPutsItsSenderOutHoweverManyGoodOnesItSent) {
  const Content content(60 * kBlockBytes);
  Fetcher fetcher;
  fetcher.link(kBob);
  fetcher.want(content, {kBob});
  for (int i = 0; i < 30; ++i) fetcher.answer({&content});
  Block block = content.block(fetcher.requests.front().what.first_leaf);
  block.bytes[0] ^= 1;
  fetcher.run(fetcher.exchange.on_block(fetcher.now, kBob, block));
  EXPECT_EQ(fetcher.exchange.liars(), std::set<NodeId>{kBob});
  EXPECT_TRUE(fetcher.exchange.sources_of(content.id).empty());
  EXPECT_FALSE(fetcher.disk[content.id].contains(block.first_leaf));
}

TEST(Exchange, ASeedThatFallsSilentAtTheEndHoldsUpNobody) {
  const Content content(100 * kBlockBytes);
  Fetcher fetcher;
  fetcher.link(kAnn);
  fetcher.link(kBob);
  fetcher.want(content, {kAnn, kBob});
  while (fetcher.disk[content.id].size() < 98) {
    if (fetcher.requests.front().source == kAnn && fetcher.requests.size() <= 3) break;
    fetcher.answer({&content});
  }
  // From now on Ann says nothing, and her link stays.
  const Instant silent = fetcher.now;
  while (!fetcher.arrived.contains(content.id)) {
    const auto of_bob = std::find_if(fetcher.requests.begin(), fetcher.requests.end(),
                                     [](const auto& request) { return request.source == kBob; });
    if (of_bob == fetcher.requests.end()) {
      fetcher.wait_for_deadline();
      continue;
    }
    std::iter_swap(fetcher.requests.begin(), of_bob);
    fetcher.answer({&content});
  }
  EXPECT_EQ(fetcher.arrived[content.id], "");
  EXPECT_LE(fetcher.now - silent, Duration(1s));
  EXPECT_FALSE(fetcher.cancelled.empty());
}

TEST(Exchange, AWindowFollowsTheRate) {
  const Content content(600 * kBlockBytes);
  Fetcher fetcher;
  fetcher.link(kAnn);
  fetcher.want(content, {kAnn});
  std::size_t most = 0;
  for (int i = 0; i < 200; ++i) {
    fetcher.now = fetcher.now + Duration(10ms);
    fetcher.answer({&content});
    most = std::max(most, fetcher.requests.size());
  }
  EXPECT_EQ(most, limits::kContentWindowMax) << "25 MiB/s, and a window of 3 s is more than 16 MiB";
  while (fetcher.requests.size() > limits::kContentWindowMin) {
    fetcher.now = fetcher.now + Duration(3s);
    fetcher.answer({&content});
    ASSERT_FALSE(fetcher.arrived.contains(content.id)) << "the window never shrank";
  }
}

TEST(Exchange, SendsNoFasterThanTheDonorAllowsAndGiversFirst) {
  const Content content(60 * kBlockBytes);
  Fetcher fetcher;
  fetcher.exchange.limit_rates(1 << 20, 0);
  // Bob has given a block.
  const Content other(kBlockBytes, 5);
  fetcher.link(kBob);
  fetcher.want(other, {kBob});
  fetcher.answer({&other});
  const Instant began = fetcher.now;
  for (std::uint64_t i = 0; i < 30; ++i) {
    for (const NodeId& reader : {kAnn, kBob}) {
      fetcher.run(fetcher.exchange.on_request(
          fetcher.now, reader, {content.id, content.bytes.size(), first_leaf_of(i)}));
    }
  }
  fetcher.exchange.on_cancel(kAnn, {content.id, first_leaf_of(29)});
  std::size_t of_bob_in_first = 0;
  std::size_t done = 0;
  while (fetcher.reads.size() < 59) {
    fetcher.wait_for_deadline();
    for (; done < fetcher.reads.size(); ++done) {
      const ReadBlock wanted = fetcher.reads[done];
      const Block block = content.block(wanted.first_leaf);
      fetcher.run(fetcher.exchange.on_read(fetcher.now, {wanted.reader, block}));
    }
    if (fetcher.reads.size() == 30) {
      of_bob_in_first = static_cast<std::size_t>(
          std::count_if(fetcher.reads.begin(), fetcher.reads.end(),
                        [](const ReadBlock& read) { return read.reader == kBob; }));
    }
  }
  const double seconds = std::chrono::duration<double>(fetcher.now - began).count();
  EXPECT_NEAR(seconds, 59.0 / 4, 0.05 * 59.0 / 4) << "four blocks a second";
  EXPECT_GE(of_bob_in_first, 22U);
  EXPECT_LT(of_bob_in_first, 30U) << "who only takes is served last, but is served";
  EXPECT_EQ(fetcher.exchange.next_deadline(), std::nullopt);
}

TEST(Exchange, EightReadersShareTheLineAndInTimeEveryoneIsServed) {
  const Content content(60 * kBlockBytes);
  Fetcher fetcher;
  fetcher.exchange.limit_rates(1 << 20, 0);
  std::map<NodeId, std::uint64_t> asked;
  const auto ask = [&](const NodeId& reader) {
    const std::uint64_t block = asked[reader]++ % 60;
    fetcher.run(fetcher.exchange.on_request(
        fetcher.now, reader, {content.id, content.bytes.size(), first_leaf_of(block)}));
  };
  for (std::uint8_t reader = 10; reader < 22; ++reader) {
    ask(node(reader));
    ask(node(reader));
  }
  const Instant began = fetcher.now;
  std::set<NodeId> at_first, all;
  while (fetcher.now < began + Duration(300s)) {
    fetcher.wait_for_deadline();
    for (const ReadBlock& read : std::exchange(fetcher.reads, {})) {
      if (fetcher.now < began + Duration(29s)) at_first.insert(read.reader);
      all.insert(read.reader);
      fetcher.run(
          fetcher.exchange.on_read(fetcher.now, {read.reader, content.block(read.first_leaf)}));
      ask(read.reader);
    }
  }
  EXPECT_EQ(at_first.size(), 8U);
  EXPECT_EQ(all.size(), 12U) << "each 30 s another one has a slot";
}

TEST(Exchange, FetchesNoFasterThanTheDonorAllows) {
  const Content content(60 * kBlockBytes);
  Fetcher fetcher;
  fetcher.exchange.limit_rates(0, 1 << 20);
  fetcher.link(kAnn);
  const Instant began = fetcher.now;
  fetcher.want(content, {kAnn});
  while (!fetcher.arrived.contains(content.id)) {
    if (fetcher.requests.empty()) {
      fetcher.wait_for_deadline();
    } else {
      fetcher.answer({&content});
    }
  }
  const double seconds = std::chrono::duration<double>(fetcher.now - began).count();
  EXPECT_NEAR(seconds, 15, 0.05 * 15);
  EXPECT_EQ(fetcher.arrived[content.id], "");
}

TEST(Exchange, WhoAsksWhatIsHereIsTold) {
  const Content content(20 * kBlockBytes);
  Fetcher fetcher;
  fetcher.held_whole = {content.id};
  fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kBob, holding(content, {})));
  ASSERT_EQ(fetcher.holdings.size(), 1U);
  EXPECT_EQ(fetcher.holdings[0],
            std::pair(kBob, Holdings{content.id, content.bytes.size(), 0, {0xff, 0xff, 0x0f}}));
  const Content unknown(20 * kBlockBytes, 5);
  fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kCat, holding(unknown, {})));
  ASSERT_EQ(fetcher.holdings.size(), 2U);
  EXPECT_TRUE(fetcher.holdings[1].second.bits.empty());
  EXPECT_EQ(fetcher.exchange.holders_of(unknown.id), std::vector{kCat}) << "it is about to";
  fetcher.run(fetcher.exchange.link_lost(fetcher.now, kCat));
  EXPECT_TRUE(fetcher.exchange.holders_of(unknown.id).empty());
}

// A node that was started again looks for what it is to keep, and those who fetch that are there at
// once.
TEST(Exchange, WhoAsksWhileTheDiskIsAskedForThisNodeIsToldToo) {
  const Content content(20 * kBlockBytes);
  Fetcher fetcher;
  const std::uint64_t length = content.bytes.size();
  fetcher.exchange.link_up(fetcher.now, kBob);
  fetcher.exchange.want(fetcher.now, content.id, length, {});
  fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kBob, holding(content, {})));
  EXPECT_TRUE(fetcher.holdings.empty());
  fetcher.run(fetcher.exchange.on_opened(fetcher.now, {content.id, length, true, {}, false}));
  ASSERT_EQ(fetcher.holdings.size(), 1U);
  EXPECT_EQ(fetcher.holdings[0],
            std::pair(kBob, Holdings{content.id, length, 0, {0xff, 0xff, 0x0f}}));
}

TEST(Exchange, OneOfWhomItWasOnlyHeardIsAskedWhatItHoldsBeforeAnyBlock) {
  const Content content(20 * kBlockBytes);
  Fetcher fetcher;
  fetcher.link(kBob);
  fetcher.want(content, {});
  fetcher.run(fetcher.exchange.add_hearsay(fetcher.now, content.id, kBob));
  EXPECT_TRUE(fetcher.requests.empty());
  EXPECT_EQ(fetcher.holdings.size(), 1U);
  fetcher.wait_for_deadline();
  EXPECT_FALSE(fetcher.requests.empty()) << "an older program says nothing, and may hold all";
}

TEST(Exchange, OneIsAskedWhoElseHasItAtMostOnceAMinute) {
  const Content content(20 * kBlockBytes);
  Fetcher fetcher;
  fetcher.link(kAnn);
  fetcher.want(content, {kAnn});
  ASSERT_EQ(fetcher.holders_asked.size(), 1U);
  // Each of these is an occasion to ask.
  const auto hear_of_ann = [&] {
    fetcher.now = fetcher.now + Duration(1s);
    fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kAnn, holding(content, {0})));
  };
  for (int second = 1; second < 60; ++second) hear_of_ann();
  EXPECT_EQ(fetcher.holders_asked.size(), 1U);
  for (int second = 60; second < 120; ++second) hear_of_ann();
  EXPECT_EQ(fetcher.holders_asked.size(), 2U);
}

}  // namespace
}  // namespace shoal
