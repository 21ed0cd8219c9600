#include <algorithm>

#include "tests/sim/checkers/checkers.h"
#include "tests/sim/world.h"

namespace shoal::sim {
namespace {

class AcknowledgedNotLost final : public Checker {
 public:
  std::string_view name() const override { return "acknowledged_not_lost"; }

  void on_accepted(World& world, const JobRun& job) override {
    if (!job.steward) return world.violated(name(), job.manifest.name + " has no steward");
    if (!world.node(*job.steward).disk.holds(FactKind::kManifest, job.id, 0)) {
      world.violated(name(), job.manifest.name + " was acknowledged before " +
                                 world.name_of_node(*job.steward) + " had it on its disk");
    }
  }

  void on_receipt(World& world, const JobRun& job, const Receipt& receipt) override {
    if (!job.reader) return;
    if (!world.node(*job.reader).disk.holds(FactKind::kReceipt, job.id, receipt.sequence)) {
      world.violated(name(), job.manifest.name + " receipt " + std::to_string(receipt.sequence) +
                                 " was delivered before it was on the steward's disk");
    }
  }

  void on_restart(World& world, NodeIndex node) override { still_led(world, node); }

  void at_the_end(World& world) override {
    for (const NodeIndex node : world.of_kind(NodeKind::kWorker)) still_led(world, node);
  }

 private:
  void still_led(World& world, NodeIndex index) {
    const Node& node = world.node(index);
    if (!node.alive || !node.peer) return;
    const std::vector<JobStatus> led = node.peer->jobs_led();
    for (const auto& job : world.jobs()) {
      if (!job->accepted || job->steward != index || job->cancelled || job->done()) continue;
      if (std::any_of(led.begin(), led.end(),
                      [&](const JobStatus& s) { return s.job == job->id; })) {
        continue;
      }
      world.violated(name(), job->manifest.name + " was acknowledged, and its steward " +
                                 world.name_of_node(index) + " does not know it any more");
    }
  }
};

}  // namespace

std::unique_ptr<Checker> acknowledged_not_lost() { return std::make_unique<AcknowledgedNotLost>(); }

}  // namespace shoal::sim
