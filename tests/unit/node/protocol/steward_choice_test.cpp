#include "node/protocol/steward_choice.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/unit/node/protocol/receipts.h"

namespace shoal {
namespace {

StewardCandidate at(std::uint8_t key, const std::string& host, std::uint64_t threads = 4,
                    bool warm = false) {
  return {key_of(key).id(), key_of(key).id(), host, threads, warm};
}
StewardCandidate of(std::uint8_t owner, StewardCandidate candidate) {
  candidate.owner = key_of(owner).id();
  return candidate;
}

TEST(StewardChoiceTest, ReadsHostsFromEndpoints) {
  EXPECT_EQ(host_of("tcp://10.1.2.3:4000"), "10.1.2.3");
  EXPECT_EQ(host_of("tcp://[2001:db8::1]:4000"), "2001:db8::1");
  EXPECT_EQ(host_of("tcp://lab.example:4000"), "lab.example");
  EXPECT_EQ(host_of("nonsense"), "");
  EXPECT_EQ(host_of("tcp://4000"), "");
}

TEST(StewardChoiceTest, TellsAddressesBlocksAndStrangersApart) {
  EXPECT_EQ(nearness("10.1.2.3", "10.1.2.3"), Nearness::kSame);
  EXPECT_EQ(nearness("10.1.2.3", "10.1.2.4"), Nearness::kBlock);
  EXPECT_EQ(nearness("10.1.2.3", "10.1.3.3"), Nearness::kApart);
  EXPECT_EQ(nearness("::ffff:10.1.2.3", "10.1.2.4"), Nearness::kBlock);
  EXPECT_EQ(nearness("2001:db8:1::5", "2001:db8:1:7::9"), Nearness::kBlock);
  EXPECT_EQ(nearness("2001:db8:1::5", "2001:db8:2::5"), Nearness::kApart);
  EXPECT_EQ(nearness("2001:db8::5", "2001:db8:0:1::5"), Nearness::kBlock);
  EXPECT_EQ(nearness("10.1.2.3", "2001:db8::5"), Nearness::kApart);
}

TEST(StewardChoiceTest, NamesThatDifferMayBeOneMachine) {
  EXPECT_EQ(nearness("a.example", "b.example"), Nearness::kBlock);
  EXPECT_EQ(nearness("a.example", "a.example"), Nearness::kSame);
  EXPECT_EQ(nearness("", "10.1.2.3"), Nearness::kBlock);
  EXPECT_EQ(nearness("1.2.3.999", "10.1.2.3"), Nearness::kBlock);
}

TEST(StewardChoiceTest, OnOneMachineNothingIsNear) {
  EXPECT_EQ(nearness("127.0.0.1", "127.0.0.1"), Nearness::kApart);
  EXPECT_EQ(nearness("::1", "localhost"), Nearness::kApart);
}

TEST(StewardChoiceTest, TheFirstIsStrongAndThenWarm) {
  Rng rng(1);
  const std::vector<StewardCandidate> all = {at(1, "10.0.1.1", 2, true), at(2, "10.0.2.1", 16),
                                             at(3, "10.0.3.1", 15, true)};
  for (int i = 0; i < 20; ++i) EXPECT_EQ(next_steward({}, all, rng), key_of(3).id());
}

TEST(StewardChoiceTest, DistanceCountsBeforeStrengthAndWarmth) {
  Rng rng(1);
  const std::vector<StewardCandidate> seated = {at(1, "10.0.1.1")};
  const std::vector<StewardCandidate> all = {at(2, "10.0.1.2", 64, true), at(3, "10.0.2.1", 1)};
  EXPECT_EQ(next_steward(seated, all, rng), key_of(3).id());
}

TEST(StewardChoiceTest, WhatOneOwnerHasFailsTogether) {
  Rng rng(1);
  const std::vector<StewardCandidate> seated = {of(9, at(1, "10.0.1.1"))};
  EXPECT_EQ(
      next_steward(seated, {of(9, at(2, "10.0.2.1", 64, true)), of(8, at(3, "10.0.3.1"))}, rng),
      key_of(3).id());
  EXPECT_EQ(
      next_steward(seated, {of(9, at(2, "10.0.1.2", 64, true)), of(9, at(3, "10.0.2.1"))}, rng),
      key_of(3).id())
      << "his other house";
  EXPECT_EQ(next_steward(seated, {of(9, at(2, "10.0.2.1"))}, rng), key_of(2).id())
      << "where there is no other";
}

TEST(StewardChoiceTest, TheSameAddressIsTakenWhereThereIsNoOther) {
  Rng rng(1);
  const std::vector<StewardCandidate> seated = {at(1, "10.0.1.1")};
  EXPECT_EQ(next_steward(seated, {at(2, "10.0.1.1"), at(3, "10.0.1.9")}, rng), key_of(3).id());
  EXPECT_EQ(next_steward(seated, {at(2, "10.0.1.1")}, rng), key_of(2).id());
  EXPECT_EQ(next_steward(seated, {}, rng), std::nullopt);
}

TEST(StewardChoiceTest, EqualsAreChosenByLot) {
  Rng rng(5);
  std::map<NodeId, int> times;
  const std::vector<StewardCandidate> all = {at(1, "10.0.1.1"), at(2, "10.0.2.1"),
                                             at(3, "10.0.3.1")};
  for (int i = 0; i < 300; ++i) ++times[*next_steward({}, all, rng)];
  ASSERT_EQ(times.size(), 3u);
  for (const auto& [node, count] : times) EXPECT_GT(count, 50);
}

}  // namespace
}  // namespace shoal
