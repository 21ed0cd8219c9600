// A record that changes while a coordinator is being left; one that is to be forgotten; and one
// that another process made with the same key.

#include <gtest/gtest.h>

#include "node/protocol/shared_key.h"
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

// A pool that ends at once: nobody is there any more to whom the last words could be said.
TEST(LeavingWithOthers, ALeaderThatIsGoneIsNotDialledOverAndOver) {
  Pool pool(2);
  pool.submit(1, pool.manifest(1000, 1));
  const Instant now{3'600'000'000'000};
  ASSERT_TRUE(pool.computes(2));
  static_cast<void>(pool.peer(2).step(now, Leaving{}));
  std::size_t dials = 0;
  for (int i = 0; i < 10; ++i) {  // fewer than an address is dialled in a minute
    for (const PeerAction& action :
         pool.peer(2).step(now, LinkLost{.peer = pool.id(1), .why = "nobody listens"})) {
      dials += std::holds_alternative<Dial>(action) ? 1 : 0;
    }
  }
  EXPECT_LE(dials, 1U);
}

// What coordinators and peers show a worker that says another address than before.
class TwinTest : public AnnounceTest {
 protected:
  Signed record_of_twin(UnixMs sequence) const {
    NodeRecord record = config().record;
    record.node = signer.id();
    record.endpoints = {"tcp://203.0.113.9:4300"};
    record.sequence = sequence;
    record.ttl_s = 600;
    return sign_fact(signer, Purpose::kRecord, encode(record));
  }
  std::vector<Tell> warned(const Signed& record) {
    auto told = step<Tell>(Received{door, encode(Message(Announce{record}))});
    std::erase_if(told, [](const Tell& tell) { return tell.level != LogLevel::kWarning; });
    return told;
  }
  UnixMs unix_now() const { return config().unix_ms_at_zero + now.ns / 1'000'000; }
};

TEST_F(TwinTest, AnotherProcessWithItsKeyIsNoticedAndShownThisOne) {
  step<Dial>(Started{});
  const UnixMs before = unix_now();
  now = now + 60s;
  come();
  std::vector<Send> sent;
  std::vector<Tell> told;
  const Message shown = Announce{record_of_twin(before + 30'000)};
  for (PeerAction& action : peer.step(now, Received{door, encode(shown)})) {
    if (auto* send = std::get_if<Send>(&action)) sent.push_back(*send);
    if (auto* tell = std::get_if<Tell>(&action)) told.push_back(*tell);
  }
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].level, LogLevel::kWarning);
  EXPECT_NE(told[0].text.find("tcp://203.0.113.9:4300"), std::string::npos);
  EXPECT_EQ(endpoints_announced(sent), config().record.endpoints) << "so that the other notices";
  EXPECT_NE(peer.status().doing.find(kKeyIsShared), std::string::npos);

  now = now + 60s;
  EXPECT_TRUE(warned(record_of_twin(unix_now())).empty()) << "it has been said";
  now = now + 599s;
  step<Dial>(DeadlineReached{});
  EXPECT_NE(peer.status().doing.find(kKeyIsShared), std::string::npos);
  now = now + 1s;
  step<Dial>(DeadlineReached{});
  EXPECT_EQ(peer.status().doing.find(kKeyIsShared), std::string::npos) << "it may have ended";
  EXPECT_EQ(warned(record_of_twin(unix_now())).size(), 1U);
}

TEST_F(TwinTest, WhatThisProcessSignedOrAnEarlierOneIsNoWarning) {
  const Signed earlier = record_of_twin(unix_now() - 1);
  step<Dial>(Started{});
  now = now + 60s;
  const auto announced = decode(come().front().bytes);
  EXPECT_TRUE(warned(earlier).empty()) << "it was restarted elsewhere";
  EXPECT_TRUE(warned(std::get<Announce>(*announced).record).empty());
  Signed forged = record_of_twin(unix_now() - 1000);
  forged.signature.bytes[0] ^= 1;
  EXPECT_TRUE(warned(forged).empty()) << "nobody says so without the key";
  EXPECT_EQ(peer.status().doing, "idle");
}

TEST_F(TwinTest, AWorkerThatComesWithAnotherRecordIsShownTheOneThatWasKnown) {
  const PlainSigner other(7);
  const auto record_at = [&](const std::string& endpoint) {
    NodeRecord record = config().record;
    record.node = other.id();
    record.endpoints = {endpoint};
    record.sequence = unix_now();
    record.ttl_s = 600;
    return sign_fact(other, Purpose::kRecord, encode(record));
  };
  step<Dial>(Started{});
  const auto shown_to = [&](const Signed& record) {
    std::vector<Signed> shown;
    for (const Send& send : step<Send>(LinkUp{other.id(), Role::kWorker, "203.0.113.9", record})) {
      const auto message = decode(send.bytes);
      const auto* announce = std::get_if<Announce>(&*message);
      if (announce != nullptr) shown.push_back(announce->record);
    }
    step<Dial>(LinkLost{other.id(), "it came back on a new connection"});
    now = now + 1s;
    return shown;
  };
  const Signed first = record_at("tcp://203.0.113.8:4300");
  EXPECT_TRUE(shown_to(first).empty());
  EXPECT_TRUE(shown_to(record_at("tcp://203.0.113.8:4300")).empty());
  const Signed before = record_at("tcp://203.0.113.8:4300");
  shown_to(before);
  EXPECT_EQ(shown_to(record_at("tcp://203.0.113.9:4300")), std::vector<Signed>{before});
}

TEST_F(TwinTest, WhereFewNodesAreKnownACoordinatorIsVisitedMoreOften) {
  const auto pause_where = [&](std::uint64_t nodes) {
    come();
    step<Drop>(Received{door, encode(Message(Announced{"198.51.100.7", 600}))});
    step<Drop>(Received{door, encode(Message(Sample{{}, 1, nodes}))});
    step<Dial>(LinkLost{door, "done"});
    const Instant left = now;
    for (int i = 0; i < 100; ++i) {
      now = *peer.next_deadline();
      if (!step<Dial>(DeadlineReached{}).empty()) return now - left;
    }
    return Duration(0);
  };
  step<Dial>(Started{});
  // Who is alone looks for others more often.
  step<Dial>(LinkUp{PlainSigner(7).id(), Role::kWorker, "203.0.113.9", std::nullopt});
  const Duration few = pause_where(3);
  EXPECT_GT(few, 20s);
  EXPECT_LT(few, 40s);
  pause_where(1'000'000);
  const Duration many = pause_where(1'000'000);
  EXPECT_GT(many, 80s);
  EXPECT_LT(many, 160s);
}

// A clock that is wrong by a day, say. It goes on coming, and says so now and then.
TEST_F(AnnounceTest, WhyACoordinatorDoesNotTakeItIsSaid) {
  step<Dial>(Started{});
  const Message refused =
      Refused{RefusalReason::kNotAllowed, "its clock is 86400 s ahead of this coordinator's"};
  std::size_t told = 0;
  for (int visit = 0; visit < 3; ++visit) {
    come();
    PeerActions actions = peer.step(now, Received{door, encode(refused)});
    bool hangs_up = false;
    for (const PeerAction& action : actions) {
      hangs_up |= std::holds_alternative<Drop>(action);
      const auto* tell = std::get_if<Tell>(&action);
      if (tell == nullptr || tell->level != LogLevel::kWarning) continue;
      ++told;
      EXPECT_NE(tell->text.find("86400 s ahead"), std::string::npos) << tell->text;
    }
    EXPECT_TRUE(hangs_up);
    step<Dial>(LinkLost{door, "done"});
  }
  EXPECT_EQ(told, 1U);
}

}  // namespace
}  // namespace shoal::test
