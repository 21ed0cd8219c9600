#include <algorithm>
#include <map>
#include <vector>

#include "tests/sim/checkers/checkers.h"
#include "tests/sim/world.h"

namespace shoal::sim {
namespace {

class NoUndisputedChange final : public Checker {
 public:
  std::string_view name() const override { return "no_undisputed_change"; }

  void on_receipt(World& world, const JobRun& job, const Receipt& receipt) override {
    if (receipt.range.last > job.manifest.units) return;  // another checker's business
    std::vector<std::uint64_t>& seen = seen_[job.number];
    seen.resize(job.manifest.units, 0);
    std::size_t at = 0;
    std::size_t large = 0;
    for (UnitIndex unit = receipt.range.first; unit < receipt.range.last; ++unit) {
      std::uint64_t now = 1;  // failed
      if (receipt.end == UnitEnd::kDisputed) continue;
      if (receipt.end == UnitEnd::kVerified) now = mark(receipt, unit, at, large);
      // What had ended before keeps its first end: these are not delivered.
      if (std::none_of(job.fresh.begin(), job.fresh.end(),
                       [&](Range range) { return range.contains(unit); })) {
        continue;
      }
      if (seen[unit] == 0) seen[unit] = now;
      if (seen[unit] == now) continue;
      return world.violated(name(), job.manifest.name + " unit " + std::to_string(unit) +
                                        " was delivered twice, with different results");
    }
  }

 private:
  static std::uint64_t mark(const Receipt& receipt, UnitIndex unit, std::size_t& at,
                            std::size_t& large) {
    const PackedOutputs& outputs = receipt.outputs;
    const std::size_t i = unit - receipt.range.first;
    RunningHash hash;
    if (i >= outputs.sizes.size()) return 2;
    const std::size_t size = outputs.sizes[i];
    if (size > limits::kInlineOutputBytes) {
      if (large < outputs.large.size()) hash.add(outputs.large[large++].view());
    } else if (at + size <= outputs.inline_bytes.size()) {
      hash.add(ByteView(outputs.inline_bytes).subspan(at, size));
      at += size;
    }
    return hash.value() | 4;
  }

  std::map<std::size_t, std::vector<std::uint64_t>> seen_;  // by job number; 0: nothing yet
};

}  // namespace

std::unique_ptr<Checker> no_undisputed_change() { return std::make_unique<NoUndisputedChange>(); }

}  // namespace shoal::sim
