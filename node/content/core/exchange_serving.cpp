#include <algorithm>
#include <utility>
#include <vector>

#include "node/content/core/block_check.h"
#include "node/content/core/exchange.h"
#include "node/content/core/exchange_rules.h"
#include "node/protocol/hash.h"
#include "node/protocol/result.h"

// Blocks for others, in the turns of upload_queue.h.
namespace shoal {

using namespace exchange_rules;

namespace {

std::uint64_t block_bytes_of(const BlockRequest& request) {
  const std::uint64_t index = request.first_leaf / limits::kBlockLeaves;
  return index < blocks_of(request.length) ? block_bytes(request.length, index) : 0;
}

}  // namespace

// It may still fetch it: then it is to be told of what comes as before.
Send Exchange::nothing_for(const NodeId& reader, const BlockRequest& request) const {
  const bool fetching = wants_.contains(request.content);
  return {reader, encode(Message(Holdings{request.content, request.length, 0, {}, fetching}))};
}

ExchangeActions Exchange::on_request(Instant now, const NodeId& from, const BlockRequest& request) {
  now_ = now;
  const std::uint64_t index = request.first_leaf / limits::kBlockLeaves;
  const bool sound = request.first_leaf % limits::kBlockLeaves == 0 &&
                     request.length <= limits::kContentBytes &&
                     index < std::max<std::uint64_t>(blocks_of(request.length), 1);
  const Bytes none = encode(Message(Block{request.content, request.first_leaf, {}, {}, true}));
  if (!sound) return {Send{from, none}};
  // It was told of blocks before the month's last was sent: it hears that none is left to be had
  // before it hears of this one, which would else be a claim in vain.
  if (!meter_.may_send(now, block_bytes_of(request))) {
    return {nothing_for(from, request), Send{from, none}};
  }
  ExchangeActions actions;
  uploads_.ask(from, request);
  read_next(now, actions);
  const auto fans = fans_.find(request.content);
  if (fans != fans_.end() && fans->second.dealer) {
    deal(request.content, request.length, from, fans->second.dealer->asked(now, from, index),
         actions);
  }
  return actions;
}

void Exchange::read_next(Instant now, ExchangeActions& actions) {
  while (const auto turn = uploads_.next(now)) {
    const BlockRequest& request = turn->request;
    const Read key{turn->reader, {request.content, request.first_leaf}};
    if (reads_.emplace(key, request.length).second) {
      actions.push_back(ReadBlock{request.content, request.first_leaf, turn->reader});
    } else {
      uploads_.left(now, turn->reader, false);  // the disk is at it
    }
  }
}

void Exchange::on_cancel(const NodeId& from, const BlockCancel& cancel) {
  uploads_.take_back(from, cancel);
}

void Exchange::forget_reader(const NodeId& node) {
  const auto first = reads_.lower_bound({node, {}});
  reads_.erase(first, std::find_if(first, reads_.end(),
                                   [&](const auto& read) { return read.first.first != node; }));
  uploads_.forget(node);
}

void Exchange::limit_rates(std::uint64_t upload, std::uint64_t download) {
  uploads_.limit_rate(upload);
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
  ExchangeActions actions;
  // Others that were asked for at the same time may have taken what was left of the month.
  if (!meter_.may_send(now, read.block.bytes.size())) {
    read.block = {read.block.content, read.block.first_leaf, {}, {}, true};
    actions.emplace_back(nothing_for(
        read.reader, BlockRequest{read.block.content, found->second, read.block.first_leaf}));
  }
  reads_.erase(found);
  meter_.sent(now, read.block.bytes.size());
  const bool bulk = !read.block.bytes.empty();
  actions.emplace_back(Send{read.reader, encode(Message(std::move(read.block))), bulk});
  if (!bulk) {
    uploads_.left(now, read.reader, false);
    read_next(now, actions);
  }
  return actions;
}

ExchangeActions Exchange::on_bulk_sent(Instant now, const NodeId& reader) {
  now_ = now;
  ExchangeActions actions;
  uploads_.left(now, reader, true);
  read_next(now, actions);
  return actions;
}

}  // namespace shoal
