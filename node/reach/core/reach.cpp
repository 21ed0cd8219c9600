#include "node/reach/core/reach.h"

#include <algorithm>

#include "node/protocol/address.h"

namespace shoal {
namespace {

constexpr Duration kPutOff = 1s;  // until the owner of a dial that was not made is told

}  // namespace

Reach::Reach(ReachConfig config, const Signer& signer, Rng rng)
    : config_(std::move(config)),
      self_(peer_name(config_.hello.role, signer.id(), config_.hello.session)),
      dialability_(config_.port, rng.fork()),
      own_relays_(rng.fork()),
      circuits_(config_.hello, signer, rng.fork()),
      introductions_(limits::kIntroductionsPerMinute, limits::kLinksMax) {}

// --- what the transport tells ---

void Reach::on(Instant now, LinkUp up) {
  const NodeId peer = up.peer;
  const bool awaited = awaited_.erase(peer) > 0;
  if (!awaited && !dials_.contains(peer) && !config_.takes_calls) {
    out_.actions.emplace_back(Drop{peer, "nobody was asked to dial"});
    return;
  }
  ReachLink link{.role = up.role, .address = up.address, .node = up.node()};
  if (const auto dial = dials_.extract(peer)) {
    link.dialled = true;
    link.endpoint = dial.mapped().endpoint;
    if (!dial.mapped().reversal && dial.mapped().punch_from == 0) {
      dial_limit_.answered(peer, link.endpoint, link.address);
    }
    if (dial.mapped().reversal) link.path = LinkPath::kReversed;
  }
  if (awaited && !link.dialled) {
    link.path = LinkPath::kReversed;
    reversals_fail_ = false;
  }
  if (up.path == LinkPath::kPunched) link.path = up.path;  // the transport knows
  attempts_.erase(peer);
  put_off_.erase(peer);
  circuits_.end(peer, "a connection takes its place", out_);
  up.path = link.path;
  links_[peer] = link;
  out_.events.emplace_back(std::move(up));
  if (config_.asks_to_be_dialled) dialability_.link_up(now, link);
  relay_is_up(now, peer);
  settle_circuits(now);
  update_relays(now);
}

void Reach::on(Instant now, LinkLost lost) {
  const auto dial = dials_.find(lost.peer);
  if (!links_.contains(lost.peer) && dial != dials_.end() && dial->second.replaced > 0) {
    --dial->second.replaced;
    return;
  }
  const bool of_owner =
      links_.contains(lost.peer) || dial == dials_.end() || dial->second.for_owner;
  if (of_owner) out_.events.push_back(lost);
  forget(now, lost.peer, lost.why);
}

void Reach::forget(Instant now, const NodeId& peer, const std::string& why) {
  links_.erase(peer);
  dials_.erase(peer);
  dialability_.link_lost(peer);
  own_relays_.link_lost(peer);
  relay_.link_lost(peer, out_);
  circuits_.relay_lost(peer, out_);
  relay_is_gone(now, peer, why);
  settle_circuits(now);
  update_relays(now);
}

void Reach::on(Instant now, const Probed& probed) {
  dialability_.on_probed(now, probed);
  update_relays(now);
}

// --- what the owner does ---

void Reach::start_dial(const NodeId& peer, OpenDial dial) {
  out_.actions.emplace_back(Dial{peer, dial.endpoint, {}, dial.punch_from, dial.session_of});
  dials_[peer] = std::move(dial);
}

bool Reach::may_dial(Instant now, const NodeId& peer, const std::string& endpoint) {
  return config_.doors.contains(peer) || dial_limit_.may_dial(now, peer, endpoint);
}

// A dial that is not made fails like one that nobody answers, and not at once: an owner that dials
// again when it hears of that would be at it for ever.
void Reach::put_off(Instant now, const NodeId& peer, std::string why) {
  put_off_.emplace(peer, PutOff{now + kPutOff, std::move(why)});
}

void Reach::tell_put_off(Instant now) {
  for (auto it = put_off_.begin(); it != put_off_.end();) {
    const auto& [peer, off] = *it;
    const bool up = links_.contains(peer) || circuits_.up(peer);
    if (!up && off.until > now) {
      ++it;
      continue;
    }
    if (!up) out_.events.emplace_back(LinkLost{peer, off.why});
    it = put_off_.erase(it);
  }
}

void Reach::perform(Instant now, Dial dial) {
  if (links_.contains(dial.peer) || circuits_.up(dial.peer) || attempts_.contains(dial.peer)) {
    return;  // LinkUp was told already, or is to come
  }
  if (const auto open = dials_.find(dial.peer); open != dials_.end()) {
    open->second.for_owner = true;
    return;
  }
  if (put_off_.contains(dial.peer)) return;  // LinkLost is to come
  if (!dial.endpoint.empty()) {
    if (!may_dial(now, dial.peer, dial.endpoint)) {
      return put_off(now, dial.peer, "too many dials of that address were in vain");
    }
    return start_dial(
        dial.peer,
        {.endpoint = std::move(dial.endpoint), .for_owner = true, .session_of = dial.session_of});
  }
  std::erase_if(dial.via,
                [&](const Via& via) { return via.node == self_ || via.node == dial.peer; });
  // A relay that is linked costs no dial.
  std::stable_partition(dial.via.begin(), dial.via.end(),
                        [&](const Via& via) { return links_.contains(via.node); });
  if (attempts_.size() >= limits::kReachAttempts) {
    return put_off(now, dial.peer, "too many links are being arranged");
  }
  attempts_[dial.peer].via = std::move(dial.via);
  try_next_relay(now, dial.peer);
  settle_circuits(now);
}

void Reach::perform(Instant, Send send) {
  if (!links_.contains(send.peer)) return circuits_.send(send, out_);
  out_.actions.emplace_back(std::move(send));
}

void Reach::perform(Instant now, const Drop& drop) {
  const bool arranged = attempts_.erase(drop.peer) + put_off_.erase(drop.peer) > 0;
  awaited_.erase(drop.peer);
  const bool relayed = circuits_.up(drop.peer);
  circuits_.end(drop.peer, drop.why, out_);
  settle_circuits(now);
  if (relayed) return;
  if (arranged && !dials_.contains(drop.peer)) {
    out_.events.emplace_back(LinkLost{drop.peer, drop.why});
    return;
  }
  out_.actions.emplace_back(drop);
  // The owner may dial again at once, before the transport has told of the end.
  forget(now, drop.peer, drop.why);
}

// --- time ---

void Reach::on_deadline(Instant now) {
  dialability_.on_deadline(now, links_, out_);
  relay_.on_deadline(now, out_);
  circuits_.on_deadline(now, out_);
  std::erase_if(awaited_, [&](const auto& awaited) { return awaited.second <= now; });
  attempt_deadlines(now);
  tell_put_off(now);
  settle_circuits(now);
  update_relays(now);
}

std::optional<Instant> Reach::next_deadline() const {
  std::optional<Instant> next;
  const auto consider = [&](std::optional<Instant> at) {
    if (at && (!next || *at < *next)) next = at;
  };
  consider(dialability_.next_deadline());
  consider(own_relays_.next_deadline());
  consider(relay_.next_deadline());
  consider(circuits_.next_deadline());
  for (const auto& [peer, attempt] : attempts_) consider(attempt.deadline);
  for (const auto& [peer, until] : awaited_) consider(until);
  for (const auto& [peer, off] : put_off_) consider(off.until);
  return next;
}

void Reach::update_relays(Instant now) {
  if (!config_.asks_to_be_dialled) return;
  const bool needed = reachability() == Reachability::kUnreachable;
  if (reachability() != told_) {
    told_ = reachability();
    out_.actions.emplace_back(
        Tell{LogLevel::kInfo, needed ? "others cannot dial this node: it looks for relays"
                                     : "others can dial this node"});
  }
  own_relays_.update(now, needed, links_, out_);
}

// --- the conversation; nothing of it is heard over a circuit ---

void Reach::heard(Instant now, const NodeId& from, const DialBackRequest& m) {
  const auto link = links_.find(from);
  if (link != links_.end()) dialability_.on_request(now, from, link->second, m, out_);
}

void Reach::heard(Instant, const NodeId& from, const DialBackReply& m) {
  if (links_.contains(from)) dialability_.on_reply(from, m);
}

void Reach::heard(Instant, const NodeId& from, const Reserve& m) {
  const bool willing = config_.relays && reachability() == Reachability::kReachable;
  if (links_.contains(from)) relay_.on(from, m, willing, out_);
}

void Reach::heard(Instant now, const NodeId& from, const Reserved& m) {
  own_relays_.on_reserved(from, m, links_);
  update_relays(now);
}

void Reach::heard(Instant now, const NodeId& from, const Reverse& m) {
  if (!links_.contains(from)) return;
  if (m.to != self_) return relay_.on(now, from, links_, m, out_);
  if (!own_relays_.has(from) || !may_be_told_to_dial(m.address, from)) return;
  if (m.port == 0 || m.from == self_) return;
  if (links_.contains(m.from) || dials_.contains(m.from)) return;
  if (!introductions_.take(now, to_hex(from))) return;
  start_dial(m.from, {.endpoint = join_endpoint({m.address, m.port}),
                      .reversal = true,
                      .session_of = session_of(m.node)});
}

bool Reach::may_be_told_to_dial(const std::string& address, const NodeId& relay) const {
  const AddressScope scope = scope_of(address);
  const auto link = links_.find(relay);
  return scope != AddressScope::kNone && link != links_.end() &&
         scope >= scope_of(link->second.address);
}

void Reach::heard(Instant now, const NodeId& from, const CircuitOpen& m) {
  if (!links_.contains(from)) return;
  if (m.to != self_) return relay_.on(now, from, links_, m, out_);
  if (m.from == self_ || m.from == from) return;
  std::string refusal;
  if (links_.contains(m.from)) refusal = "there is a link";
  if (!own_relays_.has(from)) refusal = "that relay is none of this node's";
  if (!introductions_.take(now, to_hex(from))) refusal = "it is asked too often";
  circuits_.on(now, from, m, std::move(refusal), out_);
  settle_circuits(now);
}

void Reach::heard(Instant now, const NodeId& from, const CircuitAnswer& m) {
  if (!links_.contains(from)) return;
  if (m.to != self_) return relay_.on(now, from, links_, m, out_);
  circuits_.on(now, from, m, out_);
  settle_circuits(now);
}

void Reach::heard(Instant now, const NodeId& from, const CircuitData& m) {
  if (!links_.contains(from)) return;
  if (m.to != self_) return relay_.on(from, m, out_);
  circuits_.on(now, from, m, out_);
  settle_circuits(now);
}

void Reach::heard(Instant now, const NodeId& from, const CircuitEnd& m) {
  if (!links_.contains(from)) return;
  if (m.to != self_) return relay_.on(from, m, out_);
  circuits_.on(from, m, out_);
  settle_circuits(now);
}

// --- what is to be seen ---

std::optional<LinkPath> Reach::path_of(const NodeId& peer) const {
  if (const auto link = links_.find(peer); link != links_.end()) return link->second.path;
  if (circuits_.up(peer)) return LinkPath::kRelayed;
  return std::nullopt;
}

void Reach::check_invariants() const {
  dialability_.check_invariants();
  relay_.check_invariants();
  circuits_.check_invariants();
  check(own_relays_.via().size() <= limits::kVia, "too many relays");
  for (const Via& via : own_relays_.via()) {
    check(links_.contains(via.node), "a relay that is not linked");
  }
  check(attempts_.size() <= limits::kReachAttempts, "too many links are being arranged");
  for (const auto& [peer, attempt] : attempts_) {
    check(!links_.contains(peer) && !circuits_.up(peer), "what is there is being arranged");
  }
  check(awaited_.size() <= limits::kReachAttempts, "too many are asked to dial");
  for (const auto& [peer, link] : links_) {
    check(!circuits_.up(peer), "a circuit beside a connection");
  }
}

}  // namespace shoal
