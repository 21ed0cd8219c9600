// Bulk never goes over a relay: whoever asks for it over a circuit is told that it is not here.

#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <vector>

#include "node/reach/core/circuits.h"
#include "tests/unit/worker/core/pool.h"

namespace shoal {
namespace {

using namespace shoal::test;

// Worker 1, and one that nobody can dial and for which the test speaks. Worker 2 is its relay; what
// worker 1 sends through it ends here.
class RelayedContents : public ::testing::Test {
 protected:
  RelayedContents() {
    pool_.meddle = [this](std::size_t from, std::size_t, Message& message) {
      const bool of_a_circuit = std::holds_alternative<CircuitOpen>(message) ||
                                std::holds_alternative<CircuitAnswer>(message) ||
                                std::holds_alternative<CircuitData>(message) ||
                                std::holds_alternative<CircuitEnd>(message) ||
                                std::holds_alternative<Reverse>(message);
      if (from == 1 && of_a_circuit) mail_.push_back(message);
      return !of_a_circuit;
    };
  }
  Signed record() const {
    NodeRecord record = pool_.config().record;
    record.node = hidden_.id();
    record.pool = pool_.config().pool;
    record.sequence = 1'000'000;
    record.ttl_s = 600;
    record.endpoints.clear();
    record.via = {Via{.node = pool_.id(2), .endpoint = "tcp://127.0.0.1:1"}};
    return sign_fact(hidden_, Purpose::kRecord, encode(record));
  }
  void pass_on() {
    const NodeId relay = pool_.id(2);
    while (!mail_.empty()) {
      const Message message = std::move(mail_.front());
      mail_.pop_front();
      if (const auto* open = std::get_if<CircuitOpen>(&message)) {
        circuits_.on(pool_.now(), relay, *open, "", out_);
      } else if (const auto* answer = std::get_if<CircuitAnswer>(&message)) {
        circuits_.on(pool_.now(), relay, *answer, out_);
      } else if (const auto* data = std::get_if<CircuitData>(&message)) {
        circuits_.on(pool_.now(), relay, *data, out_);
      } else if (const auto* end = std::get_if<CircuitEnd>(&message)) {
        circuits_.on(relay, *end, out_);
      }
      say();
    }
  }
  // What the hidden one has to say goes to worker 1, as its relay passes it on.
  void say() {
    for (const ReachEvent& event : std::exchange(out_.events, {})) {
      const auto* received = std::get_if<Received>(&event);
      if (received != nullptr) heard_.push_back(*decode(received->bytes));
    }
    for (const ReachAction& action : std::exchange(out_.actions, {})) {
      if (const auto* send = std::get_if<Send>(&action)) {
        pool_.say_as(2, 1, *decode(send->bytes));
      }
    }
  }
  void ask_over_the_circuit(const Message& message) {
    circuits_.send(Send{pool_.id(1), encode(message)}, out_);
    say();
    pass_on();
  }

  Pool pool_{2};
  PlainSigner hidden_{99};
  Circuits circuits_{{.pool = pool_.config().pool,
                      .role = Role::kWorker,
                      .record = [this] { return std::optional(record()); },
                      .punches = false},
                     hidden_,
                     Rng(99)};
  ReachOutput out_;
  std::deque<Message> mail_;
  std::vector<Message> heard_;
};

TEST_F(RelayedContents, AreMissing) {
  // A job that the hidden one leads: worker 1 wants to talk to it.
  JobId job;
  job.bytes[0] = 1;
  pool_.say_as(2, 1, WorkAvailable{.job = job, .leader = record(), .hops = 1, .terms = {}});
  for (int i = 0; i < 60 && !circuits_.up(pool_.id(1)); ++i) {
    pass_on();
    pool_.pass(1s);
  }
  ASSERT_TRUE(circuits_.up(pool_.id(1))) << "there is no circuit";
  ContentId content;
  content.bytes[0] = 5;
  ask_over_the_circuit(BlockRequest{content, 1'000'000, 16});
  std::vector<Block> blocks;
  for (const Message& message : heard_) {
    if (const auto* block = std::get_if<Block>(&message)) blocks.push_back(*block);
  }
  ASSERT_EQ(blocks.size(), 1U);
  EXPECT_TRUE(blocks[0].missing);
  EXPECT_EQ(blocks[0].content, content);
  EXPECT_EQ(blocks[0].first_leaf, 16U);
}

}  // namespace
}  // namespace shoal
