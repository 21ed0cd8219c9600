#include "node/protocol/range.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <set>

#include "node/protocol/rng.h"

namespace shoal {
namespace {

constexpr UnitIndex kEnd = std::numeric_limits<UnitIndex>::max();
constexpr UnitIndex kSmallEnd = 64;

using Model = std::set<UnitIndex>;
using Runs = std::vector<Range>;

Model model_of(const RangeSet& set) {
  Model units;
  for (Range r : set.runs()) {
    for (UnitIndex u = r.first; u < r.last; ++u) units.insert(u);
  }
  return units;
}

// Sorted, not empty, with a gap between any two, and of the size that they add up to.
void expect_sound(const RangeSet& set) {
  std::uint64_t units = 0;
  for (std::size_t i = 0; i < set.runs().size(); ++i) {
    const Range r = set.runs()[i];
    ASSERT_LT(r.first, r.last);
    if (i > 0) {
      ASSERT_GT(r.first, set.runs()[i - 1].last);
    }
    units += r.size();
  }
  ASSERT_EQ(set.size(), units);
  ASSERT_EQ(set.empty(), units == 0);
}

Range random_range(Rng& rng) {
  const UnitIndex first = rng.below(kSmallEnd + 1);
  // Some are empty, some run backwards: both must count as nothing.
  return {first,
          rng.below(8) == 0 ? rng.below(kSmallEnd + 1) : std::min(kSmallEnd, first + rng.below(9))};
}

RangeSet random_set(Rng& rng) {
  RangeSet set;
  for (std::uint64_t n = rng.below(14); n > 0; --n) set.add(random_range(rng));
  return set;
}

void insert(Model& model, Range r) {
  for (UnitIndex u = r.first; u < r.last; ++u) model.insert(u);
}

void erase(Model& model, Range r) {
  for (UnitIndex u = r.first; u < r.last; ++u) model.erase(u);
}

Model take(Model& model, std::uint64_t count, bool front) {
  Model taken;
  while (count-- > 0 && !model.empty()) {
    const auto at = front ? model.begin() : std::prev(model.end());
    taken.insert(*at);
    model.erase(at);
  }
  return taken;
}

// One random change or question, done to both the set and the model.
void step(Rng& rng, RangeSet& set, Model& model) {
  const Range r = random_range(rng);
  switch (rng.below(8)) {
    case 0:
    case 1:
      set.add(r);
      insert(model, r);
      break;
    case 2:
      set.remove(r);
      erase(model, r);
      break;
    case 3: {
      const RangeSet other = random_set(rng);
      set.add(other);
      for (Range run : other.runs()) insert(model, run);
      break;
    }
    case 4: {
      const RangeSet other = random_set(rng);
      set.remove(other);
      for (Range run : other.runs()) erase(model, run);
      break;
    }
    case 5:
    case 6: {
      const bool front = rng.chance(0.5);
      const std::uint64_t count = rng.below(12);
      const RangeSet taken = front ? set.take_front(count) : set.take_back(count);
      expect_sound(taken);
      ASSERT_EQ(model_of(taken), take(model, count, front));
      break;
    }
    default: {
      const RangeSet other = random_set(rng);
      Model expected;
      for (UnitIndex u : model_of(other)) {
        if (model.count(u) > 0) expected.insert(u);
      }
      const RangeSet both = set.intersection(other);
      expect_sound(both);
      ASSERT_EQ(model_of(both), expected);
      ASSERT_EQ(other.intersection(set), both);
    }
  }
}

void expect_same_answers(Rng& rng, const RangeSet& set, const Model& model) {
  ASSERT_EQ(model_of(set), model);
  for (UnitIndex u = 0; u <= kSmallEnd; ++u) ASSERT_EQ(set.contains(u), model.count(u) > 0) << u;
  const Range r = random_range(rng);
  Model inside;
  for (UnitIndex u = r.first; u < r.last; ++u) {
    if (model.count(u) > 0) inside.insert(u);
  }
  ASSERT_EQ(set.contains(r), r.empty() || inside.size() == r.size());
  const RangeSet cut = set.intersection(r);
  expect_sound(cut);
  ASSERT_EQ(model_of(cut), inside);
}

TEST(RangeSet, AgreesWithASetOfSingleUnits) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    RangeSet set;
    Model model;
    for (int i = 0; i < 300; ++i) {
      step(rng, set, model);
      if (HasFatalFailure()) return;
      expect_sound(set);
      expect_same_answers(rng, set, model);
      if (HasFatalFailure()) return;
    }
  }
}

// A set with many more runs than the other takes another way inside.
TEST(RangeSet, FewRunsAgainstManyGiveTheSameAsManyAgainstFew) {
  RangeSet many;
  for (UnitIndex u = 0; u < 20'000; u += 2) many.add(Range{u, u + 1});
  ASSERT_EQ(many.runs().size(), 10'000U);
  RangeSet few;
  for (UnitIndex u = 500; u < 20'000; u += 3000) few.add(Range{u, u + 101});

  RangeSet joined = many;
  joined.add(few);
  RangeSet joined_other_way = few;
  joined_other_way.add(many);
  expect_sound(joined);
  EXPECT_EQ(joined, joined_other_way);
  // Of each 101 units that start at an even one, 51 were there.
  EXPECT_EQ(joined.size(), 10'000U + 7 * 50);

  RangeSet left = many;
  left.remove(few);
  expect_sound(left);
  EXPECT_EQ(left.size(), 10'000U - 7 * 51);
  RangeSet left_other_way = few;
  left_other_way.remove(many);
  expect_sound(left_other_way);
  EXPECT_EQ(left_other_way.size(), 7U * 50);
  EXPECT_EQ(many.intersection(few).size(), 7U * 51);
  EXPECT_EQ(few.intersection(many), many.intersection(few));
}

TEST(RangeSet, JoinsRunsThatTouch) {
  RangeSet set;
  set.add(Range{10, 20});
  set.add(Range{30, 40});
  EXPECT_EQ(set.runs(), (Runs{{10, 20}, {30, 40}}));
  set.add(Range{20, 30});
  EXPECT_EQ(set.runs(), (Runs{{10, 40}}));
  set.add(Range{5, 10});
  EXPECT_EQ(set.runs(), (Runs{{5, 40}}));
  EXPECT_EQ(RangeSet({{4, 6}, {0, 2}, {2, 4}}), RangeSet(Range{0, 6}));
}

TEST(RangeSet, RemovingTheMiddleLeavesBothEnds) {
  RangeSet set(Range{0, 100});
  set.remove(Range{40, 60});
  EXPECT_EQ(set.runs(), (Runs{{0, 40}, {60, 100}}));
  EXPECT_EQ(set.size(), 80U);
  EXPECT_FALSE(set.contains(Range{39, 41}));
  EXPECT_TRUE(set.contains(Range{60, 100}));
  EXPECT_FALSE(set.contains(Range{60, 101}));
}

TEST(RangeSet, TakesRunsFromTheEndAsked) {
  RangeSet set({{0, 3}, {10, 13}, {20, 23}});
  EXPECT_EQ(set.take_front(4).runs(), (Runs{{0, 3}, {10, 11}}));
  EXPECT_EQ(set.take_back(4).runs(), (Runs{{12, 13}, {20, 23}}));
  EXPECT_EQ(set.runs(), (Runs{{11, 12}}));
  EXPECT_TRUE(set.take_front(0).empty());
  EXPECT_EQ(set.take_back(kEnd).size(), 1U);
  EXPECT_TRUE(set.empty());
  EXPECT_TRUE(set.take_front(5).empty());
  EXPECT_TRUE(set.take_back(5).empty());
}

TEST(RangeSet, HoldsEveryUnitThereIs) {
  RangeSet set(Range{0, kEnd});
  EXPECT_EQ(set.size(), kEnd);
  EXPECT_TRUE(set.contains(kEnd - 1));
  EXPECT_FALSE(set.contains(kEnd));
  set.add(Range{kEnd - 1, kEnd});
  EXPECT_EQ(set.size(), kEnd);
  EXPECT_EQ(set.take_back(2).runs(), (Runs{{kEnd - 2, kEnd}}));
  set.remove(Range{1, kEnd});
  EXPECT_EQ(set.runs(), (Runs{{0, 1}}));
  set.add(Range{kEnd - 1, kEnd});
  EXPECT_EQ(set.runs(), (Runs{{0, 1}, {kEnd - 1, kEnd}}));
  EXPECT_EQ(set.take_front(kEnd).size(), 2U);
  EXPECT_TRUE(set.empty());
}

TEST(RangeSet, RangesThatAreEmptyOrRunBackwardsAreNothing) {
  RangeSet set(Range{10, 20});
  for (Range r : {Range{15, 15}, Range{18, 12}, Range{25, 5}, Range{kEnd, 0}}) {
    set.add(r);
    set.remove(r);
    EXPECT_EQ(set, RangeSet(Range{10, 20}));
    EXPECT_TRUE(set.intersection(r).empty());
    EXPECT_TRUE(set.contains(r));
  }
  EXPECT_TRUE(RangeSet(Range{9, 3}).empty());
}

TEST(RangeSet, AddedToOrRemovedFromItself) {
  RangeSet set({{0, 3}, {10, 13}});
  const RangeSet before = set;
  set.add(set);
  EXPECT_EQ(set, before);
  EXPECT_EQ(set.intersection(set), before);
  set.remove(set);
  EXPECT_TRUE(set.empty());
  EXPECT_EQ(set.size(), 0U);
}

TEST(Range, IntersectionIsWhatBothHold) {
  EXPECT_EQ(intersect({0, 10}, {5, 15}), (Range{5, 10}));
  EXPECT_EQ(intersect({5, 15}, {0, 10}), (Range{5, 10}));
  EXPECT_EQ(intersect({0, 10}, {3, 4}), (Range{3, 4}));
  EXPECT_TRUE(intersect({0, 10}, {10, 20}).empty());
  EXPECT_TRUE(intersect({0, 10}, {30, 40}).empty());
  EXPECT_EQ(intersect({0, 10}, {30, 40}).size(), 0U);
  EXPECT_EQ(intersect({0, kEnd}, {kEnd - 1, kEnd}), (Range{kEnd - 1, kEnd}));
}

}  // namespace
}  // namespace shoal
