#include "worker/core/pins.h"

#include <algorithm>
#include <iterator>

namespace shoal {
namespace {

constexpr Duration kPatience = 60s;
constexpr Duration kRetry = 60s;

void append(ExchangeActions more, ExchangeActions& actions) {
  std::move(more.begin(), more.end(), std::back_inserter(actions));
}

}  // namespace

ExchangeActions Pins::fetch(Instant now) {
  ExchangeActions actions;
  again_at_.reset();
  for (const ContentName& content : config_.pinned) {
    if (here_.contains(content.id) || exchange_.wants(content.id) || refused(content.id)) continue;
    append(exchange_.want(now, content.id, content.length, {}, kPatience), actions);
    for (const auto& [node, link] : membership_.links()) {
      if (link.path == LinkPath::kRelayed || link.role == Role::kCoordinator) continue;
      append(exchange_.add_hearsay(now, content.id, node), actions);
    }
  }
  return actions;
}

ExchangeActions Pins::on_deadline(Instant now) {
  return again_at_ && *again_at_ <= now ? fetch(now) : ExchangeActions();
}

ExchangeActions Pins::on_link_up(Instant now, const LinkUp& up, Outbox& out) {
  ExchangeActions actions;
  if (up.path == LinkPath::kRelayed) return actions;
  for (const ContentName& content : config_.pinned) {
    if (refused(content.id)) continue;
    append(exchange_.add_hearsay(now, content.id, up.peer), actions);
    if (here_.contains(content.id)) tell(content, up.peer, out);
  }
  return actions;
}

void Pins::on_content(Instant now, const ContentArrived& arrived, Outbox& out) {
  const auto content = std::find_if(config_.pinned.begin(), config_.pinned.end(),
                                    [&](const ContentName& name) { return name.id == arrived.id; });
  if (content == config_.pinned.end() || refused(arrived.id)) return;
  if (!arrived.error.empty()) {
    out.tell(LogLevel::kWarning, "not pinned yet: " + arrived.error);
    again_at_ = now + kRetry;
    return;
  }
  if (!here_.insert(arrived.id).second) return;
  out.tell(LogLevel::kInfo, "content " + short_hex(arrived.id) + " is pinned here");
  for (const auto& [node, link] : membership_.links()) {
    if (link.path != LinkPath::kRelayed) tell(*content, node, out);
  }
}

void Pins::tell(const ContentName& content, const NodeId& node, Outbox& out) const {
  if (membership_.links().at(node).role == Role::kCoordinator) return;
  out.send(node, holdings_for(node, content.id, content.length));
}

void Pins::add_needed(std::set<ContentId>& needed) const {
  for (const ContentName& content : config_.pinned) {
    if (!refused(content.id)) needed.insert(content.id);
  }
}

}  // namespace shoal
