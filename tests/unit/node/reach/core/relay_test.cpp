#include "node/reach/core/relay.h"

#include <gtest/gtest.h>

#include <utility>

namespace shoal {
namespace {

NodeId node(std::uint16_t n) {
  NodeId id;
  id.bytes[0] = static_cast<std::uint8_t>(n >> 8);
  id.bytes[1] = static_cast<std::uint8_t>(n);
  return id;
}

// A relay alone; everybody is linked to it.
class RelayTest : public testing::Test {
 protected:
  void TearDown() override { relay.check_invariants(); }
  RelayTest() {
    for (std::uint16_t n = 0; n < 1000; ++n) {
      links[node(n)].node = node(n);
      links[node(n)].address = "198.51.100." + std::to_string(n % 250);
    }
  }
  // What the relay has sent to node n since the last time.
  template <class M>
  std::vector<M> sent(std::uint16_t n) {
    std::vector<M> found;
    std::vector<ReachAction> rest;
    for (ReachAction& action : out.actions) {
      auto* send = std::get_if<Send>(&action);
      auto message = decode(send->bytes);
      const M* m = send->peer == node(n) ? std::get_if<M>(&*message) : nullptr;
      if (m != nullptr) {
        found.push_back(*m);
      } else {
        rest.push_back(std::move(action));
      }
    }
    out.actions = std::move(rest);
    return found;
  }
  bool reserve(std::uint16_t n, bool willing = true) {
    relay.on(node(n), Reserve{}, willing, out);
    const auto answers = sent<Reserved>(n);
    EXPECT_EQ(answers.size(), 1U);
    return answers.at(0).accepted;
  }
  void open(std::uint16_t from, std::uint16_t to) {
    relay.on(now, node(from), links, CircuitOpen{node(from), node(to), {}, ""}, out);
  }
  void answer(std::uint16_t from, std::uint16_t to, bool accepted = true) {
    relay.on(now, node(from), links, CircuitAnswer{node(from), node(to), accepted, {}, "", ""},
             out);
  }
  // A circuit that stands.
  void connect(std::uint16_t a, std::uint16_t b) {
    open(a, b);
    ASSERT_EQ(sent<CircuitOpen>(b).size(), 1U);
    answer(b, a);
    ASSERT_EQ(sent<CircuitAnswer>(a).size(), 1U);
  }
  void data(std::uint16_t from, std::uint16_t to, std::size_t bytes) {
    relay.on(node(from), CircuitData{node(from), node(to), Bytes(bytes, 1)}, out);
  }

  Relay relay;
  ReachLinks links;
  ReachOutput out;
  Instant now{1'000'000'000};
};

TEST_F(RelayTest, ReservationsHaveALimit) {
  for (std::uint16_t n = 0; n < limits::kReservations; ++n) EXPECT_TRUE(reserve(n));
  EXPECT_FALSE(reserve(500));
  EXPECT_TRUE(reserve(0)) << "who has one keeps it";
  relay.link_lost(node(1), out);
  EXPECT_TRUE(reserve(500)) << "a place is free";
  EXPECT_EQ(relay.reservations(), limits::kReservations);
}

TEST_F(RelayTest, OneThatCannotBeDialledIsNoRelay) { EXPECT_FALSE(reserve(1, false)); }

TEST_F(RelayTest, NobodyIsSpokenToWhoHasNotReserved) {
  open(1, 2);
  EXPECT_TRUE(sent<CircuitOpen>(2).empty());
  const auto answers = sent<CircuitAnswer>(1);
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_FALSE(answers[0].accepted);
  EXPECT_EQ(answers[0].from, node(2));
  relay.on(now, node(1), links, Reverse{node(1), node(2), 1, ""}, out);
  EXPECT_TRUE(out.actions.empty());
}

TEST_F(RelayTest, ANodeHasSixteenCircuits) {
  ASSERT_TRUE(reserve(2));
  for (std::uint16_t n = 0; n < limits::kCircuitsPerNode; ++n) {
    connect(static_cast<std::uint16_t>(100 + n), 2);
  }
  open(200, 2);
  EXPECT_TRUE(sent<CircuitOpen>(2).empty());
  EXPECT_FALSE(sent<CircuitAnswer>(200).at(0).accepted);
  relay.on(node(100), CircuitEnd{node(100), node(2), "done"}, out);
  EXPECT_EQ(sent<CircuitEnd>(2).size(), 1U);
  connect(200, 2);
}

TEST_F(RelayTest, TheOpenerHasSixteenAsWell) {
  for (std::uint16_t n = 0; n <= limits::kCircuitsPerNode; ++n) ASSERT_TRUE(reserve(n));
  for (std::uint16_t n = 0; n < limits::kCircuitsPerNode; ++n) connect(100, n);
  open(100, limits::kCircuitsPerNode);
  EXPECT_FALSE(sent<CircuitAnswer>(100).at(0).accepted);
}

TEST_F(RelayTest, ItsSessionsShareThem) {
  for (std::uint16_t n = 0; n <= limits::kCircuitsPerNode; ++n) ASSERT_TRUE(reserve(n));
  links[node(101)].node = node(100);  // both are processes of one key
  for (std::uint16_t n = 0; n < limits::kCircuitsPerNode; ++n) {
    connect(static_cast<std::uint16_t>(100 + n % 2), n);
  }
  open(101, limits::kCircuitsPerNode);
  EXPECT_FALSE(sent<CircuitAnswer>(101).at(0).accepted);
  relay.link_lost(node(100), out);
  connect(101, limits::kCircuitsPerNode);
}

TEST_F(RelayTest, SoManyBytesInEachDirection) {
  ASSERT_TRUE(reserve(2));
  connect(1, 2);
  for (int i = 0; i < 2; ++i) {
    data(1, 2, limits::kCircuitBytes / 2);
    data(2, 1, limits::kCircuitBytes / 2);
  }
  EXPECT_EQ(sent<CircuitData>(1).size(), 2U);
  EXPECT_EQ(sent<CircuitData>(2).size(), 2U);
  EXPECT_EQ(relay.circuits(), 1U);
  data(2, 1, 1);
  EXPECT_TRUE(sent<CircuitData>(1).empty());
  EXPECT_EQ(sent<CircuitEnd>(1).at(0).from, node(2));
  EXPECT_EQ(sent<CircuitEnd>(2).at(0).from, node(1));
  EXPECT_EQ(relay.circuits(), 0U);
}

TEST_F(RelayTest, TwoMinutes) {
  ASSERT_TRUE(reserve(2));
  connect(1, 2);
  ASSERT_EQ(relay.next_deadline(), now + limits::kCircuitTime);
  relay.on_deadline(now + limits::kCircuitTime - 1ms, out);
  EXPECT_EQ(relay.circuits(), 1U);
  relay.on_deadline(now + limits::kCircuitTime, out);
  EXPECT_EQ(relay.circuits(), 0U);
  EXPECT_EQ(sent<CircuitEnd>(1).size(), 1U);
  EXPECT_EQ(sent<CircuitEnd>(2).size(), 1U);
}

TEST_F(RelayTest, AQuestionWithoutAnAnswerIsForgotten) {
  ASSERT_TRUE(reserve(2));
  open(1, 2);
  relay.on_deadline(now + 11s, out);
  EXPECT_EQ(relay.circuits(), 0U);
}

TEST_F(RelayTest, NothingIsCarriedBeforeTheAnswerOrForAThird) {
  ASSERT_TRUE(reserve(2));
  open(1, 2);
  data(1, 2, 10);
  EXPECT_TRUE(sent<CircuitData>(2).empty());
  answer(1, 2);  // the asker itself cannot say yes
  data(1, 2, 10);
  EXPECT_TRUE(sent<CircuitData>(2).empty());
  answer(2, 1);
  data(3, 2, 10);
  relay.on(node(3), CircuitData{node(1), node(2), Bytes(10, 1)}, out);
  EXPECT_TRUE(sent<CircuitData>(2).empty());
  relay.on(node(3), CircuitEnd{node(1), node(2), "cut"}, out);
  EXPECT_EQ(relay.circuits(), 1U);
  data(1, 2, 10);
  EXPECT_EQ(sent<CircuitData>(2).size(), 1U);
}

TEST_F(RelayTest, IntroductionsAreCounted) {
  ASSERT_TRUE(reserve(2));
  for (int i = 0; i < 100; ++i) {
    relay.on(now, node(1), links, Reverse{node(1), node(2), 1, ""}, out);
  }
  EXPECT_EQ(sent<Reverse>(2).size(), limits::kIntroductionsPerMinute);
  open(1, 2);
  EXPECT_FALSE(sent<CircuitAnswer>(1).at(0).accepted);
  now = now + 61s;
  connect(1, 2);
}

TEST_F(RelayTest, TheLinkOfEitherEndIsTheirEnd) {
  ASSERT_TRUE(reserve(2));
  connect(1, 2);
  connect(3, 2);
  relay.link_lost(node(2), out);
  EXPECT_EQ(relay.circuits(), 0U);
  EXPECT_EQ(sent<CircuitEnd>(1).size(), 1U);
  EXPECT_EQ(sent<CircuitEnd>(3).size(), 1U);
  EXPECT_TRUE(sent<CircuitEnd>(2).empty()) << "nobody is there to hear it";
  open(1, 2);
  EXPECT_FALSE(sent<CircuitAnswer>(1).at(0).accepted) << "its reservation went with the link";
}

}  // namespace
}  // namespace shoal
