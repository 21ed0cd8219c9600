#include "worker/core/copy_book.h"

#include <algorithm>

#include "node/protocol/limits.h"

namespace shoal {

void CopyBook::note(const Receipt& receipt) {
  if (receipt.end != UnitEnd::kVerified || receipt.outputs.large.empty()) return;
  if (lot_of_.size() + receipt.outputs.large.size() > limits::kOutputsWatched) return;
  for (const ContentId& output : receipt.outputs.large) lot_of_[output] = receipt.sequence;
  lots_[receipt.sequence].outputs = receipt.outputs.large.size();
  for (const Support& support : receipt.supports) {
    // Who shows digests of its own computed something equivalent, not the same.
    if (support.digests.empty()) hold(receipt.sequence, support.commitment.signer);
  }
}

bool CopyBook::hold(std::uint64_t lot, const NodeId& holder) {
  std::vector<NodeId>& holders = lots_[lot].holders;
  if (std::find(holders.begin(), holders.end(), holder) != holders.end()) return false;
  holders.push_back(holder);
  ++holders_[holder];
  return true;
}

void CopyBook::lose(std::uint64_t lot, const NodeId& holder) {
  const auto found = lots_.find(lot);
  if (found == lots_.end() || std::erase(found->second.holders, holder) == 0) return;
  if (--holders_.at(holder) == 0) holders_.erase(holder);
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
  const auto lot = lot_of(output);
  return lot ? lots_.at(*lot).holders : std::vector<NodeId>();
}

std::optional<std::uint64_t> CopyBook::lot_of(const ContentId& output) const {
  const auto found = lot_of_.find(output);
  return found == lot_of_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace shoal
