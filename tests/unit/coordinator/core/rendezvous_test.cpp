#include "coordinator/core/rendezvous.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <utility>

namespace shoal {
namespace {

constexpr UnixMs kUnixMsAtZero = 1'700'000'000'000;

class FakeChecker final : public SignatureChecker {
 public:
  bool holds(const NodeId&, Purpose purpose, ByteView, const Signature& signature) const override {
    ++calls;
    return purpose == Purpose::kRecord && signature.bytes[0] == 1;
  }
  mutable int calls = 0;
};

NodeId node(std::uint32_t n) {
  NodeId id;
  for (std::size_t i = 0; i < 4; ++i) id.bytes[i] = static_cast<std::uint8_t>(n >> (8 * i));
  id.bytes[31] = 1;
  return id;
}

PoolId pool() {
  PoolId id;
  id.bytes.fill(7);
  return id;
}

std::string address(std::uint32_t n) {
  return "10." + std::to_string(n >> 16) + "." + std::to_string(n >> 8 & 255) + "." +
         std::to_string(n & 255);
}

class RendezvousTest : public testing::Test {
 protected:
  void TearDown() override { world().check_invariants(); }

  Rendezvous& world() {
    if (!rendezvous) rendezvous = std::make_unique<Rendezvous>(config, checker, Rng(5));
    return *rendezvous;
  }
  static RendezvousConfig plain_config() {
    RendezvousConfig c;
    c.pool = pool();
    c.unix_ms_at_zero = kUnixMsAtZero;
    c.visitors_asked_max = 0;  // or everybody's first message would be a question
    return c;
  }
  UnixMs unix_now() const { return kUnixMsAtZero + now.ns / 1'000'000; }

  NodeRecord record(std::uint32_t n) const {
    NodeRecord r;
    r.node = node(n);
    r.pool = pool();
    r.endpoints = {"tcp://" + address(n) + ":4242"};
    r.threads = 4;
    r.agent = "shoal/0.1.0";
    r.sequence = unix_now();
    r.ttl_s = 600;
    return r;
  }
  static Signed signed_record(const NodeRecord& r, std::uint8_t mark = 1) {
    Signed fact{r.node, encode(r), {}};
    fact.signature.bytes[0] = mark;
    return fact;
  }

  void up(std::uint32_t n, std::string from = "") {
    const auto actions = world().step(
        now, LinkUp{node(n), Role::kWorker, from.empty() ? address(n) : from, std::nullopt});
    EXPECT_TRUE(actions.empty());
  }
  void lose(std::uint32_t n) {
    EXPECT_TRUE(world().step(now, LinkLost{node(n), "closed"}).empty());
  }
  RendezvousActions say(std::uint32_t n, const Message& message) {
    return world().step(now, Received{node(n), encode(message)});
  }
  // The one message that `actions` send to node n.
  template <class M>
  static M reply(const RendezvousActions& actions, std::uint32_t n) {
    M found;
    EXPECT_EQ(actions.size(), 1U);
    if (actions.size() != 1) return found;
    const auto* send = std::get_if<Send>(&actions[0]);
    EXPECT_NE(send, nullptr);
    if (send == nullptr) return found;
    EXPECT_EQ(send->peer, node(n));
    auto message = decode(send->bytes);
    EXPECT_TRUE(message && std::holds_alternative<M>(*message));
    if (message && std::holds_alternative<M>(*message)) found = std::get<M>(*message);
    return found;
  }
  static bool is_drop(const RendezvousActions& actions, std::uint32_t n) {
    bool dropped = false;
    for (const RendezvousAction& action : actions) {
      if (std::holds_alternative<Send>(action)) return false;
      const auto* drop = std::get_if<Drop>(&action);
      if (drop == nullptr) continue;
      EXPECT_EQ(drop->peer, node(n));
      EXPECT_FALSE(drop->why.empty());
      dropped = true;
    }
    return dropped;
  }
  Announced announce(std::uint32_t n) {
    return reply<Announced>(say(n, Announce{signed_record(record(n))}), n);
  }
  // Connect, announce, leave the link.
  void join(std::uint32_t n) {
    up(n);
    EXPECT_EQ(announce(n).ttl_s, 600U);
    lose(n);
  }
  Sample ask(std::uint32_t n, std::uint32_t count, std::uint64_t cookie = 0) {
    return reply<Sample>(say(n, SampleRequest{count, cookie}), n);
  }
  static std::set<NodeId> nodes_of(const Sample& sample) {
    std::set<NodeId> nodes;
    for (const Signed& r : sample.records) nodes.insert(r.signer);
    EXPECT_EQ(nodes.size(), sample.records.size()) << "a record twice in one sample";
    return nodes;
  }

  RendezvousConfig config = plain_config();
  FakeChecker checker;
  Instant now{1'000'000'000};
  std::unique_ptr<Rendezvous> rendezvous;
};

TEST_F(RendezvousTest, ANodeLearnsItsAddressAndIsFoundByOthers) {
  up(1);
  const Announced answer = announce(1);
  EXPECT_EQ(answer.observed_address, address(1));
  EXPECT_EQ(answer.ttl_s, 600U);
  up(2);
  const Sample sample = ask(2, 10);
  ASSERT_EQ(sample.records.size(), 1U);
  // As it was signed, byte for byte.
  EXPECT_EQ(sample.records[0], signed_record(record(1)));
  EXPECT_EQ(sample.nodes_known, 1U);
  EXPECT_EQ(world().figures().announcements, 1U);
  EXPECT_EQ(world().figures().samples, 1U);
}

TEST_F(RendezvousTest, ARecordStaysWhenItsNodeLeavesTheLink) {
  join(1);
  up(2);
  EXPECT_EQ(nodes_of(ask(2, 10)), std::set{node(1)});
}

TEST_F(RendezvousTest, NobodyIsToldOfItself) {
  up(1);
  announce(1);
  EXPECT_TRUE(ask(1, 10).records.empty());
  const Sample sample = ask(1, 10, ask(1, 10).cookie - 1);
  EXPECT_TRUE(sample.records.empty());
}

TEST_F(RendezvousTest, ASampleIsAsLargeAsAskedAndNeverPastTheLimit) {
  for (std::uint32_t n = 1; n <= 200; ++n) join(n);
  up(1000);
  EXPECT_EQ(nodes_of(ask(1000, 0)).size(), 0U);
  EXPECT_EQ(nodes_of(ask(1000, 5)).size(), 5U);
  EXPECT_EQ(nodes_of(ask(1000, 4'000'000'000U)).size(), limits::kSampleRecords);
  EXPECT_EQ(ask(1000, 5).nodes_known, 200U);
}

TEST_F(RendezvousTest, EveryNodeIsDrawnAboutAsOften) {
  constexpr std::uint32_t kNodes = 50;
  for (std::uint32_t n = 1; n <= kNodes; ++n) join(n);
  up(1000);
  std::map<NodeId, int> drawn;
  for (int i = 0; i < 1000; ++i) {
    for (const NodeId& id : nodes_of(ask(1000, 10))) ++drawn[id];
  }
  ASSERT_EQ(drawn.size(), kNodes);
  // 200 expected, with a deviation of 12.6: five of them on either side.
  for (const auto& [id, count] : drawn) {
    EXPECT_GT(count, 137);
    EXPECT_LT(count, 263);
  }
}

TEST_F(RendezvousTest, ACookieBringsOnlyWhatChangedSince) {
  for (std::uint32_t n = 1; n <= 10; ++n) join(n);
  up(1000);
  const std::uint64_t cookie = ask(1000, 64).cookie;
  EXPECT_TRUE(ask(1000, 64, cookie).records.empty());
  now = now + 1s;
  join(11);
  join(3);  // again, newer
  const Sample changed = ask(1000, 64, cookie);
  EXPECT_EQ(nodes_of(changed), (std::set{node(3), node(11)}));
  EXPECT_TRUE(ask(1000, 64, changed.cookie).records.empty());
  EXPECT_EQ(changed.nodes_known, 11U);
}

TEST_F(RendezvousTest, ManyChangesAreSampledToo) {
  join(5000);
  up(9000);
  const std::uint64_t cookie = ask(9000, 1).cookie;
  for (std::uint32_t n = 1; n <= 2000; ++n) join(n);
  const std::set<NodeId> first = nodes_of(ask(9000, 16, cookie));
  const std::set<NodeId> second = nodes_of(ask(9000, 16, cookie));
  EXPECT_EQ(first.size(), 16U);
  EXPECT_EQ(second.size(), 16U);
  EXPECT_NE(first, second);
  EXPECT_FALSE(first.contains(node(5000)));
}

TEST_F(RendezvousTest, ACookieOfAnEarlierRunOrOfAnotherCoordinatorMeansAFreshSample) {
  for (std::uint32_t n = 1; n <= 10; ++n) join(n);
  up(1000);
  const std::uint64_t old_cookie = ask(1000, 64).cookie;
  EXPECT_EQ(ask(1000, 64, old_cookie + 1'000'000).records.size(), 10U);
  // Killed, and started again a second later.
  rendezvous.reset();
  now = now + 1s;
  join(1);
  join(2);
  up(1000);
  EXPECT_EQ(nodes_of(ask(1000, 64, old_cookie)), (std::set{node(1), node(2)}));
}

TEST_F(RendezvousTest, ARecordExpires) {
  join(1);
  now = now + 300s;
  join(2);
  now = now + 299s;
  up(1000);
  EXPECT_EQ(nodes_of(ask(1000, 64)), (std::set{node(1), node(2)}));
  now = now + 1s;
  EXPECT_EQ(nodes_of(ask(1000, 64)), std::set{node(2)});
  now = now + 300s;
  EXPECT_TRUE(ask(1000, 64).records.empty());
  EXPECT_EQ(world().figures().records, 0U);
}

TEST_F(RendezvousTest, AnnouncingAgainKeepsARecord) {
  for (int i = 0; i < 20; ++i) {
    join(1);
    now = now + 500s;
  }
  up(1000);
  EXPECT_EQ(ask(1000, 64).records.size(), 1U);
}

TEST_F(RendezvousTest, LeavingForgetsTheRecord) {
  join(1);
  join(2);
  up(1);
  EXPECT_TRUE(is_drop(say(1, Leave{}), 1)) << "so that the node knows that it was heard";
  up(1000);
  EXPECT_EQ(nodes_of(ask(1000, 64)), std::set{node(2)});
}

TEST_F(RendezvousTest, AnOlderRecordDoesNotReplaceANewerOne) {
  up(1);
  NodeRecord newer = record(1);
  newer.threads = 8;
  NodeRecord older = record(1);
  older.sequence -= 5000;
  now = now + 10s;
  EXPECT_EQ(reply<Announced>(say(1, Announce{signed_record(newer)}), 1).ttl_s, 600U);
  now = now + 100s;
  // What is kept is told: the newer one, for 500 s more.
  EXPECT_EQ(reply<Announced>(say(1, Announce{signed_record(older)}), 1).ttl_s, 500U);
  // The same one again changes nothing.
  const std::uint64_t cookie = ask(1, 1).cookie;
  EXPECT_EQ(reply<Announced>(say(1, Announce{signed_record(newer)}), 1).ttl_s, 500U);
  EXPECT_EQ(ask(1, 1).cookie, cookie);
  up(1000);
  EXPECT_EQ(ask(1000, 64).records.at(0), signed_record(newer));
}

TEST_F(RendezvousTest, TwoProcessesWithOneKeyAreEachShownTheOthersRecord) {
  up(1);
  announce(1);
  lose(1);
  const Signed first = signed_record(record(1));
  now = now + 10s;
  up(1);
  NodeRecord elsewhere = record(1);
  elsewhere.endpoints = {"tcp://203.0.113.9:4300"};
  const auto shown = [&](const NodeRecord& said) {
    const auto actions = say(1, Announce{signed_record(said)});
    EXPECT_EQ(actions.size(), 2U);
    return reply<Announce>({actions.at(0)}, 1).record;
  };
  EXPECT_EQ(shown(elsewhere), first);
  now = now + 10s;
  EXPECT_EQ(shown(record(1)), signed_record(elsewhere));
  lose(1);
  now = now + 10s;
  up(1, "203.0.113.77");  // the same port of the same private network, behind another router
  EXPECT_EQ(shown(record(1)).signer, node(1));
  EXPECT_EQ(announce(1).ttl_s, 600U) << "as before: there is nothing to show";
}

TEST_F(RendezvousTest, WhoBeginsWithNothingAsksItsFirstVisitorsWhomTheyKnow) {
  config.visitors_asked_max = 2;
  const auto come = [&](std::uint32_t n, Role role) {
    return world().step(now, LinkUp{node(n), role, address(n), std::nullopt});
  };
  EXPECT_TRUE(come(900, Role::kSubmitter).empty()) << "it knows less than a worker";
  EXPECT_GE(reply<SampleRequest>(come(1, Role::kWorker), 1).count, 8U);
  now = now + 400s;
  NodeRecord old = record(2);
  old.sequence -= 300'000;
  NodeRecord expired = record(3);
  expired.sequence -= 600'000;
  NodeRecord foreign = record(4);
  foreign.pool.bytes[0] ^= 1;
  NodeRecord submitter = record(5);
  submitter.role = Role::kSubmitter;
  const Sample told{{signed_record(old), signed_record(expired), signed_record(foreign),
                     signed_record(submitter), signed_record(record(6), 2)},
                    0,
                    6};
  EXPECT_TRUE(say(1, told).empty());
  EXPECT_EQ(nodes_of(ask(1, 64)), std::set{node(2)}) << "what holds by itself, and no more";
  EXPECT_TRUE(is_drop(say(1, told), 1)) << "it was asked once";

  reply<SampleRequest>(come(7, Role::kWorker), 7);
  EXPECT_TRUE(come(8, Role::kWorker).empty()) << "two were asked";
  EXPECT_EQ(announce(8).ttl_s, 600U);
  now = now + 1s;
  EXPECT_TRUE(say(7, Sample{{signed_record(record(8))}, 0, 1}).empty());
  now = now + 299s;
  EXPECT_EQ(nodes_of(ask(7, 64)), std::set{node(8)}) << "it is as old as it says";
  now = now + 300s;
  EXPECT_TRUE(ask(7, 64).records.empty()) << "what it said itself is left alone";
}

TEST_F(RendezvousTest, WhoHasLeftIsNotBroughtBackByThoseWhoKnowItStill) {
  config.visitors_asked_max = 3;
  const auto come = [&](std::uint32_t n) {
    return world().step(now, LinkUp{node(n), Role::kWorker, address(n), std::nullopt});
  };
  reply<SampleRequest>(come(1), 1);
  NodeRecord ahead = record(1);
  ahead.sequence += 1000;  // by a clock that is not quite right
  reply<Announced>(say(1, Announce{signed_record(ahead)}), 1);
  EXPECT_TRUE(is_drop(say(1, Leave{}), 1));
  EXPECT_EQ(world().figures().records, 0U);

  reply<SampleRequest>(come(2), 2);
  EXPECT_TRUE(say(2, Sample{{signed_record(ahead), signed_record(record(3))}, 0, 2}).empty());
  EXPECT_EQ(nodes_of(ask(2, 64)), std::set{node(3)});

  now = now + 2s;
  reply<SampleRequest>(come(4), 4);
  EXPECT_TRUE(say(4, Sample{{signed_record(record(1))}, 0, 1}).empty());
  EXPECT_EQ(nodes_of(ask(4, 64)), (std::set{node(1), node(3)})) << "it came back, elsewhere";
}

TEST_F(RendezvousTest, ANodeAnnouncesItselfAlone) {
  up(1);
  EXPECT_TRUE(is_drop(say(1, Announce{signed_record(record(2))}), 1));
  up(1);
  Signed other_signer = signed_record(record(1));
  other_signer.signer = node(2);
  EXPECT_TRUE(is_drop(say(1, Announce{other_signer}), 1));
  EXPECT_EQ(world().figures().records, 0U);
  EXPECT_EQ(world().figures().refused, 2U);
}

TEST_F(RendezvousTest, ASignatureMustHold) {
  up(1);
  EXPECT_TRUE(is_drop(say(1, Announce{signed_record(record(1), 2)}), 1));
  EXPECT_EQ(world().figures().records, 0U);
  EXPECT_EQ(checker.calls, 1);
  // What a record says of itself is checked before 36 us are spent on it.
  up(2);
  NodeRecord foreign = record(2);
  foreign.pool.bytes.fill(8);
  EXPECT_TRUE(is_drop(say(2, Announce{signed_record(foreign)}), 2));
  EXPECT_EQ(checker.calls, 1);
}

TEST_F(RendezvousTest, ARecordsTimesMustMakeSense) {
  const auto refused = [&](auto change) {
    up(1);
    NodeRecord r = record(1);
    change(r);
    return is_drop(say(1, Announce{signed_record(r)}), 1);
  };
  EXPECT_TRUE(refused([](NodeRecord& r) { r.ttl_s = 0; }));
  EXPECT_TRUE(refused([](NodeRecord& r) { r.ttl_s = 601; }));
  // Whose clock is wrong is told so, and hangs up.
  const auto told = [&](UnixMs off) {
    up(1);
    NodeRecord r = record(1);
    r.sequence += off;
    return reply<Refused>(say(1, Announce{signed_record(r)}), 1).detail;
  };
  EXPECT_NE(told(3'600'000).find("3600 s ahead"), std::string::npos);
  EXPECT_NE(told(-3'600'000).find("3600 s behind"), std::string::npos);
  EXPECT_EQ(world().figures().records, 0U);
  // Nobody would believe it.
  EXPECT_NE(told(-700'000).find("700 s behind"), std::string::npos);
  EXPECT_NE(told(700'000).find("700 s ahead"), std::string::npos);
  // Clocks differ by minutes.
  EXPECT_FALSE(refused([](NodeRecord& r) { r.sequence -= 300'000; }));
  EXPECT_FALSE(refused([](NodeRecord& r) { r.sequence += 590'000; }));
  EXPECT_EQ(world().figures().records, 1U);
}

// One who shares a content is no worker: it is named to submitters alone, who may fetch it.
TEST_F(RendezvousTest, SubmittersAreNamedToSubmittersAlone) {
  up(1);
  NodeRecord r = record(1);
  r.role = Role::kSubmitter;
  r.ttl_s = 90;
  const Announced answer = reply<Announced>(say(1, Announce{signed_record(r)}), 1);
  EXPECT_EQ(answer.observed_address, address(1));
  EXPECT_EQ(answer.ttl_s, 90U);
  up(2);
  announce(2);
  EXPECT_TRUE(ask(2, 64).records.empty());
  EXPECT_EQ(world().figures().records, 1U);
  static_cast<void>(world().step(now, LinkUp{node(3), Role::kSubmitter, address(3), {}}));
  EXPECT_EQ(nodes_of(ask(3, 64)), (std::set{node(1), node(2)}));
  EXPECT_EQ(nodes_of(ask(3, 1)), std::set{node(2)}) << "workers come first";
  now = now + 91s;
  EXPECT_EQ(nodes_of(ask(3, 64)), std::set{node(2)});
}

TEST_F(RendezvousTest, ATableThatIsFullRefusesNewcomersAndKeepsThoseItHas) {
  config.records_max = 3;
  for (std::uint32_t n = 1; n <= 3; ++n) join(n);
  up(4);
  EXPECT_EQ(announce(4).ttl_s, 0U);
  now = now + 1s;
  join(2);  // those it has may still renew
  EXPECT_EQ(nodes_of(ask(4, 64)), (std::set{node(1), node(2), node(3)}));
  now = now + 599s;  // 1 and 3 expire
  EXPECT_EQ(announce(4).ttl_s, 600U);
  EXPECT_EQ(world().figures().records, 2U);
}

TEST_F(RendezvousTest, AnAddressHoldsOnlySoManyRecords) {
  config.records_per_address = 2;
  for (std::uint32_t n = 1; n <= 4; ++n) {
    up(n, "203.0.113.9");
    EXPECT_EQ(announce(n).ttl_s, n <= 2 ? 600U : 0U);
  }
  up(5, "203.0.113.10");
  EXPECT_EQ(announce(5).ttl_s, 600U);
  // A place comes free.
  say(1, Leave{});
  EXPECT_EQ(announce(3).ttl_s, 600U);
}

TEST_F(RendezvousTest, LoopbackIsExemptFromWhatAnAddressMayDo) {
  config.records_per_address = 1;
  config.requests_per_address_per_minute = 1;
  for (std::uint32_t n = 1; n <= 20; ++n) {
    up(n, n % 2 == 0 ? "127.0.0.1" : "::1");
    EXPECT_EQ(announce(n).ttl_s, 600U);
  }
}

TEST_F(RendezvousTest, AnAddressAsksOnlySoOftenInAMinute) {
  config.requests_per_address_per_minute = 3;
  up(1, "203.0.113.9");
  up(2, "203.0.113.9");
  up(3, "203.0.113.10");
  ask(1, 1);
  ask(2, 1);
  ask(1, 1);
  EXPECT_TRUE(is_drop(say(2, SampleRequest{1, 0}), 2));
  ask(3, 1);
  now = now + 60s;
  ask(1, 1);
}

TEST_F(RendezvousTest, JobTrafficIsCountedAndRefused) {
  up(1);
  const Message message = WorkRequest{std::nullopt, 4, 0, 0};
  const std::uint64_t size = encode(message).size();
  EXPECT_TRUE(is_drop(say(1, message), 1));
  EXPECT_EQ(world().figures().job_bytes, size);
  EXPECT_EQ(world().figures().bytes_in, size);
  EXPECT_EQ(world().figures().bytes_out, 0U);
  EXPECT_EQ(world().figures().refused, 1U);
  // What was on its way when the link was dropped.
  EXPECT_TRUE(say(1, SampleRequest{1, 0}).empty());
}

TEST_F(RendezvousTest, TheRendezvousConversationIsNoJobTraffic) {
  join(1);
  up(2);
  ask(2, 10);
  say(2, Leave{});
  up(2);
  EXPECT_TRUE(is_drop(say(2, Sample{}), 2));
  EXPECT_EQ(world().figures().job_bytes, 0U);
  EXPECT_GT(world().figures().bytes_out, 0U);
}

TEST_F(RendezvousTest, GarbageEndsTheLinkAndNothingElse) {
  join(1);
  up(2);
  up(3);
  const Bytes garbage(100, 0xa5);
  EXPECT_TRUE(is_drop(world().step(now, Received{node(2), garbage}), 2));
  EXPECT_TRUE(is_drop(world().step(now, Received{node(3), {}}), 3));
  up(4);
  EXPECT_EQ(ask(4, 10).records.size(), 1U);
}

TEST_F(RendezvousTest, AStrangerWithoutALinkIsNotAnswered) {
  EXPECT_TRUE(say(1, SampleRequest{1, 0}).empty());
  EXPECT_TRUE(say(1, Leave{}).empty());
}

TEST_F(RendezvousTest, ManyComeAndGoAndTheBooksStayInOrder) {
  Rng chance(11);
  for (int i = 0; i < 20'000; ++i) {
    const auto n = static_cast<std::uint32_t>(1 + chance.below(300));
    up(n);
    switch (chance.below(8)) {
      case 0:
        say(n, Leave{});
        break;
      case 1:
        nodes_of(ask(n, 8));
        break;
      case 2:
        nodes_of(ask(n, 8, world().figures().announcements));
        break;
      default:
        announce(n);
    }
    now = now + std::chrono::milliseconds(chance.below(4000));
    if (i % 500 == 0) world().check_invariants();
  }
  EXPECT_GT(world().figures().records, 0U);
  EXPECT_LE(world().figures().records, 300U);
}

TEST_F(RendezvousTest, OneSeedGivesOneHistory) {
  const auto history = [&](std::uint64_t seed) {
    now = Instant{0};
    rendezvous = std::make_unique<Rendezvous>(config, checker, Rng(seed));
    std::vector<NodeId> drawn;
    for (std::uint32_t n = 1; n <= 50; ++n) join(n);
    up(1000);
    for (int i = 0; i < 5; ++i) {
      for (const Signed& r : ask(1000, 10).records) drawn.push_back(r.signer);
    }
    return drawn;
  };
  EXPECT_EQ(history(1), history(1));
  EXPECT_NE(history(1), history(2));
}

}  // namespace
}  // namespace shoal
