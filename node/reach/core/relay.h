#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "node/protocol/limits.h"
#include "node/reach/core/quota.h"
#include "node/reach/core/reach_output.h"

namespace shoal {

// What this node does for others that cannot be dialled: it passes on who wants to talk to them,
// and carries what they say, sealed.
//
// Rules. Only to a node that has reserved, over the link on which it did, for as long as that link
// lasts. Only in the name of the node at the other end of the link. A pair of nodes has one circuit
// here at most. A circuit ends after limits::kCircuitTime, or once one side has said
// limits::kCircuitBytes: relaying is a favour, and content has other ways.
//
// What an attacker could try: talk to a node that did not ask for it (refused), use a relay for
// bulk (cut), fill its tables (128 reservations, 16 circuits a node, answers within 10 s), or send
// a node introductions without end (60 a minute from each).
class Relay {
 public:
  Relay();

  // `willing`: this node can be dialled, and lends itself.
  void on(const NodeId& sender, const Reserve&, bool willing, ReachOutput&);
  void on(Instant now, const NodeId& sender, const ReachLinks&, Reverse, ReachOutput&);
  void on(Instant now, const NodeId& sender, const ReachLinks&, CircuitOpen, ReachOutput&);
  void on(Instant now, const NodeId& sender, const ReachLinks&, CircuitAnswer, ReachOutput&);
  void on(const NodeId& sender, const CircuitData&, ReachOutput&);
  void on(const NodeId& sender, const CircuitEnd&, ReachOutput&);
  void link_lost(const NodeId&, ReachOutput&);
  void on_deadline(Instant now, ReachOutput&);
  std::optional<Instant> next_deadline() const;

  std::size_t reservations() const { return reserved_.size(); }
  std::size_t circuits() const { return circuits_.size(); }
  void check_invariants() const;

 private:
  using Pair = std::pair<NodeId, NodeId>;  // the lesser id first
  struct Circuit {
    NodeId opener;
    NodeId opener_node;  // its key, which may have several sessions: limits are by key
    bool answered = false;
    Instant ends;
    std::size_t bytes_first = 0;  // that the first of the pair has said
    std::size_t bytes_second = 0;
  };
  static Pair pair_of(const NodeId& a, const NodeId& b) { return a < b ? Pair{a, b} : Pair{b, a}; }
  // Why `from` may not be introduced to `to`; empty: it may.
  std::string refusal(Instant now, const NodeId& from_node, const NodeId& to);
  void end(const Pair&, const std::string& why, ReachOutput&);
  void erase(const Pair&);
  // The keys of both ends.
  static Pair nodes_of(const Pair&, const Circuit&);

  std::set<NodeId> reserved_;
  std::map<NodeId, std::size_t> circuits_of_;  // by key
  std::map<Pair, Circuit> circuits_;
  Quota introductions_;
};

}  // namespace shoal
