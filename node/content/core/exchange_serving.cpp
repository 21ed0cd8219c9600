#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "node/content/core/block_check.h"
#include "node/content/core/exchange.h"
#include "node/content/core/exchange_rules.h"
#include "node/protocol/hash.h"
#include "node/protocol/result.h"

// Blocks for others: in the order in which they ask, or, where the donor has limited what is sent,
// in an order that is fair to those who give.
namespace shoal {

using namespace exchange_rules;

namespace {

constexpr std::uint64_t kTakersTurn = 5;  // one block in so many

std::uint64_t block_bytes_of(const BlockRequest& request) {
  const std::uint64_t index = request.first_leaf / limits::kBlockLeaves;
  return index < blocks_of(request.length) ? block_bytes(request.length, index) : 0;
}

}  // namespace

ExchangeActions Exchange::on_request(Instant now, const NodeId& from, const BlockRequest& request) {
  now_ = now;
  const std::uint64_t index = request.first_leaf / limits::kBlockLeaves;
  const bool sound = request.first_leaf % limits::kBlockLeaves == 0 &&
                     request.length <= limits::kContentBytes &&
                     index < std::max<std::uint64_t>(blocks_of(request.length), 1);
  if (!sound || !meter_.may_send(now, block_bytes_of(request))) {
    Block none{request.content, request.first_leaf, {}, {}, true};
    return {Send{from, encode(Message(std::move(none)))}};
  }
  ExchangeActions actions = read_for(now, from, request);
  const auto fans = fans_.find(request.content);
  if (fans != fans_.end() && fans->second.dealer) {
    deal(request.content, request.length, from, fans->second.dealer->asked(now, from, index),
         actions);
  }
  return actions;
}

ExchangeActions Exchange::read_for(Instant now, const NodeId& from, const BlockRequest& request) {
  const auto first = reads_.lower_bound({from, {}});
  std::size_t reading = 0;
  for (auto it = first; it != reads_.end() && it->first.first == from; ++it) ++reading;
  if (const auto queue = waiting_.find(from); queue != waiting_.end()) {
    // Asked again by one who has waited long.
    if (std::count(queue->second.begin(), queue->second.end(), request) > 0) return {};
    reading += queue->second.size();
  }
  // Who asks for more than a window allows waits until he asks again.
  if (reading >= kReadsPerReader) return {};
  if (upload_.limited()) {
    ExchangeActions actions;
    waiting_[from].push_back(request);
    send_waiting(now, actions);
    return actions;
  }
  const Read key{from, {request.content, request.first_leaf}};
  if (!reads_.emplace(key, request.length).second) return {};
  return {ReadBlock{request.content, request.first_leaf, from}};
}

// Slots go to those who have given most, then to those who have waited longest. Every so often the
// one of least merit is another's, who may turn out to be a giver.
void Exchange::fill_slots(Instant now) {
  std::erase_if(slots_, [&](const auto& slot) {
    return !waiting_.contains(slot.first) && slot.second + kSlotIdle <= now;
  });
  const auto merit = [this](const NodeId& node) {
    const auto source = sources_.find(node);
    const auto last = served_at_.find(node);
    return std::pair(source == sources_.end() ? 0 : source->second.given_bytes,
                     last == served_at_.end() ? ~std::uint64_t{0} : ~last->second);
  };
  std::vector<std::pair<std::pair<std::uint64_t, std::uint64_t>, NodeId>> outside;
  for (const auto& [node, queue] : waiting_) {
    if (!slots_.contains(node)) outside.emplace_back(merit(node), node);
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

// Of those with a slot, who has given something is served first, in turns; who only takes, when
// nobody else waits, and now and then all the same: he may be new, and have nothing yet.
NodeId Exchange::next_reader(Instant now) {
  fill_slots(now);
  const bool takers_turn = ++served_ % kTakersTurn == 0;
  std::optional<NodeId> best;
  std::tuple<bool, bool, std::uint64_t> best_rank;
  for (const auto& [node, queue] : waiting_) {
    const auto source = sources_.find(node);
    const bool gave = source != sources_.end() && source->second.given_bytes > 0;
    const auto last = served_at_.find(node);
    // Without a slot only where nobody who has one wants anything now.
    const std::tuple rank{!slots_.contains(node), gave == takers_turn,
                          last == served_at_.end() ? 0 : last->second};
    if (!best || rank < best_rank) {
      best = node;
      best_rank = rank;
    }
  }
  check(best.has_value(), "a reader is looked for where nobody waits");
  if (const auto slot = slots_.find(*best); slot != slots_.end()) slot->second = now;
  return *best;
}

void Exchange::send_waiting(Instant now, ExchangeActions& actions) {
  while (!waiting_.empty() && upload_.free_at() <= now) {
    const NodeId reader = next_reader(now);
    auto& queue = waiting_.at(reader);
    const BlockRequest request = queue.front();
    queue.pop_front();
    if (queue.empty()) waiting_.erase(reader);
    const Read key{reader, {request.content, request.first_leaf}};
    if (!reads_.emplace(key, request.length).second) continue;
    served_at_[reader] = served_;
    upload_.take(now, block_bytes_of(request));
    actions.push_back(ReadBlock{request.content, request.first_leaf, reader});
  }
}

void Exchange::on_cancel(const NodeId& from, const BlockCancel& cancel) {
  const auto queue = waiting_.find(from);
  if (queue == waiting_.end()) return;  // it is on its way already
  std::erase_if(queue->second, [&](const BlockRequest& request) {
    return request.content == cancel.content && request.first_leaf == cancel.first_leaf;
  });
  if (queue->second.empty()) waiting_.erase(queue);
}

void Exchange::forget_reader(const NodeId& node) {
  const auto first = reads_.lower_bound({node, {}});
  reads_.erase(first, std::find_if(first, reads_.end(),
                                   [&](const auto& read) { return read.first.first != node; }));
  waiting_.erase(node);
  served_at_.erase(node);
  slots_.erase(node);
}

void Exchange::limit_rates(std::uint64_t upload, std::uint64_t download) {
  upload_ = RateLimit(upload);
  download_ = RateLimit(download);
}

void Exchange::limit_traffic(const TrafficCaps& caps, const Traffic& so_far,
                             UnixMs unix_ms_at_zero) {
  meter_ = TrafficMeter(caps, so_far, unix_ms_at_zero);
}

ExchangeActions Exchange::on_read(Instant now, BlockRead read) {
  now_ = now;
  const auto found = reads_.find({read.reader, {read.block.content, read.block.first_leaf}});
  if (found == reads_.end()) return {};  // its reader has left
  // Bytes that went bad on our disk, or a reader who was told a wrong length: both must hear
  // "missing" and not get a block for which they would have to call us a liar.
  if (!read.block.missing && !check_(read.block.content, found->second, read.block)) {
    read.block = {read.block.content, read.block.first_leaf, {}, {}, true};
  }
  reads_.erase(found);
  meter_.sent(now, read.block.bytes.size());
  const bool bulk = !read.block.bytes.empty();
  return {Send{read.reader, encode(Message(std::move(read.block))), bulk}};
}

}  // namespace shoal
