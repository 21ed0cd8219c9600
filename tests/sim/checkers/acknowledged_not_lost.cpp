#include <algorithm>
#include <set>
#include <utility>

#include "tests/sim/byzantine/hostile.h"
#include "tests/sim/checkers/checkers.h"
#include "tests/sim/world.h"

namespace shoal::sim {
namespace {

class AcknowledgedNotLost final : public Checker {
 public:
  std::string_view name() const override { return "acknowledged_not_lost"; }

  void on_accepted(World& world, const JobRun& job) override {
    if (job.stewards.empty()) {
      return world.violated(name(), job.manifest.name + " has no steward");
    }
    for (const NodeIndex steward : job.stewards) {
      acknowledged_.emplace(job.id, steward);
      if (world.node(steward).disk.holds(FactKind::kManifest, job.id, 0)) continue;
      world.violated(name(), job.manifest.name + " was acknowledged before " +
                                 world.name_of_node(steward) + " had it on its disk");
    }
  }

  void on_receipt(World& world, const JobRun& job, const Receipt& receipt) override {
    if (!job.receipt_from) return;
    const Node& steward = world.node(*job.receipt_from);
    // Who replays another steward's message numbers it as that one did, and promises nothing. All
    // other liars are held to what they deliver.
    if (steward.worker.behaviour == name_of(Behaviour::kReplayer)) return;
    if (steward.disk.holds(FactKind::kReceipt, job.id, receipt.sequence)) return;
    world.violated(name(), job.manifest.name + " receipt " + std::to_string(receipt.sequence) +
                               " was delivered before it was on the disk of " +
                               world.name_of_node(*job.receipt_from));
  }

  void on_restart(World& world, NodeIndex node) override { still_kept(world, node); }

  void at_the_end(World& world) override {
    for (const NodeIndex node : world.of_kind(NodeKind::kWorker)) still_kept(world, node);
  }

 private:
  // Whoever has acknowledged a job keeps it, also when others lead it or took its place.
  void still_kept(World& world, NodeIndex index) {
    const Node& node = world.node(index);
    if (!node.alive || !node.peer) return;
    const std::vector<JobStatus> kept = node.peer->jobs_led();
    for (const auto& job : world.jobs()) {
      const bool steward =
          std::find(job->stewards.begin(), job->stewards.end(), index) != job->stewards.end();
      if (!job->accepted || !steward || job->cancelled || job->done()) continue;
      // Named by the others, or by its submitter before that crashed: it is a steward when it has
      // said so.
      if (!node.disk.holds(FactKind::kManifest, job->id, 0) &&
          !acknowledged_.contains({job->id, index})) {
        continue;
      }
      if (std::any_of(kept.begin(), kept.end(),
                      [&](const JobStatus& s) { return s.job == job->id; })) {
        continue;
      }
      world.violated(name(), job->manifest.name + " was acknowledged, and its steward " +
                                 world.name_of_node(index) + " does not know it any more");
    }
  }

  std::set<std::pair<JobId, NodeIndex>> acknowledged_;  // when the submitter said so
};

}  // namespace

std::unique_ptr<Checker> acknowledged_not_lost() { return std::make_unique<AcknowledgedNotLost>(); }

}  // namespace shoal::sim
