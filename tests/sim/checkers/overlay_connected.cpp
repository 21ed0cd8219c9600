#include <set>

#include "tests/sim/checkers/checkers.h"
#include "tests/sim/world.h"

namespace shoal::sim {
namespace {

class OverlayConnected final : public Checker {
 public:
  std::string_view name() const override { return "overlay_connected"; }

  void at_the_end(World& world) override {
    std::vector<NodeIndex> honest;
    for (const NodeIndex index : world.of_kind(NodeKind::kWorker)) {
      if (world.node(index).alive && world.node(index).honest()) honest.push_back(index);
    }
    if (honest.empty()) return;
    std::set<NodeIndex> reached{honest.front()};
    std::vector<NodeIndex> open{honest.front()};
    while (!open.empty()) {
      const NodeIndex at = open.back();
      open.pop_back();
      for (const NodeIndex next : world.network().neighbours(at)) {
        const Node& node = world.node(next);
        if (node.kind != NodeKind::kWorker || !node.alive || !node.honest()) continue;
        if (reached.insert(next).second) open.push_back(next);
      }
    }
    for (const NodeIndex index : honest) {
      if (reached.contains(index)) continue;
      return world.violated(name(), "no way from " + world.name_of_node(honest.front()) + " to " +
                                        world.name_of_node(index) + ": " +
                                        std::to_string(reached.size()) + " of " +
                                        std::to_string(honest.size()) + " workers hang together");
    }
  }
};

}  // namespace

std::unique_ptr<Checker> overlay_connected() { return std::make_unique<OverlayConnected>(); }

}  // namespace shoal::sim
