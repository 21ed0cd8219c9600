// A record that changes while a coordinator is being left.

#include <gtest/gtest.h>

#include "tests/unit/worker/core/pool.h"

namespace shoal::test {
namespace {

constexpr const char* kMapped = "tcp://198.51.100.7:4300";

class AnnounceTest : public ::testing::Test {
 protected:
  template <class Action>
  std::vector<Action> step(PeerEvent event) {
    std::vector<Action> found;
    for (PeerAction& action : peer.step(now, std::move(event))) {
      if (auto* one = std::get_if<Action>(&action)) found.push_back(std::move(*one));
    }
    return found;
  }
  std::vector<Send> come() {
    return step<Send>(LinkUp{door, Role::kCoordinator, "198.51.100.1", std::nullopt});
  }
  std::vector<Drop> answer() {
    step<Drop>(Received{door, encode(Message(Announced{"198.51.100.7", 600}))});
    return step<Drop>(Received{door, encode(Message(Sample{{}, 1, 0}))});
  }
  static std::vector<std::string> endpoints_announced(const std::vector<Send>& sent) {
    for (const Send& send : sent) {
      const auto message = decode(send.bytes);
      const auto* announce = std::get_if<Announce>(&*message);
      if (announce != nullptr) return decode_record(announce->record.body)->endpoints;
    }
    return {};
  }
  PeerConfig config() const {
    PeerConfig config;
    config.doors = {{door, "tcp://198.51.100.1:4242"}};
    config.record.endpoints = {"tcp://192.168.3.2:4300"};
    config.unix_ms_at_zero = 1'000'000;
    return config;
  }

  const NodeId door = PlainSigner(100).id();
  PlainSigner signer{1};
  PlainChecker checker;
  Instant now{1'000'000'000};
  Peer peer{config(), signer, checker, Rng(1), {}};
};

TEST_F(AnnounceTest, WhatHasChangedMeanwhileIsAnnouncedOnAnotherVisit) {
  EXPECT_EQ(step<Dial>(Started{}).size(), 1U);
  EXPECT_EQ(endpoints_announced(come()), config().record.endpoints);
  ASSERT_EQ(answer().size(), 1U) << "it has what it came for, and leaves";
  EXPECT_TRUE(step<Send>(PortMapped{kMapped}).empty()) << "nothing is heard there any more";
  step<Dial>(LinkLost{door, "done"});
  const auto dials = step<Dial>(DeadlineReached{});
  ASSERT_EQ(dials.size(), 1U);
  EXPECT_EQ(dials[0].peer, door);
  EXPECT_EQ(endpoints_announced(come()).front(), kMapped);
  answer();
  step<Dial>(LinkLost{door, "done"});
  EXPECT_TRUE(step<Dial>(DeadlineReached{}).empty()) << "once is enough";
}

TEST_F(AnnounceTest, WhatChangesDuringAVisitIsAnnouncedThere) {
  step<Dial>(Started{});
  come();
  EXPECT_EQ(endpoints_announced(step<Send>(PortMapped{kMapped})).front(), kMapped);
  EXPECT_TRUE(step<Dial>(DeadlineReached{}).empty()) << "it is there already";
  answer();
  step<Dial>(LinkLost{door, "done"});
  EXPECT_TRUE(step<Dial>(DeadlineReached{}).empty());
}

}  // namespace
}  // namespace shoal::test
