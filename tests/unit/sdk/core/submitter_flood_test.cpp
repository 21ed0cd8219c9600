#include <algorithm>

#include "tests/unit/sdk/core/submitter_content_world.h"

namespace shoal {
namespace {

// One that is linked names as many as it likes: keys and records cost nothing.
class SubmitterContentFlood : public SubmitterContent {
 protected:
  static constexpr std::uint8_t kFoe = 0, kHonest = 1;
  KeyPair seed = key_of(77);

  static KeyPair made_up(std::size_t i) {
    std::array<std::uint8_t, KeyPair::kSeedBytes> bytes{};
    bytes[0] = static_cast<std::uint8_t>(i);
    bytes[1] = static_cast<std::uint8_t>(i >> 8);
    return KeyPair(bytes);
  }
  void begin() {
    start();
    fetch();
    pool_knows(2);
    dialled();
    link(workers[kFoe]);
    link(workers[kHonest]);
    hear(workers[kHonest].id(), holdings(0));
    hear(workers[kFoe].id(), holdings(0));
  }
  void flood(std::size_t names) {
    for (std::size_t at = 0; at < names;) {
      Holders holders{content, {}};
      for (; at < names && holders.records.size() < limits::kHoldersPerMessage; ++at) {
        holders.records.push_back(sharer(made_up(at), "tcp://203.0.113.9:9000"));
      }
      hear(workers[kFoe].id(), holders);
    }
  }
  // All others who are dialled do not answer, save the coordinator, who knows these.
  std::vector<Signed> pool_has;
  Duration until_dialled(const NodeId& node) {
    const Instant began = now;
    while (now < began + 300s) {
      const auto dials = dialled();
      if (std::count(dials.begin(), dials.end(), node) > 0) return now - began;
      if (std::count(dials.begin(), dials.end(), coordinator.id()) > 0) {
        step(LinkUp{coordinator.id(), Role::kCoordinator, "10.0.0.1", std::nullopt});
        hear(coordinator.id(), Sample{pool_has, 1, pool_has.size()});
      }
      if (!submitter->next_deadline()) break;
      pass();
    }
    ADD_FAILURE() << "it is never dialled";
    return 300s;
  }
};

TEST_F(SubmitterContentFlood, NamesWithoutEndDoNotKeepOutWhomAnotherNames) {
  begin();
  flood(2 * limits::kKnownPeers);
  dialled();
  hear(workers[kHonest].id(), Holders{content, {sharer(seed, "tcp://10.0.0.77:9077")}});
  EXPECT_LE(until_dialled(seed.id()), 2s);
  step(LinkUp{seed.id(), Role::kSubmitter, "10.0.0.77", sharer(seed, "tcp://10.0.0.77:9077")});
  hear(seed.id(), holdings(0xff));
  EXPECT_FALSE(sent<BlockRequest>(seed.id()).empty());
}

TEST_F(SubmitterContentFlood, WhoIsNamedBeforeTheFloodIsNotForgotten) {
  begin();
  const Signed record = sharer(seed, "tcp://10.0.0.77:9077");
  hear(workers[kHonest].id(), Holders{content, {record}});
  EXPECT_EQ(dialled(), std::vector<NodeId>{seed.id()});
  step(LinkLost{seed.id(), "connection reset"});
  flood(2 * limits::kKnownPeers);
  EXPECT_LE(until_dialled(seed.id()), 4s);
}

TEST_F(SubmitterContentFlood, SamplesThatNobodyAskedForAreNotTaken) {
  begin();
  std::vector<Signed> records;
  for (std::size_t i = 0; i < limits::kSampleRecords; ++i) records.push_back(record(made_up(i)));
  hear(workers[kFoe].id(), Sample{records, 1, records.size()});
  step(WantWorkers{});
  for (int i = 0; i < 100; ++i) {
    if (const auto ready = take<WorkersReady>(); !ready.empty()) {
      EXPECT_EQ(ready[0].workers.size(), 2U);
      return;
    }
    pass();
  }
  FAIL() << "the workers are never told";
}

// All ids near the content's may be somebody's who answers for none of them.
TEST_F(SubmitterContentFlood, WhereNobodyAnswersNearTheContentOthersAreAsked) {
  start();
  fetch();
  EXPECT_EQ(dialled(), std::vector<NodeId>{coordinator.id()});
  const auto distance = [this](const NodeId& node) {
    std::array<std::uint8_t, 32> between{};
    for (std::size_t i = 0; i < between.size(); ++i) {
      between[i] = static_cast<std::uint8_t>(node.bytes[i] ^ content.bytes[i]);
    }
    return between;
  };
  std::vector<NodeId> all;
  for (std::size_t i = 0; i < 40; ++i) {
    all.push_back(made_up(i).id());
    pool_has.push_back(record(made_up(i)));
  }
  std::sort(all.begin(), all.end(),
            [&](const NodeId& a, const NodeId& b) { return distance(a) < distance(b); });
  introduce(pool_has);
  until_dialled(all.back());
}

TEST_F(SubmitterContentFlood, TenThatPromiseAndSendNothingAreNotEnough) {
  begin();
  Holders accomplices{content, {}};
  for (std::size_t i = 0; i < limits::kContentPeers; ++i) {
    accomplices.records.push_back(sharer(made_up(i), "tcp://203.0.113.9:9000"));
  }
  hear(workers[kFoe].id(), accomplices);
  for (std::size_t i = 0; i < limits::kContentPeers; ++i) {
    step(LinkUp{made_up(i).id(), Role::kSubmitter, "203.0.113.9", {}});
    hear(made_up(i).id(), Holdings{content, kLength, 0, Bytes{0xff, 0x03}, false});
  }
  dialled();
  hear(workers[kHonest].id(), Holders{content, {sharer(seed, "tcp://10.0.0.77:9077")}});
  EXPECT_LE(until_dialled(seed.id()), 10s);
}

}  // namespace
}  // namespace shoal
