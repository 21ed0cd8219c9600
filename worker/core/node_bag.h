#pragma once

#include <unordered_map>
#include <vector>

#include "node/protocol/ids.h"
#include "node/protocol/rng.h"

namespace shoal {

// Nodes, each of them once, of which one is drawn at random at the same cost however many there
// are. Their order is that of no use: it follows from what was put in and taken out before.
class NodeBag {
 public:
  void insert(const NodeId& node) {
    if (places_.try_emplace(node, nodes_.size()).second) nodes_.push_back(node);
  }
  void erase(const NodeId& node) {
    const auto found = places_.find(node);
    if (found == places_.end()) return;
    // The last one takes its place.
    places_.at(nodes_.back()) = found->second;
    nodes_[found->second] = nodes_.back();
    nodes_.pop_back();
    places_.erase(node);
  }
  bool contains(const NodeId& node) const { return places_.contains(node); }
  bool empty() const { return nodes_.empty(); }
  std::size_t size() const { return nodes_.size(); }
  // Of a bag that is not empty.
  const NodeId& draw(Rng& rng) const { return nodes_[rng.below(nodes_.size())]; }
  auto begin() const { return nodes_.begin(); }
  auto end() const { return nodes_.end(); }

 private:
  std::vector<NodeId> nodes_;
  std::unordered_map<NodeId, std::size_t> places_;
};

}  // namespace shoal
