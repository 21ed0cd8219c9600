#include "worker/core/node_bag.h"

#include <gtest/gtest.h>

#include <iterator>
#include <map>
#include <set>

namespace shoal {
namespace {

NodeId node(std::uint8_t n) {
  NodeId id;
  id.bytes.fill(n);
  return id;
}

// Against a set, which has the same nodes and another order.
TEST(NodeBag, HoldsWhatASetWouldHold) {
  NodeBag bag;
  std::set<NodeId> model;
  Rng rng(7);
  for (int step = 0; step < 5000; ++step) {
    const NodeId which = node(static_cast<std::uint8_t>(rng.below(40)));
    if (rng.below(2) == 0) {
      bag.insert(which);
      model.insert(which);
    } else {
      bag.erase(which);
      model.erase(which);
    }
    ASSERT_EQ(bag.empty(), model.empty());
    ASSERT_EQ(bag.contains(which), model.contains(which));
    ASSERT_EQ(std::set<NodeId>(bag.begin(), bag.end()), model);
    ASSERT_EQ(static_cast<std::size_t>(std::distance(bag.begin(), bag.end())), model.size());
  }
}

TEST(NodeBag, DrawsEachOfThemAsOftenAsTheOthers) {
  NodeBag bag;
  for (std::uint8_t n = 0; n < 10; ++n) bag.insert(node(n));
  bag.erase(node(3));
  std::map<NodeId, int> drawn;
  Rng rng(1);
  for (int i = 0; i < 9000; ++i) ++drawn[bag.draw(rng)];
  EXPECT_EQ(drawn.size(), 9U);
  for (const auto& [which, times] : drawn) EXPECT_NEAR(times, 1000, 150);
}

}  // namespace
}  // namespace shoal
