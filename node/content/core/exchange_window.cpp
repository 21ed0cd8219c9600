#include <algorithm>
#include <chrono>
#include <tuple>
#include <utility>
#include <vector>

#include "node/content/core/block_check.h"
#include "node/content/core/exchange.h"
#include "node/content/core/exchange_rules.h"
#include "node/protocol/hash.h"
#include "node/protocol/result.h"

// Which block is asked of which source, and when that is late.
namespace shoal {

using namespace exchange_rules;

namespace {

constexpr std::uint64_t kBlockBytes = limits::kBlockLeaves * kContentLeafBytes;
constexpr double kSecondsMax = 3600;  // that a source is expected to take

}  // namespace

bool Exchange::may_ask(const Want& want) const {
  return want.opened && !want.missing.empty() &&
         want.in_flight.size() + want.storing.size() < kBlocksAhead;
}

bool Exchange::may_be_asked(Instant now, const ContentId& id, const Want& want,
                            const Offer& offer) const {
  const Source& source = *offer.source;
  if (!source.linked || offer.away_until > now) return false;
  if (offer.held && offer.useful == 0) return false;
  if (offer.refusals == 0) return true;
  // One that has refused before is tried with a single block.
  const auto first = source.in_flight.lower_bound({id, 0});
  return (first == source.in_flight.end() || first->first != id) && !want.missing.empty();
}

// After a silence a single block probes whether the source is still there.
bool Exchange::has_place(const Source& source) const {
  return source.in_flight.size() < (source.late > 0 ? 1 : source.window);
}

std::optional<NodeId> Exchange::best_source(Instant now, const ContentId& id, const Want& want,
                                            const std::set<NodeId>& not_these) {
  std::optional<NodeId> best;
  std::tuple<unsigned, bool, std::size_t> best_load;
  std::uint64_t equals = 0;
  for (const auto& [node, offer] : want.sources) {
    const Source& source = *offer.source;
    // Where other wants wait for a place in the window, feed() gives it to whose turn it is.
    if (!has_place(source) || !may_be_asked(now, id, want, offer)) continue;
    const std::size_t mine = source.hungry.contains({want.order, id}) ? 1 : 0;
    if (source.hungry.size() > mine || not_these.contains(node)) continue;
    const std::tuple load{source.late, !source.near, source.in_flight.size()};
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

// Somebody who holds the block but not everything, and has a place for it.
bool Exchange::others_can_send(Instant now, const ContentId& id, const Want& want,
                               const NodeId& but, std::uint64_t block) const {
  return std::any_of(want.sources.begin(), want.sources.end(), [&](const auto& entry) {
    const auto& [node, offer] = entry;
    return node != but && offer.held && !offer.held->all() && offer.held->test(block) &&
           has_place(*offer.source) && may_be_asked(now, id, want, offer);
  });
}

// Any of the rarest among those that were compared; or any at all. At random, although disks like
// runs: two fetchers whose runs meet would go on side by side, and ask a seed for the same blocks.
std::optional<std::uint64_t> Exchange::rarest_block(const Want& want, const Offer& offer,
                                                    bool any) {
  const std::vector<Range>& runs = want.missing.runs();
  std::uint64_t skip = rng_.below(want.missing.size());
  std::size_t run = 0;
  while (skip >= runs[run].size()) skip -= runs[run++].size();
  std::uint64_t block = runs[run].first + skip;
  std::optional<std::uint64_t> best;
  unsigned best_copies = 0;
  std::uint64_t equals = 0;
  std::uint64_t compared = 0;
  for (std::uint64_t n = want.missing.size(); n > 0; --n) {
    if (!offer.held || offer.held->test(block)) {
      const unsigned copies = any || want.copies.empty() ? 0 : want.copies[block];
      if (!best || copies < best_copies) {
        best = block;
        best_copies = copies;
        equals = 1;
      } else if (copies == best_copies && rng_.below(++equals) == 0) {
        best = block;
      }
    }
    if (++compared >= kBlocksCompared && best) break;
    if (++block >= runs[run].last) {
      run = (run + 1) % runs.size();
      block = runs[run].first;
    }
  }
  return best;
}

// Nothing: it has none that is missing here, or others are to be asked before it.
std::optional<std::uint64_t> Exchange::pick_block(Instant now, const ContentId& id, Want& want,
                                                  const NodeId& node) {
  const Offer& offer = want.sources.at(node);
  const bool swarm = std::any_of(want.sources.begin(), want.sources.end(), [](const auto& entry) {
    return entry.second.held && !entry.second.held->all();
  });
  const bool holds_all = !offer.held || offer.held->all();
  // What is asked of a seed long before it is sent, another fetcher asks for meanwhile.
  if (swarm && holds_all) {
    const Source& source = sources_.at(node);
    const double blocks = source.rate * std::chrono::duration<double>(kSeedWindowTime).count() /
                          static_cast<double>(kBlockBytes);
    if (static_cast<double>(source.in_flight.size()) >=
        std::max(blocks, static_cast<double>(limits::kContentWindowMin))) {
      return std::nullopt;
    }
  }
  const bool at_random = want.at_random > 0;
  const auto block = rarest_block(want, offer, at_random);
  if (!block) return std::nullopt;
  if (swarm && holds_all && others_can_send(now, id, want, node, *block)) return std::nullopt;
  if (at_random) --want.at_random;
  return block;
}

std::uint64_t Exchange::blocks_under_way() const {
  std::uint64_t blocks = 0;
  for (const auto& [node, source] : sources_) blocks += source.in_flight.size();
  return blocks;
}

bool Exchange::ask(Instant now, const ContentId& id, Want& want, const NodeId& node,
                   ExchangeActions& actions) {
  if (download_.limited() && download_.free_at() > now) {
    starved_ = true;
    return false;
  }
  // With a cap, what is under way counts as fetched.
  if (meter_.caps_fetching() && !meter_.may_fetch(now, kBlockBytes * (blocks_under_way() + 1))) {
    return false;
  }
  const auto block = pick_block(now, id, want, node);
  if (!block) return false;
  download_.take(now, block_bytes(want.length, *block));
  no_more_missing(want, *block);
  want.in_flight.emplace(*block, asked_now(now, node));
  request(now, id, want, *block, node, actions);
  return true;
}

Exchange::Asked Exchange::asked_now(Instant now, const NodeId& node) const {
  const Source& source = sources_.at(node);
  return {node, &source, now, source.in_flight.size()};
}

void Exchange::request(Instant now, const ContentId& id, const Want& want, std::uint64_t block,
                       const NodeId& node, ExchangeActions& actions) {
  Source& source = sources_.at(node);
  if (source.in_flight.empty()) {
    source.measured_from = now;
    source.measured_bytes = 0;
  }
  source.in_flight.emplace(id, block);
  source.last_served = want.order;
  const BlockRequest request{id, want.length, first_leaf_of(block)};
  actions.push_back(Send{node, encode(Message(request))});
}

void Exchange::no_more_missing(Want& want, std::uint64_t block) {
  want.missing.remove(Range{block, block + 1});
  for (auto& [node, offer] : want.sources) {
    if (offer.held && offer.held->test(block)) --offer.useful;
  }
}

void Exchange::missing_again(Want& want, std::uint64_t block) {
  want.missing.add(Range{block, block + 1});
  for (auto& [node, offer] : want.sources) {
    if (offer.held && offer.held->test(block)) ++offer.useful;
  }
}

// A window is a few seconds of what the source sends: a far one is kept busy, a slow one holds back
// no more than that.
void Exchange::measure(Instant now, Source& source, std::size_t bytes) {
  source.measured_bytes += bytes;
  // By one for each that came: a source that is asked for fifty in one moment does nothing else
  // until it has read them.
  if (source.window < source.window_aim) ++source.window;
  const Duration over = now - source.measured_from;
  if (over < kRateMeasuredOver) return;
  const double seconds = std::chrono::duration<double>(over).count();
  const double rate = static_cast<double>(source.measured_bytes) / seconds;
  source.rate = source.rate == 0 ? rate : (source.rate + rate) / 2;
  source.measured_from = now;
  source.measured_bytes = 0;
  const double blocks = source.rate * std::chrono::duration<double>(kWindowTime).count() /
                        static_cast<double>(kBlockBytes);
  source.window_aim =
      static_cast<std::size_t>(std::clamp(blocks, static_cast<double>(limits::kContentWindowMin),
                                          static_cast<double>(limits::kContentWindowMax)));
  source.window = std::min(source.window, source.window_aim);
}

// In which the source sends so many blocks, as far as it is known.
Duration Exchange::time_for(const Source& source, std::size_t blocks) {
  if (source.rate <= 0) return {};
  const double seconds = static_cast<double>(blocks * kBlockBytes) / source.rate;
  return Duration(static_cast<std::int64_t>(std::min(seconds, kSecondsMax) * 1e9));
}

Instant Exchange::due_at(const Asked& asked) {
  return asked.at + time_for(*asked.state, asked.ahead + 1);
}

// Another one that can send the block, of which nothing else is missing: the one that will have
// sent it first. Where the block is on its way, only if that is much sooner.
std::optional<NodeId> Exchange::second_source(Instant now, const Want& want, std::uint64_t block,
                                              const Asked& asked) const {
  const Instant due = due_at(asked);
  const bool is_overdue = due + kEndgameAfter <= now;
  std::optional<NodeId> best;
  Duration best_takes{};
  for (const auto& [node, offer] : want.sources) {
    const Source& source = *offer.source;
    if (node == asked.source || !source.linked || source.late > 0 || !has_place(source)) continue;
    if (offer.refusals > 0 || offer.away_until > now) continue;
    if (offer.held && !offer.held->test(block)) continue;
    const Duration takes = time_for(source, source.in_flight.size() + 1);
    if (!is_overdue && now + kSecondSooner * takes > due) continue;
    if (best && takes >= best_takes) continue;
    best = node;
    best_takes = takes;
  }
  return best;
}

// All is asked for: what has not come in a while is asked of a second source, so that one that has
// died, or is slow, does not hold up the end. What comes last goes first: that which the first
// source would have sent meanwhile would come twice.
void Exchange::ask_again(Instant now, const ContentId& id, Want& want, ExchangeActions& actions) {
  if (!want.opened || !want.missing.empty()) return;
  std::vector<std::pair<Instant, std::uint64_t>> last_first;
  for (const auto& [block, asked] : want.in_flight) {
    if (asked.at + kEndgameAfter > now || want.asked_again.contains(block)) continue;
    last_first.emplace_back(due_at(asked), block);
  }
  std::sort(last_first.rbegin(), last_first.rend());
  for (const auto& [due, block] : last_first) {
    const auto second = second_source(now, want, block, want.in_flight.at(block));
    if (!second) continue;
    want.asked_again.emplace(block, asked_now(now, *second));
    request(now, id, want, block, *second, actions);
  }
}

// The second request of a block is over. Where `actions` is given, whoever has not sent it is told.
void Exchange::drop_second(const ContentId& id, Want& want, std::uint64_t block, const NodeId* told,
                           ExchangeActions* actions) {
  const auto second = want.asked_again.find(block);
  if (second == want.asked_again.end()) return;
  const NodeId node = second->second.source;
  sources_.at(node).in_flight.erase({id, block});
  freed_.insert(node);
  want.asked_again.erase(second);
  if (actions == nullptr || (told != nullptr && *told == node)) return;
  actions->push_back(Send{node, encode(Message(BlockCancel{id, first_leaf_of(block)}))});
}

// Spreads the want's missing blocks over its sources, least loaded first, and brings the tables
// that depend on the want's state up to date. Called after every change to it.
void Exchange::request_more(Instant now, const ContentId& id, Want& want,
                            ExchangeActions& actions) {
  std::set<NodeId> nothing_of_them;
  while (may_ask(want)) {
    const auto source = best_source(now, id, want, nothing_of_them);
    if (!source) break;
    if (!ask(now, id, want, *source, actions)) nothing_of_them.insert(*source);
  }
  ask_again(now, id, want, actions);
  note_hunger(now, id, want);
  stale_alarms_.insert(id);
}

// A place in the window of `node` is free: the wants that wait for it take turns.
void Exchange::feed(Instant now, const NodeId& node, ExchangeActions& actions) {
  const auto found = sources_.find(node);
  if (found == sources_.end()) return;
  Source& source = found->second;
  std::set<ContentId> touched;
  std::set<std::pair<std::uint64_t, ContentId>> sated;
  while (source.linked && !source.hungry.empty() && has_place(source)) {
    auto next = source.hungry.lower_bound({source.last_served + 1, {}});
    if (next == source.hungry.end()) next = source.hungry.begin();
    const auto turn = *next;
    const ContentId& id = turn.second;
    Want& want = wants_.at(id);
    const Offer& offer = want.sources.at(node);
    const auto may_be = [&] { return may_ask(want) && may_be_asked(now, id, want, offer); };
    const bool asked = may_be() && ask(now, id, want, node, actions);
    touched.insert(id);
    if (asked && may_be()) continue;
    source.hungry.erase(turn);
    // What others are to send is not waited for here: it would be asked for again and again.
    if (!asked) sated.insert(turn);
  }
  for (const ContentId& id : touched) {
    note_hunger(now, id, wants_.at(id));
    stale_alarms_.insert(id);
  }
  for (const auto& turn : sated) source.hungry.erase(turn);
}

void Exchange::settle(Instant now, ExchangeActions& actions) {
  for (const NodeId& node : std::exchange(freed_, {})) feed(now, node, actions);
  set_alarms(now);
}

// Once for all that has changed: each of the blocks that are under way is looked at.
void Exchange::set_alarms(Instant now) {
  for (const ContentId& id : std::exchange(stale_alarms_, {})) {
    if (const auto found = wants_.find(id); found != wants_.end())
      set_alarm(now, id, found->second);
  }
}

void Exchange::take_back(const ContentId& id, Want& want, std::uint64_t block) {
  const auto asked = want.in_flight.find(block);
  check(asked != want.in_flight.end(), "a block is taken back that was not asked for");
  sources_.at(asked->second.source).in_flight.erase({id, block});
  freed_.insert(asked->second.source);
  if (const auto second = want.asked_again.extract(block)) {
    asked->second = second.mapped();  // who was asked second is the only one now
    return;
  }
  want.in_flight.erase(asked);
  missing_again(want, block);
}

void Exchange::take_back_all(const ContentId& id, Want& want, const NodeId& node) {
  const Source& source = sources_.at(node);
  for (auto it = source.in_flight.lower_bound({id, 0});
       it != source.in_flight.end() && it->first == id;
       it = source.in_flight.lower_bound({id, 0})) {
    const std::uint64_t block = it->second;
    const auto second = want.asked_again.find(block);
    if (second != want.asked_again.end() && second->second.source == node) {
      drop_second(id, want, block, nullptr, nullptr);
    } else {
      take_back(id, want, block);
    }
  }
}

void Exchange::note_hunger(Instant now, const ContentId& id, Want& want) {
  for (const auto& [node, offer] : want.sources) note_hunger_for(now, id, want, offer);
}

void Exchange::note_hunger_for(Instant now, const ContentId& id, const Want& want,
                               const Offer& offer) {
  auto& hungry = offer.source->hungry;
  if (may_ask(want) && may_be_asked(now, id, want, offer)) {
    hungry.emplace(want.order, id);
  } else if (!hungry.empty()) {
    hungry.erase({want.order, id});
  }
}

void Exchange::set_alarm(Instant now, const ContentId& id, Want& want) {
  const std::optional<Instant> before = std::exchange(want.alarm, std::nullopt);
  if (before && !want.opened) alarms_.erase({*before, id});
  if (!want.opened) return;  // the disk will answer
  Instant at = hopeless_at(want);
  // While the disk is busy with a block, only the disk decides.
  if (!want.storing.empty()) at = std::max(at, now + kBlockTimeout);
  for (const auto& [block, asked] : want.in_flight) {
    at = std::min(at, late_at(asked));
    if (!want.missing.empty()) continue;
    for (const Instant look : {asked.at + kEndgameAfter, due_at(asked) + kEndgameAfter}) {
      if (look > now) at = std::min(at, look);
    }
  }
  for (const auto& [node, offer] : want.sources) {
    if (offer.away_until > now) at = std::min(at, offer.away_until);
  }
  want.alarm = std::max(at, now + 1ms);
  if (before == want.alarm) return;
  if (before) alarms_.erase({*before, id});
  alarms_.emplace(*want.alarm, id);
}

Instant Exchange::late_at(const Asked& asked) const {
  const Source& source = *asked.state;
  const Duration timeout = doubled(kBlockTimeout, source.late);
  return std::min(std::max(asked.at, source.heard_at) + timeout, asked.at + timeout * kTimeoutsMax);
}

Instant Exchange::hopeless_at(const Want& want) const {
  Instant hope = want.hope_at;
  bool held = false;
  // A source that delivers to other wants gives hope to one that still waits for its turn.
  for (const auto& [node, offer] : want.sources) {
    const Source& source = *offer.source;
    if (!source.linked) continue;
    if (offer.refusals == 0) hope = std::max(hope, source.heard_at);
    if (offer.held && (offer.useful > 0 || !source.in_flight.empty())) held = true;
  }
  hope = hope + (held ? std::max(want.patience, kPatienceWithHolder) : want.patience);
  return want.waits_since ? std::max(hope, *want.waits_since + wait_of(want)) : hope;
}

Duration Exchange::wait_of(const Want& want) {
  return want.here.count() > 0 ? want.wait.for_rest : want.wait.for_first;
}

void Exchange::wait_for_others(const ContentId& id, ExchangeWait wait) {
  if (const auto found = wants_.find(id); found != wants_.end()) found->second.wait = wait;
}

// False: it has waited, or nobody else could help.
bool Exchange::begin_to_wait(Instant now, const ContentId& id, Want& want) {
  if (want.waits_since || !want.opened || wait_of(want) == Duration{}) return false;
  if (meter_.caps_fetching() && !meter_.may_fetch(now, kBlockBytes)) return false;
  want.waits_for = hopeless_text(id, want);
  want.waits_since = now;
  return true;
}

}  // namespace shoal
