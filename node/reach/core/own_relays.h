#pragma once

#include <map>
#include <optional>
#include <vector>

#include "node/protocol/limits.h"
#include "node/protocol/rng.h"
#include "node/reach/core/reach_output.h"

namespace shoal {

// The relays of a node that cannot be dialled: up to three workers that it has dialled itself, and
// that have agreed. Its record names them and where it dialled them.
class OwnRelays {
 public:
  explicit OwnRelays(Rng rng) : rng_(rng) {}

  // Asks for what is missing. `needed`: false for a node that can be dialled, or does not know yet.
  void update(Instant now, bool needed, const ReachLinks&, ReachOutput&);
  void on_reserved(const NodeId& from, const Reserved&, const ReachLinks&);
  void link_lost(const NodeId&);
  std::optional<Instant> next_deadline() const { return look_at_; }

  const std::vector<Via>& via() const { return via_; }
  bool has(const NodeId& node) const;

 private:
  Rng rng_;
  bool needed_ = false;
  std::vector<Via> via_;
  std::map<NodeId, bool> asked_;  // -> whether it refused, or was silent for too long
  std::optional<Instant> look_at_;
};

}  // namespace shoal
