#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "node/content/core/block_check.h"
#include "node/content/core/exchange.h"
#include "node/protocol/hash.h"

// One exchange, and a test that plays its disk and its sources.
namespace shoal::test {

inline constexpr std::size_t kBlockBytes = limits::kBlockLeaves * kContentLeafBytes;

inline NodeId node(std::uint8_t number) {
  NodeId id;
  id.bytes[0] = number;
  return id;
}
inline const NodeId kAnn = node(1);
inline const NodeId kBob = node(2);
inline const NodeId kCat = node(3);

inline Bytes random_bytes(std::size_t size, std::uint64_t seed) {
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
  bool links_take_bulk = true;

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
        if (send->bulk && links_take_bulk) run(exchange.on_bulk_sent(now, send->peer));
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

inline Holdings holding(const Content& content, const std::vector<std::uint64_t>& blocks,
                        bool fetching = true) {
  Holdings said{content.id, content.bytes.size(), 0, {}, fetching};
  said.bits.resize((blocks_of(content.bytes.size()) + 7) / 8);
  for (const std::uint64_t block : blocks) {
    said.bits[block / 8] = static_cast<std::uint8_t>(said.bits[block / 8] | (1 << (block % 8)));
  }
  return said;
}

}  // namespace shoal::test
