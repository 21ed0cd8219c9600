#include <algorithm>
#include <set>

#include "node/protocol/terms.h"
#include "tests/sim/checkers/checkers.h"
#include "tests/sim/world.h"

namespace shoal::sim {
namespace {

// A replica of a unit that is a batch of its own: commitment, reveal and its request, a share of
// leases, thefts, receipts and their credit. None of it grows with the number of nodes.
constexpr std::uint64_t kMessagesAReplica = 8;
// Of a content: a request and a block.
constexpr std::uint64_t kMessagesABlock = 4;
// What a node says whether or not there is work: greetings on each link, and a slow pulse.
constexpr std::uint64_t kMessagesALink = 40;
constexpr std::uint64_t kMessagesASecond = 3;
// What one worker that keeps no job may send a minute, beside its replicas and links: far less than
// the allowance above, which is for a whole pool with its stewards and submitters.
constexpr std::uint64_t kMessagesAWorkersMinute = 20;
constexpr std::uint64_t kMessagesAWorkersLink = 10;

class MessagesWithinBudget final : public Checker {
 public:
  std::string_view name() const override { return "messages_within_budget"; }

  void at_the_end(World& world) override {
    std::uint64_t links = 0;
    for (const auto& node : world.nodes()) {
      if (!node->honest()) return;
      links += world.network().link_ups_of(node->index);
    }
    check_each(world);
    const std::uint64_t seconds = static_cast<std::uint64_t>(world.now() / 1'000'000'000) + 1;
    std::uint64_t budget =
        kMessagesALink * links + kMessagesASecond * seconds * world.nodes().size();
    for (const auto& job : world.jobs()) {
      budget += kMessagesAReplica * job->manifest.quorum * job->manifest.units;
      const std::uint64_t shared = job->manifest.program_bytes + job->manifest.inputs_bytes;
      budget += kMessagesABlock * world.nodes().size() * (shared / (256 * 1024) + 2);
      if (job->spec.kernel.output_bytes > limits::kInlineOutputBytes) {
        budget += kMessagesABlock * job->manifest.units *
                  (job->spec.kernel.output_bytes / (256 * 1024) + 1);
      }
    }
    const std::uint64_t sent = world.job_traffic().messages;
    if (sent > budget) {
      world.violated(name(), std::to_string(sent) + " messages were sent, and " +
                                 std::to_string(budget) + " is the budget");
    }
  }

 private:
  // Content may be asked of any worker that has it, so it is part of everybody's budget.
  static std::uint64_t blocks_asked(World& world) {
    std::uint64_t blocks = 0;
    for (const auto& job : world.jobs()) {
      const std::uint64_t shared = job->manifest.program_bytes + job->manifest.inputs_bytes;
      if (shared > 0) blocks += world.nodes().size() * (shared / (256 * 1024) + 2);
      if (job->spec.kernel.output_bytes > limits::kInlineOutputBytes) {
        blocks += job->manifest.units * (job->spec.kernel.output_bytes / (256 * 1024) + 1);
      }
    }
    return kMessagesABlock * blocks;
  }

  void check_each(World& world) {
    std::set<NodeIndex> keepers;
    for (const auto& job : world.jobs()) {
      keepers.insert(job->stewards.begin(), job->stewards.end());
    }
    const std::uint64_t content = blocks_asked(world);
    // To each new leader a worker commits again, and shows again, what has not ended.
    std::uint64_t leaders = 1;
    for (const auto& job : world.jobs()) {
      if (const auto term = last_term(job->terms)) leaders = std::max(leaders, term->epoch);
    }
    for (const NodeIndex index : world.of_kind(NodeKind::kWorker)) {
      const Node& node = world.node(index);
      if (keepers.contains(index) || (node.peer && !node.peer->jobs_led().empty())) continue;
      const std::uint64_t minutes = static_cast<std::uint64_t>(world.now() / 60'000'000'000) + 1;
      const std::uint64_t budget = kMessagesAWorkersMinute * minutes + content +
                                   kMessagesAWorkersLink * world.network().link_ups_of(index) +
                                   kMessagesAReplica * node.units_computed * leaders;
      const std::uint64_t sent = world.network().sent_by(index).messages;
      if (sent <= budget) continue;
      return world.violated(name(), world.name_of_node(index) + " sent " + std::to_string(sent) +
                                        " messages in " + std::to_string(minutes) +
                                        " minutes, and " + std::to_string(budget) +
                                        " is a worker's budget");
    }
  }
};

}  // namespace

std::unique_ptr<Checker> messages_within_budget() {
  return std::make_unique<MessagesWithinBudget>();
}

}  // namespace shoal::sim
