#include "tests/sim/network.h"

#include <algorithm>
#include <utility>

#include "tests/sim/chance.h"
#include "tests/sim/mix.h"

namespace shoal::sim {
namespace {

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

}  // namespace

Network::Network(NetworkOptions options, NetworkHost& host, Rng rng, std::uint64_t seed)
    : options_(options), host_(host), rng_(rng), seed_(seed) {}

void Network::add_node(NodeIndex node, std::string endpoint) {
  if (nodes_.size() <= node) nodes_.resize(node + 1);
  if (!endpoint.empty()) endpoints_[endpoint] = node;
  nodes_[node].endpoint = std::move(endpoint);
}

void Network::set_alive(NodeIndex node, bool alive) { nodes_[node].alive = alive; }

Duration Network::latency(NodeIndex a, NodeIndex b) const {
  const std::uint64_t pair = (std::uint64_t{std::min(a, b)} << 32) | std::max(a, b);
  const double share = static_cast<double>(splitmix(seed_ ^ splitmix(pair)) >> 11) * 0x1.0p-53;
  const auto span = static_cast<double>((options_.latency_max - options_.latency_min).count());
  const Duration even = options_.latency_min + Duration(static_cast<std::int64_t>(span * share));
  if (options_.latency_sigma == 0) return even;
  Rng own(splitmix(seed_ ^ pair));
  const double factor = log_normal(own, options_.latency_sigma);
  // Where a handshake takes longer than the transport waits for it there is no link at all, and a
  // node that has no other never does anything: not a pool to learn from.
  constexpr Duration kSlowest = limits::kHelloTimeout / 5;
  return std::min(kSlowest,
                  Duration(static_cast<std::int64_t>(static_cast<double>(even.count()) * factor)));
}

Time Network::arrival(Link& link, std::uint8_t side, std::size_t bytes) {
  const Duration base = latency(link.node[0], link.node[1]);
  const double jitter = static_cast<double>(base.count()) * options_.jitter * rng_.unit();
  Time at = host_.now() + base.count() + static_cast<std::int64_t>(jitter);
  if (options_.loss > 0 && rng_.chance(options_.loss)) at += options_.retransmit.count();
  at = std::max(at, link.arrived[side]);
  if (options_.bytes_per_second != 0) {
    at += static_cast<Time>(bytes * 1'000'000'000ULL / options_.bytes_per_second);
  }
  link.arrived[side] = at;
  return at;
}

void Network::dial(NodeIndex from, const Dial& order) {
  NodeState& dialler = nodes_[from];
  if (dialler.dials.contains(order.peer)) return;
  const auto number = static_cast<std::uint32_t>(dials_.size());
  DialState state;
  state.from = from;
  state.wanted = order.peer;
  const auto found = endpoints_.find(order.endpoint);
  if (found != endpoints_.end()) state.to = found->second;
  if (state.to && dialler.links.contains(*state.to)) return;  // one link is enough
  dials_.push_back(state);
  const bool full_here = full(from);
  dialler.dials[order.peer] = number;
  if (full_here) {
    ++turned_away_;
    fail_dial(number, Duration{}, "too many links");
  } else if (!state.to || *state.to == from) {
    fail_dial(number, options_.latency_min, "nobody listens at " + order.endpoint, true);
  } else if (!reachable(from, *state.to)) {
    fail_dial(number, limits::kHelloTimeout, "no answer from " + order.endpoint);
  } else {
    // TCP, CURVE and Hello: one and a half round trips until the dialled side has seen all of it.
    host_.schedule(host_.now() + 3 * latency(from, *state.to).count(), Connecting{number});
  }
}

void Network::probe(NodeIndex from, const Probe& order) {
  const auto found = endpoints_.find(order.endpoint);
  if (found == endpoints_.end() || found->second == from) return;
  const NodeIndex to = found->second;
  if (!reachable(from, to) || host_.id_of(to) != order.peer) return;
  host_.schedule(host_.now() + 3 * latency(from, to).count(), Probing{from, to, order});
}

void Network::fail_dial(std::uint32_t dial, Duration after, std::string why, bool nobody_listens) {
  host_.schedule(host_.now() + after.count(), DialFailed{dial, std::move(why), nobody_listens});
}

void Network::connect(std::uint32_t number) {
  DialState& dial = dials_[number];
  if (!dial.open) return;
  const NodeIndex from = dial.from;
  const NodeIndex to = *dial.to;
  if (!reachable(from, to)) return fail_dial(number, limits::kHelloTimeout, "no answer");
  const Duration back = latency(from, to);
  if (!nodes_[to].alive) return fail_dial(number, back, "connection refused", true);
  if (host_.id_of(to) != dial.wanted) return fail_dial(number, back, "another node answered");
  if (host_.hello_of(from).pool != host_.hello_of(to).pool) {
    return fail_dial(number, back, "the node belongs to another pool");
  }
  if (full(to) && !nodes_[to].links.contains(from)) {
    ++turned_away_;
    return fail_dial(number, back, "refused: too many links");
  }
  dial.open = false;
  nodes_[from].dials.erase(dial.wanted);
  // Both dialled at once: the other dial has won. It has told both, or is about to.
  if (nodes_[from].links.contains(to)) return;
  if (const auto stale = nodes_[to].links.find(from); stale != nodes_[to].links.end()) {
    const Link& old = links_[stale->second];
    if (!old.closing && !old.dead()) return;
    close_side(stale->second, old.node[0] == to ? 0 : 1, "replaced by a new link");
  }
  const auto link = static_cast<std::uint32_t>(links_.size());
  Link fresh;
  fresh.node[0] = from;
  fresh.node[1] = to;
  fresh.arrived[0] = host_.now() + back.count();
  fresh.arrived[1] = host_.now();
  links_.push_back(fresh);
  nodes_[from].links[to] = link;
  nodes_[to].links[from] = link;
  for (const NodeIndex end : {from, to}) {
    nodes_[end].links_most = std::max(nodes_[end].links_most, nodes_[end].links.size());
  }
  host_.schedule(fresh.arrived[0], SideUp{link, 0});
  side_up({link, 1});
}

void Network::handle(NetEvent event) {
  std::visit(
      Overloaded{
          [&](Connecting& e) { connect(e.dial); },
          [&](DialFailed& e) {
            DialState& dial = dials_[e.dial];
            if (!dial.open) return;
            dial.open = false;
            nodes_[dial.from].dials.erase(dial.wanted);
            // The other side's dial came through meanwhile: there is a link after all.
            const auto& links = nodes_[dial.from].links;
            if (std::any_of(links.begin(), links.end(), [&](const auto& link) {
                  return host_.id_of(link.first) == dial.wanted;
                })) {
              return;
            }
            host_.deliver(dial.from, LinkLost{dial.wanted, std::move(e.why), e.nobody_listens});
          },
          [&](SideUp& e) { side_up(e); },
          [&](SideLost& e) { close_side(e.link, e.side, e.why); },
          [&](Arriving& e) { arrive(std::move(e)); },
          [&](Departed& e) {
            const Link& link = links_[e.link];
            if (link.side[e.side] != Side::kUp) return;
            host_.deliver(link.node[e.side], BulkSent{host_.id_of(link.node[1 - e.side])});
          },
          [&](Probing& e) {
            if (!reachable(e.from, e.to) || !nodes_[e.to].alive) return;
            host_.deliver(e.to, Probed{e.probe.nonce});
          },
          [&](Dropped& e) { host_.deliver(e.node, std::move(e.lost)); },
      },
      event);
}

void Network::side_up(const SideUp& up) {
  Link& link = links_[up.link];
  if (link.deaf[up.side] || link.side[up.side] != Side::kComing) return;
  link.side[up.side] = Side::kUp;
  const NodeIndex self = link.node[up.side];
  const NodeIndex peer = link.node[1 - up.side];
  ++nodes_[self].link_ups;
  Hello hello = host_.hello_of(peer);
  LinkUp event{host_.id_of(peer), hello.role, host_.address_of(peer), std::move(hello.record)};
  if (event.peer != hello.node) event.session_of = hello.node;
  host_.deliver(self, std::move(event));
}

void Network::close_side(std::uint32_t number, std::uint8_t side, const std::string& why) {
  Link& link = links_[number];
  link.closing = true;
  if (link.side[side] == Side::kGone) return;
  link.side[side] = Side::kGone;
  const NodeIndex self = link.node[side];
  const NodeIndex peer = link.node[1 - side];
  const auto found = nodes_[self].links.find(peer);
  if (found != nodes_[self].links.end() && found->second == number) {
    nodes_[self].links.erase(found);
  }
  host_.deliver(self, LinkLost{host_.id_of(peer), why});
}

void Network::lose_side(std::uint32_t number, std::uint8_t side, Duration after,
                        const std::string& why) {
  Link& link = links_[number];
  link.closing = true;
  const Time at = std::max(host_.now() + after.count(), link.arrived[side]);
  link.arrived[side] = at;
  host_.schedule(at, SideLost{number, side, why});
}

void Network::send(NodeIndex from, NodeIndex to, Bytes bytes, bool bulk) {
  largest_message_ = std::max(largest_message_, bytes.size());
  const auto found = nodes_[from].links.find(to);
  if (found == nodes_[from].links.end()) return;
  const std::uint32_t number = found->second;
  Link& link = links_[number];
  const std::uint8_t side = link.node[0] == to ? 0 : 1;
  if (link.side[1 - side] != Side::kUp) return;
  ++total_.messages;
  total_.bytes += bytes.size();
  ++nodes_[from].sent.messages;
  nodes_[from].sent.bytes += bytes.size();
  if (bulk) host_.schedule(host_.now(), Departed{number, static_cast<std::uint8_t>(1 - side)});
  if (link.closing || link.deaf[side]) return;
  const bool breaks = options_.breaks > 0 && rng_.chance(options_.breaks);
  const bool arrives = !breaks || rng_.chance(0.5);
  if (arrives) {
    const Time at = arrival(link, side, bytes.size());
    host_.schedule(at, Arriving{number, side, std::move(bytes)});
  }
  if (breaks) break_link(from, to);
}

void Network::arrive(Arriving arriving) {
  Link& link = links_[arriving.link];
  const NodeIndex self = link.node[arriving.side];
  if (link.deaf[arriving.side] || link.side[arriving.side] != Side::kUp) return;
  ++nodes_[self].received.messages;
  nodes_[self].received.bytes += arriving.bytes.size();
  host_.deliver(self,
                Received{host_.id_of(link.node[1 - arriving.side]), std::move(arriving.bytes)});
}

void Network::drop(NodeIndex from, const Drop& order) {
  NodeState& self = nodes_[from];
  if (const auto dial = self.dials.find(order.peer); dial != self.dials.end()) {
    dials_[dial->second].open = false;
    self.dials.erase(dial);
    host_.schedule(host_.now(), Dropped{from, {order.peer, order.why}});
    return;
  }
  const auto to = host_.index_of(order.peer);
  if (!to) return;
  const auto found = self.links.find(*to);
  if (found == self.links.end()) return;
  const std::uint32_t number = found->second;
  const std::uint8_t side = links_[number].node[0] == from ? 0 : 1;
  // What was sent before still arrives, then the other side hears of the end.
  lose_side(number, 1 - side, latency(from, *to), "the peer left");
  links_[number].side[side] = Side::kGone;
  self.links.erase(found);
  host_.schedule(host_.now(), Dropped{from, {order.peer, order.why}});
}

void Network::break_link(NodeIndex a, NodeIndex b) {
  const auto found = nodes_[a].links.find(b);
  if (found == nodes_[a].links.end() || links_[found->second].closing) return;
  const Duration half = latency(a, b);
  for (const std::uint8_t side : {0, 1}) {
    lose_side(found->second, side, half * static_cast<int>(1 + rng_.below(8)), "connection reset");
  }
}

void Network::crash(NodeIndex node, bool machine_too) {
  NodeState& self = nodes_[node];
  self.alive = false;
  for (const auto& [wanted, dial] : self.dials) dials_[dial].open = false;
  self.dials.clear();
  for (const auto& [peer, number] : self.links) {
    Link& link = links_[number];
    const std::uint8_t side = link.node[0] == node ? 0 : 1;
    link.side[side] = Side::kGone;
    if (machine_too) link.die();
    const Duration notice = machine_too ? options_.silence : latency(node, peer);
    lose_side(number, 1 - side, notice, machine_too ? "no sign of life" : "connection closed");
  }
  self.links.clear();
}

void Network::partition(const std::vector<NodeIndex>& apart) {
  const std::uint32_t part = parts_++;
  for (const NodeIndex node : apart) nodes_[node].part = part;
  cut_links();
}

void Network::partition_one_way(const std::vector<NodeIndex>& mute) {
  const std::uint32_t part = parts_++;
  for (const NodeIndex node : mute) nodes_[node].mute = part;
  cut_links();
}

// Whoever hears nothing gives the link up; where it can still be heard itself, the other side
// learns of that, else it finds out in the same way.
void Network::cut_links() {
  for (std::uint32_t number = 0; number < links_.size(); ++number) {
    Link& link = links_[number];
    if (link.dead() || reachable(link.node[0], link.node[1])) continue;
    for (const std::uint8_t side : {0, 1}) {
      if (!hears(link.node[side], link.node[1 - side])) link.deaf[side] = true;
    }
    for (const std::uint8_t side : {0, 1}) {
      if (link.side[side] == Side::kGone) continue;
      Duration after = options_.silence;
      if (!link.deaf[side]) after += latency(link.node[0], link.node[1]);
      // Not lose_side(): until then, what the deaf side says still arrives.
      host_.schedule(host_.now() + after.count(), SideLost{number, side, "no sign of life"});
    }
  }
}

void Network::heal() {
  for (NodeState& node : nodes_) node.part = node.mute = 0;
}

void Network::set_loss(double loss, double breaks) {
  options_.loss = loss;
  options_.breaks = breaks;
}

bool Network::linked(NodeIndex a, NodeIndex b) const {
  const auto found = nodes_[a].links.find(b);
  if (found == nodes_[a].links.end()) return false;
  const Link& link = links_[found->second];
  return link.side[0] == Side::kUp && link.side[1] == Side::kUp && !link.deaf[0] && !link.deaf[1];
}

std::vector<NodeIndex> Network::neighbours(NodeIndex node) const {
  std::vector<NodeIndex> result;
  for (const auto& [peer, link] : nodes_[node].links) {
    if (linked(node, peer)) result.push_back(peer);
  }
  return result;
}

}  // namespace shoal::sim
