#include "node/protocol/range.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace shoal {
namespace {

using Runs = std::vector<Range>;

// The first run that ends after `u`: the one that holds u, or else the next above it.
Runs::const_iterator first_ending_after(const Runs& runs, UnitIndex u) {
  return std::upper_bound(runs.begin(), runs.end(), u,
                          [](UnitIndex unit, Range run) { return unit < run.last; });
}

// The first run that touches or lies above a run that starts at `u`.
Runs::const_iterator first_ending_at_or_after(const Runs& runs, UnitIndex u) {
  return std::lower_bound(runs.begin(), runs.end(), u,
                          [](Range run, UnitIndex unit) { return run.last < unit; });
}

// Cannot overflow: disjoint runs of 64-bit units below 2^64 - 1 hold fewer than 2^64 units.
std::uint64_t total(const Runs& runs) {
  std::uint64_t units = 0;
  for (Range r : runs) units += r.size();
  return units;
}

// Appends a run that starts at or after the start of all others, joining it where it touches.
void append_joined(Runs& runs, Range r) {
  if (!runs.empty() && r.first <= runs.back().last) {
    runs.back().last = std::max(runs.back().last, r.last);
  } else {
    runs.push_back(r);
  }
}

// One insertion moves the runs above it, a merge visits every run: insertion is cheaper only for
// few runs against many. Without the merge, a message of thousands of runs against a ledger of
// hundreds of thousands would hold the node up for a second.
bool few_against(std::size_t few, std::size_t many) { return few <= 4 || few < many / 1024; }

}  // namespace

Range intersect(Range a, Range b) {
  const Range both{std::max(a.first, b.first), std::min(a.last, b.last)};
  return both.empty() ? Range{} : both;
}

void RangeSet::add(Range r) {
  if (r.empty()) return;
  const auto from = first_ending_at_or_after(runs_, r.first);
  auto to = from;
  std::uint64_t replaced = 0;
  for (; to != runs_.end() && to->first <= r.last; ++to) {
    replaced += to->size();
    r.first = std::min(r.first, to->first);
    r.last = std::max(r.last, to->last);
  }
  size_ += r.size() - replaced;
  if (from == to) {
    runs_.insert(from, r);
    return;
  }
  runs_[static_cast<std::size_t>(from - runs_.cbegin())] = r;
  runs_.erase(from + 1, to);
}

void RangeSet::remove(Range r) {
  if (r.empty()) return;
  const auto from = first_ending_after(runs_, r.first);
  if (from == runs_.end() || from->first >= r.last) return;
  auto to = from;
  std::uint64_t removed = 0;
  for (; to != runs_.end() && to->first < r.last; ++to) removed += intersect(*to, r).size();
  size_ -= removed;
  const Range below{from->first, r.first};
  const Range above{r.last, (to - 1)->last};
  // What is left of the first and the last run takes the place of the removed ones.
  auto at = runs_.erase(from, to);
  if (!above.empty()) at = runs_.insert(at, above);
  if (!below.empty()) runs_.insert(at, below);
}

void RangeSet::add(const RangeSet& other) {
  if (&other == this) return;
  if (few_against(other.runs_.size(), runs_.size())) {
    for (Range r : other.runs_) add(r);
    return;
  }
  Runs merged;
  merged.reserve(runs_.size() + other.runs_.size());
  auto a = runs_.cbegin();
  auto b = other.runs_.cbegin();
  while (a != runs_.cend() || b != other.runs_.cend()) {
    const bool take_a = b == other.runs_.cend() || (a != runs_.cend() && a->first <= b->first);
    append_joined(merged, take_a ? *a++ : *b++);
  }
  runs_ = std::move(merged);
  size_ = total(runs_);
}

void RangeSet::remove(const RangeSet& other) {
  if (&other == this) {
    *this = RangeSet();
    return;
  }
  if (few_against(other.runs_.size(), runs_.size())) {
    for (Range r : other.runs_) remove(r);
    return;
  }
  Runs left;
  left.reserve(runs_.size());
  auto hole = other.runs_.cbegin();
  for (Range run : runs_) {
    while (hole != other.runs_.cend() && hole->last <= run.first) ++hole;
    // A hole that reaches past this run is needed again for the next one.
    auto h = hole;
    for (; h != other.runs_.cend() && h->first < run.last; ++h) {
      if (run.first < h->first) left.push_back({run.first, h->first});
      run.first = std::min(h->last, run.last);
      hole = h;
    }
    if (!run.empty()) left.push_back(run);
  }
  runs_ = std::move(left);
  size_ = total(runs_);
}

bool RangeSet::contains(UnitIndex u) const {
  const auto run = first_ending_after(runs_, u);
  return run != runs_.end() && run->contains(u);
}

bool RangeSet::contains(Range r) const {
  if (r.empty()) return true;
  const auto run = first_ending_after(runs_, r.first);
  return run != runs_.end() && run->contains(r);
}

RangeSet RangeSet::intersection(Range r) const {
  RangeSet both;
  if (r.empty()) return both;
  for (auto run = first_ending_after(runs_, r.first); run != runs_.end() && run->first < r.last;
       ++run) {
    both.runs_.push_back(intersect(*run, r));
  }
  both.size_ = total(both.runs_);
  return both;
}

RangeSet RangeSet::intersection(const RangeSet& other) const {
  const bool fewer = runs_.size() <= other.runs_.size();
  const Runs& few = fewer ? runs_ : other.runs_;
  const Runs& many = fewer ? other.runs_ : runs_;
  RangeSet both;
  for (Range r : few) {
    for (auto run = first_ending_after(many, r.first); run != many.end() && run->first < r.last;
         ++run) {
      both.runs_.push_back(intersect(*run, r));
    }
  }
  both.size_ = total(both.runs_);
  return both;
}

RangeSet RangeSet::take_front(std::uint64_t count) {
  RangeSet taken;
  auto run = runs_.begin();
  while (run != runs_.end() && taken.size_ < count) {
    const std::uint64_t units = std::min(run->size(), count - taken.size_);
    taken.runs_.push_back({run->first, run->first + units});
    taken.size_ += units;
    run->first += units;
    if (run->empty()) ++run;
  }
  runs_.erase(runs_.begin(), run);
  size_ -= taken.size_;
  return taken;
}

RangeSet RangeSet::take_back(std::uint64_t count) {
  RangeSet taken;
  while (!runs_.empty() && taken.size_ < count) {
    Range& run = runs_.back();
    const std::uint64_t units = std::min(run.size(), count - taken.size_);
    taken.runs_.push_back({run.last - units, run.last});
    taken.size_ += units;
    run.last -= units;
    if (run.empty()) runs_.pop_back();
  }
  std::reverse(taken.runs_.begin(), taken.runs_.end());
  size_ -= taken.size_;
  return taken;
}

}  // namespace shoal
