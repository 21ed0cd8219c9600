#include "worker/core/unit_map.h"

#include <algorithm>

namespace shoal {

Replica* UnitMap::Segment::find(const NodeId& worker) {
  for (Replica& replica : replicas) {
    if (replica.worker == worker) return &replica;
  }
  return nullptr;
}

const Replica* UnitMap::Segment::find(const NodeId& worker) const {
  return const_cast<Segment*>(this)->find(worker);
}

std::uint32_t UnitMap::Segment::count(ReplicaState state) const {
  return static_cast<std::uint32_t>(std::count_if(
      replicas.begin(), replicas.end(), [&](const Replica& r) { return r.state == state; }));
}

bool UnitMap::Segment::open_to(const NodeId& worker) const {
  const Replica* own = find(worker);
  return own == nullptr || own->state == ReplicaState::kLapsed;
}

UnitMap::UnitMap(std::uint64_t units, std::uint32_t quorum) : units_(units), quorum_(quorum) {
  if (units == 0) return;
  auto [it, _] = segments_.emplace(0, Segment{.last = units, .agreed = 0, .replicas = {}});
  index(0, it->second);
}

std::uint32_t UnitMap::need(const Segment& segment) const {
  const std::uint32_t under_way = segment.agreed + segment.count(ReplicaState::kLeased) +
                                  segment.count(ReplicaState::kCommitted);
  return under_way >= quorum_ ? 0 : quorum_ - under_way;
}

std::set<UnitIndex>* UnitMap::shelf_of(const Segment& segment) {
  const bool leased = segment.count(ReplicaState::kLeased) > 0;
  if (need(segment) == 0) return leased ? &covered_ : nullptr;
  const bool seen =
      segment.count(ReplicaState::kCommitted) > 0 || segment.count(ReplicaState::kCompared) > 0;
  if (seen) return &verifiable_;
  return leased ? &half_leased_ : &fresh_;
}

void UnitMap::index(UnitIndex first, const Segment& segment) {
  const std::uint64_t size = segment.last - first;
  if (auto* shelf = shelf_of(segment)) {
    shelf->insert(first);
    if (shelf == &fresh_) fresh_units_ += size;
    if (shelf == &verifiable_) verifiable_units_ += size;
    if (shelf == &verifiable_ && segment.count(ReplicaState::kCompared) > 0) {
      compared_.insert(first);
    }
  }
  if (segment.count(ReplicaState::kLeased) > 0) leased_units_ += size;
  if (segment.count(ReplicaState::kCommitted) + segment.count(ReplicaState::kCompared) > 0) {
    committed_units_ += size;
  }
}

void UnitMap::unindex(UnitIndex first, const Segment& segment) {
  const std::uint64_t size = segment.last - first;
  if (auto* shelf = shelf_of(segment)) {
    shelf->erase(first);
    if (shelf == &fresh_) fresh_units_ -= size;
    if (shelf == &verifiable_) verifiable_units_ -= size;
    compared_.erase(first);
  }
  if (segment.count(ReplicaState::kLeased) > 0) leased_units_ -= size;
  if (segment.count(ReplicaState::kCommitted) + segment.count(ReplicaState::kCompared) > 0) {
    committed_units_ -= size;
  }
}

std::uint64_t UnitMap::replicas_within_quorum() const {
  std::uint64_t replicas = 0;
  for (const auto& [first, segment] : segments_) {
    const std::uint32_t here = segment.count(ReplicaState::kLeased) +
                               segment.count(ReplicaState::kCommitted) +
                               segment.count(ReplicaState::kCompared);
    replicas += std::min(here, quorum_) * (segment.last - first);
  }
  return replicas;
}

void UnitMap::split_at(UnitIndex unit) {
  auto it = segments_.upper_bound(unit);
  if (it == segments_.begin()) return;
  --it;
  if (it->first == unit || it->second.last <= unit) return;
  unindex(it->first, it->second);
  Segment right = it->second;
  it->second.last = unit;
  index(it->first, it->second);
  auto [added, _] = segments_.emplace(unit, std::move(right));
  index(unit, added->second);
}

UnitMap::Segments::iterator UnitMap::cut(Range range) {
  if (range.empty()) return segments_.end();
  split_at(range.first);
  split_at(range.last);
  return segments_.lower_bound(range.first);
}

void UnitMap::end(Range range) {
  auto it = cut(range);
  while (it != segments_.end() && it->first < range.last) {
    unindex(it->first, it->second);
    ended_.add(Range{it->first, it->second.last});
    it = segments_.erase(it);
  }
}

UnitMap::Segments::const_iterator UnitMap::first_overlapping(Range range) const {
  auto it = segments_.upper_bound(range.first);
  if (it != segments_.begin() && std::prev(it)->second.last > range.first) --it;
  return it;
}

void UnitMap::check_invariants() const {
  std::uint64_t open = 0;
  std::uint64_t fresh = 0;
  UnitIndex previous_last = 0;
  for (const auto& [first, segment] : segments_) {
    check(first < segment.last, "a run of units is empty");
    check(first >= previous_last, "runs of units overlap");
    check(ended_.intersection(Range{first, segment.last}).empty(), "an ended unit is still open");
    previous_last = segment.last;
    open += segment.last - first;
    auto* shelf = const_cast<UnitMap*>(this)->shelf_of(segment);
    check(shelf == nullptr || shelf->contains(first), "a run is missing from its index");
    if (shelf == &fresh_) fresh += segment.last - first;
    std::set<NodeId> workers;
    for (const Replica& replica : segment.replicas) {
      check(workers.insert(replica.worker).second, "a worker has two parts in one unit");
    }
  }
  check(open + ended_.size() == units_, "units are lost");
  check(fresh == fresh_units_, "the count of fresh units is wrong");
}

}  // namespace shoal
