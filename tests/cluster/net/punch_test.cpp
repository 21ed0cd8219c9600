// Two nodes behind routers that dial each other at the same moment, by real links.

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "node/link/link.h"
#include "node/protocol/address.h"
#include "tests/cluster/net/network.h"
#include "tests/cluster/process.h"

namespace shoal::cluster {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kPortHere = 21'001;
constexpr std::uint16_t kPortThere = 22'002;
constexpr auto kTurn = 20ms;

class PunchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!no_own_network().empty()) GTEST_SKIP() << no_own_network();
    network_.emplace(1);
  }

  struct End {
    const NetNode* node = nullptr;
    std::unique_ptr<KeyPair> key;
    std::unique_ptr<Link> link;
    std::optional<LinkUp> up;
    std::optional<LinkLost> lost;
    std::vector<Bytes> received;
  };

  End end_behind(const std::string& name, Nat nat, std::uint8_t seed) {
    End end;
    end.node = &network_->add(name, {.delay = 5ms}, nat);
    std::array<std::uint8_t, KeyPair::kSeedBytes> bytes{};
    bytes[0] = seed;
    end.key = std::make_unique<KeyPair>(bytes);
    // Its sockets are where its I/O thread was started.
    end.node->space.inside([&] {
      LinkConfig config;
      config.listen = "tcp://0.0.0.0:0";
      auto link = Link::open(config, *end.key);
      ASSERT_TRUE(link) << link.error().what;
      end.link = std::move(*link);
    });
    return end;
  }
  static Dial punch(const End& to, std::uint16_t here, std::uint16_t there) {
    return {to.key->id(), join_endpoint({to.node->public_address, there}), {}, here};
  }
  static void take_turn(End& end) {
    std::vector<bool> readable;
    for (LinkEvent& event : end.link->wait(kTurn, {}, readable)) {
      if (auto* up = std::get_if<LinkUp>(&event)) end.up = std::move(*up);
      if (auto* lost = std::get_if<LinkLost>(&event)) end.lost = std::move(*lost);
      if (auto* said = std::get_if<Received>(&event)) end.received.push_back(said->bytes);
    }
  }
  template <class Holds>
  static bool run_until(End& a, End& b, Holds holds) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!holds()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      take_turn(a);
      take_turn(b);
    }
    return true;
  }
  std::optional<Network> network_;
};

TEST_F(PunchTest, TwoThatDialAtOnceThroughRoutersThatKeepPortsAreLinked) {
  End a = end_behind("a", Nat::kPortKeeping, 1), b = end_behind("b", Nat::kPortKeeping, 2);
  a.link->perform(punch(b, kPortHere, kPortThere));
  b.link->perform(punch(a, kPortThere, kPortHere));
  ASSERT_TRUE(run_until(a, b, [&] { return (a.up && b.up) || a.lost || b.lost; }));
  ASSERT_FALSE(a.lost) << a.lost->why;
  ASSERT_FALSE(b.lost) << b.lost->why;
  EXPECT_EQ(a.up->path, LinkPath::kPunched);
  EXPECT_EQ(b.up->path, LinkPath::kPunched);
  EXPECT_EQ(a.up->address, b.node->public_address);
  EXPECT_EQ(b.up->address, a.node->public_address);

  // Far more than a circuit carries, each way.
  const Bytes bulk(limits::kCircuitBytes * 4, 7);
  a.link->perform(Send{b.key->id(), bulk});
  b.link->perform(Send{a.key->id(), bulk});
  ASSERT_TRUE(run_until(a, b, [&] { return !a.received.empty() && !b.received.empty(); }));
  EXPECT_EQ(a.received.front(), bulk);
  EXPECT_EQ(b.received.front(), bulk);

  // Either side may end it; and once it has ended, a new punch from other ports comes through.
  a.link->perform(Drop{b.key->id(), "enough"});
  ASSERT_TRUE(run_until(a, b, [&] { return a.lost && b.lost; }));
  for (End* end : {&a, &b}) end->up.reset(), end->lost.reset();
  b.link->perform(punch(a, kPortThere + 1, kPortHere + 1));
  a.link->perform(punch(b, kPortHere + 1, kPortThere + 1));
  ASSERT_TRUE(run_until(a, b, [&] { return (a.up && b.up) || a.lost || b.lost; }));
  EXPECT_TRUE(a.up && b.up);
  b.link->perform(Drop{a.key->id(), "enough"});
  EXPECT_TRUE(run_until(a, b, [&] { return a.lost && b.lost; }));
}

TEST_F(PunchTest, ThroughARouterThatChoosesPortsAtRandomNothingComes) {
  End a = end_behind("a", Nat::kPortKeeping, 1), b = end_behind("b", Nat::kFullyRandom, 2);
  a.link->perform(punch(b, kPortHere, kPortThere));
  b.link->perform(punch(a, kPortThere, kPortHere));
  ASSERT_TRUE(run_until(a, b, [&] { return (a.lost && b.lost) || a.up || b.up; }));
  EXPECT_FALSE(a.up || b.up);
  EXPECT_TRUE(a.lost && b.lost) << "each side is told";
}

TEST_F(PunchTest, WhoIsNotDialledBackIsTold) {
  End a = end_behind("a", Nat::kPortKeeping, 1), b = end_behind("b", Nat::kPortKeeping, 2);
  for (auto [from, to] : {std::pair{&a, &b}, std::pair{&b, &a}}) {
    from->link->perform(punch(*to, kPortHere, kPortThere));
    ASSERT_TRUE(run_until(a, b, [&, f = from] { return f->lost.has_value(); }));
    EXPECT_FALSE(from->up || to->up || to->lost);
    from->lost.reset();
  }
}

}  // namespace
}  // namespace shoal::cluster
