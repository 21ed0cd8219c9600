#include "tests/sim/checkers/checkers.h"
#include "tests/sim/world.h"

namespace shoal::sim {
namespace {

// More chunks than this in one executor: the peer starts what it should keep as backlog.
constexpr std::size_t kChunksMax = 64;
constexpr std::size_t kUnsyncedGroupsMax = 4096;
// Invariants are slow to check: of a large pool, a part at a time.
constexpr std::size_t kNodesATick = 64;

class QueuesWithinLimits final : public Checker {
 public:
  std::string_view name() const override { return "queues_within_limits"; }

  void on_tick(World& world) override {
    const std::size_t count = world.nodes().size();
    for (std::size_t i = 0; i < std::min(count, kNodesATick); ++i) {
      next_ = (next_ + 1) % count;
      const Node& node = world.node(static_cast<NodeIndex>(next_));
      if (node.alive) look_at(world, node);
    }
    if (world.network().largest_message() > limits::kMessageBytes) {
      world.violated(name(), "a message of " + std::to_string(world.network().largest_message()) +
                                 " bytes was sent");
    }
  }

 private:
  void look_at(World& world, const Node& node) {
    if (node.peer) node.peer->check_invariants();
    if (node.rendezvous) node.rendezvous->check_invariants();
    const std::string who = world.name_of_node(node.index);
    if (world.network().links_of(node.index) > world.options().network.links_max) {
      world.violated(name(), who + " has too many links");
    }
    if (!node.honest()) return;
    if (node.executor && node.executor->chunks() > kChunksMax + 4 * node.executor->threads()) {
      world.violated(name(), who + " has " + std::to_string(node.executor->chunks()) +
                                 " chunks in its executor");
    }
    if (node.disk.unsynced_groups() > kUnsyncedGroupsMax) {
      world.violated(name(), who + " has too many unsynced groups");
    }
  }

  std::size_t next_ = 0;
};

}  // namespace

std::unique_ptr<Checker> queues_within_limits() { return std::make_unique<QueuesWithinLimits>(); }

}  // namespace shoal::sim
