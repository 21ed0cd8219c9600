#include "node/reach/core/own_relays.h"

#include <algorithm>

#include "node/protocol/address.h"

namespace shoal {
namespace {

// Who refused may meanwhile have found out that it can be dialled.
constexpr Duration kLookAgain = 30s;

}  // namespace

bool OwnRelays::has(const NodeId& node) const {
  return std::any_of(via_.begin(), via_.end(), [&](const Via& v) { return v.node == node; });
}

void OwnRelays::update(Instant now, bool needed, const ReachLinks& links, ReachOutput& out) {
  needed_ = needed;
  if (!needed) {
    via_.clear();
    asked_.clear();
    look_at_.reset();
    return;
  }
  if (look_at_ && *look_at_ <= now) {
    look_at_.reset();
    std::erase_if(asked_, [](const auto& asked) { return asked.second; });
    // Whoever has not answered by now keeps nobody else from being asked.
    for (auto& [node, is_over] : asked_) is_over = true;
  }
  AddressScope widest = AddressScope::kNone;
  for (const auto& [node, link] : links) widest = std::max(widest, scope_of(link.address));
  std::vector<NodeId> candidates;
  for (const auto& [node, link] : links) {
    const bool fit = link.role == Role::kWorker && link.dialled && link.path == LinkPath::kDirect &&
                     !link.endpoint.empty() &&
                     // A neighbour, if others are farther away: those outside cannot dial it.
                     scope_of(link.address) == widest;
    if (fit && !asked_.contains(node) && !has(node)) candidates.push_back(node);
  }
  const auto waiting = static_cast<std::size_t>(
      std::count_if(asked_.begin(), asked_.end(), [](const auto& a) { return !a.second; }));
  for (std::size_t open = via_.size() + waiting; open < limits::kVia && !candidates.empty();
       ++open) {
    const std::size_t at = rng_.below(candidates.size());
    asked_[candidates[at]] = false;
    out.send(candidates[at], Reserve{});
    candidates.erase(candidates.begin() + static_cast<std::ptrdiff_t>(at));
  }
  const bool lacking = via_.size() < limits::kVia && !asked_.empty();
  if (lacking && !look_at_) look_at_ = now + kLookAgain;
}

void OwnRelays::on_reserved(const NodeId& from, const Reserved& reserved, const ReachLinks& links) {
  const auto asked = asked_.find(from);
  const auto link = links.find(from);
  if (!needed_ || asked == asked_.end() || link == links.end()) return;
  if (!reserved.accepted || via_.size() >= limits::kVia) {
    asked->second = true;
    return;
  }
  asked_.erase(asked);
  via_.push_back({from, link->second.endpoint});
}

void OwnRelays::link_lost(const NodeId& node) {
  asked_.erase(node);
  std::erase_if(via_, [&](const Via& via) { return via.node == node; });
}

}  // namespace shoal
