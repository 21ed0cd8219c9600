#include <algorithm>
#include <map>
#include <set>

#include "tests/sim/checkers/checkers.h"
#include "tests/sim/world.h"

namespace shoal::sim {
namespace {

class CopiesKept final : public Checker {
 public:
  std::string_view name() const override { return "copies_kept"; }

  void on_receipt(World& world, const JobRun& job, const Receipt& receipt) override {
    if (receipt.end != UnitEnd::kVerified) return;
    Seen& seen = seen_[job.number];
    seen.outputs.insert(receipt.outputs.large.begin(), receipt.outputs.large.end());
    for (const Support& support : receipt.supports) {
      if (const auto worker = world.index_of(support.commitment.signer)) seen.part.insert(*worker);
    }
  }

  void at_the_end(World& world) override {
    for (const auto& node : world.nodes()) {
      // Contents do not go to everybody where some cannot be dialled, and liars hold nothing.
      if (!node->honest() || !node->worker.dialable) return;
    }
    for (const auto& job : world.jobs()) {
      if (job->accepted && !job->cancelled) judge(world, *job);
    }
  }

 private:
  struct Seen {
    std::set<ContentId> outputs;
    std::set<NodeIndex> part;  // workers that computed for the job
  };

  void judge(World& world, const JobRun& job) {
    const auto alive = [&](NodeIndex worker) { return world.node(worker).alive; };
    Seen& seen = seen_[job.number];
    if (std::none_of(job.stewards.begin(), job.stewards.end(), alive)) return;
    seen.part.insert(job.stewards.begin(), job.stewards.end());
    if (std::count_if(seen.part.begin(), seen.part.end(), alive) < 2) return;
    for (const ContentId& output : seen.outputs) {
      std::size_t copies = 0;
      for (const NodeIndex worker : world.of_kind(NodeKind::kWorker)) {
        if (alive(worker) && world.node(worker).contents.holds(output)) ++copies;
      }
      if (copies != 1) continue;  // what all holders took with them is lost
      return world.violated(name(), job.manifest.name + ": of output " + short_hex(output) +
                                        " one copy is left, and nobody makes another");
    }
  }

  std::map<std::size_t, Seen> seen_;
};

}  // namespace

std::unique_ptr<Checker> copies_kept() { return std::make_unique<CopiesKept>(); }

}  // namespace shoal::sim
