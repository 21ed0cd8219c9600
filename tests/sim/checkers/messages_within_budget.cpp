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

class MessagesWithinBudget final : public Checker {
 public:
  std::string_view name() const override { return "messages_within_budget"; }

  void at_the_end(World& world) override {
    std::uint64_t links = 0;
    for (const auto& node : world.nodes()) {
      if (!node->honest()) return;
      links += world.network().link_ups_of(node->index);
    }
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
};

}  // namespace

std::unique_ptr<Checker> messages_within_budget() {
  return std::make_unique<MessagesWithinBudget>();
}

}  // namespace shoal::sim
