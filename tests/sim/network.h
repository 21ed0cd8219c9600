#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "node/protocol/limits.h"
#include "node/protocol/messages.h"
#include "node/protocol/rng.h"
#include "node/protocol/time.h"
#include "node/protocol/transport.h"
#include "tests/sim/event_queue.h"

// The simulated network. It keeps the contract of node/protocol/transport.h: one link between two
// nodes, messages on it in order or the link is lost, LinkLost for every dial that fails. What TCP
// hides is not shown either: a lost packet is a delay. What TCP cannot hide is: a link that breaks
// loses what was under way, or delivers it and leaves the sender in doubt, so that it says it
// again.
namespace shoal::sim {

using NodeIndex = std::uint32_t;

struct NetworkOptions {
  Duration latency_min = 5ms;  // one way; each pair has its own, fixed
  Duration latency_max = 40ms;
  double latency_sigma = 0;  // above 0: times a log-normal factor of median 1, again a pair's own
  double jitter = 0.2;       // at most this share of the latency on top, a message
  double loss = 0;           // chance that a message is held up as by a lost packet
  double breaks = 0;         // chance that a message takes its link down
  Duration retransmit = 200ms;
  Duration silence = 20s;              // until a link that carries nothing any more is given up
  std::uint64_t bytes_per_second = 0;  // of each direction of a link; 0: no limit
  std::size_t links_max = limits::kLinksMax;  // of a node: the next one is turned away
};

// What is under way. Handed to the host's queue, and back when its time has come.
struct Connecting {
  std::uint32_t dial = 0;
};
struct DialFailed {
  std::uint32_t dial = 0;
  std::string why;
  bool nobody_listens = false;
};
struct SideUp {
  std::uint32_t link = 0;
  std::uint8_t side = 0;
};
struct SideLost {
  std::uint32_t link = 0;
  std::uint8_t side = 0;
  std::string why;
};
struct Arriving {
  std::uint32_t link = 0;
  std::uint8_t side = 0;
  Bytes bytes;
};
struct Departed {  // bulk, of that side
  std::uint32_t link = 0;
  std::uint8_t side = 0;
};
struct Probing {  // a connection that says one number
  NodeIndex from = 0;
  NodeIndex to = 0;
  Probe probe;
};
struct Dropped {  // to the node that dropped the link itself
  NodeIndex node = 0;
  LinkLost lost;
};
using NetEvent =
    std::variant<Connecting, DialFailed, SideUp, SideLost, Arriving, Departed, Probing, Dropped>;

struct Traffic {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
};

// The world, as the network sees it.
class NetworkHost {
 public:
  virtual ~NetworkHost() = default;
  virtual Time now() const = 0;
  virtual void schedule(Time at, NetEvent) = 0;
  virtual Hello hello_of(NodeIndex) = 0;
  virtual NodeId id_of(NodeIndex) const = 0;
  virtual std::optional<NodeIndex> index_of(const NodeId&) const = 0;
  virtual std::string address_of(NodeIndex) const = 0;
  virtual void deliver(NodeIndex, LinkUp) = 0;
  virtual void deliver(NodeIndex, LinkLost) = 0;
  virtual void deliver(NodeIndex, Received) = 0;
  virtual void deliver(NodeIndex, BulkSent) = 0;
  virtual void deliver(NodeIndex, Probed) = 0;
};

class Network {
 public:
  Network(NetworkOptions, NetworkHost&, Rng, std::uint64_t seed);

  void add_node(NodeIndex, std::string endpoint);  // endpoint empty: cannot be dialled
  void set_alive(NodeIndex, bool alive);
  // The node's process ends. Its machine too: peers notice only by the silence.
  void crash(NodeIndex, bool machine_too);

  void dial(NodeIndex from, const Dial&);
  void probe(NodeIndex from, const Probe&);
  void send(NodeIndex from, NodeIndex to, Bytes bytes, bool bulk);
  void drop(NodeIndex from, const Drop&);
  void handle(NetEvent);

  // Nodes of different parts cannot reach each other until heal().
  void partition(const std::vector<NodeIndex>& apart);
  // Until heal(), nobody else hears the nodes of `mute`, who still hear the others: nothing can be
  // dialled across, and a link delivers one way until the deaf side gives it up for silence.
  void partition_one_way(const std::vector<NodeIndex>& mute);
  void heal();
  // The link of two nodes breaks, as by a reset; they may dial again at once.
  void break_link(NodeIndex a, NodeIndex b);
  void set_loss(double loss, double breaks);

  bool linked(NodeIndex a, NodeIndex b) const;
  std::vector<NodeIndex> neighbours(NodeIndex) const;
  std::size_t links_of(NodeIndex node) const { return nodes_[node].links.size(); }
  const Traffic& sent_by(NodeIndex node) const { return nodes_[node].sent; }
  const Traffic& received_by(NodeIndex node) const { return nodes_[node].received; }
  std::uint64_t link_ups_of(NodeIndex node) const { return nodes_[node].link_ups; }
  std::size_t links_most_of(NodeIndex node) const { return nodes_[node].links_most; }
  std::uint64_t turned_away() const { return turned_away_; }  // dials, for want of room
  const Traffic& total() const { return total_; }
  std::size_t largest_message() const { return largest_message_; }

 private:
  enum class Side : std::uint8_t { kComing, kUp, kGone };  // what a side has been told
  struct Link {
    NodeIndex node[2] = {0, 0};  // 0 has dialled
    Side side[2] = {Side::kComing, Side::kComing};
    Time arrived[2] = {0, 0};       // when the last message or event towards that side arrives
    bool closing = false;           // takes no new messages
    bool deaf[2] = {false, false};  // nothing is delivered to that side any more
    bool dead() const { return deaf[0] && deaf[1]; }
    void die() { deaf[0] = deaf[1] = true; }
  };
  struct DialState {
    NodeIndex from = 0;
    NodeId wanted;
    std::optional<NodeIndex> to;
    bool open = true;
  };
  struct NodeState {
    bool alive = false;
    std::uint32_t part = 0;
    std::uint32_t mute = 0;  // above 0: heard by nodes with the same number alone
    std::string endpoint;
    std::map<NodeIndex, std::uint32_t> links;  // peer -> link, where this side is not gone
    std::map<NodeId, std::uint32_t> dials;     // wanted -> dial that is open
    Traffic sent, received;
    std::uint64_t link_ups = 0;
    std::size_t links_most = 0;  // at one moment
  };
  Duration latency(NodeIndex a, NodeIndex b) const;
  Time arrival(Link& link, std::uint8_t side, std::size_t bytes);
  bool hears(NodeIndex listener, NodeIndex speaker) const {
    const NodeState& from = nodes_[speaker];
    return nodes_[listener].part == from.part &&
           (from.mute == 0 || from.mute == nodes_[listener].mute);
  }
  bool reachable(NodeIndex a, NodeIndex b) const { return hears(a, b) && hears(b, a); }
  void cut_links();
  bool full(NodeIndex node) const {
    return nodes_[node].links.size() + nodes_[node].dials.size() >= options_.links_max;
  }
  void connect(std::uint32_t dial);
  void fail_dial(std::uint32_t dial, Duration after, std::string why, bool nobody_listens = false);
  void close_side(std::uint32_t link, std::uint8_t side, const std::string& why);
  void lose_side(std::uint32_t link, std::uint8_t side, Duration after, const std::string& why);
  void side_up(const SideUp&);
  void arrive(Arriving);

  NetworkOptions options_;
  NetworkHost& host_;
  Rng rng_;
  std::uint64_t seed_;
  std::vector<NodeState> nodes_;
  std::vector<Link> links_;
  std::vector<DialState> dials_;
  std::map<std::string, NodeIndex> endpoints_;
  std::uint32_t parts_ = 1;
  Traffic total_;
  std::size_t largest_message_ = 0;
  std::uint64_t turned_away_ = 0;
};

}  // namespace shoal::sim
