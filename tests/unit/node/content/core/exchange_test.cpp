#include "node/content/core/exchange.h"
#include "node/content/core/exchange_rules.h"

#include <gmock/gmock.h>

#include "tests/unit/node/content/core/fetcher.h"

namespace shoal {
namespace {

using namespace test;
using ::testing::HasSubstr;

TEST(Exchange, FetchesFromSeveralSourcesAtOnceAndAsksForEachBlockOnce) {
  const Content content(40 * kBlockBytes + 5);
  Fetcher fetcher;
  for (const NodeId& source : {kAnn, kBob, kCat}) fetcher.link(source);
  fetcher.want(content, {kAnn, kBob, kCat});
  for (const NodeId& source : {kAnn, kBob, kCat}) {
    EXPECT_EQ(fetcher.asked_of(source), limits::kContentWindow);
  }
  std::size_t answers = 0;
  while (!fetcher.requests.empty()) {
    fetcher.answer({&content});
    ++answers;
  }
  EXPECT_EQ(answers, 41U);
  ASSERT_TRUE(fetcher.arrived.contains(content.id));
  EXPECT_EQ(fetcher.arrived[content.id], "");
  EXPECT_EQ(fetcher.fetched(content), content.bytes);
  EXPECT_FALSE(fetcher.exchange.wants(content.id));
  EXPECT_EQ(fetcher.exchange.next_deadline(), std::nullopt);
}

TEST(Exchange, FetchesContentsOfEverySize) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kContentLeafBytes,
                                 kContentLeafBytes + 1, kBlockBytes, kBlockBytes + 1}) {
    const Content content(size);
    Fetcher fetcher;
    fetcher.link(kAnn);
    fetcher.want(content, {kAnn});
    while (!fetcher.requests.empty()) fetcher.answer({&content});
    ASSERT_TRUE(fetcher.arrived.contains(content.id)) << size;
    EXPECT_EQ(fetcher.arrived[content.id], "") << size;
    EXPECT_EQ(fetcher.fetched(content), content.bytes) << size;
  }
}

TEST(Exchange, DropsALiarAtOnceAndFetchesFromTheOthers) {
  const Content content(20 * kBlockBytes);
  Fetcher fetcher;
  fetcher.link(kAnn);
  fetcher.link(kBob);
  fetcher.want(content, {kAnn, kBob});
  const auto lie = std::find_if(fetcher.requests.begin(), fetcher.requests.end(),
                                [](const auto& request) { return request.source == kBob; });
  ASSERT_NE(lie, fetcher.requests.end());
  Block block = content.block(lie->what.first_leaf);
  block.bytes[100] ^= 1;
  fetcher.run(fetcher.exchange.on_block(fetcher.now, kBob, block));
  EXPECT_EQ(fetcher.exchange.liars(), std::set<NodeId>{kBob});
  std::erase_if(fetcher.requests, [](const auto& request) { return request.source == kBob; });
  while (!fetcher.requests.empty()) {
    EXPECT_EQ(fetcher.requests.front().source, kAnn);
    fetcher.answer({&content});
  }
  EXPECT_EQ(fetcher.arrived[content.id], "");
  EXPECT_EQ(fetcher.fetched(content), content.bytes);

  const Content another(kBlockBytes, 2);
  fetcher.want(another, {kBob});
  EXPECT_TRUE(fetcher.requests.empty()) << "a liar was asked again";
}

TEST(Exchange, ASourceLostNearTheEndCostsOnlyWhatWasInFlight) {
  const Content content(100 * kBlockBytes);
  Fetcher fetcher;
  fetcher.link(kAnn);
  fetcher.want(content, {kAnn, kBob});
  while (fetcher.disk[content.id].size() < 99) fetcher.answer({&content});
  fetcher.requests.clear();
  fetcher.run(fetcher.exchange.link_lost(fetcher.now, kAnn));
  EXPECT_TRUE(fetcher.requests.empty());
  fetcher.link(kBob);
  ASSERT_EQ(fetcher.requests.size(), 1U) << "what was here already is asked for again";
  EXPECT_EQ(fetcher.requests.front().source, kBob);
  fetcher.answer({&content});
  EXPECT_EQ(fetcher.arrived[content.id], "");
  EXPECT_EQ(fetcher.fetched(content), content.bytes);
}

TEST(Exchange, ALateBlockIsAskedOfAnotherSource) {
  const Content content(kBlockBytes);
  Fetcher fetcher;
  fetcher.link(kAnn);
  fetcher.want(content, {kAnn});
  ASSERT_EQ(fetcher.asked_of(kAnn), 1U);
  fetcher.link(kBob);
  fetcher.want(content, {kBob});
  EXPECT_EQ(fetcher.asked_of(kBob), 0U);
  const Instant asked = fetcher.now;
  fetcher.wait_for_deadline();
  EXPECT_EQ(fetcher.now - asked, Duration(1s)) << "nothing else is missing: Bob is asked, too";
  EXPECT_EQ(fetcher.asked_of(kBob), 1U);
  // The first one's answer comes after all: it is welcome, and the second is not needed.
  fetcher.answer({&content});
  EXPECT_EQ(fetcher.arrived[content.id], "");
  EXPECT_EQ(fetcher.cancelled, (std::vector{std::pair(kBob, std::uint64_t{0})}));
  fetcher.answer({&content});
  EXPECT_EQ(fetcher.arrived.size(), 1U);
}

TEST(Exchange, ASlowSourceThatKeepsDeliveringIsNotLate) {
  const Content content(20 * kBlockBytes);
  Fetcher fetcher;
  fetcher.link(kAnn);
  fetcher.want(content, {kAnn});
  std::size_t requests = 0;
  while (!fetcher.arrived.contains(content.id)) {
    ASSERT_FALSE(fetcher.requests.empty());
    fetcher.now = fetcher.now + 3s;
    fetcher.run(fetcher.exchange.on_deadline(fetcher.now));
    fetcher.answer({&content});
    ++requests;
  }
  EXPECT_EQ(requests, 20U) << "blocks were asked for twice";
  EXPECT_EQ(fetcher.arrived[content.id], "");
}

TEST(Exchange, ASilentSourceIsGivenUpAfterThePatience) {
  const Content content(20 * kBlockBytes);
  Fetcher fetcher;
  fetcher.link(kAnn);
  const Instant begin = fetcher.now;
  fetcher.want(content, {kAnn});
  while (!fetcher.arrived.contains(content.id)) fetcher.wait_for_deadline();
  EXPECT_EQ(fetcher.now - begin, Duration(30s));
  EXPECT_THAT(fetcher.arrived[content.id], HasSubstr(short_hex(kAnn) + " did not answer"));
  EXPECT_THAT(fetcher.arrived[content.id], HasSubstr("20 of 20 blocks"));
  EXPECT_LE(fetcher.requests.size(), limits::kContentWindow + 4) << "it was asked over and over";
}

TEST(Exchange, NobodyHasItIsAnErrorThatNamesWhoWasAsked) {
  const Content content(3 * kBlockBytes);
  Fetcher fetcher;
  fetcher.link(kAnn);
  fetcher.link(kBob);
  const Instant begin = fetcher.now;
  fetcher.want(content, {kAnn, kBob, kCat});
  while (!fetcher.arrived.contains(content.id)) {
    while (!fetcher.requests.empty()) fetcher.answer_missing();
    if (!fetcher.arrived.contains(content.id)) fetcher.wait_for_deadline();
  }
  EXPECT_EQ(fetcher.now - begin, Duration(30s));
  const std::string error = fetcher.arrived[content.id];
  EXPECT_THAT(error, HasSubstr(short_hex(content.id)));
  EXPECT_THAT(error, HasSubstr(short_hex(kAnn) + " does not have it"));
  EXPECT_THAT(error, HasSubstr(short_hex(kBob) + " does not have it"));
  EXPECT_THAT(error, HasSubstr(short_hex(kCat) + " is not connected"));
}

TEST(Exchange, ASourceThatGetsTheContentLaterIsAskedAgain) {
  const Content content(3 * kBlockBytes);
  Fetcher fetcher;
  fetcher.link(kAnn);
  fetcher.want(content, {kAnn});
  while (!fetcher.requests.empty()) fetcher.answer_missing();
  fetcher.wait_for_deadline();
  ASSERT_EQ(fetcher.requests.size(), 1U) << "one block tells whether it has it now";
  while (!fetcher.requests.empty()) fetcher.answer({&content});
  EXPECT_EQ(fetcher.arrived[content.id], "");
}

TEST(Exchange, WithoutAnySourceAWantWaitsForOne) {
  const Content content(kBlockBytes);
  Fetcher fetcher;
  fetcher.want(content, {});
  fetcher.now = fetcher.now + 29s;
  fetcher.run(fetcher.exchange.on_deadline(fetcher.now));
  fetcher.link(kAnn);
  fetcher.want(content, {kAnn});
  ASSERT_EQ(fetcher.requests.size(), 1U);
  fetcher.answer({&content});
  EXPECT_EQ(fetcher.arrived[content.id], "");

  const Content lost(kBlockBytes, 2);
  fetcher.want(lost, {});
  fetcher.wait_for_deadline();
  EXPECT_THAT(fetcher.arrived[lost.id], HasSubstr("nobody is known to have it"));
}

// A want that has all but one block, of which there is no source any more.
void want_the_last(Fetcher& fetcher, const Content& content) {
  for (std::uint64_t block = 1; block < 6; ++block) {
    fetcher.held_before[content.id].push_back(first_leaf_of(block));
  }
  fetcher.want(content, {});
  fetcher.exchange.wait_for_others(content.id, {.for_rest = 120s});
}

TEST(Exchange, WhereAPartIsHereOthersAreWaitedForAndItIsSaid) {
  const Content content(6 * kBlockBytes);
  Fetcher fetcher;
  const Instant began = fetcher.now;
  want_the_last(fetcher, content);
  EXPECT_EQ(fetcher.exchange.progress(content.id)->waits_for, "");
  while (fetcher.now < began + 30s) fetcher.wait_for_deadline();
  EXPECT_THAT(fetcher.exchange.progress(content.id)->waits_for, HasSubstr("1 of 6 blocks"));
  fetcher.now = fetcher.now + 119s;
  fetcher.run(fetcher.exchange.on_deadline(fetcher.now));
  fetcher.link(kAnn);
  fetcher.want(content, {kAnn});
  ASSERT_EQ(fetcher.requests.size(), 1U);
  fetcher.answer({&content});
  EXPECT_EQ(fetcher.arrived[content.id], "");
}

TEST(Exchange, WhoIsWaitedForInVainIsGivenUp) {
  const Content content(6 * kBlockBytes);
  Fetcher fetcher;
  const Instant began = fetcher.now;
  want_the_last(fetcher, content);
  while (!fetcher.arrived.contains(content.id)) fetcher.wait_for_deadline();
  EXPECT_EQ(fetcher.now - began, Duration(150s));
  EXPECT_THAT(fetcher.arrived[content.id], HasSubstr("nobody is known to have it"));
  EXPECT_THAT(fetcher.arrived[content.id], HasSubstr("nobody else came in 120 s"));
}

TEST(Exchange, WhereNothingIsHereNobodyIsWaitedFor) {
  const Content content(6 * kBlockBytes);
  Fetcher fetcher;
  const Instant began = fetcher.now;
  fetcher.want(content, {});
  fetcher.exchange.wait_for_others(content.id, {.for_rest = 120s});
  while (!fetcher.arrived.contains(content.id)) fetcher.wait_for_deadline();
  EXPECT_EQ(fetcher.now - began, Duration(30s));
}

TEST(Exchange, ResumesWithTheBlocksThatAreNotHere) {
  const Content content(6 * kBlockBytes);
  Fetcher fetcher;
  fetcher.held_before[content.id] = {first_leaf_of(0), first_leaf_of(2), first_leaf_of(5)};
  fetcher.link(kAnn);
  fetcher.want(content, {kAnn});
  std::set<std::uint64_t> asked;
  for (const auto& request : fetcher.requests) asked.insert(request.what.first_leaf);
  EXPECT_EQ(asked, (std::set<std::uint64_t>{first_leaf_of(1), first_leaf_of(3), first_leaf_of(4)}));
  while (!fetcher.requests.empty()) fetcher.answer({&content});
  EXPECT_EQ(fetcher.arrived[content.id], "");
}

TEST(Exchange, AContentThatIsHereArrivesWithoutARequest) {
  const Content content(6 * kBlockBytes);
  Exchange exchange{Rng(1)};
  ExchangeActions actions = exchange.want({}, content.id, content.bytes.size(), {kAnn});
  ASSERT_EQ(actions.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<OpenContent>(actions[0]));
  actions = exchange.on_opened({}, {content.id, content.bytes.size(), true, {}});
  ASSERT_EQ(actions.size(), 1U);
  EXPECT_EQ(std::get<ContentArrived>(actions[0]).error, "");
  EXPECT_FALSE(exchange.wants(content.id));
}

TEST(Exchange, AFullDiskEndsTheWant) {
  const Content content(6 * kBlockBytes);
  Fetcher fetcher;
  fetcher.disk_error = "the disk is full";
  fetcher.link(kAnn);
  fetcher.want(content, {kAnn});
  fetcher.answer({&content});
  EXPECT_EQ(fetcher.arrived[content.id], "the disk is full");
  EXPECT_FALSE(fetcher.exchange.wants(content.id));
}

TEST(Exchange, AnImpossibleLengthIsRefusedAtOnce) {
  Exchange exchange{Rng(1)};
  const ContentId id = content_id(as_bytes("x"));
  for (const std::uint64_t length : {std::uint64_t{0}, limits::kContentBytes + 1}) {
    const ExchangeActions actions = exchange.want({}, id, length, {kAnn});
    ASSERT_EQ(actions.size(), 1U);
    EXPECT_NE(std::get<ContentArrived>(actions[0]).error, "");
    EXPECT_FALSE(exchange.wants(id));
  }
}

TEST(Exchange, WantsOfOneSourceShareItsWindowAndTakeTurns) {
  const Content large(50 * kBlockBytes, 1);
  const Content small(100, 2);
  Fetcher fetcher;
  fetcher.link(kAnn);
  fetcher.want(large, {kAnn});
  fetcher.want(small, {kAnn});
  EXPECT_EQ(fetcher.requests.size(), limits::kContentWindow);
  std::size_t answers = 0;
  while (!fetcher.arrived.contains(small.id)) {
    fetcher.answer({&large, &small});
    ++answers;
    ASSERT_LE(fetcher.requests.size(), limits::kContentWindow);
  }
  EXPECT_LE(answers, 2 * limits::kContentWindow) << "a small content waited for a large one";
  while (!fetcher.requests.empty()) fetcher.answer({&large, &small});
  EXPECT_EQ(fetcher.fetched(large), large.bytes);
}

TEST(Exchange, ForgettingAWantGivesItsPlacesToOthers) {
  const Content first(20 * kBlockBytes, 1);
  const Content second(kBlockBytes, 2);
  Fetcher fetcher;
  fetcher.link(kAnn);
  fetcher.want(first, {kAnn});
  fetcher.want(second, {kAnn});
  fetcher.requests.clear();
  fetcher.exchange.forget(first.id);
  fetcher.exchange.check_invariants();
  EXPECT_EQ(fetcher.exchange.next_deadline(), fetcher.now);
  fetcher.wait_for_deadline();
  ASSERT_EQ(fetcher.requests.size(), 1U);
  fetcher.answer({&second});
  EXPECT_EQ(fetcher.arrived[second.id], "");
  EXPECT_FALSE(fetcher.arrived.contains(first.id));
}

TEST(Exchange, ServesABlockAsItWasRead) {
  const Content content(3 * kBlockBytes);
  Fetcher fetcher;
  const BlockRequest request{content.id, content.bytes.size(), first_leaf_of(1)};
  fetcher.run(fetcher.exchange.on_request(fetcher.now, kBob, request));
  ASSERT_EQ(fetcher.reads.size(), 1U);
  EXPECT_EQ(fetcher.reads[0].reader, kBob);
  EXPECT_EQ(fetcher.reads[0].first_leaf, first_leaf_of(1));
  const Block block = content.block(first_leaf_of(1));
  fetcher.run(fetcher.exchange.on_read(fetcher.now, {kBob, block}));
  ASSERT_EQ(fetcher.served.size(), 1U);
  EXPECT_EQ(fetcher.served[0], std::pair(kBob, block));
}

TEST(Exchange, SaysMissingRatherThanServeWhatDoesNotBelong) {
  const Content content(3 * kBlockBytes);
  Fetcher fetcher;
  // A reader who was told a wrong length would have to take the right block for a lie.
  fetcher.run(fetcher.exchange.on_request(
      fetcher.now, kBob, {content.id, content.bytes.size() + kContentLeafBytes, 0}));
  fetcher.run(fetcher.exchange.on_read(fetcher.now, {kBob, content.block(0)}));
  // Bytes that went bad on the disk.
  fetcher.run(fetcher.exchange.on_request(fetcher.now, kBob,
                                          {content.id, content.bytes.size(), first_leaf_of(1)}));
  Block bad = content.block(first_leaf_of(1));
  bad.bytes[7] ^= 0x40;
  fetcher.run(fetcher.exchange.on_read(fetcher.now, {kBob, bad}));
  // Requests that no content could answer never reach the disk.
  fetcher.run(fetcher.exchange.on_request(fetcher.now, kBob, {content.id, kBlockBytes, 16}));
  fetcher.run(fetcher.exchange.on_request(fetcher.now, kBob, {content.id, kBlockBytes, 3}));
  EXPECT_EQ(fetcher.reads.size(), 2U);
  ASSERT_EQ(fetcher.served.size(), 4U);
  for (const auto& [reader, block] : fetcher.served) {
    EXPECT_TRUE(block.missing);
    EXPECT_TRUE(block.bytes.empty());
  }
}

TEST(Exchange, AReaderWhoAsksForTooMuchWaits) {
  const Content content(200 * kBlockBytes);
  Fetcher fetcher;
  for (std::uint64_t i = 0; i < 200; ++i) {
    fetcher.run(fetcher.exchange.on_request(fetcher.now, kBob,
                                            {content.id, content.bytes.size(), first_leaf_of(i)}));
  }
  ASSERT_EQ(fetcher.reads.size(), exchange_rules::kBlocksAheadOfReader);
  for (std::size_t i = 0; i < fetcher.reads.size(); ++i) {
    const Block block = content.block(fetcher.reads[i].first_leaf);
    fetcher.run(fetcher.exchange.on_read(fetcher.now, {kBob, block}));
  }
  EXPECT_EQ(fetcher.reads.size(), 2 * limits::kContentWindowMax) << "the others he asks for again";
  EXPECT_EQ(fetcher.served.size(), fetcher.reads.size());
}

TEST(Exchange, NothingIsServedToAReaderWhoHasLeft) {
  const Content content(2 * kBlockBytes);
  Fetcher fetcher;
  fetcher.run(
      fetcher.exchange.on_request(fetcher.now, kBob, {content.id, content.bytes.size(), 0}));
  fetcher.run(fetcher.exchange.link_lost(fetcher.now, kBob));
  fetcher.run(fetcher.exchange.on_read(fetcher.now, {kBob, content.block(0)}));
  EXPECT_TRUE(fetcher.served.empty());
}

// Sources that come, go, lie, stay silent and lack blocks: whatever happens, the tables agree, and
// once one honest source stays, everything arrives and is right.
TEST(Exchange, EverythingArrivesOnceAnHonestSourceStays) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rng rng(seed);
    std::vector<Content> contents;
    std::vector<const Content*> views;
    for (std::uint64_t i = 0; i < 5; ++i) {
      contents.emplace_back(1 + rng.below(12 * kBlockBytes), seed * 100 + i);
    }
    for (const Content& content : contents) views.push_back(&content);
    Fetcher fetcher;
    fetcher.exchange = Exchange(Rng(seed));
    const std::vector<NodeId> sources{kAnn, kBob, kCat};
    for (const Content& content : contents) {
      fetcher.run(fetcher.exchange.want(fetcher.now, content.id, content.bytes.size(), sources,
                                        Duration(3600s)));
    }
    for (int event = 0; event < 300; ++event) {
      const NodeId& source = sources[rng.below(3)];
      const std::uint64_t what = rng.below(100);
      if (what < 15) {
        fetcher.link(source);
      } else if (what < 25) {
        fetcher.run(fetcher.exchange.link_lost(fetcher.now, source));
        std::erase_if(fetcher.requests,
                      [&](const auto& request) { return request.source == source; });
      } else if (what < 40) {
        fetcher.now = fetcher.now + Duration(1s) * static_cast<int>(rng.below(8));
        fetcher.run(fetcher.exchange.on_deadline(fetcher.now));
      } else if (what < 43) {
        const Content& content = contents[rng.below(contents.size())];
        std::vector<std::uint64_t> claimed;
        for (std::uint64_t block = 0; block < blocks_of(content.bytes.size()); ++block) {
          if (rng.below(2) == 0) claimed.push_back(block);
        }
        fetcher.run(fetcher.exchange.on_holdings(fetcher.now, source,
                                                 holding(content, claimed, rng.below(2) == 0)));
      } else if (fetcher.requests.empty()) {
        continue;
      } else if (what < 45) {
        fetcher.answer_missing();
      } else if (what < 46 && fetcher.requests.front().source == kCat) {
        fetcher.run(fetcher.exchange.on_block(fetcher.now, kCat,
                                              {fetcher.requests.front().what.content,
                                               fetcher.requests.front().what.first_leaf,
                                               Bytes(10),
                                               {},
                                               false}));
        fetcher.requests.pop_front();
      } else if (what < 50) {
        fetcher.requests.pop_front();  // never answered
      } else {
        fetcher.answer(views);
      }
    }
    const NodeId honest = node(9);
    fetcher.link(honest);
    for (const Content& content : contents) {
      fetcher.want(content, {honest});
    }
    for (int turn = 0; turn < 10000 && fetcher.arrived.size() < contents.size(); ++turn) {
      if (fetcher.requests.empty()) {
        fetcher.wait_for_deadline();
      } else {
        fetcher.answer(views);
      }
    }
    for (const Content& content : contents) {
      ASSERT_TRUE(fetcher.arrived.contains(content.id));
      EXPECT_EQ(fetcher.arrived[content.id], "");
      EXPECT_EQ(fetcher.fetched(content), content.bytes);
    }
    for (const NodeId& liar : fetcher.exchange.liars()) EXPECT_EQ(liar, kCat);
  }
}

// As 'shoal content drop' does, or another process that fetches into the same folder.
TEST(Exchange, WhatIsRemovedFromTheDiskMeanwhileIsFetchedAnewOnceAndThenItIsSaid) {
  const Content content(3 * kBlockBytes, 1);
  Fetcher fetcher;
  fetcher.link(kAnn);
  fetcher.want(content, {kAnn});
  for (int time = 0; time < 2; ++time) {
    EXPECT_TRUE(fetcher.arrived.empty());
    fetcher.answer({&content});
    fetcher.disk.clear();
    while (!fetcher.requests.empty()) {
      const std::size_t asked = fetcher.requests.size();
      fetcher.answer({&content});
      if (fetcher.requests.size() >= asked) break;  // it begins anew
    }
    fetcher.disk.clear();
  }
  ASSERT_TRUE(fetcher.arrived.contains(content.id));
  EXPECT_NE(fetcher.arrived[content.id].find("was removed from the disk while the rest came"),
            std::string::npos)
      << fetcher.arrived[content.id];
}

}  // namespace
}  // namespace shoal
