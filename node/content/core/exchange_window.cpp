#include <algorithm>
#include <utility>

#include "node/content/core/block_check.h"
#include "node/content/core/exchange.h"
#include "node/content/core/exchange_rules.h"
#include "node/protocol/result.h"

// Which block is asked of which source, and when that is late.
namespace shoal {

using namespace exchange_rules;

bool Exchange::may_ask(const Want& want) const {
  return want.opened && !want.missing.empty() &&
         want.in_flight.size() + want.storing.size() < kBlocksAhead;
}

bool Exchange::may_be_asked(Instant now, const ContentId& id, const Want& want, const NodeId& node,
                            const Offer& offer) const {
  const Source& source = sources_.at(node);
  if (!source.linked || offer.away_until > now) return false;
  if (offer.refusals == 0) return true;
  // One that has refused before is tried with a single block.
  const auto first = source.in_flight.lower_bound({id, 0});
  return (first == source.in_flight.end() || first->first != id) && !want.missing.empty();
}

std::optional<NodeId> Exchange::best_source(Instant now, const ContentId& id, const Want& want) {
  std::optional<NodeId> best;
  std::pair<unsigned, std::size_t> best_load;
  std::uint64_t equals = 0;
  for (const auto& [node, offer] : want.sources) {
    const Source& source = sources_.at(node);
    // Where other wants wait for a place in the window, feed() gives it to whose turn it is.
    const std::size_t mine = source.hungry.contains({want.order, id}) ? 1 : 0;
    if (source.hungry.size() > mine) continue;
    // After a silence a single block probes whether the source is still there.
    const std::size_t window = source.late > 0 ? 1 : limits::kContentWindow;
    if (source.in_flight.size() >= window || !may_be_asked(now, id, want, node, offer)) continue;
    const std::pair<unsigned, std::size_t> load{source.late, source.in_flight.size()};
    if (!best || load < best_load) {
      best = node;
      best_load = load;
      equals = 1;
    } else if (load == best_load && rng_.below(++equals) == 0) {
      best = node;
    }
  }
  return best;
}

std::uint64_t Exchange::pick_block(Want& want) {
  std::uint64_t skip = 0;
  if (want.at_random > 0) {
    --want.at_random;
    skip = rng_.below(want.missing.size());
  }
  std::uint64_t picked = 0;
  for (const Range run : want.missing.runs()) {
    if (skip < run.size()) {
      picked = run.first + skip;
      break;
    }
    skip -= run.size();
  }
  want.missing.remove(Range{picked, picked + 1});
  return picked;
}

void Exchange::ask(Instant now, const ContentId& id, Want& want, const NodeId& node,
                   ExchangeActions& actions) {
  const std::uint64_t block = pick_block(want);
  Source& source = sources_.at(node);
  want.in_flight.emplace(block, Asked{node, now});
  source.in_flight.emplace(id, block);
  source.last_served = want.order;
  const BlockRequest request{id, want.length, first_leaf_of(block)};
  actions.push_back(Send{node, encode(Message(request))});
}

// Spreads the want's missing blocks over its sources, least loaded first, and brings the tables
// that depend on the want's state up to date. Called after every change to it.
void Exchange::request_more(Instant now, const ContentId& id, Want& want,
                            ExchangeActions& actions) {
  while (may_ask(want)) {
    const auto source = best_source(now, id, want);
    if (!source) break;
    ask(now, id, want, *source, actions);
  }
  note_hunger(now, id, want);
  set_alarm(now, id, want);
}

// A place in the window of `node` is free: the wants that wait for it take turns.
void Exchange::feed(Instant now, const NodeId& node, ExchangeActions& actions) {
  const auto found = sources_.find(node);
  if (found == sources_.end()) return;
  Source& source = found->second;
  while (source.linked && !source.hungry.empty() &&
         source.in_flight.size() < (source.late > 0 ? 1 : limits::kContentWindow)) {
    auto next = source.hungry.lower_bound({source.last_served + 1, {}});
    if (next == source.hungry.end()) next = source.hungry.begin();
    const ContentId id = next->second;
    Want& want = wants_.at(id);
    if (may_ask(want) && may_be_asked(now, id, want, node, want.sources.at(node))) {
      ask(now, id, want, node, actions);
    }
    note_hunger(now, id, want);
    set_alarm(now, id, want);
  }
}

void Exchange::settle(Instant now, ExchangeActions& actions) {
  for (const NodeId& node : std::exchange(freed_, {})) feed(now, node, actions);
}

void Exchange::take_back(const ContentId& id, Want& want, std::uint64_t block) {
  const auto asked = want.in_flight.find(block);
  check(asked != want.in_flight.end(), "a block is taken back that was not asked for");
  sources_.at(asked->second.source).in_flight.erase({id, block});
  freed_.insert(asked->second.source);
  want.in_flight.erase(asked);
  want.missing.add(Range{block, block + 1});
}

void Exchange::take_back_all(const ContentId& id, Want& want, const NodeId& node) {
  const Source& source = sources_.at(node);
  for (auto it = source.in_flight.lower_bound({id, 0});
       it != source.in_flight.end() && it->first == id;
       it = source.in_flight.lower_bound({id, 0})) {
    take_back(id, want, it->second);
  }
}

void Exchange::note_hunger(Instant now, const ContentId& id, Want& want) {
  for (const auto& [node, offer] : want.sources) {
    auto& hungry = sources_.at(node).hungry;
    if (may_ask(want) && may_be_asked(now, id, want, node, offer)) {
      hungry.emplace(want.order, id);
    } else {
      hungry.erase({want.order, id});
    }
  }
}

void Exchange::set_alarm(Instant now, const ContentId& id, Want& want) {
  if (want.alarm) alarms_.erase({*want.alarm, id});
  want.alarm.reset();
  if (!want.opened) return;  // the disk will answer
  Instant at = hopeless_at(want);
  // While the disk is busy with a block, only the disk decides.
  if (!want.storing.empty()) at = std::max(at, now + kBlockTimeout);
  for (const auto& [block, asked] : want.in_flight) at = std::min(at, late_at(asked));
  for (const auto& [node, offer] : want.sources) {
    if (offer.away_until > now) at = std::min(at, offer.away_until);
  }
  want.alarm = std::max(at, now + 1ms);
  alarms_.emplace(*want.alarm, id);
}

Instant Exchange::late_at(const Asked& asked) const {
  const Source& source = sources_.at(asked.source);
  const Duration timeout = doubled(kBlockTimeout, source.late);
  return std::min(std::max(asked.at, source.heard_at) + timeout, asked.at + timeout * kTimeoutsMax);
}

Instant Exchange::hopeless_at(const Want& want) const {
  Instant hope = want.hope_at;
  // A source that delivers to other wants gives hope to one that still waits for its turn.
  for (const auto& [node, offer] : want.sources) {
    const Source& source = sources_.at(node);
    if (source.linked && offer.refusals == 0) hope = std::max(hope, source.heard_at);
  }
  return hope + want.patience;
}

}  // namespace shoal
