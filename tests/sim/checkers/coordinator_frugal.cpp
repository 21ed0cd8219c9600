#include "tests/sim/checkers/checkers.h"
#include "tests/sim/world.h"

namespace shoal::sim {
namespace {

// A link to a coordinator is for an announcement and a sample: a full sample of full records, and
// some room.
constexpr std::uint64_t kBytesALink = limits::kSampleRecords * 640 + 4096;

class CoordinatorFrugal final : public Checker {
 public:
  std::string_view name() const override { return "coordinator_frugal"; }

  void on_tick(World& world) override {
    for (const NodeIndex index : world.of_kind(NodeKind::kCoordinator)) {
      const Node& node = world.node(index);
      if (!node.rendezvous) continue;
      const RendezvousFigures figures = node.rendezvous->figures();
      const std::string who = world.name_of_node(index);
      if (figures.job_bytes != 0) {
        world.violated(name(),
                       who + " was sent " + std::to_string(figures.job_bytes) + " bytes of jobs");
      }
      const std::uint64_t links = world.network().link_ups_of(index);
      const std::uint64_t bytes = figures.bytes_in + figures.bytes_out;
      if (bytes > (links + 1) * kBytesALink) {
        world.violated(name(), who + " carried " + std::to_string(bytes) + " bytes on " +
                                   std::to_string(links) + " links");
      }
    }
  }
};

}  // namespace

std::unique_ptr<Checker> coordinator_frugal() { return std::make_unique<CoordinatorFrugal>(); }

}  // namespace shoal::sim
