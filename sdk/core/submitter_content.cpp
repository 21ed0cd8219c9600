#include <algorithm>
#include <utility>

#include "sdk/core/submitter_impl.h"

// Contents that are shared or fetched for their own sake. Who shares one tells some workers of it,
// and who fetches one asks some workers who has it (submitter_sources.cpp).
namespace shoal {
namespace {

constexpr Duration kLookAgain = 30s;
// As long as no worker is known: the first one of a pool has nobody else to tell it who shares.
constexpr Duration kLookAgainAlone = 5s;
constexpr Duration kTellEvery = 200ms;
// Of the candidates that a fetch began with, one should have answered by then.
constexpr Duration kMoreAfter = 2s;
// Who has all of a content stays for others who fetch it, and have nobody but those who will leave
// too: as long as they ask, and no longer than this.
constexpr Duration kPassesOnQuiet = 1s;
constexpr Duration kPassesOnMost = 5s;
// What a coordinator keeps of one who shares; it is announced again before that.
constexpr Duration kSharerTtl = 3 * kLookAgain;

}  // namespace

// Not with coordinators, and not through relays: content is too much for either.
bool Submitter::Impl::exchanges(const Contact& c) const {
  return c.linked && (c.worker || c.of_content) && c.path != LinkPath::kRelayed;
}

void Submitter::Impl::on(const ShareContent& share) {
  loose[share.content] = LooseContent{.length = share.length};
  if (!look_for_holders) look_for_holders = now + kLookAgainAlone;
  begin_search();
  for (const auto& [node, c] : std::map<NodeId, Contact>(contacts)) {
    if (c.linked && !c.worker && is_door(node)) announce_to(node);
    if (exchanges(c)) content_link_up(node);
  }
  review();
}

void Submitter::Impl::on(const FetchContent& fetch) {
  loose[fetch.content] =
      LooseContent{.length = fetch.length, .fetching = true, .more_at = now + kMoreAfter};
  pass(exchange.want(now, fetch.content, fetch.length, {}, fetch.patience));
  exchange.wait_for_others(fetch.content, fetch.wait);
  begin_search();
  for (const auto& [node, c] : std::map<NodeId, Contact>(contacts)) {
    if (exchanges(c)) content_link_up(node);
  }
  review();
}

// Coordinators tell fetchers alone of those who share: in a pool that has no worker yet there is
// nobody else who could.
void Submitter::Impl::announce_to(const NodeId& door) {
  const bool shares = std::any_of(loose.begin(), loose.end(),
                                  [](const auto& entry) { return !entry.second.fetching; });
  if (!shares || !config.record || leaving) return;
  NodeRecord record = *config.record;
  record.node = signer.id();
  record.sequence = unix_now();
  record.ttl_s = static_cast<std::uint32_t>(kSharerTtl / 1s);
  send(door, Announce{sign_fact(signer, Purpose::kRecord, encode(record))});
  announced.insert(door);
}

// Whoever fetches would be sent here for as long as the record is kept.
void Submitter::Impl::on(const LeavePool&) {
  leaving = true;
  for (const Ticket::Door& door : config.doors) {
    if (!announced.contains(door.node) || say_farewell(door.node)) continue;
    dial(door.node);
    const auto it = contacts.find(door.node);
    if (it == contacts.end() || !it->second.dial_ends) announced.erase(door.node);
  }
}

// A coordinator that has heard it ends the link: nothing is left to be done with it then.
bool Submitter::Impl::say_farewell(const NodeId& door) {
  const auto it = contacts.find(door);
  if (!leaving || !announced.contains(door) || it == contacts.end() || !it->second.linked) {
    return false;
  }
  send(door, Leave{});
  return true;
}

void Submitter::Impl::content_link_up(const NodeId& node) {
  std::vector<ContentId> fetched;
  for (auto& [content, what] : loose) {
    what.fetchers.erase(node);
    if (const auto it = what.candidates.find(node); it != what.candidates.end()) {
      it->second.dials = 0;
      it->second.answered = false;
    }
    if (what.fetching) {
      fetched.push_back(content);
    } else {
      send(node, holdings_for(node, content, what.length));
    }
  }
  // A small one is there before it could be told who has it.
  for (const ContentId& content : fetched) pass(exchange.add_hearsay(now, content, node));
}

void Submitter::Impl::heard(const NodeId& from, Holdings& holdings) {
  if (!serves(holdings.content)) {
    if (!holdings.fetching) return;
    return send(from, Holdings{holdings.content, holdings.length, 0, {}, false});
  }
  if (!reach.connected(from)) return;
  if (const auto what = loose.find(holdings.content); what != loose.end()) {
    if (holdings.fetching) {
      what->second.fetchers.insert(from);
      what->second.passers.insert(from);
    } else {
      what->second.fetchers.erase(from);
    }
  }
  pass(exchange.on_holdings(now, from, holdings));
  end_passing_on();
  if (exchange.wants(holdings.content) && !exchange.is_useful(holdings.content, from)) review();
}

void Submitter::Impl::heard(const NodeId& from, HoldersRequest& request) {
  Holders answer{request.content, {}};
  for (const NodeId& node : exchange.holders_of(request.content)) {
    const auto it = contacts.find(node);
    if (node == from || it == contacts.end() || !it->second.signed_record) continue;
    if (answer.records.size() >= limits::kHoldersPerMessage) break;
    answer.records.push_back(*it->second.signed_record);
  }
  send(from, answer);
}

void Submitter::Impl::heard(const NodeId& from, Holders& holders) {
  if (!exchange.wants(holders.content)) return;
  const auto what = loose.find(holders.content);
  for (const Signed& record : holders.records) {
    if (record.signer == signer.id() || session_here_of(record.signer)) continue;
    if (!absorb_holder(record, from)) continue;
    pass(exchange.add_hearsay(now, holders.content, record.signer));
    if (what == loose.end()) {
      dial(record.signer);
    } else {
      what->second.candidates[record.signer].named = true;
    }
  }
  if (what == loose.end()) return;
  if (const auto it = what->second.candidates.find(from); it != what->second.candidates.end()) {
    it->second.answered = true;
  }
  review();
}

// One that dialled this node is known by the name of its session: to dial its key would be a second
// link with it.
std::optional<NodeId> Submitter::Impl::session_here_of(const NodeId& key) const {
  const auto it = std::find_if(contacts.begin(), contacts.end(), [&](const auto& entry) {
    return entry.second.linked && entry.second.session_of == key;
  });
  if (it == contacts.end()) return std::nullopt;
  return it->first;
}

// As absorb(), but of anybody in the pool that lets itself be dialled.
bool Submitter::Impl::absorb_holder(const Signed& fact, const NodeId& told_by) {
  if (fact.signer == signer.id()) return false;
  if (absorb(fact, told_by)) return true;
  auto record = decode_record(fact.body);
  if (!record || record->node != fact.signer || record->pool != config.pool ||
      record->role != Role::kSubmitter || expired(*record, unix_now()) ||
      !signature_holds(checker, Purpose::kRecord, fact)) {
    return false;
  }
  Contact* c = contact(fact.signer, told_by);
  if (!c) return false;
  note_teller(*c, told_by);
  c->record = std::move(*record);
  c->signed_record = fact;
  c->of_content = true;
  return true;
}

void Submitter::Impl::content_arrived(const ContentArrived& arrived) {
  const auto it = loose.find(arrived.id);
  if (it == loose.end() || !it->second.fetching) return;
  std::string error = arrived.error;
  if (!error.empty() && !door_answered) error += ". " + nobody_found().second;
  if (!arrived.error.empty()) {
    out.push_back(ContentReady{arrived.id, std::move(error)});
    loose.erase(it);
    return;
  }
  it->second.fetching = false;  // from now on it is shared, as long as this session lasts
  it->second.passes_on_since = it->second.passed_on = now;
  end_passing_on();
}

// Where the seed has died, each block may be with few of those who fetch. If these left when they
// have all of it, the last of them would lack what all the others had.
bool Submitter::Impl::passes_on(const ContentId& content, const LooseContent& what) const {
  const auto linked = [this](const NodeId& node) {
    const auto it = contacts.find(node);
    return it != contacts.end() && it->second.linked;
  };
  if (std::none_of(what.fetchers.begin(), what.fetchers.end(), linked)) return false;
  const std::vector<NodeId> holders = exchange.holders_of(content);
  return std::none_of(holders.begin(), holders.end(), [&](const NodeId& node) {
    return linked(node) && !what.passers.contains(node);
  });
}

Instant Submitter::Impl::passed_on_at(const LooseContent& what) {
  return std::min(*what.passes_on_since + kPassesOnMost, what.passed_on + kPassesOnQuiet);
}

void Submitter::Impl::note_passing_on(const NodeId& to) {
  for (auto& [content, what] : loose) {
    if (what.fetchers.contains(to)) what.passed_on = now;
  }
}

void Submitter::Impl::end_passing_on() {
  for (auto& [content, what] : loose) {
    if (!what.passes_on_since) continue;
    if (passed_on_at(what) > now && passes_on(content, what)) continue;
    what.passes_on_since.reset();
    out.push_back(ContentReady{content, {}});
  }
}

void Submitter::Impl::tell_progress(const ContentId& content) {
  const auto it = loose.find(content);
  if (it == loose.end() || it->second.told + kTellEvery > now) return;
  const auto progress = exchange.progress(content);
  if (!progress) return;
  it->second.told = now;
  it->second.waits_for = progress->waits_for;
  out.push_back(ContentUnderWay{content, *progress});
}

// That nobody has the rest is told as soon as it is found.
void Submitter::Impl::tell_who_waits() {
  for (auto& [content, what] : loose) {
    const auto progress = what.fetching ? exchange.progress(content) : std::nullopt;
    if (!progress || progress->waits_for == what.waits_for) continue;
    what.told = {};
    tell_progress(content);
  }
}

void Submitter::Impl::contents_deadline() {
  for (const auto& [content, what] : loose) {
    if (what.fetching && may_yet_be_reached(what)) exchange.hope(now, content);
  }
  end_passing_on();
  const bool dial_due = dial_holders_at && *dial_holders_at <= now;
  bool look_due = look_for_holders && *look_for_holders <= now;
  const bool alone = std::none_of(contacts.begin(), contacts.end(),
                                  [](const auto& contact) { return contact.second.worker; });
  if (look_due && !alone && searched && now < *searched + kLookAgain) {
    look_for_holders = *searched + kLookAgain;
    look_due = false;
  }
  if (look_due) look_for_holders.reset();
  if (look_due && !loose.empty()) {
    look_for_holders = now + (alone ? kLookAgainAlone : kLookAgain);
    for (auto& [content, what] : loose) {
      if (!what.fetching) what.candidates.clear();
    }
    begin_search();
  }
  if (dial_due || look_due) review();
}

}  // namespace shoal
