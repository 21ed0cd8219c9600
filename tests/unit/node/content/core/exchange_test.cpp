#include "node/content/core/exchange.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>

#include "node/content/core/block_check.h"
#include "node/protocol/hash.h"

namespace shoal {
namespace {

using ::testing::HasSubstr;

constexpr std::size_t kBlockBytes = limits::kBlockLeaves * kContentLeafBytes;

NodeId node(std::uint8_t number) {
  NodeId id;
  id.bytes[0] = number;
  return id;
}
const NodeId kAnn = node(1);
const NodeId kBob = node(2);
const NodeId kCat = node(3);

Bytes random_bytes(std::size_t size, std::uint64_t seed) {
  Rng rng(seed);
  Bytes bytes(size);
  for (std::size_t at = 0; at < size; at += 8) {
    const std::uint64_t word = rng.next();
    std::memcpy(bytes.data() + at, &word, std::min<std::size_t>(8, size - at));
  }
  return bytes;
}

struct Content {
  Bytes bytes;
  ContentId id;

  std::vector<Hash256> leaves;

  explicit Content(std::size_t size, std::uint64_t seed = 1)
      : bytes(random_bytes(size, seed)), id(content_id(bytes)) {
    for (std::size_t at = 0; at < size; at += kContentLeafBytes) {
      leaves.push_back(
          content_leaf(ByteView(bytes).subspan(at, std::min(kContentLeafBytes, size - at))));
    }
  }
  Block block(std::uint64_t first_leaf) const {
    Block block{id, first_leaf, {}, {}, false};
    const std::size_t from = first_leaf * kContentLeafBytes;
    const std::size_t size = std::min(kBlockBytes, bytes.size() - from);
    block.bytes = to_bytes(ByteView(bytes).subspan(from, size));
    if (leaves.size() > 1) {
      block.proof = merkle_range_proof(
          leaves, first_leaf,
          std::min<std::uint64_t>(first_leaf + limits::kBlockLeaves, leaves.size()));
    }
    return block;
  }
};

// One exchange with a disk in memory, and what it has asked of whom.
struct Fetcher {
  struct Request {
    NodeId source;
    BlockRequest what;
  };
  Exchange exchange{Rng(7)};
  Instant now = Instant{} + 100s;
  std::deque<Request> requests;
  std::map<ContentId, std::map<std::uint64_t, Bytes>> disk;
  std::map<ContentId, std::vector<std::uint64_t>> held_before;
  std::map<ContentId, std::string> arrived;  // -> error
  std::vector<std::pair<NodeId, Block>> served;
  std::vector<std::pair<NodeId, std::uint64_t>> cancelled;
  std::vector<std::pair<NodeId, Holdings>> holdings;
  std::vector<std::pair<NodeId, ContentId>> holders_asked;
  std::set<ContentId> held_whole;
  std::vector<ReadBlock> reads;
  std::string disk_error;

  void run(ExchangeActions actions) {
    for (ExchangeAction& action : actions) {
      if (auto* send = std::get_if<Send>(&action)) {
        auto message = decode(send->bytes);
        ASSERT_TRUE(message) << message.error().what;
        if (auto* request = std::get_if<BlockRequest>(&*message)) {
          requests.push_back({send->peer, *request});
        } else if (auto* cancel = std::get_if<BlockCancel>(&*message)) {
          cancelled.emplace_back(send->peer, cancel->first_leaf);
        } else if (auto* said = std::get_if<Holdings>(&*message)) {
          holdings.emplace_back(send->peer, *said);
        } else if (auto* asked = std::get_if<HoldersRequest>(&*message)) {
          holders_asked.emplace_back(send->peer, asked->content);
        } else {
          served.emplace_back(send->peer, std::get<Block>(*message));
        }
      } else if (auto* open = std::get_if<OpenContent>(&action)) {
        run(exchange.on_opened(now, {open->id, open->length, held_whole.contains(open->id),
                                     held_before[open->id], open->for_reader}));
      } else if (auto* store = std::get_if<StoreBlock>(&action)) {
        auto& blocks = disk[store->id];
        EXPECT_TRUE(blocks.emplace(store->first_leaf, store->bytes).second) << "stored twice";
        const bool complete = blocks.size() + held_before[store->id].size() >=
                              std::max<std::uint64_t>(blocks_of(store->length), 1);
        run(exchange.on_stored(now, {store->id, store->first_leaf, complete, disk_error}));
      } else if (auto* read = std::get_if<ReadBlock>(&action)) {
        reads.push_back(*read);
      } else if (auto* done = std::get_if<ContentArrived>(&action)) {
        EXPECT_TRUE(arrived.emplace(done->id, done->error).second) << "arrived twice";
      }
    }
    exchange.check_invariants();
  }
  void want(const Content& content, const std::vector<NodeId>& sources) {
    run(exchange.want(now, content.id, content.bytes.size(), sources));
  }
  void link(const NodeId& source) { run(exchange.link_up(now, source)); }
  // Answers the oldest request, as an honest source does.
  void answer(const std::vector<const Content*>& contents) {
    ASSERT_FALSE(requests.empty());
    const Request request = requests.front();
    requests.pop_front();
    for (const Content* content : contents) {
      if (content->id != request.what.content) continue;
      EXPECT_EQ(request.what.length, content->bytes.size());
      run(exchange.on_block(now, request.source, content->block(request.what.first_leaf)));
      return;
    }
    FAIL() << "asked for a content that nobody wants";
  }
  void answer_missing() {
    const Request request = requests.front();
    requests.pop_front();
    run(exchange.on_block(now, request.source,
                          {request.what.content, request.what.first_leaf, {}, {}, true}));
  }
  std::size_t asked_of(const NodeId& source) const {
    return static_cast<std::size_t>(
        std::count_if(requests.begin(), requests.end(),
                      [&](const Request& request) { return request.source == source; }));
  }
  void wait_for_deadline() {
    const auto deadline = exchange.next_deadline();
    ASSERT_TRUE(deadline.has_value());
    now = std::max(now, *deadline);
    run(exchange.on_deadline(now));
  }
  Bytes fetched(const Content& content) {
    Bytes bytes;
    for (const auto& [first_leaf, part] : disk[content.id]) {
      bytes.insert(bytes.end(), part.begin(), part.end());
    }
    return bytes;
  }
};

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
  fetcher.run(fetcher.exchange.add_source(fetcher.now, content.id, kBob));
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
  fetcher.run(fetcher.exchange.add_source(fetcher.now, content.id, kAnn));
  ASSERT_EQ(fetcher.requests.size(), 1U);
  fetcher.answer({&content});
  EXPECT_EQ(fetcher.arrived[content.id], "");

  const Content lost(kBlockBytes, 2);
  fetcher.want(lost, {});
  fetcher.wait_for_deadline();
  EXPECT_THAT(fetcher.arrived[lost.id], HasSubstr("nobody is known to have it"));
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

// --- a swarm ---

Holdings holding(const Content& content, const std::vector<std::uint64_t>& blocks,
                 bool fetching = true) {
  Holdings said{content.id, content.bytes.size(), 0, {}, fetching};
  said.bits.resize((blocks_of(content.bytes.size()) + 7) / 8);
  for (const std::uint64_t block : blocks) {
    said.bits[block / 8] = static_cast<std::uint8_t>(said.bits[block / 8] | (1 << (block % 8)));
  }
  return said;
}

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

TEST(Exchange, OneThatClaimsWhatItHasNotIsOutAfterAFewTimes) {
  const Content content(40 * kBlockBytes);
  std::vector<std::uint64_t> all;
  for (std::uint64_t block = 0; block < 40; ++block) all.push_back(block);
  Fetcher fetcher;
  fetcher.link(kBob);
  fetcher.want(content, {});
  fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kBob, holding(content, all)));
  int lies = 0;
  while (!fetcher.requests.empty()) {
    fetcher.answer_missing();
    ++lies;
    std::erase_if(fetcher.requests, [&](const auto& request) {
      return !fetcher.exchange.is_asked(request.source, request.what);
    });
  }
  EXPECT_EQ(lies, 4) << "-2 each, out at -7";
  fetcher.run(fetcher.exchange.on_holdings(fetcher.now, kBob, holding(content, all)));
  EXPECT_TRUE(fetcher.requests.empty()) << "it came back";
  fetcher.link(kAnn);
  fetcher.run(fetcher.exchange.add_source(fetcher.now, content.id, kAnn));
  while (!fetcher.requests.empty()) fetcher.answer({&content});
  EXPECT_EQ(fetcher.fetched(content), content.bytes);
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
  while (fetcher.reads.size() < 59) {
    fetcher.wait_for_deadline();
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
  EXPECT_EQ(fetcher.reads.size(), 2 * limits::kContentWindowMax);
  fetcher.run(fetcher.exchange.link_lost(fetcher.now, kBob));
  fetcher.run(fetcher.exchange.on_read(fetcher.now, {kBob, content.block(0)}));
  EXPECT_TRUE(fetcher.served.empty()) << "served to a reader who has left";
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
      fetcher.run(fetcher.exchange.add_source(fetcher.now, content.id, honest));
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

}  // namespace
}  // namespace shoal
