// What a worker remembers of the others, however many they are and however often they move.

#include <gtest/gtest.h>

#include <map>

#include "node/reach/core/dial_limit.h"
#include "tests/unit/worker/core/pool.h"

namespace shoal::test {
namespace {

class KnownPeersTest : public ::testing::Test {
 protected:
  using Disk = std::map<std::tuple<FactKind, NodeId, std::uint64_t>, StoredFact>;

  static NodeId node(std::uint32_t n) {
    NodeId id;
    for (std::size_t i = 0; i < 4; ++i) id.bytes[i] = static_cast<std::uint8_t>(n >> (8 * i));
    id.bytes[31] = 0x55;
    return id;
  }
  // Anybody's: the checker below lets all signatures pass.
  Signed record(std::uint32_t n, const std::string& endpoint) {
    NodeRecord record = config().record;
    record.node = node(n);
    record.endpoints = {endpoint};
    record.sequence = ++sequence;
    record.ttl_s = 600;
    return {node(n), encode(record), {}};
  }
  PeerConfig config() const {
    PeerConfig config;
    config.record.endpoints = {"tcp://192.0.2.1:4300"};
    config.record.threads = 1;
    config.unix_ms_at_zero = 1'000'000;
    return config;
  }
  void step(PeerEvent event) {
    for (PeerAction& action : peer->step(now, std::move(event))) {
      if (const auto* dial = std::get_if<Dial>(&action)) {
        dialled[dial->peer] = dial->endpoint;
        in_vain.push_back(dial->peer);
      }
      auto* store = std::get_if<Store>(&action);
      if (store == nullptr) continue;
      const std::uint64_t token = store->token;
      for (StoredFact& fact : store->facts) {
        disk.insert_or_assign({fact.kind, fact.about, fact.sequence}, std::move(fact));
      }
      step(StoreDone{token, ""});
    }
  }
  void start() {
    RecoveredState recovered;
    for (const auto& [key, fact] : disk) recovered.facts.push_back(fact);
    peer = std::make_unique<Peer>(config(), signer, checker, Rng(1), std::move(recovered));
    dialled.clear();
    step(Started{});
  }
  void hear(const Signed& one) {
    step(Received{node(kTeller), encode(Message(Sample{{one}, 0, 1}))});
    now = now + 200ms;
    step(DeadlineReached{});
    peer->check_invariants();
  }

  static constexpr std::uint32_t kTeller = 1000;  // who is linked, and tells of the others
  struct Trusting final : SignatureChecker {
    bool holds(const NodeId&, Purpose, ByteView, const Signature&) const override { return true; }
  };
  UnixMs sequence = 1'000'000;
  PlainSigner signer{1};
  Trusting checker;
  Instant now{1'000'000'000};
  Disk disk;
  std::map<NodeId, std::string> dialled;
  std::vector<NodeId> in_vain;  // dials that nobody has answered yet
  std::unique_ptr<Peer> peer;
};

TEST_F(KnownPeersTest, StrangersWithoutEndAndPeersThatMoveDoNotFillTheDisk) {
  start();
  step(LinkUp{node(kTeller), Role::kWorker, "192.0.2.2", record(kTeller, "tcp://192.0.2.2:1")});
  for (std::uint32_t i = 0; i < 3 * limits::kKnownPeers; ++i) {
    hear(record(2 + i % 700, "tcp://192.0.2.3:" + std::to_string(1 + i)));
  }
  EXPECT_GT(disk.size(), limits::kKnownPeers / 2);
  EXPECT_LE(disk.size(), limits::kKnownPeers);
}

// By the same dates as the coordinator that lists it.
TEST_F(KnownPeersTest, AWorkerWhoseClockIsMinutesOffIsFoundAllTheSame) {
  start();
  step(LinkUp{node(kTeller), Role::kWorker, "192.0.2.2", record(kTeller, "tcp://192.0.2.2:1")});
  std::uint32_t n = 1;
  const auto believed = [&](UnixMs off) {
    sequence = 1'000'000 + now.ns / 1'000'000 + off;
    ++n;
    hear(record(n, "tcp://192.0.2.3:" + std::to_string(n)));
    return dialled.contains(node(n));
  };
  EXPECT_TRUE(believed(400'000));
  EXPECT_TRUE(believed(590'000));
  EXPECT_FALSE(believed(700'000));
  EXPECT_TRUE(believed(-590'000));
  EXPECT_FALSE(believed(-700'000));
}

TEST_F(KnownPeersTest, WhoMovedIsDialledWhereItWasLast) {
  start();
  step(LinkUp{node(kTeller), Role::kWorker, "192.0.2.2", record(kTeller, "tcp://192.0.2.2:1")});
  for (int port = 1; port <= 5; ++port) hear(record(2, "tcp://192.0.2.3:" + std::to_string(port)));
  EXPECT_EQ(disk.size(), 2U);
  // In a place of an earlier version, and older.
  StoredFact old;
  old.kind = FactKind::kPeer;
  old.about = node(2);
  old.sequence = 1;
  sequence = 999'000;
  old.bytes = pack_signed(record(2, "tcp://192.0.2.3:99"));
  disk.insert_or_assign({old.kind, old.about, old.sequence}, old);
  start();
  EXPECT_EQ(dialled.size(), 2U);
  EXPECT_EQ(dialled[node(2)], "tcp://192.0.2.3:5");
}

// Anybody can sign a record for a key of its own with another's address in it, and say that this is
// who leads a job.
TEST_F(KnownPeersTest, WhereNobodyAnswersARecordIsForgottenAfterSevenDials) {
  constexpr int kMadeUp = 100;
  start();
  step(LinkUp{node(kTeller), Role::kWorker, "192.0.2.2", record(kTeller, "tcp://192.0.2.2:1")});
  in_vain.clear();
  for (std::uint32_t i = 0; i < kMadeUp; ++i) {
    WorkAvailable news{
        .job = {},
        .leader = record(2000 + i, "tcp://198.51.100." + std::to_string(1 + i) + ":80"),
        .hops = 3,
        .terms = {}};
    news.job.bytes[0] = static_cast<std::uint8_t>(i + 1);
    step(Received{node(kTeller), encode(Message(news))});
  }
  std::map<NodeId, int> dials;
  for (int turn = 0; turn < 36'000; ++turn) {
    now = now + 100ms;
    step(DeadlineReached{});
    for (const NodeId& who : std::exchange(in_vain, {})) {
      ++dials[who];
      step(LinkLost{.peer = who, .why = "nobody listens"});
    }
  }
  EXPECT_EQ(dials.size(), kMadeUp);
  for (const auto& [who, count] : dials) EXPECT_LE(count, 7);
}

// To one port of one machine that is somebody else's, or to many of its ports.
TEST_F(KnownPeersTest, HoweverManyRecordsNameOneAddressItIsDialledAFewTimesAMinute) {
  for (const bool one_port : {true, false}) {
    start();
    step(LinkUp{node(kTeller), Role::kWorker, "192.0.2.2", record(kTeller, "tcp://192.0.2.2:1")});
    in_vain.clear();
    for (std::uint32_t i = 0; i < 200; ++i) {
      const std::string port = std::to_string(one_port ? 80 : 80 + i);
      WorkAvailable news{.job = {},
                         .leader = record(2000 + i, "tcp://198.51.100.1:" + port),
                         .hops = 3,
                         .terms = {}};
      news.job.bytes[0] = static_cast<std::uint8_t>(i + 1);
      step(Received{node(kTeller), encode(Message(news))});
    }
    WorkAvailable other{
        .job = {}, .leader = record(7, "tcp://198.51.100.2:80"), .hops = 3, .terms = {}};
    other.job.bytes[1] = 1;
    step(Received{node(kTeller), encode(Message(other))});
    std::size_t dials = 0;
    for (int turn = 0; turn < 590; ++turn) {
      for (const NodeId& who : std::exchange(in_vain, {})) {
        if (who != node(7)) ++dials;
        step(LinkLost{.peer = who, .why = "nobody listens"});
      }
      now = now + 100ms;
      step(DeadlineReached{});
    }
    EXPECT_GE(dials, 7U);
    EXPECT_LE(dials, one_port ? DialLimit::kDialsPerEndpoint : DialLimit::kDialsPerHost);
    EXPECT_TRUE(dialled.contains(node(7))) << "the other address is dialled all the same";
    now = now + 60s;
  }
}

}  // namespace
}  // namespace shoal::test
