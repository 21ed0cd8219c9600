#include "worker/core/membership.h"

#include <algorithm>

namespace shoal {
namespace {

constexpr Duration kRedialLeast = 200ms;
constexpr Duration kRedialMost = 60s;
constexpr Duration kDoorRetryLeast = 1s;
constexpr Duration kNextPeerAfter = 1s;  // after a dial in vain
// A link that breaks sooner is as bad as none: dialling a peer that cuts us off at once, again and
// again, would keep two machines busy with nothing.
constexpr Duration kLastingLink = 10s;
constexpr Duration kLookForPeers = 5s;
constexpr std::size_t kFurtherPeers = 3;
constexpr std::uint32_t kSampleCount = 32;
// A coordinator that was restarted knows nobody until somebody comes. Where few would come, each
// comes more often; all together so seldom that it costs a coordinator nothing.
constexpr Duration kVisitsLeast = 30s;
constexpr Duration kBetweenVisits = 250ms;  // of all nodes, on average

Duration backoff(Duration least, std::uint32_t failures) {
  return std::min<Duration>(kRedialMost, least * (1U << std::min<std::uint32_t>(failures, 10)));
}

}  // namespace

Membership::Membership(const PeerConfig& config, const Signer& signer,
                       const SignatureChecker& checker, Rng rng)
    : config_(config),
      signer_(signer),
      checker_(checker),
      rng_(rng),
      visits_every_(config.announce_every) {
  for (std::uint64_t place = 0; place < limits::kKnownPeers; ++place) free_places_.insert(place);
  for (const auto& door : config.doors) {
    Contact& contact = contacts_[door.node];
    contact.door = true;
    contact.what.node = door.node;
    contact.what.endpoints = {door.endpoint};
  }
}

UnixMs Membership::unix_ms(Instant now) const {
  return config_.unix_ms_at_zero + now.ns / 1'000'000;
}

Duration Membership::jittered(Duration d) {
  return Duration(
      static_cast<std::int64_t>(static_cast<double>(d.count()) * (0.75 + 0.5 * rng_.unit())));
}

void Membership::note_if_idle(const NodeId& node) {
  const auto it = contacts_.find(node);
  const bool idle =
      it != contacts_.end() && !it->second.door && !dialling_.contains(node) && !linked(node);
  if (idle) {
    idle_.insert(node);
  } else {
    idle_.erase(node);
  }
}

void Membership::on_started(Instant now, Outbox& out) {
  own_record(now);
  dial_doors(now, out);
  keep_active(now, out);
  further_at_ = now + jittered(config_.announce_every);
}

// Somebody who names relays has found that it cannot be dialled, so they are asked first; save by a
// node that cannot be dialled either: it may be on the same side of what is in the way.
void Membership::dial(const NodeId& node, Contact& contact, Outbox& out) {
  const auto& endpoints = contact.what.endpoints;
  const auto& via = contact.what.via;
  const std::size_t ways = endpoints.size() + (via.empty() ? 0 : 1);
  if (ways == 0 || linked(node) || !dialling_.insert(node).second) return;
  note_if_idle(node);
  const std::size_t relays = via_.empty() ? 0 : endpoints.size();  // the place of `via`
  const std::size_t way = contact.way % ways;
  if (!via.empty() && way == relays) return out.act(Dial{node, "", via});
  const bool after_relays = !via.empty() && way > relays;
  out.act(Dial{node, endpoints[after_relays ? way - 1 : way], {}});
}

void Membership::set_via(Instant now, const std::vector<Via>& via, Outbox& out) {
  via_ = via;
  std::string relays;
  for (const Via& relay : via) relays += (relays.empty() ? "" : ", ") + short_hex(relay.node);
  out.tell(LogLevel::kInfo, relays.empty() ? "this node has no relay" : "its relays: " + relays);
  announce(now, out);
}

void Membership::announce(Instant now, Outbox& out) {
  if (leaving_) return;
  const Signed record = own_record(now);
  ++changes_;
  // A coordinator that is being visited right now has the old one, and is not dialled again; one
  // that is being left hears nothing any more, and is visited again after that.
  for (auto& [node, link] : links_) {
    if (link.role == Role::kSubmitter || link.left) continue;
    out.send(node, Announce{record});
    link.told = changes_;
  }
  announce_at_ = now;
}

void Membership::dial_doors(Instant now, Outbox& out) {
  for (const auto& door : config_.doors) dial(door.node, contacts_.at(door.node), out);
  announce_at_ = now + jittered(door_pause());
}

Duration Membership::door_pause() const {
  if (door_failures_ == 0) return visits_every_;
  return std::min(visits_every_, backoff(kDoorRetryLeast, door_failures_));
}

void Membership::on_link_up(Instant now, const LinkUp& up, Outbox& out) {
  LinkState& link = links_[up.peer];
  link = LinkState{.role = up.role,
                   .node = up.node(),
                   .address = up.address,
                   .path = up.path,
                   .told = changes_,
                   .used = now};
  dialling_.erase(up.peer);
  if (auto it = contacts_.find(up.peer); it != contacts_.end()) {
    it->second.up_since = now;
    note_if_idle(up.peer);
  }
  if (up.role == Role::kWorker) show_other_record(up, out);
  if (up.record && up.record->signer == up.node()) learn(now, *up.record, out);
  const bool door = contacts_.contains(up.peer) && contacts_.at(up.peer).door;
  if (leaving_ && door) return say_farewell(up.peer, contacts_.at(up.peer), out);
  if (up.role == Role::kCoordinator) {
    if (!door) return out.act(Drop{up.peer, "coordinators are called, they do not call"});
    door_failures_ = 0;
    announce_at_ = now + jittered(visits_every_);
    out.send(up.peer, Announce{own_record(now)});
  }
  if (up.role == Role::kCoordinator || door) {
    out.send(up.peer, SampleRequest{.count = kSampleCount, .cookie = cookies_[up.peer]});
  }
}

void Membership::on_link_lost(Instant now, const LinkLost& lost, Outbox& out) {
  const auto link = links_.extract(lost.peer);
  const bool was_up = !link.empty();
  dialling_.erase(lost.peer);
  auto it = contacts_.find(lost.peer);
  if (it == contacts_.end()) return;
  Contact& contact = it->second;
  note_if_idle(lost.peer);
  if (leaving_) {
    // Nor is who does not answer dialled at once, over and over, for what there is to say to it.
    contact.failures = was_up ? 0 : contact.failures + 1;
    contact.not_before = was_up ? now : now + jittered(backoff(kRedialLeast, contact.failures));
    if (!was_up || link.mapped().farewell) contact.announced = false;
    if (contact.announced) say_farewell(lost.peer, contact, out);
    return;
  }
  // A coordinator is left as soon as it has answered; any other link is meant to last.
  const bool lasted = was_up && (contact.door || now - contact.up_since >= kLastingLink);
  // What was up is dialled at once, where it is wanted: whether anybody answers says a lot.
  const bool at_once = lasted || (was_up && contact.failures == 0);
  contact.failures = lasted ? 0 : contact.failures + 1;
  if (!was_up) ++contact.way;
  contact.not_before = at_once ? now : now + jittered(backoff(kRedialLeast, contact.failures));
  if (was_up) {
    if (contact.door && link.mapped().told != changes_) announce_at_ = now;
    if (!active_at_) active_at_ = contact.not_before;
    return;
  }
  if (contact.door) {
    door_failures_ += 1;
    const Instant retry = now + jittered(door_pause());
    if (!announce_at_ || retry < *announce_at_) announce_at_ = retry;
    return;
  }
  if (contact.failures > 6) {
    forget(it);
  }
  // Somebody else may answer.
  if (!active_at_) active_at_ = now + jittered(kNextPeerAfter);
}

void Membership::end_visit(const NodeId& node, Outbox& out) {
  auto it = links_.find(node);
  if (it == links_.end() || it->second.role != Role::kCoordinator) return;
  if (!it->second.announced || !it->second.sampled) return;
  it->second.left = true;
  out.act(Drop{node, "done"});
}

void Membership::on_announced(Instant, const NodeId& from, Outbox& out) {
  auto it = links_.find(from);
  if (it == links_.end()) return;
  it->second.announced = true;
  const auto contact = contacts_.find(from);
  if (contact != contacts_.end() && contact->second.door) contact->second.announced = true;
  end_visit(from, out);
}

void Membership::on_refused(Instant now, const NodeId& from, const Refused& refused, Outbox& out) {
  const auto contact = contacts_.find(from);
  if (contact == contacts_.end() || !contact->second.door || !linked(from)) return;
  out.act(Drop{from, "it does not take this node"});
  if (refusal_told_ && now - *refusal_told_ < limits::kRecordTtl) return;
  refusal_told_ = now;
  std::string why = refused.detail;
  std::erase_if(why, [](unsigned char c) { return c < ' ' || c > '~'; });
  out.tell(LogLevel::kWarning,
           "the coordinator " + short_hex(from) + " does not tell others of this node: " + why);
}

void Membership::leave(Outbox& out) {
  leaving_ = true;
  announce_at_.reset();
  active_at_.reset();
  further_at_.reset();
  for (auto& [node, contact] : contacts_) {
    if (contact.announced) say_farewell(node, contact, out);
  }
}

// On a link that has been dropped nothing is heard any more: another follows when it is gone.
void Membership::say_farewell(const NodeId& node, Contact& contact, Outbox& out) {
  const auto link = links_.find(node);
  if (link == links_.end()) return dial(node, contact, out);
  if (link->second.left || link->second.farewell) return;
  link->second.farewell = true;
  out.send(node, Leave{});
}

bool Membership::has_left() const {
  return leaving_ && std::none_of(contacts_.begin(), contacts_.end(),
                                  [](const auto& entry) { return entry.second.announced; });
}

void Membership::on_sample(Instant now, const NodeId& from, const Sample& sample, Outbox& out) {
  auto it = links_.find(from);
  if (it == links_.end()) return;
  it->second.sampled = true;
  const auto contact = contacts_.find(from);
  if (contact != contacts_.end() && contact->second.door) cookies_[from] = sample.cookie;
  if (it->second.role == Role::kCoordinator) {
    const auto nodes = static_cast<std::int64_t>(
        std::min<std::uint64_t>(sample.nodes_known, limits::kCoordinatorRecords));
    const Duration pause = std::max<Duration>(kVisitsLeast, kBetweenVisits * nodes);
    visits_every_ = std::min(config_.announce_every, pause);
    const Instant next = now + jittered(visits_every_);
    if (!leaving_ && (!announce_at_ || next < *announce_at_)) announce_at_ = next;
  }
  for (const Signed& record : sample.records) learn(now, record, out);
  end_visit(from, out);
  keep_active(now, out);
}

void Membership::on_sample_request(Instant now, const NodeId& from, const SampleRequest& request,
                                   Outbox& out) {
  Sample sample;
  std::vector<const Signed*> known;
  for (const auto& [node, contact] : contacts_) {
    const bool worker = contact.what.role == Role::kWorker;  // others are here for a while
    if (contact.record && worker && node != from) known.push_back(&*contact.record);
  }
  const std::size_t count =
      std::min<std::size_t>({request.count, known.size(), limits::kSampleRecords});
  for (std::size_t i = 0; i < count; ++i) {
    std::swap(known[i], known[i + rng_.below(known.size() - i)]);
    sample.records.push_back(*known[i]);
  }
  if (sample.records.size() < std::min<std::size_t>(request.count, limits::kSampleRecords)) {
    sample.records.push_back(own_ ? *own_ : own_record(now));
  }
  sample.nodes_known = contacts_.size() + 1;
  out.send(from, std::move(sample));
}

void Membership::reach(Instant now, const NodeId& node, Outbox& out) {
  if (node == signer_.id() || linked(node)) return;
  auto it = contacts_.find(node);
  if (it == contacts_.end() || it->second.not_before > now) return;
  dial(node, it->second, out);
}

bool Membership::reachable(const NodeId& node) const {
  if (linked(node)) return true;
  auto it = contacts_.find(node);
  if (it == contacts_.end()) return false;
  return !it->second.what.endpoints.empty() || !it->second.what.via.empty();
}

bool Membership::dialable(const NodeId& node) const {
  if (node == signer_.id()) return via_.empty();
  const auto it = contacts_.find(node);
  return it != contacts_.end() && it->second.record && !it->second.what.endpoints.empty() &&
         it->second.what.via.empty();
}

const NodeId& Membership::node_of(const NodeId& peer) const {
  const auto link = links_.find(peer);
  return link == links_.end() ? peer : link->second.node;
}

std::vector<NodeId> Membership::reach_all(Instant now, const NodeId& node, Outbox& out) {
  std::vector<NodeId> peers;
  for (const auto& [peer, link] : links_) {
    if (link.node == node && peer != node) peers.push_back(peer);
  }
  if (peers.empty()) reach(now, node, out);
  peers.push_back(node);
  return peers;
}

std::vector<NodeId> Membership::linked_workers() const {
  std::vector<NodeId> workers;
  for (const auto& [node, link] : links_) {
    if (link.role == Role::kWorker) workers.push_back(node);
  }
  return workers;
}

std::optional<Signed> Membership::record_of(const NodeId& node) const {
  if (node == signer_.id()) return own_;
  auto it = contacts_.find(node);
  return it == contacts_.end() ? std::nullopt : it->second.record;
}

const std::optional<NodeRecord> Membership::what_of(const NodeId& node) const {
  auto it = contacts_.find(node);
  if (it == contacts_.end() || !it->second.record) return std::nullopt;
  return it->second.what;
}

void Membership::keep_active(Instant now, Outbox& out) {
  active_at_.reset();
  if (leaving_) return;
  std::size_t active = 0;
  for (const auto& [node, link] : links_) {
    if (link.role == Role::kWorker) ++active;
    if (active == limits::kActivePeers) {
      lonely_ = 0;
      return;
    }
  }
  for (const NodeId& node : dialling_) {
    const auto contact = contacts_.find(node);
    if (contact != contacts_.end() && !contact->second.door) ++active;
  }
  auto [candidates, some_later] = this->candidates(now);
  while (active < limits::kActivePeers && !candidates.empty()) {
    const std::size_t at = rng_.below(candidates.size());
    dial(candidates[at], contacts_.at(candidates[at]), out);
    candidates[at] = candidates.back();
    candidates.pop_back();
    ++active;
  }
  if (active < limits::kActivePeers && some_later) active_at_ = now + jittered(kLookForPeers);
  if (active > 0) {
    lonely_ = 0;
    return;
  }
  // It came first, or knows only of some that it cannot dial. Others may have come since; and if
  // this node cannot be dialled, it is on itself to find them.
  const Instant at = now + jittered(backoff(kLookForPeers, lonely_++));
  if (announce_at_ && at < *announce_at_) announce_at_ = at;
}

// Workers that are neither linked nor on their way.
Membership::Candidates Membership::candidates(Instant now) const {
  Candidates found;
  const auto consider = [&](const NodeId& node) {
    const Contact& contact = contacts_.at(node);
    // Who names relays keeps its own links; circuits are for when there is something to say.
    if (!contact.record || contact.what.role != Role::kWorker || contact.what.endpoints.empty() ||
        !contact.what.via.empty()) {
      return;
    }
    if (contact.not_before <= now) {
      found.now.push_back(node);
    } else {
      found.some_later = true;
    }
  };
  for (const NodeId& node : idle_) consider(node);
  for (const auto& door : config_.doors) {
    if (!linked(door.node) && !dialling_.contains(door.node)) consider(door.node);
  }
  return found;
}

void Membership::look_further(Instant now, Outbox& out) {
  further_at_ = now + jittered(config_.announce_every);
  std::erase_if(further_, [this](const NodeId& node) { return !linked(node); });
  if (further_.size() >= kFurtherPeers) {
    const auto idle = std::find_if(further_.begin(), further_.end(), [&](const NodeId& node) {
      return now - links_.at(node).used >= config_.announce_every;
    });
    if (idle == further_.end()) return;
    out.act(Drop{*idle, "of no use"});
    further_.erase(idle);
  }
  const std::vector<NodeId> candidates = this->candidates(now).now;
  if (candidates.empty()) return;
  further_.push_back(candidates[rng_.below(candidates.size())]);
  dial(further_.back(), contacts_.at(further_.back()), out);
}

bool Membership::note_use(Instant now, const NodeId& node) {
  const auto it = links_.find(node);
  if (it == links_.end()) return false;
  it->second.used = now;
  return true;
}

void Membership::on_deadline(Instant now, Outbox& out) {
  if (further_at_ && *further_at_ <= now) look_further(now, out);
  if (announce_at_ && *announce_at_ <= now) dial_doors(now, out);
  if (active_at_ && *active_at_ <= now) keep_active(now, out);
}

std::optional<Instant> Membership::next_deadline() const {
  std::optional<Instant> next = announce_at_;
  for (const auto& at : {active_at_, further_at_}) {
    if (at && (!next || *at < *next)) next = at;
  }
  return next;
}

void Membership::fill(WorkerStatus& status) const {
  status.peers = static_cast<std::uint32_t>(links_.size());
  for (const auto& [node, link] : links_) {
    switch (link.path) {
      case LinkPath::kDirect:
        ++status.links_direct;
        break;
      case LinkPath::kReversed:
        ++status.links_reversed;
        break;
      case LinkPath::kPunched:
        ++status.links_punched;
        break;
      case LinkPath::kRelayed:
        ++status.links_relayed;
        break;
    }
  }
}

void Membership::check_invariants() const {
  // All links may be lost before the next contact is made, which has the rest forgotten.
  check(idle_.size() <= limits::kKnownPeers + limits::kLinksMax,
        "more peers are known than the limit allows");
  for (const auto& [node, contact] : contacts_) {
    check(idle_.contains(node) == (!contact.door && !dialling_.contains(node) && !linked(node)),
          "a peer is forgotten though it is in use, or kept though it is not");
  }
}

}  // namespace shoal
