#include "node/content/core/block_dealer.h"

#include <algorithm>

#include "node/content/core/block_check.h"
#include "node/content/core/exchange_rules.h"
#include "node/protocol/result.h"

namespace shoal {

using namespace exchange_rules;

BlockDealer::BlockDealer(std::uint64_t length, std::uint64_t first)
    : length_(length), dealt_(blocks_of(length)), next_(first) {
  check(first < dealt_.blocks(), "a content is dealt from past its end");
}

std::vector<std::uint64_t> BlockDealer::join(Instant now, const NodeId& fan) {
  const auto [known, fresh] = fans_.try_emplace(fan);
  if (!fresh) return {};
  known->second.asked_at = now;
  return fill(known->second);
}

void BlockDealer::join_knowing_all(const NodeId& fan) { fans_[fan].knows_all = true; }

std::vector<std::uint64_t> BlockDealer::asked(Instant now, const NodeId& fan, std::uint64_t block) {
  if (block < dealt_.blocks()) dealt_.set(block);
  for (auto& [other, its] : fans_) its.hand.erase(block);
  const auto found = fans_.find(fan);
  if (found == fans_.end()) return {};
  found->second.asked_at = now;
  return fill(found->second);
}

// Its hand goes to the others. What it had asked for may never reach them: they will ask for it
// themselves, when nothing else is left.
void BlockDealer::leave(const NodeId& fan) {
  const auto found = fans_.find(fan);
  if (found == fans_.end()) return;
  for (const std::uint64_t block : found->second.hand) dealt_.reset(block);
  fans_.erase(found);
}

std::vector<NodeId> BlockDealer::take_idle(Instant now) {
  std::vector<NodeId> idle;
  for (auto& [node, fan] : fans_) {
    if (fan.knows_all || fan.asked_at + kDealtFor > now) continue;
    fan.knows_all = true;
    fan.hand.clear();
    idle.push_back(node);
  }
  return idle;
}

std::optional<Instant> BlockDealer::next_deadline() const {
  std::optional<Instant> next;
  for (const auto& [node, fan] : fans_) {
    if (fan.knows_all) continue;
    const Instant at = fan.asked_at + kDealtFor;
    next = next ? std::min(*next, at) : at;
  }
  return next;
}

std::vector<std::uint64_t> BlockDealer::fill(Fan& fan) {
  std::vector<std::uint64_t> news;
  if (fan.knows_all || fan.hand.size() >= kHandLow) return news;
  while (!dealt_.all() && fan.hand.size() < kHandFull) {
    while (dealt_.test(next_)) next_ = (next_ + 1) % dealt_.blocks();
    dealt_.set(next_);
    fan.hand.insert(next_);
    news.push_back(next_);
  }
  return news;
}

}  // namespace shoal
