#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "node/protocol/ids.h"
#include "node/protocol/messages.h"
#include "node/protocol/range.h"

namespace shoal {

// One worker's part in a run of units, as the leader sees it.
enum class ReplicaState : std::uint8_t {
  kLeased,     // being computed
  kCommitted,  // committed, not compared with the others yet
  kCompared,   // opened and compared; agreement was not enough
  kLapsed,     // was leased, then expired or returned: a late commitment still counts
  kStalled,    // held longer than it may, or not shown: as kLapsed, and given to others first
  kFailed,     // the unit failed there
  kRejected,   // its commitment could not be opened, or did not hold
};

// It was given the units, and has said nothing of them yet.
constexpr bool is_awaited(ReplicaState state) {
  return state == ReplicaState::kLeased || state == ReplicaState::kLapsed ||
         state == ReplicaState::kStalled;
}

struct Replica {
  NodeId worker;
  ReplicaState state = ReplicaState::kLeased;
  LeaseKind kind = LeaseKind::kPrimary;
  std::uint64_t lease = 0;
  std::uint64_t batch = 0;  // kCommitted and kCompared
  friend bool operator==(const Replica&, const Replica&) = default;
};

// Where every unit of a job stands that has not ended, as runs that share the same replicas. Memory
// and time follow the number of runs: leases in force, and commitments whose units have not ended.
//
// A unit needs q replicas that agree. `need` is how many more must be leased: q, less the largest
// group that agreed so far, less those under way (leased or committed).
class UnitMap {
 public:
  struct Segment {
    UnitIndex last = 0;
    std::uint32_t agreed = 0;  // the largest group of compared replicas with one digest
    std::vector<Replica> replicas;

    Replica* find(const NodeId& worker);
    const Replica* find(const NodeId& worker) const;
    std::uint32_t count(ReplicaState state) const;
    // A worker may be given a run in which it has no part, or only a part that lapsed.
    bool open_to(const NodeId& worker) const;
  };
  using Segments = std::map<UnitIndex, Segment>;  // by first unit

  UnitMap(std::uint64_t units, std::uint32_t quorum);

  std::uint32_t need(const Segment&) const;
  // Runs nobody computes: for primary leases.
  const std::set<UnitIndex>& fresh() const { return fresh_; }
  // Runs that somebody committed and that need a further replica: for verifying leases.
  const std::set<UnitIndex>& verifiable() const { return verifiable_; }
  // Those of them in which somebody's outputs were compared already, and did not suffice.
  const std::set<UnitIndex>& compared() const { return compared_; }
  // Runs leased and not committed by anyone, which need a further replica.
  const std::set<UnitIndex>& half_leased() const { return half_leased_; }
  // Runs under lease somewhere that need nothing more: a straggler's, when the end is near.
  const std::set<UnitIndex>& covered() const { return covered_; }
  bool anything_to_lease() const {
    return !fresh_.empty() || !verifiable_.empty() || !half_leased_.empty() || !covered_.empty();
  }
  std::uint64_t fresh_units() const { return fresh_units_; }
  std::uint64_t verifiable_units() const { return verifiable_units_; }
  std::uint64_t committed_units() const { return committed_units_; }
  std::uint64_t leased_units() const { return leased_units_; }
  // Replicas of units that have not ended, leased or done, as far as the quorum needs them.
  std::uint64_t replicas_within_quorum() const;

  const Segments& segments() const { return segments_; }
  const RangeSet& ended() const { return ended_; }
  std::uint64_t units() const { return units_; }
  bool all_ended() const { return ended_.size() == units_; }

  // Calls `change(first, segment)` for each run that has not ended within `range`, after cutting
  // runs at its ends, and keeps the indices true to what was changed.
  template <class Change>
  void update(Range range, Change change) {
    for (auto it = cut(range); it != segments_.end() && it->first < range.last; ++it) {
      unindex(it->first, it->second);
      change(it->first, it->second);
      index(it->first, it->second);
    }
  }
  // These units have ended, whatever came of it.
  void end(Range range);
  // The first run that reaches into `range`, or the one after it.
  Segments::const_iterator first_overlapping(Range range) const;
  // Runs of `range` that have not ended.
  std::vector<Range> open_runs(Range range) const {
    return open_runs_where(range, [](const Segment&) { return true; });
  }
  // Those in which which(segment) holds. Nothing is cut: what a stranger names leaves no trace.
  template <class Which>
  std::vector<Range> open_runs_where(Range range, Which which) const {
    std::vector<Range> runs;
    for (auto it = first_overlapping(range); it != segments_.end() && it->first < range.last;
         ++it) {
      const Range part = intersect(range, {it->first, it->second.last});
      if (part.empty() || !which(it->second)) continue;
      if (!runs.empty() && runs.back().last == part.first) {
        runs.back().last = part.last;
      } else {
        runs.push_back(part);
      }
    }
    return runs;
  }

  void check_invariants() const;

 private:
  Segments::iterator cut(Range range);
  void split_at(UnitIndex unit);
  void index(UnitIndex first, const Segment&);
  void unindex(UnitIndex first, const Segment&);
  // Which of the index sets the segment belongs to, or none.
  std::set<UnitIndex>* shelf_of(const Segment&);

  std::uint64_t units_;
  std::uint32_t quorum_;
  Segments segments_;
  RangeSet ended_;
  std::set<UnitIndex> fresh_, verifiable_, compared_, half_leased_, covered_;
  std::uint64_t fresh_units_ = 0, verifiable_units_ = 0, committed_units_ = 0, leased_units_ = 0;
};

}  // namespace shoal
