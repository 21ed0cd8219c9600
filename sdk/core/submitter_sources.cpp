#include <algorithm>
#include <array>
#include <map>
#include <utility>
#include <vector>

#include "node/protocol/address.h"
#include "sdk/core/submitter_impl.h"

// Whom one who shares or fetches a content is linked with. Both choose the workers whose ids are
// the nearest to the content's: in a large pool, too, they meet at the same ones. Who fetches also
// dials those who are named to it as holders, and those who share anything, as a coordinator tells
// it. Of all these it keeps limits::kContentPeers links, the neighbours' first; the others are in
// reserve, for when one of those is lost or turns out to have nothing.
namespace shoal {
namespace {

constexpr std::size_t kRendezvous = 16;
constexpr Duration kDialAgain = 1s;    // and twice as long after each dial in vain
constexpr std::size_t kDialsMost = 6;  // in vain, of one candidate
constexpr Duration kLeftFor = 30s;     // one that had nothing
constexpr Duration kSearchAgain = 1s;  // for more candidates, while none has what is missing
// Where it was said that nobody has it, and somebody is waited for: for minutes, by many maybe.
constexpr Duration kSearchWhileWaiting = 5s;
constexpr std::size_t kDoublingsWhileWaiting = 3;
constexpr Duration kMoreEvery = 1s;     // one link more than usual, while none has
constexpr std::size_t kLinksMost = 64;  // of one content then

using Distance = std::array<std::uint8_t, 32>;

Distance distance(const NodeId& node, const ContentId& content) {
  Distance between{};
  for (std::size_t i = 0; i < between.size(); ++i) {
    between[i] = static_cast<std::uint8_t>(node.bytes[i] ^ content.bytes[i]);
  }
  return between;
}

// A candidate that could be dialled now. The least comes first.
struct InReserve {
  std::uint64_t turn;
  std::size_t dials;  // in vain
  bool far;
  bool unnamed;
  Distance between;
  NodeId node;
  NodeId told_by;

  auto operator<=>(const InReserve&) const = default;
};

// The tellers in turn: however many one tells of, they do not keep others waiting.
void order_by_turns(std::vector<InReserve>& reserve, const LooseContent& what) {
  std::sort(reserve.begin(), reserve.end());
  std::map<NodeId, std::uint64_t> next = what.turns;
  for (InReserve& one : reserve) {
    one.turn = std::max(next[one.told_by], what.turn);
    next[one.told_by] = one.turn + 1;
  }
  std::sort(reserve.begin(), reserve.end());
}

void note_turn(LooseContent& what, const InReserve& taken) {
  what.turn = taken.turn;
  std::erase_if(what.turns, [&](const auto& entry) { return entry.second <= what.turn; });
  what.turns[taken.told_by] = taken.turn + 1;
}

std::set<std::string> private_blocks(const NodeRecord& record) {
  std::set<std::string> blocks;
  for (const std::string& endpoint : record.endpoints) {
    const auto at = split_endpoint(endpoint);
    const AddressScope scope = at ? scope_of(at->host) : AddressScope::kNone;
    if (scope == AddressScope::kLoopback || scope == AddressScope::kPrivate) {
      blocks.insert(address_block(at->host));
    }
  }
  return blocks;
}

}  // namespace

// As far as records tell: private addresses are the same in many networks.
bool Submitter::Impl::near(const Contact& c) const {
  if (!config.record || !c.record) return false;
  const auto mine = private_blocks(*config.record);
  const auto its = private_blocks(*c.record);
  return std::any_of(its.begin(), its.end(),
                     [&](const std::string& block) { return mine.contains(block); });
}

void Submitter::Impl::dial_for_contents() {
  dial_holders_at.reset();
  for (auto& [content, what] : loose) {
    if (settled()) note_candidates(content, what);
    dial_candidates(content, what);
  }
  const bool urgent = fetch_waits();
  if (search.active || (!urgent && !fetch_still_waits())) return;
  const Duration every = urgent ? kSearchAgain : kSearchWhileWaiting;
  const Instant again = searched ? *searched + every : now;
  if (again <= now) return begin_search();
  dial_holders_at = std::min(dial_holders_at.value_or(again), again);
}

void Submitter::Impl::note_candidates(const ContentId& content, LooseContent& what) {
  std::vector<std::pair<Distance, NodeId>> workers;
  // Ids cost nothing: those near it that nobody answers for are no meeting place.
  const auto missed = [&what](const NodeId& node, const Contact& c) {
    const auto it = what.candidates.find(node);
    return it != what.candidates.end() && it->second.dials > 0 && !c.linked && !c.dial_ends;
  };
  for (const auto& [node, c] : contacts) {
    if (valid_worker(c) && reachable(c) && !missed(node, c)) {
      workers.emplace_back(distance(node, content), node);
    }
    const bool shares = c.of_content && c.record && reachable(c) && !expired(*c.record, unix_now());
    if (what.fetching && shares) what.candidates.try_emplace(node);
  }
  std::sort(workers.begin(), workers.end());
  if (workers.size() > kRendezvous) workers.resize(kRendezvous);
  for (const auto& [between, node] : workers) what.candidates.try_emplace(node);
}

// It has what is missing here, or will have, or what is here is of use to it.
bool Submitter::Impl::takes_part(const ContentId& content, const LooseContent& what,
                                 const NodeId& node) const {
  return exchange.is_useful(content, node) || what.fetchers.contains(node);
}

// Those that take part and are up, or are about to be. A crowd of fetchers is no supply: with them
// alone it goes on looking for somebody who has what they all lack. Nor are promises, where nobody
// has sent anything and one who was asked does not.
std::size_t Submitter::Impl::count_links(const ContentId& content, LooseContent& what) {
  bool any_useful = false;
  bool any_silent = false;
  what.delivered = false;
  std::size_t links = 0;
  for (const auto& [node, c] : contacts) {
    if (!c.worker && !c.of_content && !what.candidates.contains(node)) continue;
    if (c.linked && exchange.is_useful(content, node)) {
      any_useful = true;
      any_silent = any_silent || exchange.is_silent(content, node);
      what.delivered = what.delivered || exchange.has_sent(content, node);
    }
    if (c.linked && takes_part(content, what, node)) {
      ++links;
    } else if (!c.linked && c.dial_ends && what.candidates.contains(node)) {
      ++links;
    }
  }
  what.supplied = what.delivered || (any_useful && !any_silent);
  return links;
}

void Submitter::Impl::dial_candidates(const ContentId& content, LooseContent& what) {
  std::size_t links = count_links(content, what);
  const auto wake = [this](Instant at) {
    dial_holders_at = std::min(dial_holders_at.value_or(at), at);
  };
  std::vector<InReserve> reserve;
  for (const auto& [node, candidate] : what.candidates) {
    const auto it = contacts.find(node);
    if (it == contacts.end() || it->second.linked || it->second.dial_ends) continue;
    const bool given_up = candidate.dials >= kDialsMost && what.waits_for.empty();
    if (given_up || !reachable(it->second) || session_here_of(node)) continue;
    if (candidate.dial_at > now) {
      wake(candidate.dial_at);
    } else {
      reserve.push_back({0, candidate.dials, !near(it->second), !candidate.named,
                         distance(node, content), node, it->second.told_by});
    }
  }
  order_by_turns(reserve, what);
  for (const InReserve& next : reserve) {
    const NodeId& node = next.node;
    if (what.fetching && links >= limits::kContentPeers) {
      if (what.supplied) {
        if (!what.delivered) wake(now + kMoreEvery);  // it may be nothing but promises
        return;
      }
      if (now < what.more_at) return wake(what.more_at);
      what.more_at = now + kMoreEvery;
    }
    ++links;
    note_turn(what, next);
    if (what.fetching) make_place(content, what);
    Candidate& candidate = what.candidates.at(node);
    const std::size_t doublings = what.waits_for.empty()
                                      ? candidate.dials
                                      : std::min(candidate.dials, kDoublingsWhileWaiting);
    candidate.dial_at = now + kDialAgain * (1 << doublings);
    ++candidate.dials;
    dial(node);
  }
}

// One that had nothing, and has said who might, is left: for as many links as there may be. Where
// it has become many more than that, since nobody sends, one that was asked and is silent is left.
void Submitter::Impl::make_place(const ContentId& content, LooseContent& what) {
  std::size_t linked = 0;
  std::optional<NodeId> useless;
  std::optional<NodeId> silent;
  for (const auto& [node, candidate] : what.candidates) {
    const auto it = contacts.find(node);
    if (it == contacts.end() || !it->second.linked) continue;
    ++linked;
    if (keeps_a_job(node) || exchange.wanted_of(node).size() > 1) continue;
    if (candidate.answered && !takes_part(content, what, node)) {
      if (!useless) useless = node;
    } else if (!silent && exchange.is_silent(content, node)) {
      silent = node;
    }
  }
  if (!useless && linked >= kLinksMost) useless = silent;
  if (linked < limits::kContentPeers || !useless) return;
  what.candidates.at(*useless).dial_at = now + kLeftFor;
  pass(exchange.leave_source(now, content, *useless));
  contacts.at(*useless).linked = false;
  out.push_back(Drop{*useless, "it has nothing of what is fetched"});
  pass(exchange.link_lost(now, *useless));
}

bool Submitter::Impl::fetch_waits() const {
  return std::any_of(loose.begin(), loose.end(), [](const auto& entry) {
    const LooseContent& what = entry.second;
    return what.fetching && !what.supplied && what.waits_for.empty();
  });
}

bool Submitter::Impl::fetch_still_waits() const {
  return std::any_of(loose.begin(), loose.end(), [](const auto& entry) {
    return entry.second.fetching && !entry.second.supplied && !entry.second.waits_for.empty();
  });
}

// A link takes its time to those who are far, or busy: that nobody has it is said after that.
bool Submitter::Impl::may_yet_be_reached(const LooseContent& what) const {
  if (!searched && search.active && !settled() && door_on_its_way()) return true;
  return std::any_of(what.candidates.begin(), what.candidates.end(), [this](const auto& entry) {
    const auto it = contacts.find(entry.first);
    return entry.second.dials == 1 && it != contacts.end() && it->second.dial_ends;
  });
}

}  // namespace shoal
