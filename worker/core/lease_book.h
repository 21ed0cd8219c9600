#pragma once

#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "node/protocol/messages.h"
#include "node/protocol/time.h"

namespace shoal {

struct Lease {
  NodeId holder;
  LeaseKind kind = LeaseKind::kPrimary;
  RangeSet held;  // not committed yet
  Instant granted;
  Instant expires;
  Instant progressed;       // the last commitment in it, or the grant
  std::uint32_t moves = 0;  // times that it was stolen
};

// The leases of one job, by number and by holder. A lease ends when nothing of it is held any more,
// when it expires, or when its holder gives it back.
class LeaseBook {
 public:
  std::uint64_t add(Lease lease);
  Lease* find(std::uint64_t id);
  const Lease* find(std::uint64_t id) const;
  // Units that the lease no longer holds (committed, moved, ended). Removes a lease that is empty.
  void release(std::uint64_t id, Range range);
  std::vector<std::uint64_t> of(const NodeId& holder) const;
  // First replicas that somebody holds, most units first: the few that are looked for are found
  // without looking through all workers.
  struct Holding {
    std::uint64_t units = 0;
    NodeId holder;
    friend bool operator<(const Holding& a, const Holding& b) {
      return std::tie(b.units, a.holder) < std::tie(a.units, b.holder);
    }
  };
  const std::set<Holding>& primaries_held() const { return primaries_held_; }
  // What it holds, of whatever kind.
  std::uint64_t units_of(const NodeId& holder) const;
  bool holds_any(const NodeId& holder) const { return by_holder_.contains(holder); }
  void renew(const NodeId& holder, Instant expires);

  std::vector<std::uint64_t> expired(Instant now) const;
  std::optional<Instant> next_expiry() const;

 private:
  struct Held {
    std::set<std::uint64_t> leases;
    std::uint64_t units = 0;
    std::uint64_t primaries = 0;  // of them
  };
  void remove(std::uint64_t id);
  void count_primaries(const NodeId& holder, Held& held, std::uint64_t units);

  std::map<std::uint64_t, Lease> leases_;
  std::map<NodeId, Held> by_holder_;
  std::set<Holding> primaries_held_;
  std::set<std::pair<Instant, std::uint64_t>> by_expiry_;
  std::uint64_t next_ = 1;
};

}  // namespace shoal
