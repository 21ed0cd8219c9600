#include "node/reach/core/dialability.h"

#include <algorithm>
#include <set>
#include <utility>

namespace shoal {
namespace {

// After the first link: a few more are about to come, and whoever dials us answers the question.
constexpr Duration kAskAfter = 2s;
constexpr Duration kAskAgain = 600s;     // routers and networks change
constexpr Duration kAskAgainSoon = 60s;  // nobody could be asked, or would try
// The dial, and the way there and back.
constexpr Duration kRound = limits::kHelloTimeout + 3s;
constexpr std::size_t kPerNode = 2;  // a minute

}  // namespace

Dialability::Dialability(std::uint16_t port, Rng rng)
    : port_(port),
      rng_(rng),
      reachability_(port == 0 ? Reachability::kUnreachable : Reachability::kUnknown),
      by_node_(kPerNode, limits::kLinksMax),
      by_address_(limits::kDialBacksPerAddress, limits::kLinksMax),
      all_(limits::kDialBacksPerMinute, 1) {}

Duration Dialability::jittered(Duration d) {
  return Duration(
      static_cast<std::int64_t>(static_cast<double>(d.count()) * (0.75 + 0.5 * rng_.unit())));
}

void Dialability::ask_soon(Instant now) {
  if (round_ends_) return;
  const Instant at = now + jittered(kAskAfter);
  if (!ask_at_ || at < *ask_at_) ask_at_ = at;
}

void Dialability::set_outer_port(Instant now, std::uint16_t port) {
  if (port_ == 0 || port == outer_port_) return;
  outer_port_ = port;
  outer_port_is_new_ = round_ends_.has_value();
  ask_soon(now);
}

// The router translates what comes from outside; neighbours dial past it.
std::uint16_t Dialability::port_for(std::string_view peer_address) const {
  const bool from_outside = scope_of(peer_address) == AddressScope::kPublic;
  return outer_port_ != 0 && from_outside ? outer_port_ : port_;
}

void Dialability::link_up(Instant now, const ReachLink& link) {
  if (port_ == 0 || link.role != Role::kWorker) return;
  const AddressScope scope = scope_of(link.address);
  const bool wider = scope > widest_;
  widest_ = std::max(widest_, scope);
  // Private addresses say nothing: the dialler may be a neighbour. On loopback all are, as long as
  // nobody from elsewhere was seen.
  const bool from_all_over =
      scope == AddressScope::kPublic || (scope == AddressScope::kLoopback && scope == widest_);
  const bool was_dialled = !link.dialled && link.path == LinkPath::kDirect;
  // Nobody was there when it was to be asked again.
  const bool is_due = !round_ends_ && !ask_at_;
  if (was_dialled && from_all_over) {
    if (reachability_ == Reachability::kUnreachable) return ask_soon(now);
    if (!round_ends_ && (is_due || reachability_ == Reachability::kUnknown)) {
      ask_at_ = now + jittered(kAskAgain);
    }
    reachability_ = Reachability::kReachable;
    return;
  }
  if (wider || is_due) ask_soon(now);
}

void Dialability::link_lost(const NodeId& node) { asked_.erase(node); }

// At random, one of each address block; a second one of the same block only where there is no
// other.
std::vector<NodeId> Dialability::whom_to_ask(const ReachLinks& links) {
  std::vector<NodeId> workers;
  for (const auto& [node, link] : links) {
    if (link.role == Role::kWorker) workers.push_back(node);
  }
  for (std::size_t i = 0; i + 1 < workers.size(); ++i) {
    std::swap(workers[i], workers[i + rng_.below(workers.size() - i)]);
  }
  std::vector<NodeId> chosen;
  std::vector<NodeId> others;
  std::set<std::string> blocks;
  for (const NodeId& node : workers) {
    const bool fresh = blocks.insert(address_block(links.at(node).address)).second;
    if (fresh && chosen.size() < limits::kDialBackPeers) {
      chosen.push_back(node);
    } else {
      others.push_back(node);
    }
  }
  if (chosen.size() == 1 && !others.empty()) chosen.push_back(others.front());
  return chosen;
}

void Dialability::ask(Instant now, const ReachLinks& links, ReachOutput& out) {
  ask_at_.reset();
  asked_.clear();
  const std::vector<NodeId> chosen = whom_to_ask(links);
  if (chosen.empty()) return;  // the next link asks for a round
  for (const NodeId& node : chosen) {
    Asked& asked = asked_[node];
    asked.nonce = rng_.next();
    out.send(node, DialBackRequest{asked.nonce, port_for(links.at(node).address)});
  }
  round_ends_ = now + kRound;
}

void Dialability::on_reply(const NodeId& from, const DialBackReply& reply) {
  const auto it = asked_.find(from);
  if (it == asked_.end() || it->second.nonce != reply.nonce) return;
  it->second.accepted = reply.accepted;
  it->second.observed = reply.observed_address;
}

void Dialability::on_probed(Instant now, const Probed& probed) {
  bool all = true;
  for (auto& [node, asked] : asked_) {
    if (asked.nonce == probed.nonce) asked.arrived = true;
    all = all && asked.arrived;
  }
  if (all && round_ends_) conclude(now);
}

void Dialability::conclude(Instant now) {
  round_ends_.reset();
  std::map<std::string, bool> addresses;  // -> whether somebody came through there
  for (const auto& [node, asked] : std::exchange(asked_, {})) {
    if (asked.accepted) addresses[asked.observed] |= asked.arrived;
  }
  if (std::exchange(outer_port_is_new_, false)) return ask_soon(now);
  if (addresses.empty()) {
    ask_at_ = now + jittered(kAskAgainSoon);
    return;
  }
  const bool everywhere =
      std::all_of(addresses.begin(), addresses.end(), [](const auto& a) { return a.second; });
  reachability_ = everywhere ? Reachability::kReachable : Reachability::kUnreachable;
  ask_at_ = now + jittered(kAskAgain);
}

void Dialability::on_request(Instant now, const NodeId& from, const ReachLink& link,
                             const DialBackRequest& request, ReachOutput& out) {
  DialBackReply reply{.nonce = request.nonce, .accepted = false, .observed_address = link.address};
  reply.accepted = request.port != 0 && scope_of(link.address) != AddressScope::kNone &&
                   by_node_.take(now, to_hex(from)) && by_address_.take(now, link.address) &&
                   all_.take(now, "");
  out.send(from, reply);
  if (!reply.accepted) return;
  out.actions.emplace_back(Probe{from, join_endpoint({link.address, request.port}), request.nonce});
}

void Dialability::on_deadline(Instant now, const ReachLinks& links, ReachOutput& out) {
  if (round_ends_ && *round_ends_ <= now) conclude(now);
  if (ask_at_ && *ask_at_ <= now) ask(now, links, out);
}

std::optional<Instant> Dialability::next_deadline() const {
  if (!round_ends_) return ask_at_;
  if (!ask_at_) return round_ends_;
  return std::min(*round_ends_, *ask_at_);
}

void Dialability::check_invariants() const {
  check(asked_.size() <= limits::kDialBackPeers, "too many are asked to dial back at once");
  check(port_ != 0 || reachability_ == Reachability::kUnreachable,
        "a node that does not listen cannot be dialled");
  check(by_node_.size() <= limits::kLinksMax && by_address_.size() <= limits::kLinksMax,
        "a quota knows too many names");
}

}  // namespace shoal
