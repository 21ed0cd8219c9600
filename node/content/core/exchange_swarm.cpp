#include <algorithm>
#include <utility>

#include "node/content/core/block_check.h"
#include "node/content/core/exchange.h"
#include "node/content/core/exchange_rules.h"
#include "node/protocol/hash.h"
#include "node/protocol/result.h"

// What holders of a content tell each other: which blocks are where.
namespace shoal {

using namespace exchange_rules;

namespace {

constexpr std::uint64_t kBlockBytes = limits::kBlockLeaves * kContentLeafBytes;
// Of the contents that are remembered, one node may speak of so many: else it could fill the table.
constexpr std::size_t kDealtBytes = 64;  // of bits, in one message
constexpr std::size_t kContentsOfOneFan = limits::kHoldersRemembered / 16;

// All of the bits, in as many messages as they need.
void say(const NodeId& to, const ContentId& id, std::uint64_t length, const BlockBits& bits,
         bool fetching, ExchangeActions& actions) {
  const ByteView bytes = bits.count() == 0 ? ByteView{} : bits.bytes();
  std::size_t at = 0;
  do {
    const ByteView part = bytes.subspan(at, std::min(bytes.size() - at, limits::kHoldingsBytes));
    actions.push_back(
        Send{to, encode(Message(Holdings{id, length, 8 * at, to_bytes(part), fetching}))});
    at += part.size();
  } while (at < bytes.size());
}

Holdings one_block(const ContentId& id, std::uint64_t length, std::uint64_t block, bool fetching) {
  return {id, length, block / 8 * 8, {static_cast<std::uint8_t>(1 << (block % 8))}, fetching};
}

}  // namespace

std::vector<Holdings> holdings_of_all(const ContentId& id, std::uint64_t length) {
  BlockBits bits(blocks_of(length));
  for (std::uint64_t block = 0; block < bits.blocks(); ++block) bits.set(block);
  std::vector<Holdings> all;
  for (std::size_t at = 0; at < bits.bytes().size(); at += limits::kHoldingsBytes) {
    const ByteView part =
        bits.bytes().subspan(at, std::min(bits.bytes().size() - at, limits::kHoldingsBytes));
    all.push_back(Holdings{id, length, 8 * at, to_bytes(part), false});
  }
  return all;
}

Holdings holdings_for(const NodeId& to, const ContentId& id, std::uint64_t length) {
  const std::uint64_t blocks = blocks_of(length);
  if (blocks == 0) return {id, length, 0, {}, false};
  if (blocks < kBlocksOfASwarm) {
    return {id, length, 0, {static_cast<std::uint8_t>((1U << blocks) - 1)}, false};
  }
  std::uint64_t choice = 0;
  for (std::size_t i = 0; i < sizeof choice; ++i) choice = choice << 8 | to.bytes[i];
  return one_block(id, length, choice % blocks, false);
}

// Tells each source that is linked what is here, and asks it who else has some.
void Exchange::greet(Instant now, const ContentId& id, Want& want, ExchangeActions& actions) {
  if (!want.opened || blocks_of(want.length) < kBlocksOfASwarm) return;
  for (const auto& [node, offer] : want.sources) {
    if (sources_.at(node).linked) greet_one(now, id, want, node, actions);
  }
}

void Exchange::greet_one(Instant now, const ContentId& id, Want& want, const NodeId& node,
                         ExchangeActions& actions) {
  Offer& offer = want.sources.at(node);
  if (!std::exchange(offer.greeted, true)) {
    const bool sends = sends_any(now, want.length);
    say(node, id, want.length, sends ? want.here : BlockBits(want.here.blocks()), true, actions);
  }
  if (!offer.asked_holders || *offer.asked_holders + limits::kHoldersEvery <= now) {
    offer.asked_holders = now;
    actions.push_back(Send{node, encode(Message(HoldersRequest{id, want.length}))});
  }
}

ExchangeActions Exchange::on_holdings(Instant now, const NodeId& from, const Holdings& holdings) {
  now_ = now;
  ExchangeActions actions;
  const ContentId& id = holdings.content;
  const auto found = wants_.find(id);
  const bool of_want = found != wants_.end() && found->second.length == holdings.length;
  const bool fresh = note_fan(from, holdings);
  if (holdings.fetching && fresh && found == wants_.end()) {
    fans_.at(id).unanswered.emplace(from, Question{holdings.length, !holdings.bits.empty()});
    actions.push_back(OpenContent{id, holdings.length, true});
  } else if (holdings.fetching) {
    take_handed_back(from, holdings, actions);
  }
  if (!of_want) return actions;
  Want& want = found->second;
  add_source_to(id, want, from);
  // Until the disk has said what is here, there is nothing to compare with: then it is greeted, and
  // says again what it holds.
  if (!want.opened || !want.sources.contains(from)) return actions;
  // What it was told before it began it has not kept.
  if (fresh && want.here.count() > 0) want.sources.at(from).greeted = false;
  const auto& held = want.sources.at(from).held;
  if (holdings.bits.empty() && held && held->count() > 0) {
    take_all_back(id, want, from);
    request_more(now, id, want, actions);
    settle(now, actions);
    return actions;
  }
  const std::uint64_t useful = want.sources.at(from).useful;
  const bool news = take_holdings(id, want, from, holdings);
  if (!holdings.fetching) hand_back(id, want, from, holdings, actions);
  // It hears what is here, and says what else it holds.
  const bool swarm = holdings.fetching || blocks_of(want.length) >= kBlocksOfASwarm;
  if (swarm && sources_.at(from).linked) greet_one(now, id, want, from, actions);
  const Offer& offer = want.sources.at(from);
  if (offer.useful > useful && offer.links <= kLinksOfHope) want.hope_at = now;
  if (want.missing.empty()) {
    request_more(now, id, want, actions);  // somebody may be asked second now
  } else if (news) {
    note_hunger_for(now, id, want, offer);
    freed_.insert(from);
  }
  settle(now, actions);
  return actions;
}

// True: it fetches the content, and had not said so before.
bool Exchange::note_fan(const NodeId& node, const Holdings& holdings) {
  const ContentId& id = holdings.content;
  if (!holdings.fetching && holdings.bits.empty()) {
    forget_fan(node, id);
    return false;
  }
  if (const auto known = fans_.find(id);
      holdings.fetching && known != fans_.end() && known->second.fetching.contains(node)) {
    return false;
  }
  const bool room = said_[node].contains(id) ||
                    (said_.at(node).size() < kContentsOfOneFan &&
                     (fans_.contains(id) || fans_.size() < limits::kHoldersRemembered));
  if (!room) return false;
  Fans& fans = fans_[id];
  if (fans.fetching.size() + fans.holding.size() >= kFansPerContent &&
      !said_.at(node).contains(id)) {
    return false;
  }
  said_.at(node).insert(id);
  if (holdings.fetching) {
    fans.holding.erase(node);
    return fans.fetching.insert(node).second;
  }
  fans.fetching.erase(node);
  fans.unanswered.erase(node);
  if (fans.dealer) fans.dealer->leave(node);
  fans.holding.insert(node);
  return false;
}

void Exchange::forget_fan(const NodeId& node, const ContentId& id) {
  if (const auto said = said_.find(node); said != said_.end()) {
    said->second.erase(id);
    if (said->second.empty()) said_.erase(said);
  }
  const auto fans = fans_.find(id);
  if (fans == fans_.end()) return;
  fans->second.fetching.erase(node);
  fans->second.holding.erase(node);
  fans->second.unanswered.erase(node);
  if (fans->second.dealer) fans->second.dealer->leave(node);
  if (!fans->second.empty()) return;
  dealing_.erase(id);
  fans_.erase(fans);
}

// True: it could be asked for something now that it could not be asked for before.
bool Exchange::take_holdings(const ContentId&, Want& want, const NodeId& node,
                             const Holdings& holdings) {
  Offer& offer = want.sources.at(node);
  const bool was_unknown = !offer.held || offer.away_until > now_ || offer.refusals > 0;
  const std::uint64_t useful = offer.useful;
  offer.away_until = {};
  const std::uint64_t blocks = blocks_of(want.length);
  if (!offer.held) offer.held = BlockBits(blocks);
  if (want.copies.empty()) want.copies.resize(blocks);
  for (std::size_t i = 0; i < holdings.bits.size(); ++i) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      const std::uint64_t block = holdings.first_block + 8 * i + bit;
      if (((holdings.bits[i] >> bit) & 1) == 0 || block >= blocks) continue;
      if (!offer.held->set(block)) continue;
      ++want.copies[block];
      if (want.missing.contains(block)) ++offer.useful;
      offer.refusals = 0;
    }
  }
  return was_unknown || offer.useful > useful;
}

// Of the blocks that it was told of just now, those that it need not wait to be asked for: they are
// here, or asked of another. Else one of several seeds would deal nothing more once what it dealt
// has come from the others.
void Exchange::hand_back(const ContentId& id, const Want& want, const NodeId& from,
                         const Holdings& holdings, ExchangeActions& actions) const {
  if (!want.sources.at(from).greeted || holdings.bits.size() > kDealtBytes) return;
  Holdings news{id, want.length, holdings.first_block, holdings.bits, true};
  bool any = false;
  for (std::size_t i = 0; i < news.bits.size(); ++i) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      const bool said = ((news.bits[i] >> bit) & 1) != 0;
      const bool needed = said && want.missing.contains(holdings.first_block + 8 * i + bit);
      if (needed) news.bits[i] = static_cast<std::uint8_t>(news.bits[i] & ~(1U << bit));
      any = any || (said && !needed);
    }
  }
  if (any) actions.push_back(Send{from, encode(Message(std::move(news)))});
}

// What it was dealt and has from elsewhere: it is dealt something else.
void Exchange::take_handed_back(const NodeId& fan, const Holdings& holdings,
                                ExchangeActions& actions) {
  const auto fans = fans_.find(holdings.content);
  if (fans == fans_.end() || !fans->second.dealer || holdings.bits.size() > kDealtBytes) return;
  BlockDealer& dealer = *fans->second.dealer;
  if (dealer.length() != holdings.length) return;
  for (std::size_t i = 0; i < 8 * holdings.bits.size(); ++i) {
    if (((holdings.bits[i / 8] >> (i % 8)) & 1) == 0) continue;
    deal(holdings.content, holdings.length, fan, dealer.asked(now_, fan, holdings.first_block + i),
         actions);
  }
}

void Exchange::forget_holdings(Want& want, Offer& offer) {
  if (offer.held) {
    for (std::uint64_t block = 0; block < offer.held->blocks(); ++block) {
      if (offer.held->test(block)) --want.copies[block];
    }
  }
  offer.held.reset();
  offer.useful = 0;
  offer.greeted = false;
}

// It said that it holds the block, and then that it does not. Contents are dropped now and then, so
// that once is nothing; but a node that claims all and sends nothing keeps others from the rest.
void Exchange::claimed_in_vain(const ContentId& id, Want& want, const NodeId& node,
                               std::uint64_t block) {
  Offer& offer = want.sources.at(node);
  if (offer.held->reset(block)) {
    --want.copies[block];
    if (want.missing.contains(block)) --offer.useful;
  }
  blame(id, want, node);
}

void Exchange::blame(const ContentId& id, Want& want, const NodeId& node) {
  Offer& offer = want.sources.at(node);
  offer.score += kClaimedInVain;
  if (offer.score > kScoreOut) return;
  ++want.in_vain;
  want.out.insert(node);
  drop_source_of(id, want, node);
}

// What it said that it holds is no more to be had of it: it was dropped, or its owner lets it send
// no more this month. That happens, once.
void Exchange::take_all_back(const ContentId& id, Want& want, const NodeId& node) {
  Offer& offer = want.sources.at(node);
  take_back_all(id, want, node);
  const bool greeted = offer.greeted;
  forget_holdings(want, offer);
  offer.held = BlockBits(blocks_of(want.length));
  offer.greeted = greeted;
  if (offer.taken_back++ > 0) blame(id, want, node);
}

// Where its owner lets it send no more this month nothing counts as here: to be asked in vain would
// make a liar of it.
bool Exchange::sends_any(Instant now, std::uint64_t length) const {
  return meter_.may_send(now, std::min(length, kBlockBytes));
}

// Those who hold the block themselves need not hear of it.
void Exchange::tell_fans(const ContentId& id, std::uint64_t length, std::uint64_t block,
                         bool fetching, ExchangeActions& actions) {
  const auto fans = fans_.find(id);
  if (fans == fans_.end()) return;
  const auto want = wants_.find(id);
  const bool sends = sends_any(now_, length);
  if (fetching && !sends) return;
  const Bytes bytes = encode(
      Message(sends ? one_block(id, length, block, fetching) : Holdings{id, length, 0, {}, false}));
  for (const NodeId& fan : fans->second.fetching) {
    if (fetching && want != wants_.end()) {
      const auto offer = want->second.sources.find(fan);
      if (offer != want->second.sources.end() && offer->second.held &&
          offer->second.held->test(block)) {
        continue;
      }
    }
    actions.push_back(Send{fan, bytes});
  }
}

// Those who came while the disk was asked for this node itself have been told nothing yet.
void Exchange::note_untold_fans(const ContentOpened& opened) {
  const auto fans = fans_.find(opened.id);
  if (fans == fans_.end()) return;
  for (const NodeId& fan : fans->second.fetching) {
    fans->second.unanswered.try_emplace(fan, Question{opened.length, false});
  }
}

// The disk has said what is here of a content that others asked about.
void Exchange::answer_fans(const ContentOpened& opened, ExchangeActions& actions) {
  const auto fans = fans_.find(opened.id);
  if (fans == fans_.end() || fans->second.unanswered.empty()) return;
  BlockBits here(blocks_of(opened.length));
  const bool sends = sends_any(now_, opened.length);
  for (std::uint64_t block = 0; opened.complete && sends && block < here.blocks(); ++block) {
    here.set(block);
  }
  for (const std::uint64_t first_leaf : opened.blocks_held) {
    if (sends && first_leaf / limits::kBlockLeaves < here.blocks())
      here.set(first_leaf / limits::kBlockLeaves);
  }
  const bool deals = here.all() && here.blocks() >= kBlocksOfASwarm;
  auto& dealer = fans->second.dealer;
  if (deals && !dealer) {
    dealer.emplace(opened.length, rng_.below(here.blocks()));
    dealing_.insert(opened.id);
  }
  auto& unanswered = fans->second.unanswered;
  for (auto it = unanswered.begin(); it != unanswered.end();) {
    const auto& [fan, question] = *it;
    if (question.length != opened.length) {
      ++it;
      continue;
    }
    if (deals && !question.holds_some) {
      deal(opened.id, opened.length, fan, dealer->join(now_, fan), actions);
    } else {
      if (deals) dealer->join_knowing_all(fan);
      say(fan, opened.id, opened.length, here, false, actions);
    }
    it = unanswered.erase(it);
  }
}

// Blocks that lie close together in one message.
void Exchange::deal(const ContentId& id, std::uint64_t length, const NodeId& fan,
                    const std::vector<std::uint64_t>& blocks, ExchangeActions& actions) const {
  if (!sends_any(now_, length)) return;
  Holdings news{id, length, 0, {}, false};
  const auto send = [&] {
    if (!news.bits.empty()) actions.push_back(Send{fan, encode(Message(news))});
    news.bits.clear();
  };
  for (const std::uint64_t block : std::set<std::uint64_t>(blocks.begin(), blocks.end())) {
    if (!news.bits.empty() && block >= news.first_block + 8 * kDealtBytes) send();
    if (news.bits.empty()) news.first_block = block / 8 * 8;
    const std::uint64_t bit = block - news.first_block;
    news.bits.resize(std::max<std::size_t>(news.bits.size(), bit / 8 + 1));
    news.bits[bit / 8] = static_cast<std::uint8_t>(news.bits[bit / 8] | 1 << (bit % 8));
  }
  send();
}

void Exchange::tell_idle_fans(Instant now, ExchangeActions& actions) {
  for (const ContentId& id : dealing_) {
    Fans& fans = fans_.at(id);
    for (const auto& [fan, blocks] : fans.dealer->deal_again(now)) {
      deal(id, fans.dealer->length(), fan, blocks, actions);
    }
    const bool sends = sends_any(now, fans.dealer->length());
    for (const NodeId& fan : fans.dealer->take_idle(now)) {
      if (!sends) continue;
      for (const Holdings& all : holdings_of_all(id, fans.dealer->length())) {
        actions.push_back(Send{fan, encode(Message(all))});
      }
    }
  }
}

bool Exchange::is_asked(const NodeId& source, const BlockRequest& request) const {
  const auto found = sources_.find(source);
  return found != sources_.end() &&
         found->second.in_flight.contains(
             {request.content, request.first_leaf / limits::kBlockLeaves});
}

std::vector<NodeId> Exchange::holders_of(const ContentId& id) const {
  std::set<NodeId> holders;
  if (const auto fans = fans_.find(id); fans != fans_.end()) {
    holders = fans->second.holding;
    holders.insert(fans->second.fetching.begin(), fans->second.fetching.end());
  }
  if (const auto want = wants_.find(id); want != wants_.end()) {
    for (const auto& [node, offer] : want->second.sources) {
      if (offer.held && offer.held->count() > 0) holders.insert(node);
    }
  }
  return {holders.begin(), holders.end()};
}

std::set<ContentId> Exchange::wanted_of(const NodeId& node) const {
  const auto source = sources_.find(node);
  return source == sources_.end() ? std::set<ContentId>{} : source->second.wants;
}

ExchangeActions Exchange::leave_source(Instant now, const ContentId& id, const NodeId& node) {
  now_ = now;
  ExchangeActions actions;
  const auto found = wants_.find(id);
  if (found == wants_.end() || !found->second.sources.contains(node)) return actions;
  ++found->second.left;
  drop_source_of(id, found->second, node);
  request_more(now, id, found->second, actions);
  settle(now, actions);
  return actions;
}

void Exchange::hope(Instant now, const ContentId& id) {
  now_ = now;
  const auto found = wants_.find(id);
  if (found == wants_.end()) return;
  found->second.hope_at = now;
  stale_alarms_.insert(id);
  set_alarms(now);
}

const Exchange::Offer* Exchange::offer_of(const ContentId& id, const NodeId& node) const {
  const auto found = wants_.find(id);
  if (found == wants_.end()) return nullptr;
  const auto source = found->second.sources.find(node);
  return source == found->second.sources.end() ? nullptr : &source->second;
}

bool Exchange::is_useful(const ContentId& id, const NodeId& node) const {
  const Offer* offer = offer_of(id, node);
  if (offer == nullptr) return false;
  if (!offer->held) return offer->refusals == 0;
  const Want& want = wants_.at(id);
  if (offer->useful > 0 || (want.opened && want.missing.empty())) return true;
  const auto asked = sources_.at(node).in_flight.lower_bound({id, 0});
  return asked != sources_.at(node).in_flight.end() && asked->first == id;
}

bool Exchange::is_silent(const ContentId& id, const NodeId& node) const {
  const Offer* offer = offer_of(id, node);
  return offer != nullptr && is_silent(*offer);
}

bool Exchange::has_sent(const ContentId& id, const NodeId& node) const {
  const Offer* offer = offer_of(id, node);
  return offer != nullptr && offer->score > 0;
}

std::size_t Exchange::suppliers_of(const ContentId& id) const {
  const auto want = wants_.find(id);
  if (want == wants_.end()) return 0;
  const auto& sources = want->second.sources;
  return static_cast<std::size_t>(
      std::count_if(sources.begin(), sources.end(), [&](const auto& source) {
        const auto& [node, offer] = source;
        return offer.source->linked && offer.held && is_useful(id, node);
      }));
}

bool Exchange::takes(const ContentId& id, const NodeId& node) const {
  const auto want = wants_.find(id);
  if (want == wants_.end()) return false;
  if (want->second.sources.contains(node)) return true;
  const bool room = want->second.sources.size() < kSourcesPerWant ||
                    one_to_leave_for(want->second, node).has_value();
  return room && !liars_.contains(node) && !want->second.out.contains(node);
}

// A source that has nothing; or, for one that is there, the name of one that is not, or one that
// was asked, and has sent nothing so far: names cost nothing, nor does it to promise. A mere name
// takes the place of one that nobody has answered for.
std::optional<NodeId> Exchange::one_to_leave_for(const Want& want, const NodeId& newcomer) const {
  const auto known = sources_.find(newcomer);
  const bool is_there = known != sources_.end() && known->second.linked;
  std::optional<NodeId> absent, missed, silent;
  for (const auto& [node, offer] : want.sources) {
    if (offer.held && offer.held->count() == 0) return node;
    if (!offer.source->linked) {
      absent = node;
      if (offer.source->missed && offer.score <= 0) missed = node;
    } else if (is_silent(offer)) {
      silent = node;
    }
  }
  if (!is_there) return missed;
  return absent ? absent : silent;
}

std::vector<NodeId> Exchange::sources_of(const ContentId& id) const {
  std::vector<NodeId> sources;
  if (const auto want = wants_.find(id); want != wants_.end()) {
    for (const auto& [node, offer] : want->second.sources) sources.push_back(node);
  }
  return sources;
}

std::optional<ExchangeProgress> Exchange::progress(const ContentId& id) const {
  const auto found = wants_.find(id);
  if (found == wants_.end()) return std::nullopt;
  const Want& want = found->second;
  ExchangeProgress progress{.bytes = want.length};
  progress.bytes_here = std::min(want.length, want.here.count() * kBlockBytes);
  std::set<NodeId> busy;
  for (const auto& [block, asked] : want.in_flight) busy.insert(asked.source);
  progress.sources = busy.size();
  for (const auto& [node, offer] : want.sources) {
    if (sources_.at(node).linked) ++progress.linked;
  }
  progress.waits_for = want.waits_for;
  return progress;
}

}  // namespace shoal
