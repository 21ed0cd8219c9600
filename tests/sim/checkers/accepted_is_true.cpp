#include <algorithm>
#include <map>
#include <set>

#include "node/protocol/hash.h"
#include "tests/sim/checkers/checkers.h"
#include "tests/sim/checkers/liars.h"
#include "tests/sim/world.h"

namespace shoal::sim {
namespace {

class AcceptedIsTrue final : public Checker {
 public:
  std::string_view name() const override { return "accepted_is_true"; }

  void on_receipt(World& world, const JobRun& job, const Receipt& receipt) override {
    const Liars liars = census_.of(world, job);
    const std::string where = job.manifest.name + " units [" + std::to_string(receipt.range.first) +
                              ", " + std::to_string(receipt.range.last) + ") ";
    if (receipt.range.empty() || receipt.range.last > job.manifest.units) {
      return world.violated(name(), where + "do not exist");
    }
    switch (receipt.end) {
      case UnitEnd::kVerified:
        return check_verified(world, job, receipt, liars, where);
      case UnitEnd::kDisputed:
        if (liars.hostile == 0) world.violated(name(), where + "are disputed among honest workers");
        return;
      case UnitEnd::kFailed:
        for (UnitIndex u = receipt.range.first; u < receipt.range.last; ++u) {
          if (unit_fails(job.spec.kernel, u) || liars.hostile > 0) continue;
          return world.violated(name(), where + "failed, though nothing is wrong with them");
        }
        return;
    }
  }

 private:
  void check_verified(World& world, const JobRun& job, const Receipt& receipt, const Liars& liars,
                      const std::string& where) {
    std::set<NodeId> supporters;
    for (const Support& support : receipt.supports) {
      const auto commitment = decode_commitment(support.commitment.body);
      if (!commitment || commitment->worker != support.commitment.signer ||
          commitment->job != job.id || !commitment->range.contains(receipt.range)) {
        return world.violated(name(), where + "have a support that is for something else");
      }
      if (!signature_holds(world.keys(), Purpose::kCommitment, support.commitment)) {
        return world.violated(name(), where + "have a support with a false signature");
      }
      supporters.insert(commitment->worker);
    }
    if (supporters.size() < job.manifest.quorum) {
      return world.violated(name(), where + "have " + std::to_string(supporters.size()) +
                                        " distinct supporters, not " +
                                        std::to_string(job.manifest.quorum));
    }
    if (liars.may_win(job)) return;
    if (!true_outputs(job, receipt)) world.violated(name(), where + "are accepted and wrong");
  }

  static bool true_outputs(const JobRun& job, const Receipt& receipt) {
    const SimKernel& kernel = job.spec.kernel;
    const PackedOutputs& outputs = receipt.outputs;
    if (outputs.sizes.size() != receipt.range.size()) return false;
    std::size_t at = 0;
    std::size_t large = 0;
    for (std::size_t i = 0; i < outputs.sizes.size(); ++i) {
      const UnitIndex unit = receipt.range.first + i;
      const Bytes truth = unit_output(kernel, job.id, unit, 0, 0);
      if (unit_fails(kernel, unit) || outputs.sizes[i] != truth.size()) return false;
      if (truth.size() > limits::kInlineOutputBytes) {
        if (large >= outputs.large.size()) return false;
        if (!kernel.noisy && outputs.large[large] != content_id(truth)) return false;
        ++large;
        continue;
      }
      if (at + truth.size() > outputs.inline_bytes.size()) return false;
      const ByteView shown = ByteView(outputs.inline_bytes).subspan(at, truth.size());
      if (!equivalent_outputs(kernel, shown, truth)) return false;
      at += truth.size();
    }
    return true;
  }

  LiarCensus census_;
};

}  // namespace

std::unique_ptr<Checker> accepted_is_true() { return std::make_unique<AcceptedIsTrue>(); }

}  // namespace shoal::sim
