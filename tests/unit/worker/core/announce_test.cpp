// A record that changes while a coordinator is being left; and one that is to be forgotten.

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
  // It starts, and is known to the coordinator.
  void visit() {
    step<Dial>(Started{});
    come();
    answer();
    step<Dial>(LinkLost{door, "done"});
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

TEST_F(AnnounceTest, WhoEndsHasItsRecordForgotten) {
  visit();
  ASSERT_EQ(step<Dial>(Leaving{}).size(), 1U);
  const auto sent = come();
  ASSERT_EQ(sent.size(), 1U) << "a record is not announced to be forgotten";
  EXPECT_TRUE(std::holds_alternative<Leave>(*decode(sent[0].bytes)));
  EXPECT_FALSE(peer.has_left());
  EXPECT_TRUE(step<Dial>(LinkLost{door, "the peer left"}).empty());
  EXPECT_TRUE(peer.has_left());
  now = now + 3600s;
  EXPECT_TRUE(step<Dial>(DeadlineReached{}).empty()) << "it is gone";
}

TEST_F(AnnounceTest, WhoEndsDuringAVisitSaysSoThere) {
  step<Dial>(Started{});
  come();
  step<Drop>(Received{door, encode(Message(Announced{"198.51.100.7", 600}))});
  const auto sent = step<Send>(Leaving{});
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<Leave>(*decode(sent[0].bytes)));
}

TEST_F(AnnounceTest, WhoEndsWhileItHangsUpCallsAgain) {
  step<Dial>(Started{});
  come();
  answer();
  EXPECT_TRUE(step<Send>(Leaving{}).empty()) << "nothing is heard there any more";
  EXPECT_EQ(step<Dial>(LinkLost{door, "done"}).size(), 1U);
}

TEST_F(AnnounceTest, WhoIsKnownToNobodyOrFindsNobodyHasLeft) {
  step<Dial>(Started{});
  step<Dial>(LinkLost{door, "connection refused"});
  step<Dial>(Leaving{});
  EXPECT_TRUE(peer.has_left());
}

TEST_F(AnnounceTest, ACoordinatorThatIsGoneIsNotWaitedFor) {
  visit();
  ASSERT_EQ(step<Dial>(Leaving{}).size(), 1U);
  step<Dial>(LinkLost{door, "connection refused"});
  EXPECT_TRUE(peer.has_left());
}

}  // namespace
}  // namespace shoal::test
