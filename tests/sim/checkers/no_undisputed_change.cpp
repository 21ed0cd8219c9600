#include <algorithm>
#include <map>
#include <vector>

#include "tests/sim/checkers/checkers.h"
#include "tests/sim/checkers/liars.h"
#include "tests/sim/world.h"

namespace shoal::sim {
namespace {

// What was delivered stands, in all of a submitter's session. A later session of the same job, in
// another process, begins with nothing, and may be served by a steward that was apart when the
// first one was: two leaders at once accept results each on its own evidence. As long as fewer than
// the quorum lie both have the truth, which is one sequence of bytes, or, under an `equivalent`,
// any that the kernel's own judgement takes for the same.
class NoUndisputedChange final : public Checker {
 public:
  std::string_view name() const override { return "no_undisputed_change"; }

  void on_receipt(World& world, const JobRun& job, const Receipt& receipt) override {
    if (receipt.range.last > job.manifest.units) return;  // another checker's business
    if (receipt.end == UnitEnd::kDisputed) return;
    const bool may_differ = census_.of(world, job).may_win(job);
    std::vector<Marks>& seen = seen_[job.number];
    seen.resize(job.manifest.units);
    std::size_t at = 0;
    std::size_t large = 0;
    for (UnitIndex unit = receipt.range.first; unit < receipt.range.last; ++unit) {
      Marks now{.exact = 1, .judged = 1};  // failed
      if (receipt.end == UnitEnd::kVerified) now = marks(job, receipt, unit, at, large);
      // What had ended before keeps its first end: these are not delivered.
      if (std::none_of(job.fresh.begin(), job.fresh.end(),
                       [&](Range range) { return range.contains(unit); })) {
        continue;
      }
      const bool again = job.ended_in_session.contains(Range{unit, unit + 1});
      const Marks before = seen[unit];
      seen[unit] = now;
      if (before.exact == 0) continue;
      if (again ? before.exact == now.exact : may_differ || before.judged == now.judged) continue;
      return world.violated(name(), job.manifest.name + " unit " + std::to_string(unit) +
                                        " was delivered twice, with different results");
    }
  }

 private:
  struct Marks {
    std::uint64_t exact = 0;   // of all bytes; 0: nothing yet
    std::uint64_t judged = 0;  // of those that the kernel's judgement looks at
  };

  static Marks marks(const JobRun& job, const Receipt& receipt, UnitIndex unit, std::size_t& at,
                     std::size_t& large) {
    const PackedOutputs& outputs = receipt.outputs;
    const std::size_t i = unit - receipt.range.first;
    RunningHash exact, judged;
    if (i >= outputs.sizes.size()) return {.exact = 2, .judged = 2};
    const std::size_t size = outputs.sizes[i];
    if (size > limits::kInlineOutputBytes) {
      if (large < outputs.large.size()) exact.add(outputs.large[large++].view());
      if (!job.spec.kernel.noisy) judged = exact;
    } else if (at + size <= outputs.inline_bytes.size()) {
      const ByteView bytes = ByteView(outputs.inline_bytes).subspan(at, size);
      exact.add(bytes);
      judged.add(bytes.first(size - (job.spec.kernel.noisy && size > 0 ? 1 : 0)));
      at += size;
    }
    return {.exact = exact.value() | 4, .judged = judged.value() | 4};
  }

  LiarCensus census_;
  std::map<std::size_t, std::vector<Marks>> seen_;  // by job number: the last that was delivered
};

}  // namespace

std::unique_ptr<Checker> no_undisputed_change() { return std::make_unique<NoUndisputedChange>(); }

}  // namespace shoal::sim
