#pragma once

#include <cstdint>
#include <vector>

namespace shoal {

using UnitIndex = std::uint64_t;

// A half-open run of units [first, last).
struct Range {
  UnitIndex first = 0;
  UnitIndex last = 0;

  std::uint64_t size() const { return last - first; }
  bool empty() const { return first >= last; }
  bool contains(UnitIndex u) const { return first <= u && u < last; }
  bool contains(Range r) const { return first <= r.first && r.last <= last; }
  bool overlaps(Range r) const { return first < r.last && r.first < last; }
  friend auto operator<=>(const Range&, const Range&) = default;
};

// What both hold; empty where they do not meet.
Range intersect(Range a, Range b);

// A set of units, kept as sorted runs that neither touch nor overlap. Memory and time follow the
// number of runs, never the number of units: a job of 10^9 units starts as one run.
class RangeSet {
 public:
  RangeSet() = default;
  explicit RangeSet(Range r) { add(r); }
  explicit RangeSet(const std::vector<Range>& runs) {
    for (Range r : runs) add(r);
  }

  void add(Range r);
  void remove(Range r);
  void add(const RangeSet& other);
  void remove(const RangeSet& other);
  bool contains(UnitIndex u) const;
  bool contains(Range r) const;
  bool empty() const { return runs_.empty(); }
  std::uint64_t size() const { return size_; }
  const std::vector<Range>& runs() const { return runs_; }
  RangeSet intersection(Range r) const;
  RangeSet intersection(const RangeSet& other) const;
  // Removes and returns up to `count` units, from the low end as runs.
  RangeSet take_front(std::uint64_t count);
  // Removes and returns up to `count` units from the high end: what a thief gets.
  RangeSet take_back(std::uint64_t count);
  friend bool operator==(const RangeSet&, const RangeSet&) = default;

 private:
  std::vector<Range> runs_;
  std::uint64_t size_ = 0;
};

}  // namespace shoal
