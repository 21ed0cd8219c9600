// Sources and readers that do what no honest one does.

#include <gtest/gtest.h>

#include <numeric>

#include "node/content/core/exchange.h"
#include "tests/unit/node/content/core/fetcher.h"

namespace shoal {
namespace {

using namespace test;

std::vector<std::uint64_t> all_of(std::uint64_t blocks) {
  std::vector<std::uint64_t> all(blocks);
  std::iota(all.begin(), all.end(), 0);
  return all;
}

// Bob is honest and answers all that he was asked for.
void answer_bobs(Fetcher& fetcher, const Content& content) {
  while (fetcher.asked_of(kBob) > 0) {
    const auto bobs = std::find_if(fetcher.requests.begin(), fetcher.requests.end(),
                                   [](const auto& request) { return request.source == kBob; });
    std::iter_swap(fetcher.requests.begin(), bobs);
    fetcher.answer({&content});
  }
}

// Ann answers each request as `answer` says.
template <class Answer>
void fetch_among(Fetcher& fetcher, const Content& content, Answer answer) {
  fetcher.link(kAnn);
  fetcher.link(kBob);
  fetcher.want(content, {kAnn, kBob});
  for (int step = 0; step < 10'000 && !fetcher.arrived.contains(content.id); ++step) {
    while (fetcher.asked_of(kAnn) > 0 && !fetcher.arrived.contains(content.id)) {
      const auto anns = std::find_if(fetcher.requests.begin(), fetcher.requests.end(),
                                     [](const auto& request) { return request.source == kAnn; });
      const BlockRequest what = anns->what;
      fetcher.requests.erase(anns);
      answer(what);
    }
    answer_bobs(fetcher, content);
    if (!fetcher.arrived.contains(content.id)) fetcher.wait_for_deadline();
  }
}

// Ann is honest, and has the content under its own length alone. `named` names it otherwise, some
// time or other.
template <class Named>
void fetch_of_ann(Fetcher& fetcher, const Content& content, Named named) {
  const Instant began = fetcher.now;
  for (int step = 0; step < 1000 && !fetcher.arrived.contains(content.id); ++step) {
    named(step);
    while (!fetcher.requests.empty() && !fetcher.arrived.contains(content.id)) {
      if (fetcher.requests.front().source != kAnn) {
        fetcher.requests.pop_front();
      } else if (fetcher.requests.front().what.length != content.bytes.size()) {
        fetcher.answer_missing();
      } else {
        fetcher.answer({&content});
      }
    }
    if (!fetcher.arrived.contains(content.id)) fetcher.wait_for_deadline();
  }
  EXPECT_EQ(fetcher.arrived[content.id], "");
  EXPECT_EQ(fetcher.fetched(content), content.bytes);
  EXPECT_TRUE(fetcher.exchange.liars().empty());
  EXPECT_LE(fetcher.now - began, Duration(10s));
}

TEST(HostileSources, WhoNamesAContentUnderAWrongLengthFirstKeepsItFromNobody) {
  const Content content(20 * kBlockBytes);
  Fetcher fetcher;
  fetcher.link(kAnn);
  fetcher.link(kBob);
  fetcher.run(fetcher.exchange.want(fetcher.now, content.id, 30 * kBlockBytes, {kBob}));
  EXPECT_EQ(fetcher.asked_of(kBob), limits::kContentWindow);
  fetcher.want(content, {kAnn});
  fetch_of_ann(fetcher, content, [](int) {});
}

// What was asked for before comes after, and is no lie.
TEST(HostileSources, WhoNamesItSoLaterMakesNobodyALiar) {
  const Content content(20 * kBlockBytes);
  Fetcher fetcher;
  fetcher.link(kAnn);
  fetcher.link(kBob);
  fetcher.want(content, {kAnn});
  fetcher.run(fetcher.exchange.want(fetcher.now, content.id, 30 * kBlockBytes, {kBob}));
  fetch_of_ann(fetcher, content, [](int) {});
}

TEST(HostileSources, OnceABlockHasShownItsLengthNoOtherOneCounts) {
  const Content content(20 * kBlockBytes);
  Fetcher fetcher;
  fetcher.link(kAnn);
  fetcher.link(kBob);
  fetcher.want(content, {kAnn});
  fetcher.answer({&content});
  fetch_of_ann(fetcher, content, [&](int) {
    fetcher.run(fetcher.exchange.want(fetcher.now, content.id, 30 * kBlockBytes, {kBob}));
  });
}

TEST(HostileSources, OneThatSendsOtherBlocksThanWereAskedHoldsUpNobody) {
  const Content content(60 * kBlockBytes);
  Fetcher fetcher;
  const Instant began = fetcher.now;
  fetch_among(fetcher, content, [&](const BlockRequest& what) {
    const std::uint64_t other = (what.first_leaf / limits::kBlockLeaves + 7) % 60;
    fetcher.run(fetcher.exchange.on_block(fetcher.now, kAnn, content.block(first_leaf_of(other))));
  });
  EXPECT_EQ(fetcher.arrived[content.id], "");
  EXPECT_EQ(fetcher.fetched(content), content.bytes);
  EXPECT_LE(fetcher.now - began, Duration(5s));
}

TEST(HostileSources, OneThatSendsTheSameBlockForAllHoldsUpNobody) {
  const Content content(60 * kBlockBytes);
  Fetcher fetcher;
  const Instant began = fetcher.now;
  fetch_among(fetcher, content, [&](const BlockRequest&) {
    fetcher.run(fetcher.exchange.on_block(fetcher.now, kAnn, content.block(first_leaf_of(3))));
  });
  EXPECT_EQ(fetcher.arrived[content.id], "");
  EXPECT_EQ(fetcher.fetched(content), content.bytes);
  EXPECT_LE(fetcher.now - began, Duration(5s));
}

TEST(HostileSources, WhatComesTwiceIsStoredOnce) {
  const Content content(60 * kBlockBytes);
  Fetcher fetcher;
  fetch_among(fetcher, content, [&](const BlockRequest& what) {
    for (int i = 0; i < 2; ++i) {
      fetcher.run(fetcher.exchange.on_block(fetcher.now, kAnn, content.block(what.first_leaf)));
    }
  });
  EXPECT_EQ(fetcher.arrived[content.id], "");
  EXPECT_EQ(fetcher.fetched(content), content.bytes);
}

TEST(HostileSources, ABlockThatIsTooLongTooShortOrPastTheEndIsAWrongOne) {
  const Content content(60 * kBlockBytes + 5);
  for (int kind = 0; kind < 3; ++kind) {
    Fetcher fetcher;
    fetch_among(fetcher, content, [&](const BlockRequest& what) {
      Block block = content.block(what.first_leaf);
      if (kind == 0) block.bytes.resize(block.bytes.size() + kContentLeafBytes);
      if (kind == 1) block.bytes.resize(block.bytes.size() - 1);
      if (kind == 2) block.first_leaf += 1;
      fetcher.run(fetcher.exchange.on_block(fetcher.now, kAnn, block));
    });
    EXPECT_EQ(fetcher.arrived[content.id], "");
    EXPECT_EQ(fetcher.fetched(content), content.bytes);
    EXPECT_EQ(fetcher.exchange.liars(), std::set<NodeId>{kAnn}) << kind;
  }
}

// The hash says which length it has, so that what is said under another is of no use to anybody.
TEST(HostileSources, OneThatNamesAnotherLengthIsNotBelieved) {
  const Content content(60 * kBlockBytes);
  Fetcher fetcher;
  fetcher.link(kBob);
  fetcher.want(content, {});
  Holdings longer = holding(content, all_of(60), false);
  longer.length += 20 * kBlockBytes;
  fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kBob, longer));
  EXPECT_TRUE(fetcher.requests.empty());
  EXPECT_TRUE(fetcher.exchange.sources_of(content.id).empty());
}

// Ann does so each second, and sends nothing: until the fetch is over, which it must be.
template <class Does>
void expect_end_while(Fetcher& fetcher, const Content& content, Does does) {
  const Instant began = fetcher.now;
  for (Instant next = began; !fetcher.arrived.contains(content.id);) {
    ASSERT_LT(fetcher.now, began + Duration(600s)) << "it waits still";
    const auto deadline = fetcher.exchange.next_deadline();
    if (!deadline || *deadline > next) {
      fetcher.now = next;
      next = next + Duration(1s);
      does();
    } else {
      fetcher.wait_for_deadline();
    }
  }
  EXPECT_NE(fetcher.arrived[content.id].find("did not answer"), std::string::npos)
      << fetcher.arrived[content.id];
}

TEST(HostileSources, OneThatOnlyPromisesDoesNotKeepAFetchWaitingForEver) {
  const Content content(60 * kBlockBytes);
  Fetcher fetcher;
  fetcher.link(kAnn);
  fetcher.want(content, {kAnn});
  expect_end_while(fetcher, content, [&] {
    fetcher.run(
        fetcher.exchange.on_holdings(fetcher.now, kAnn, holding(content, all_of(60), false)));
  });
}

TEST(HostileSources, NorDoesOneThatComesAndGoes) {
  const Content content(60 * kBlockBytes);
  Fetcher fetcher;
  fetcher.want(content, {kAnn});
  expect_end_while(fetcher, content, [&] {
    fetcher.run(fetcher.exchange.link_lost(fetcher.now, kAnn));
    fetcher.link(kAnn);
    fetcher.run(
        fetcher.exchange.on_holdings(fetcher.now, kAnn, holding(content, all_of(60), false)));
  });
}

// A link of its own for each claim.
TEST(HostileSources, OneThatComesAgainIsStillTheOneThatClaimedInVain) {
  const Content content(60 * kBlockBytes);
  Fetcher fetcher;
  fetcher.want(content, {kAnn});
  int claims = 0;
  for (; claims < 20 && !fetcher.exchange.sources_of(content.id).empty(); ++claims) {
    fetcher.link(kAnn);
    fetcher.run(
        fetcher.exchange.on_holdings(fetcher.now, kAnn, holding(content, all_of(60), false)));
    ASSERT_FALSE(fetcher.requests.empty());
    fetcher.answer_missing();
    fetcher.run(fetcher.exchange.link_lost(fetcher.now, kAnn));
    fetcher.requests.clear();
  }
  EXPECT_EQ(claims, 4) << "-2 each, out at -7";
}

TEST(HostileSources, WhatIsAskedForPastTheEndCostsNoReadOfTheDisk) {
  const Content content(60 * kBlockBytes);
  Fetcher fetcher;
  for (const std::uint64_t first_leaf :
       {first_leaf_of(60), first_leaf_of(61), first_leaf_of(3) + 1}) {
    fetcher.run(fetcher.exchange.on_request(fetcher.now, kBob,
                                            {content.id, content.bytes.size(), first_leaf}));
  }
  EXPECT_TRUE(fetcher.reads.empty());
  ASSERT_EQ(fetcher.served.size(), 3U);
  for (const auto& [to, block] : fetcher.served) EXPECT_TRUE(block.missing);
}

// Of a thousand requests of one few are read ahead, and another is served meanwhile.
TEST(HostileSources, OneThatAsksAThousandTimesDoesNotKeepOthersFromBeingServed) {
  const Content content(60 * kBlockBytes);
  Fetcher fetcher;
  fetcher.links_take_bulk = false;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    fetcher.run(fetcher.exchange.on_request(
        fetcher.now, kAnn, {content.id, content.bytes.size() + i / 60, first_leaf_of(i % 60)}));
  }
  EXPECT_LE(fetcher.reads.size(), 4U);
  fetcher.run(fetcher.exchange.on_request(fetcher.now, kBob,
                                          {content.id, content.bytes.size(), first_leaf_of(9)}));
  ASSERT_FALSE(fetcher.reads.empty());
  EXPECT_EQ(fetcher.reads.back().reader, kBob);
}

TEST(HostileSources, NamesOfThoseWhoAreNotThereKeepNoPlaceFromOneWhoIs) {
  const Content content(20 * kBlockBytes);
  Fetcher fetcher;
  fetcher.want(content, {});
  for (std::uint8_t n = 100; n < 200; ++n) {
    fetcher.run(fetcher.exchange.add_hearsay(fetcher.now, content.id, node(n)));
  }
  EXPECT_FALSE(fetcher.exchange.takes(content.id, kBob)) << "one more name";
  fetcher.link(kAnn);
  EXPECT_TRUE(fetcher.exchange.takes(content.id, kAnn));
  fetcher.want(content, {kAnn});
  while (!fetcher.requests.empty()) fetcher.answer({&content});
  EXPECT_EQ(fetcher.fetched(content), content.bytes);
}

TEST(HostileSources, NamesThatNobodyAnswersForKeepNoPlaceFromOthers) {
  const Content content(20 * kBlockBytes);
  Fetcher fetcher;
  fetcher.want(content, {});
  for (std::uint8_t n = 100; n < 164; ++n) {
    fetcher.run(fetcher.exchange.add_hearsay(fetcher.now, content.id, node(n)));
  }
  ASSERT_FALSE(fetcher.exchange.takes(content.id, kAnn));
  fetcher.run(fetcher.exchange.link_lost(fetcher.now, node(120)));  // it was dialled in vain
  EXPECT_TRUE(fetcher.exchange.takes(content.id, kAnn));
  fetcher.run(fetcher.exchange.add_hearsay(fetcher.now, content.id, kAnn));
  EXPECT_FALSE(fetcher.exchange.takes(content.id, kBob)) << "the others may yet come";
  fetcher.link(kAnn);
  fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kAnn, holding(content, all_of(20), false)));
  while (!fetcher.requests.empty()) fetcher.answer({&content});
  EXPECT_EQ(fetcher.fetched(content), content.bytes);
}

TEST(HostileSources, ThoseWhoPromiseAllAndSendNothingKeepNoPlaceFromOneWhoSends) {
  const Content content(20 * kBlockBytes);
  Fetcher fetcher;
  fetcher.want(content, {});
  for (std::uint8_t n = 100; n < 164; ++n) {
    fetcher.link(node(n));
    fetcher.run(
        fetcher.exchange.on_holdings(fetcher.now, node(n), holding(content, all_of(20), false)));
  }
  fetcher.link(kAnn);
  EXPECT_FALSE(fetcher.exchange.takes(content.id, kAnn)) << "they may send yet";
  for (const Instant end = fetcher.now + 25s; fetcher.now < end;) fetcher.wait_for_deadline();
  fetcher.requests.clear();
  fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kAnn, holding(content, all_of(20), false)));
  for (int step = 0; step < 100 && !fetcher.arrived.contains(content.id); ++step) {
    while (!fetcher.requests.empty() && !fetcher.arrived.contains(content.id)) {
      if (fetcher.requests.front().source == kAnn) {
        fetcher.answer({&content});
      } else {
        fetcher.requests.pop_front();
      }
    }
    if (!fetcher.arrived.contains(content.id)) fetcher.wait_for_deadline();
  }
  EXPECT_EQ(fetcher.arrived[content.id], "");
  EXPECT_EQ(fetcher.fetched(content), content.bytes);
}

// The disk is slow, and each block that waits for it is in memory.
TEST(HostileSources, UnaskedBlocksAreTakenOnlyAsFarAsAskedOnesWouldBe) {
  constexpr std::uint64_t kBlocks = 200;
  const Content content(kBlocks * kBlockBytes);
  Exchange exchange(Rng(7));
  const Instant now = Instant{} + 100s;
  exchange.link_up(now, kAnn);
  exchange.want(now, content.id, content.bytes.size(), {kAnn});
  exchange.on_opened(now, {content.id, content.bytes.size(), false, {}, false});
  std::size_t stored = 0;
  for (std::uint64_t i = 0; i < kBlocks; ++i) {
    const auto actions = exchange.on_block(now, kAnn, content.block(first_leaf_of(i)));
    stored += static_cast<std::size_t>(std::count_if(
        actions.begin(), actions.end(),
        [](const ExchangeAction& action) { return std::holds_alternative<StoreBlock>(action); }));
    exchange.check_invariants();
  }
  EXPECT_GE(stored, limits::kContentWindow);
  EXPECT_LE(stored, 128U);
}

}  // namespace
}  // namespace shoal
