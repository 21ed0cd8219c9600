#include "worker/core/copy_book.h"

#include <algorithm>

#include "node/protocol/hash.h"
#include "node/protocol/limits.h"

namespace shoal {

ContentId CopyBook::name_of(const std::vector<ContentId>& outputs) {
  if (outputs.size() == 1) return outputs.front();
  Bytes all;
  for (const ContentId& output : outputs) {
    all.insert(all.end(), output.bytes.begin(), output.bytes.end());
  }
  return ContentId{sha256(all).bytes};
}

void CopyBook::note(const Receipt& receipt) {
  if (receipt.end != UnitEnd::kVerified || receipt.outputs.large.empty()) return;
  if (lot_of_.size() + receipt.outputs.large.size() > limits::kOutputsWatched) return;
  for (const ContentId& output : receipt.outputs.large) lot_of_[output] = receipt.sequence;
  Lot& lot = lots_[receipt.sequence];
  lot.name = name_of(receipt.outputs.large);
  lot.outputs = receipt.outputs.large.size();
  by_name_[lot.name].push_back(receipt.sequence);
  for (const Support& support : receipt.supports) {
    // Who shows digests of its own computed something equivalent, not the same.
    if (support.digests.empty()) hold(receipt.sequence, support.commitment.signer);
  }
}

void CopyBook::recall(std::uint64_t lot, const ContentId& name, const NodeId& holder) {
  const auto found = lots_.find(lot);
  if (found != lots_.end() && found->second.name == name) hold(lot, holder);
}

bool CopyBook::hold(std::uint64_t lot, const NodeId& holder) {
  std::vector<NodeId>& holders = lots_[lot].holders;
  if (std::find(holders.begin(), holders.end(), holder) != holders.end()) return false;
  holders.push_back(holder);
  ++holders_[holder];
  return true;
}

void CopyBook::lose(const ContentId& output, const NodeId& holder) {
  std::vector<std::uint64_t> lots = lots_named(output);
  if (const auto lot = lot_of_.find(output); lot != lot_of_.end()) lots.push_back(lot->second);
  if (output.is_zero()) lots = {kInputs};
  for (const std::uint64_t lot : lots) {
    const auto found = lots_.find(lot);
    if (found == lots_.end() || std::erase(found->second.holders, holder) == 0) continue;
    if (--holders_.at(holder) == 0) holders_.erase(holder);
  }
}

void CopyBook::forget_inputs() {
  const auto inputs = lots_.find(kInputs);
  if (inputs == lots_.end()) return;
  for (const NodeId& holder : inputs->second.holders) {
    if (--holders_.at(holder) == 0) holders_.erase(holder);
  }
  lots_.erase(inputs);
}

std::vector<NodeId> CopyBook::holders_of(const ContentId& output) const {
  const auto lot = lot_of_.find(output);
  return lot == lot_of_.end() ? std::vector<NodeId>() : lots_.at(lot->second).holders;
}

std::optional<std::uint64_t> CopyBook::lot_of(const ContentId& output) const {
  const auto lot = lot_of_.find(output);
  return lot == lot_of_.end() ? std::nullopt : std::optional(lot->second);
}

std::vector<std::uint64_t> CopyBook::lots_named(const ContentId& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? std::vector<std::uint64_t>() : found->second;
}

}  // namespace shoal
