#include "node/content/core/exchange.h"

#include <algorithm>
#include <string>
#include <utility>

#include "node/content/core/block_check.h"
#include "node/content/core/exchange_rules.h"
#include "node/protocol/hash.h"
#include "node/protocol/result.h"

namespace shoal {

using namespace exchange_rules;

Exchange::Exchange(Rng rng, BlockCheck check) : rng_(rng), check_(check) {}

ExchangeActions Exchange::want(Instant now, const ContentId& id, std::uint64_t length,
                               const std::vector<NodeId>& sources, Duration patience) {
  now_ = now;
  ExchangeActions actions;
  const auto known = wants_.find(id);
  const bool fresh = known == wants_.end();
  const bool renamed = !fresh && known->second.length != length && !known->second.length_shown;
  if (fresh && length > limits::kContentBytes) {
    actions.push_back(ContentArrived{id, "content " + short_hex(id) + " is said to have " +
                                             std::to_string(length) +
                                             " bytes, which is more than any content may have"});
    return actions;
  }
  if (fresh && length == 0 && content_id({}) != id) {
    actions.push_back(
        ContentArrived{id, "content " + short_hex(id) + " is not empty, but was named as empty"});
    return actions;
  }
  if (renamed && length > 0 && length <= limits::kContentBytes) {
    begin_anew(now, id, length, actions);
  }
  Want& want = wants_[id];
  want.hope_at = now;
  want.patience = std::max(want.patience, patience);
  for (const NodeId& source : sources) add_source_to(id, want, source);
  if (fresh) {
    want.order = ++wants_made_;
    want.length = length;
    want.at_random = kBlocksAtRandom;
    actions.push_back(OpenContent{id, length});
  } else {
    greet(now, id, want, actions);
    request_more(now, id, want, actions);
  }
  settle(now, actions);
  return actions;
}

// Under another length. What is under way is forgotten; none of it has come.
void Exchange::begin_anew(Instant now, const ContentId& id, std::uint64_t length,
                          ExchangeActions& actions) {
  const Want& old = wants_.at(id);
  Want anew;
  anew.order = ++wants_made_;
  anew.length = length;
  anew.length_before = old.length;
  anew.patience = old.patience;
  anew.hope_at = now;
  anew.wait = old.wait;
  anew.out = old.out;
  anew.at_random = kBlocksAtRandom;
  const std::vector<NodeId> sources = sources_of(id);
  remove(id);
  Want& want = wants_[id] = std::move(anew);
  for (const NodeId& source : sources) add_source_to(id, want, source);
  actions.push_back(OpenContent{id, length});
}

ExchangeActions Exchange::add_hearsay(Instant now, const ContentId& id, const NodeId& node) {
  const auto found = wants_.find(id);
  if (found == wants_.end() || found->second.sources.contains(node)) return {};
  add_source_to(id, found->second, node);
  const auto offer = found->second.sources.find(node);
  if (offer == found->second.sources.end()) return {};
  // A small content is asked for at once: it is here before anybody could say who has it.
  const bool swarm = blocks_of(found->second.length) >= kBlocksOfASwarm;
  if (swarm) offer->second.away_until = now + kTimeToSayHoldings;
  if (sources_.at(node).linked) found->second.hope_at = now;
  now_ = now;
  ExchangeActions actions;
  greet(now, id, found->second, actions);
  request_more(now, id, found->second, actions);
  settle(now, actions);
  return actions;
}

void Exchange::forget(const ContentId& id) {
  if (wants_.contains(id)) remove(id);
}

ExchangeActions Exchange::link_up(Instant now, const NodeId& node, bool near) {
  now_ = now;
  ExchangeActions actions;
  Source& source = sources_[node];
  source.linked = true;
  source.missed = false;
  source.near = near;
  source.late = 0;
  for (const ContentId& id : std::set<ContentId>(source.wants)) {
    Want& want = wants_.at(id);
    Offer& offer = want.sources.at(node);
    forget_holdings(want, offer);
    const Instant silent_until = offer.refusals == 0 ? offer.away_until : Instant{};
    offer = Offer{.source = offer.source,
                  .away_until = silent_until,
                  .score = offer.score,
                  .taken_back = offer.taken_back,
                  .links = offer.links + 1};
    if (offer.links <= kLinksOfHope) want.hope_at = now;
    greet(now, id, want, actions);
    request_more(now, id, want, actions);
  }
  settle(now, actions);
  return actions;
}

ExchangeActions Exchange::link_lost(Instant now, const NodeId& node) {
  now_ = now;
  ExchangeActions actions;
  forget_reader(node);
  if (const auto said = said_.find(node); said != said_.end()) {
    for (const ContentId& id : std::set<ContentId>(said->second)) forget_fan(node, id);
    said_.erase(node);
  }
  const auto found = sources_.find(node);
  if (found == sources_.end()) return actions;
  found->second.linked = false;
  found->second.missed = true;
  const std::set<ContentId> wants = found->second.wants;
  for (const ContentId& id : wants) {
    Want& want = wants_.at(id);
    take_back_all(id, want, node);
    forget_holdings(want, want.sources.at(node));
    request_more(now, id, want, actions);
  }
  if (wants.empty()) sources_.erase(found);
  freed_.erase(node);
  settle(now, actions);
  return actions;
}

ExchangeActions Exchange::on_opened(Instant now, const ContentOpened& opened) {
  now_ = now;
  ExchangeActions actions;
  if (opened.for_reader) {
    answer_fans(opened, actions);
    return actions;
  }
  const auto found = wants_.find(opened.id);
  if (found == wants_.end() || found->second.opened) return actions;
  Want& want = found->second;
  if (!opened.complete && opened.length != want.length) return actions;  // as it was named before
  if (opened.complete) {
    arrived(opened.id, opened.length, std::nullopt, actions);
    note_untold_fans(opened);
    answer_fans(opened, actions);
    settle(now, actions);
    return actions;
  }
  want.opened = true;
  want.hope_at = now;
  const std::uint64_t blocks = blocks_of(want.length);
  if (blocks == 0) {
    want.storing.insert(0);
    actions.push_back(StoreBlock{opened.id, 0, 0, {}, {}});
    return actions;
  }
  want.missing = RangeSet(Range{0, blocks});
  want.here = BlockBits(blocks);
  for (const std::uint64_t first_leaf : opened.blocks_held) {
    const std::uint64_t index = first_leaf / limits::kBlockLeaves;
    if (index >= blocks) continue;
    want.missing.remove(Range{index, index + 1});
    want.here.set(index);
    want.length_shown = true;
  }
  for (auto& [node, offer] : want.sources) {
    forget_holdings(want, offer);  // it was compared with what was missing before
  }
  if (want.missing.empty()) {
    fail(opened.id,
         "the disk holds every block of content " + short_hex(opened.id) +
             " and yet not the whole; drop it and fetch it again",
         actions);
    settle(now, actions);
    return actions;
  }
  greet(now, opened.id, want, actions);
  request_more(now, opened.id, want, actions);
  settle(now, actions);
  return actions;
}

ExchangeActions Exchange::on_block(Instant now, const NodeId& from, Block block) {
  now_ = now;
  meter_.fetched(now, block.bytes.size());
  ExchangeActions actions;
  const auto found = wants_.find(block.content);
  // An answer that came after the want had ended, or from somebody who was never asked.
  if (found == wants_.end() || !found->second.sources.contains(from)) return actions;
  const ContentId id = block.content;
  Want& want = found->second;
  const std::uint64_t index = block.first_leaf / limits::kBlockLeaves;
  const auto asked = want.in_flight.find(index);
  const bool asked_of_it = sources_.at(from).in_flight.contains({id, index});
  if (block.missing) {
    if (!asked_of_it) return actions;
    take_back_all(id, want, from);
    // It may know who has it, and will say so when it has got it itself.
    greet_one(now, id, want, from, actions);
    Offer& offer = want.sources.at(from);
    if (offer.held) {
      claimed_in_vain(id, want, from, index);
    } else {
      offer.away_until = now + doubled(kBlockTimeout, offer.refusals++);
    }
    request_more(now, id, want, actions);
    settle(now, actions);
    return actions;
  }
  const bool wanted = asked != want.in_flight.end() || want.missing.contains(index);
  if (!wanted) return actions;  // it came twice: late from one source, then from another
  const bool is_unasked = asked == want.in_flight.end();
  if (is_unasked && want.in_flight.size() + want.storing.size() >= kBlocksAhead) return actions;
  const auto root = check_(id, want.length, block);
  if (!root && want.length_before && check_(id, *want.length_before, block)) {
    begin_anew(now, id, *want.length_before, actions);
    wants_.at(id).length_shown = true;
    settle(now, actions);
    return actions;
  }
  if (!root) {
    expose(now, from, actions);
    settle(now, actions);
    return actions;
  }
  Source& source = sources_.at(from);
  source.heard_at = now;
  source.late = 0;
  const std::uint64_t bytes = block_bytes(want.length, index);
  uploads_.gave(from, bytes);
  measure(now, source, bytes);
  freed_.insert(from);
  if (asked != want.in_flight.end()) {
    drop_second(id, want, index, &from, &actions);
    if (asked->second.source != from && sources_.at(asked->second.source).linked) {
      actions.push_back(
          Send{asked->second.source, encode(Message(BlockCancel{id, block.first_leaf}))});
    }
    take_back(id, want, index);
  }
  no_more_missing(want, index);
  want.storing.insert(index);
  want.length_shown = true;
  want.hope_at = now;
  want.waits_since.reset();
  want.waits_for.clear();
  Offer& offer = want.sources.at(from);
  offer.refusals = 0;
  offer.links = 0;
  offer.score = std::min(offer.score + kGoodBlock, kScoreMax);
  actions.push_back(StoreBlock{id, want.length, block.first_leaf, std::move(block.bytes),
                               std::move(block.proof), root});
  request_more(now, id, want, actions);
  settle(now, actions);
  return actions;
}

// It is whole: those who fetch it still have a seed more.
void Exchange::arrived(const ContentId& id, std::uint64_t length,
                       std::optional<std::uint64_t> last_block, ExchangeActions& actions) {
  remove(id);
  if (last_block) tell_fans(id, length, *last_block, false, actions);
  actions.emplace_back(ContentArrived{id, {}});
}

ExchangeActions Exchange::on_stored(Instant now, const BlockStored& stored) {
  now_ = now;
  ExchangeActions actions;
  const auto found = wants_.find(stored.id);
  if (found == wants_.end()) return actions;
  Want& want = found->second;
  if (!stored.error.empty()) {
    fail(stored.id, stored.error, actions);
  } else if (stored.complete) {
    arrived(stored.id, want.length, stored.first_leaf / limits::kBlockLeaves, actions);
  } else if (const std::uint64_t block = stored.first_leaf / limits::kBlockLeaves;
             want.storing.contains(block)) {
    const bool was_full = !may_ask(want);
    want.storing.erase(block);
    want.hope_at = now;
    want.here.set(block);
    tell_fans(stored.id, want.length, block, true, actions);
    if (want.storing.empty() && want.in_flight.empty() && want.missing.empty()) {
      if (want.reopened) {
        fail(stored.id,
             "what had come of content " + short_hex(stored.id) +
                 " was removed from the disk while the rest came, and again when it was fetched "
                 "anew: somebody dropped it, or another program that keeps its contents in the "
                 "same folder did",
             actions);
      } else {
        want.reopened = true;
        want.opened = false;
        actions.push_back(OpenContent{stored.id, want.length});
      }
    } else if (was_full) {
      request_more(now, stored.id, want, actions);
    } else {
      stale_alarms_.insert(stored.id);
    }
  }
  settle(now, actions);
  return actions;
}

ExchangeActions Exchange::on_deadline(Instant now) {
  now_ = now;
  ExchangeActions actions;
  read_next(now, actions);
  tell_idle_fans(now, actions);
  if (starved_ && download_.free_at() <= now) {
    starved_ = false;
    for (auto& [id, want] : wants_) request_more(now, id, want, actions);
  }
  settle(now, actions);
  while (!alarms_.empty() && alarms_.begin()->first <= now) {
    const ContentId id = alarms_.begin()->second;
    on_alarm(now, id, actions);
    settle(now, actions);
  }
  return actions;
}

void Exchange::on_alarm(Instant now, const ContentId& id, ExchangeActions& actions) {
  Want& want = wants_.at(id);
  std::vector<std::uint64_t> late;
  for (const auto& [block, asked] : want.in_flight) {
    if (late_at(asked) <= now) late.push_back(block);
  }
  for (const std::uint64_t block : late) {
    const Asked asked = want.in_flight.at(block);
    Source& source = sources_.at(asked.source);
    // Blocks that were asked before the last count belong to the same silence.
    if (source.late == 0 || asked.at >= source.late_marked) {
      ++source.late;
      source.late_marked = now;
    }
    take_back(id, want, block);
  }
  greet(now, id, want, actions);  // once a minute: who else has it?
  if (want.storing.empty() && hopeless_at(want) <= now && !begin_to_wait(now, id, want)) {
    fail(id, hopeless_text(id, want), actions);
    return;
  }
  request_more(now, id, want, actions);
}

std::optional<Instant> Exchange::next_deadline() const {
  for (const NodeId& node : freed_) {
    const auto found = sources_.find(node);
    if (found != sources_.end() && found->second.linked && !found->second.hungry.empty())
      return now_;
  }
  std::optional<Instant> next;
  const auto consider = [&next](Instant at) { next = next ? std::min(*next, at) : at; };
  if (!alarms_.empty()) consider(alarms_.begin()->first);
  for (const ContentId& id : dealing_) {
    if (const auto at = fans_.at(id).dealer->next_deadline()) consider(*at);
  }
  if (const auto at = uploads_.next_deadline()) consider(*at);
  if (starved_) consider(download_.free_at());
  return next;
}

bool Exchange::wants(const ContentId& id) const { return wants_.contains(id); }

void Exchange::add_wanted(std::set<ContentId>& wanted) const {
  for (const auto& [id, want] : wants_) wanted.insert(id);
}

void Exchange::add_source_to(const ContentId& id, Want& want, const NodeId& node) {
  if (liars_.contains(node) || want.out.contains(node)) return;
  const auto found = want.sources.find(node);
  if (found != want.sources.end()) {
    found->second.away_until = {};  // its owner has reason to believe that it has it now
    return;
  }
  if (want.sources.size() >= kSourcesPerWant) {
    const auto useless = one_to_leave_for(want, node);
    if (!useless) return;
    ++want.left;
    drop_source_of(id, want, *useless);
  }
  Source& source = sources_[node];
  source.wants.insert(id);
  want.sources.emplace(node, Offer{.source = &source});
}

void Exchange::drop_source_of(const ContentId& id, Want& want, const NodeId& node) {
  take_back_all(id, want, node);
  forget_holdings(want, want.sources.at(node));
  Source& source = sources_.at(node);
  source.hungry.erase({want.order, id});
  source.wants.erase(id);
  want.sources.erase(node);
  if (source.linked || !source.wants.empty()) return;
  sources_.erase(node);
  freed_.erase(node);
}

void Exchange::remove(const ContentId& id) {
  Want& want = wants_.at(id);
  while (!want.sources.empty()) drop_source_of(id, want, NodeId(want.sources.begin()->first));
  if (want.alarm) alarms_.erase({*want.alarm, id});
  wants_.erase(id);
}

void Exchange::fail(const ContentId& id, std::string why, ExchangeActions& actions) {
  remove(id);
  actions.push_back(ContentArrived{id, std::move(why)});
}

void Exchange::expose(Instant now, const NodeId& liar, ExchangeActions& actions) {
  liars_.insert(liar);
  for (const ContentId& id : std::set<ContentId>(sources_.at(liar).wants)) {
    Want& want = wants_.at(id);
    ++want.liars;
    drop_source_of(id, want, liar);
    request_more(now, id, want, actions);
  }
}

std::string Exchange::hopeless_text(const ContentId& id, const Want& want) const {
  const std::uint64_t lacking = want.missing.size() + want.in_flight.size();
  constexpr std::uint64_t kBlockBytes = limits::kBlockLeaves * kContentLeafBytes;
  std::string text = "content " + short_hex(id) + " (" + std::to_string(want.length) +
                     " bytes) could not be fetched: " + std::to_string(lacking) + " of " +
                     std::to_string(blocks_of(want.length)) + " blocks are missing; ";
  if (meter_.caps_fetching() && !meter_.may_fetch(now_, kBlockBytes)) {
    return text + "its owner lets this node fetch no more this month";
  }
  std::string waited;
  if (want.waits_since) {
    const auto span = std::chrono::duration_cast<std::chrono::seconds>(now_ - *want.waits_since);
    waited = "; nobody else came in " + std::to_string(span.count()) + " s";
  }
  if (want.sources.empty() && want.liars + want.in_vain + want.left == 0) {
    return text + "nobody is known to have it" + waited;
  }
  std::string asked;
  std::size_t named = 0;
  for (const auto& [node, offer] : want.sources) {
    if (!asked.empty()) asked += ", ";
    if (++named > kSourcesNamed) {
      asked += std::to_string(want.sources.size() - kSourcesNamed) + " more were asked";
      break;
    }
    asked += short_hex(node);
    if (!sources_.at(node).linked) {
      asked += " is not connected";
    } else if (offer.taken_back > 0 && offer.held && offer.held->count() == 0) {
      asked += " sends no more of it";
    } else if (offer.refusals > 0 || (offer.held && offer.held->count() == 0)) {
      asked += " does not have it";
    } else if (offer.held && offer.useful == 0) {
      asked += " has other blocks of it";
    } else {
      asked += " did not answer";
    }
  }
  if (want.left > 0) {
    if (!asked.empty()) asked += ", ";
    asked += std::to_string(want.left) + " more had nothing of it";
  }
  if (want.liars > 0) {
    if (!asked.empty()) asked += ", ";
    asked += std::to_string(want.liars) + " sent wrong bytes";
  }
  if (want.in_vain > 0) {
    if (!asked.empty()) asked += ", ";
    asked += std::to_string(want.in_vain) + " did not send what they said they hold";
  }
  return text + asked + waited;
}

void Exchange::check_invariants() const {
  for (const auto& [id, want] : wants_) {
    for (const auto& [block, asked] : want.in_flight) {
      check(!want.missing.contains(block), "a block is both missing and asked for");
      check(!want.storing.contains(block), "a block is both asked for and being stored");
      check(want.sources.contains(asked.source), "a block is asked of somebody who is no source");
      check(sources_.at(asked.source).in_flight.contains({id, block}),
            "a source does not know of a block asked of it");
      check(asked.state == &sources_.at(asked.source), "a block is asked of somebody else");
    }
    for (const auto& [block, asked] : want.asked_again) {
      check(want.in_flight.contains(block), "a block is asked for again, and not at first");
      check(want.in_flight.at(block).source != asked.source, "a block is asked twice of one");
      check(sources_.at(asked.source).in_flight.contains({id, block}),
            "a source does not know of a block asked of it second");
    }
    for (const std::uint64_t block : want.storing) {
      check(!want.missing.contains(block), "a block is both missing and being stored");
    }
    check(want.in_flight.size() + want.storing.size() <= kBlocksAhead, "too many blocks ahead");
    check(!want.alarm || alarms_.contains({*want.alarm, id}), "a want's alarm is not set");
    for (const auto& [node, offer] : want.sources) {
      check(!liars_.contains(node), "a liar is still a source");
      check(sources_.at(node).wants.contains(id), "a source does not know its want");
      check(offer.source == &sources_.at(node), "an offer is taken for another's");
      std::uint64_t useful = 0;
      for (const Range run : want.missing.runs()) {
        for (std::uint64_t block = run.first; offer.held && block < run.last; ++block) {
          useful += offer.held->test(block) ? 1 : 0;
        }
      }
      check(offer.useful == useful, "what a source is good for is miscounted");
    }
  }
  for (const auto& [node, source] : sources_) {
    check(source.in_flight.size() <= limits::kContentWindowMax, "a source's window is overrun");
    check(source.linked || source.in_flight.empty(), "blocks are asked of a node without a link");
    check(source.linked || !source.wants.empty(), "a source that nobody needs is kept");
    for (const auto& [id, block] : source.in_flight) {
      const auto want = wants_.find(id);
      check(want != wants_.end() && want->second.in_flight.contains(block),
            "a source is asked for a block of no want");
    }
    for (const auto& [order, id] : source.hungry) {
      const auto want = wants_.find(id);
      check(want != wants_.end() && may_ask(want->second), "a sated want waits for a source");
    }
  }
  for (const auto& [at, id] : alarms_) {
    const auto want = wants_.find(id);
    check(want != wants_.end() && want->second.alarm == at, "an alarm of no want");
  }
  uploads_.check_invariants();
}

}  // namespace shoal
