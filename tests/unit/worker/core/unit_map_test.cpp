#include "worker/core/unit_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "node/protocol/rng.h"

namespace shoal {
namespace {

NodeId node(std::uint8_t n) {
  NodeId id;
  id.bytes[0] = n;
  return id;
}

Replica replica(std::uint8_t worker, ReplicaState state) {
  return Replica{.worker = node(worker), .state = state};
}

TEST(UnitMap, StartsAsOneFreshRun) {
  UnitMap map(1'000'000'000, 2);
  EXPECT_EQ(map.fresh_units(), 1'000'000'000u);
  EXPECT_EQ(map.segments().size(), 1u);
  EXPECT_FALSE(map.all_ended());
  map.check_invariants();
}

TEST(UnitMap, AJobWithoutUnitsHasEnded) { EXPECT_TRUE(UnitMap(0, 2).all_ended()); }

TEST(UnitMap, MovesRunsBetweenShelves) {
  UnitMap map(100, 2);
  map.update({10, 20}, [](UnitIndex, UnitMap::Segment& segment) {
    segment.replicas.push_back(replica(1, ReplicaState::kLeased));
  });
  EXPECT_EQ(map.fresh_units(), 90u);
  EXPECT_EQ(map.half_leased().size(), 1u);
  map.update({10, 15}, [](UnitIndex, UnitMap::Segment& segment) {
    segment.replicas[0].state = ReplicaState::kCommitted;
  });
  EXPECT_EQ(map.verifiable_units(), 5u);
  EXPECT_EQ(map.leased_units(), 5u);
  map.update({10, 15}, [](UnitIndex, UnitMap::Segment& segment) {
    segment.replicas.push_back(replica(2, ReplicaState::kLeased));
  });
  EXPECT_EQ(map.verifiable_units(), 0u);
  EXPECT_EQ(map.covered().size(), 1u);
  map.end({0, 100});
  EXPECT_TRUE(map.all_ended());
  EXPECT_EQ(map.committed_units(), 0u);
  map.check_invariants();
}

TEST(UnitMap, AFailedReplicaNeedsAnotherWorker) {
  UnitMap map(10, 1);
  map.update({3, 4}, [](UnitIndex, UnitMap::Segment& segment) {
    segment.replicas.push_back(replica(1, ReplicaState::kFailed));
  });
  const UnitMap::Segment& segment = map.segments().at(3);
  EXPECT_EQ(map.need(segment), 1u);
  EXPECT_FALSE(segment.open_to(node(1)));
  EXPECT_TRUE(segment.open_to(node(2)));
}

TEST(UnitMap, ALapsedReplicaMayBeLeasedAgain) {
  UnitMap::Segment segment;
  segment.replicas.push_back(replica(1, ReplicaState::kLapsed));
  EXPECT_TRUE(segment.open_to(node(1)));
}

// The same random history told to the map and to an array with one cell a unit.
TEST(UnitMap, AgreesWithOneCellAUnit) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Rng rng(seed);
    constexpr std::uint64_t kUnits = 60;
    UnitMap map(kUnits, 2);
    std::vector<std::map<NodeId, ReplicaState>> cells(kUnits);
    std::vector<bool> ended(kUnits, false);
    for (int round = 0; round < 120; ++round) {
      const UnitIndex first = rng.below(kUnits);
      const Range range{first, first + 1 + rng.below(kUnits - first)};
      if (rng.chance(0.1)) {
        map.end(range);
        for (UnitIndex u = range.first; u < range.last; ++u) ended[u] = true;
      } else {
        const auto worker = static_cast<std::uint8_t>(1 + rng.below(3));
        const auto state = static_cast<ReplicaState>(rng.below(6));
        for (Range open : map.open_runs(range)) {
          map.update(open, [&](UnitIndex, UnitMap::Segment& segment) {
            Replica* own = segment.find(node(worker));
            if (own == nullptr) own = &segment.replicas.emplace_back(replica(worker, state));
            own->state = state;
          });
        }
        for (UnitIndex u = range.first; u < range.last; ++u) {
          if (!ended[u]) cells[u][node(worker)] = state;
        }
      }
      map.check_invariants();
    }
    std::uint64_t fresh = 0, leased = 0, within = 0;
    for (UnitIndex u = 0; u < kUnits; ++u) {
      ASSERT_EQ(map.ended().contains(u), ended[u]) << "seed " << seed << " unit " << u;
      if (ended[u]) continue;
      const auto it = map.first_overlapping({u, u + 1});
      ASSERT_LE(it->first, u);
      ASSERT_GT(it->second.last, u);
      std::uint32_t under_way = 0, replicas = 0;
      bool any_leased = false, any_seen = false;
      for (const auto& [worker, state] : cells[u]) {
        const Replica* own = it->second.find(worker);
        ASSERT_NE(own, nullptr);
        EXPECT_EQ(own->state, state);
        any_leased |= state == ReplicaState::kLeased;
        any_seen |= state == ReplicaState::kCommitted || state == ReplicaState::kCompared;
        replicas += state == ReplicaState::kLeased || state == ReplicaState::kCommitted ||
                    state == ReplicaState::kCompared;
        under_way += state == ReplicaState::kLeased || state == ReplicaState::kCommitted ? 1 : 0;
      }
      EXPECT_EQ(map.need(it->second), under_way >= 2 ? 0 : 2 - under_way);
      fresh += under_way < 2 && !any_leased && !any_seen ? 1 : 0;
      leased += any_leased ? 1 : 0;
      within += std::min(replicas, 2U);
    }
    EXPECT_EQ(map.fresh_units(), fresh) << "seed " << seed;
    EXPECT_EQ(map.leased_units(), leased) << "seed " << seed;
    EXPECT_EQ(map.replicas_within_quorum(), within) << "seed " << seed;
  }
}

}  // namespace
}  // namespace shoal
