#include "node/content/core/block_dealer.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "node/content/core/block_check.h"
#include "node/content/core/exchange_rules.h"
#include "node/protocol/result.h"

namespace shoal {

using namespace exchange_rules;

BlockDealer::BlockDealer(std::uint64_t length, std::uint64_t first)
    : length_(length), dealt_(blocks_of(length)), asked_(blocks_of(length)), next_(first) {
  check(first < dealt_.blocks(), "a content is dealt from past its end");
}

std::vector<std::uint64_t> BlockDealer::join(Instant now, const NodeId& fan) {
  const auto [known, fresh] = fans_.try_emplace(fan);
  if (!fresh) return {};
  news_at_ = now;
  return fill(now, known->second);
}

void BlockDealer::join_knowing_all(const NodeId& fan) { fans_[fan].knows_all = true; }

std::vector<std::uint64_t> BlockDealer::asked(Instant now, const NodeId& fan, std::uint64_t block) {
  if (block < dealt_.blocks()) {
    dealt_.set(block);
    if (asked_.set(block)) news_at_ = now;
  }
  for (auto& [other, its] : fans_) its.hand.erase(block);
  const auto found = fans_.find(fan);
  return found == fans_.end() ? std::vector<std::uint64_t>{} : fill(now, found->second);
}

// Its hand goes to the others. What it had asked for may never reach them: when nothing else is
// left to be dealt they are told of everything at once, since who has all of it does not stay for
// long.
void BlockDealer::leave(const NodeId& fan) {
  const auto found = fans_.find(fan);
  if (found == fans_.end()) return;
  for (const auto& [block, since] : found->second.hand) dealt_.reset(block);
  fans_.erase(found);
  if (dealt_.all()) news_at_ = {};
}

std::vector<BlockDealer::Deal> BlockDealer::deal_again(Instant now) {
  std::vector<std::uint64_t> stale;
  std::vector<Fan*> empty_handed;
  std::vector<Deal> deals;
  for (auto& [node, fan] : fans_) {
    if (!fan.hand.empty() || fan.knows_all) continue;
    empty_handed.push_back(&fan);
    deals.push_back({node, {}});
  }
  for (auto& [node, fan] : fans_) {
    for (auto card = fan.hand.begin(); card != fan.hand.end();) {
      const bool is_stale = card->second + kDealtFor <= now;
      if (is_stale) stale.push_back(card->first);
      // With nobody to take it, it lies for as long again.
      if (is_stale && deals.empty()) card->second = now;
      card = is_stale && !deals.empty() ? fan.hand.erase(card) : std::next(card);
    }
  }
  for (std::size_t i = 0; i < stale.size() && !deals.empty(); ++i) {
    empty_handed[i % deals.size()]->hand.emplace(stale[i], now);
    deals[i % deals.size()].blocks.push_back(stale[i]);
  }
  return deals;
}

std::vector<NodeId> BlockDealer::take_idle(Instant now) {
  std::vector<NodeId> idle;
  if (news_at_ + kDealtFor > now) return idle;
  for (auto& [node, fan] : fans_) {
    if (!std::exchange(fan.knows_all, true)) idle.push_back(node);
    fan.hand.clear();
  }
  return idle;
}

std::optional<Instant> BlockDealer::next_deadline() const {
  std::optional<Instant> next;
  for (const auto& [node, fan] : fans_) {
    if (fan.knows_all) continue;
    Instant at = news_at_ + kDealtFor;
    for (const auto& [block, since] : fan.hand) at = std::min(at, since + kDealtFor);
    next = next ? std::min(*next, at) : at;
  }
  return next;
}

std::vector<std::uint64_t> BlockDealer::fill(Instant now, Fan& fan) {
  std::vector<std::uint64_t> news;
  const std::size_t full = std::max(kHandMin, kDealtAhead / fans_.size());
  if (fan.knows_all || fan.hand.size() > full / 2) return news;
  while (!dealt_.all() && fan.hand.size() < full) {
    while (dealt_.test(next_)) next_ = (next_ + 1) % dealt_.blocks();
    dealt_.set(next_);
    fan.hand.emplace(next_, now);
    news.push_back(next_);
  }
  return news;
}

}  // namespace shoal
