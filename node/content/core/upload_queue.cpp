#include "node/content/core/upload_queue.h"

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "node/content/core/block_check.h"
#include "node/content/core/exchange_rules.h"
#include "node/protocol/result.h"

namespace shoal {

using namespace exchange_rules;

namespace {

constexpr std::uint64_t kTakersTurn = 5;  // one block in so many

}  // namespace

void UploadQueue::ask(const NodeId& node, const BlockRequest& request) {
  Reader& reader = readers_[node];
  const bool asked_before =
      std::find(reader.waiting.begin(), reader.waiting.end(), request) != reader.waiting.end();
  if (asked_before || reader.waiting.size() + reader.ahead >= kAsksPerReader) return;
  reader.waiting.push_back(request);
  ++waiting_;
}

void UploadQueue::take_back(const NodeId& node, const BlockCancel& cancel) {
  const auto found = readers_.find(node);
  if (found == readers_.end()) return;
  waiting_ -= std::erase_if(found->second.waiting, [&](const BlockRequest& request) {
    return request.content == cancel.content && request.first_leaf == cancel.first_leaf;
  });
}

bool UploadQueue::has_room(const Reader& reader) const {
  return reader.ahead < (reader.was_quick.value_or(true) ? kBlocksAheadOfReader : 1);
}

UploadQueue::Places UploadQueue::places(Instant now) const {
  if (ahead_ < kBlocksAheadOfAll) return Places::kForAll;
  if (ahead_ >= kBlocksAheadMax) return Places::kNone;
  std::size_t moving = 0;
  std::size_t quick = 0;
  for (const auto& [node, reader] : readers_) {
    if (reader.moved_at + kStuckAfter > now) moving += reader.ahead;
    if (reader.was_quick.value_or(true) && reader.moved_at + kQuickBlock > now) {
      quick += reader.ahead;
    }
  }
  if (moving < kBlocksAheadOfAll) return Places::kForAll;
  const bool any = quick < kBlocksAheadOfQuick && moving < kBlocksAheadOfAll + kBlocksAheadOfQuick;
  return any ? Places::kForQuick : Places::kNone;
}

bool UploadQueue::may_have(Places places, const Reader& reader) const {
  if (reader.waiting.empty() || !has_room(reader)) return false;
  return places == Places::kForAll || reader.was_quick.value_or(false);
}

std::optional<UploadQueue::Turn> UploadQueue::next(Instant now) {
  now_ = now;
  if (waiting_ == 0 || (rate_.limited() && rate_.free_at() > now)) return {};
  const Places free = places(now);
  if (free == Places::kNone) return {};
  const auto node = best_reader(now, free);
  if (!node) return std::nullopt;
  Reader& reader = readers_.at(*node);
  const BlockRequest request = reader.waiting.front();
  reader.waiting.pop_front();
  --waiting_;
  if (reader.ahead++ == 0) reader.moved_at = now;
  ++ahead_;
  reader.served_at = ++served_;
  const std::uint64_t index = request.first_leaf / limits::kBlockLeaves;
  if (index < blocks_of(request.length)) rate_.take(now, block_bytes(request.length, index));
  return Turn{*node, request};
}

void UploadQueue::fill_slots(Instant now) {
  std::erase_if(slots_, [&](const auto& slot) {
    return readers_.at(slot.first).waiting.empty() && slot.second + kSlotIdle <= now;
  });
  const auto merit = [&](const NodeId& node) {
    const Reader& reader = readers_.at(node);
    return std::pair(reader.given, ~reader.served_at);
  };
  std::vector<std::pair<std::pair<std::uint64_t, std::uint64_t>, NodeId>> outside;
  for (const auto& [node, reader] : readers_) {
    if (!reader.waiting.empty() && !slots_.contains(node)) outside.emplace_back(merit(node), node);
  }
  std::sort(outside.begin(), outside.end());
  if (slots_.size() >= kUploadSlots && !outside.empty() && slots_change_at_ <= now) {
    slots_.erase(std::min_element(slots_.begin(), slots_.end(), [&](const auto& a, const auto& b) {
      return merit(a.first) < merit(b.first);
    }));
    const auto longest = std::max_element(
        outside.begin(), outside.end(),
        [](const auto& a, const auto& b) { return a.first.second < b.first.second; });
    slots_[longest->second] = now;
    outside.erase(longest);
    slots_change_at_ = now + kSlotsChange;
  }
  while (slots_.size() < kUploadSlots && !outside.empty()) {
    slots_[outside.back().second] = now;
    outside.pop_back();
    slots_change_at_ = std::max(slots_change_at_, now + kSlotsChange);
  }
}

std::optional<NodeId> UploadQueue::best_reader(Instant now, Places free) {
  if (rate_.limited()) fill_slots(now);
  const bool takers_turn = (served_ + 1) % kTakersTurn == 0;
  std::optional<NodeId> best;
  std::tuple<bool, bool, std::uint64_t> best_rank;
  for (const auto& [node, reader] : readers_) {
    if (!may_have(free, reader)) continue;
    // Without a slot only where nobody who has one wants anything now.
    const bool no_slot = rate_.limited() && !slots_.contains(node);
    const std::tuple rank{no_slot, (reader.given > 0) == takers_turn, reader.served_at};
    if (best && best_rank <= rank) continue;
    best = node;
    best_rank = rank;
  }
  if (!best) return best;
  if (const auto slot = slots_.find(*best); slot != slots_.end()) slot->second = now;
  return best;
}

void UploadQueue::left(Instant now, const NodeId& node, bool was_sent) {
  now_ = now;
  const auto found = readers_.find(node);
  if (found == readers_.end() || found->second.ahead == 0) return;  // of a link before this one
  Reader& reader = found->second;
  --reader.ahead;
  --ahead_;
  if (!was_sent) return;
  reader.was_quick = now <= reader.moved_at + kQuickBlock;
  reader.moved_at = now;
}

void UploadQueue::forget(const NodeId& node) {
  const auto found = readers_.find(node);
  if (found == readers_.end()) return;
  waiting_ -= found->second.waiting.size();
  ahead_ -= found->second.ahead;
  readers_.erase(found);
  slots_.erase(node);
}

std::optional<Instant> UploadQueue::next_deadline() const {
  if (waiting_ == 0) return std::nullopt;
  if (rate_.limited() && rate_.free_at() > now_) return rate_.free_at();
  if (ahead_ < kBlocksAheadOfAll || ahead_ >= kBlocksAheadMax) return std::nullopt;
  const bool quick_waits = std::any_of(readers_.begin(), readers_.end(), [&](const auto& entry) {
    return may_have(Places::kForQuick, entry.second);
  });
  std::optional<Instant> next;
  for (const auto& [node, reader] : readers_) {
    if (reader.ahead == 0) continue;
    for (const Duration after : {quick_waits ? kQuickBlock : kStuckAfter, kStuckAfter}) {
      const Instant at = reader.moved_at + after;
      if (at > now_) next = next ? std::min(*next, at) : at;
    }
  }
  return next;
}

std::size_t UploadQueue::ahead_of(const NodeId& node) const {
  const auto found = readers_.find(node);
  return found == readers_.end() ? 0 : found->second.ahead;
}

void UploadQueue::check_invariants() const {
  std::size_t waiting = 0;
  std::size_t ahead = 0;
  for (const auto& [node, reader] : readers_) {
    waiting += reader.waiting.size();
    ahead += reader.ahead;
    check(reader.ahead <= kBlocksAheadOfReader, "too many blocks are in memory for one reader");
    check(reader.waiting.size() <= kAsksPerReader, "a reader asks for too much at once");
  }
  check(waiting == waiting_ && ahead == ahead_, "what readers wait for is miscounted");
  check(ahead <= kBlocksAheadMax, "too many blocks are in memory for readers");
  for (const auto& [node, wanted] : slots_) check(readers_.contains(node), "a slot of nobody");
}

}  // namespace shoal
