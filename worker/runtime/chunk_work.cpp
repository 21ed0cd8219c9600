#include "worker/runtime/chunk_work.h"

#include <algorithm>

#include "node/protocol/limits.h"
#include "worker/runtime/executor_process.h"

namespace shoal {
namespace {

// Of the failures in one chunk, so many carry what the executor printed: it is the same text.
constexpr std::size_t kFailuresWithOutput = 64;

}  // namespace

std::string ChunkWork::fault_of(const ChunkPart& part, Range asked) const {
  RangeSet open = left_.intersection(asked);
  for (Range run : part.runs) {
    if (!asked.contains(run) || !open.contains(run)) return "units that were not asked for";
    open.remove(run);
  }
  for (const ExecutorFailure& failure : part.failures) {
    if (!open.contains(failure.unit)) return "a failed unit that was not asked for";
    open.remove({failure.unit, failure.unit + 1});
  }
  const std::uint64_t most =
      std::min<std::uint64_t>(manifest().output_bytes_max, limits::kOutputBytes);
  if (std::any_of(part.sizes.begin(), part.sizes.end(), [&](auto size) { return size > most; })) {
    return "an output larger than the job allows";
  }
  return {};
}

std::string ChunkWork::take(const ChunkPart& part, Range asked, const std::string& output_end,
                            ContentStore& contents) {
  std::string fault = fault_of(part, asked);
  if (!fault.empty()) return fault;
  std::size_t unit = 0;
  std::size_t byte = 0;
  for (Range run : part.runs) {
    const auto sizes = std::span(part.sizes).subspan(unit, run.size());
    std::size_t bytes = 0;
    for (std::uint32_t size : sizes) bytes += size;
    std::span<const UnitCost> costs = part.costs;
    if (!costs.empty()) costs = costs.subspan(unit, run.size());
    take_run(run, sizes, costs, part.outputs.subspan(byte, bytes), contents);
    unit += run.size();
    byte += bytes;
  }
  for (const ExecutorFailure& failure : part.failures) {
    fail_unit(failure.unit, failure.kind, failure.message,
              failure.stderr_end.empty()
                  ? output_end
                  : clean_end_of(failure.stderr_end, limits::kFailureTextBytes),
              failure.cost);
  }
  // No thread can have spent more than the time that there is.
  compute_ns_ += std::min<std::uint64_t>(part.compute_ns, UINT64_MAX / 4 - compute_ns_);
  return {};
}

void ChunkWork::take_run(Range run, std::span<const std::uint32_t> sizes,
                         std::span<const UnitCost> costs, ByteView outputs,
                         ContentStore& contents) {
  ComputeDone::Run done{{run.first, run.first}, {}};
  const auto keep = [&] {
    if (done.range.empty()) return;
    left_.remove(done.range);
    runs_[done.range.first] = std::move(done);
  };
  std::size_t byte = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const UnitIndex unit = run.first + i;
    const ByteView output = outputs.subspan(byte, sizes[i]);
    byte += sizes[i];
    if (output.size() <= limits::kInlineOutputBytes) {
      done.outputs.inline_bytes.insert(done.outputs.inline_bytes.end(), output.begin(),
                                       output.end());
    } else {
      auto id = contents.put(output);
      if (!id) {
        fail_unit(unit, FailureKind::kRefused,
                  "the worker cannot keep the output: " + id.error().what, {});
        keep();
        done = {{unit + 1, unit + 1}, {}};
        continue;
      }
      done.outputs.large.push_back(*id);
    }
    done.outputs.sizes.push_back(output.size());
    if (!costs.empty()) done.outputs.costs.push_back(costs[i]);
    ++done.range.last;
  }
  keep();
}

void ChunkWork::fail_unit(UnitIndex unit, FailureKind kind, std::string message,
                          std::string output_end, const std::optional<UnitCost>& cost) {
  if (!left_.contains(unit)) return;
  left_.remove({unit, unit + 1});
  if (failed_.size() >= kFailuresWithOutput) output_end.clear();
  failed_.push_back(
      {unit, kind, clean_end_of(message, limits::kFailureTextBytes), std::move(output_end), cost});
}

void ChunkWork::fail(Range units, FailureKind kind, const std::string& message,
                     const std::string& output_end) {
  const RangeSet failing = left_.intersection(units);
  for (Range run : failing.runs()) {
    for (UnitIndex unit = run.first; unit < run.last; ++unit) {
      fail_unit(unit, kind, message, output_end);
    }
  }
}

ComputeDone ChunkWork::result() {
  ComputeDone done;
  done.chunk = start_.chunk;
  done.compute_ns = compute_ns_;
  for (auto& [first, run] : runs_) {
    if (!done.done.empty() && done.done.back().range.last == run.range.first) {
      done.done.back().range.last = run.range.last;
      append(done.done.back().outputs, run.outputs);
    } else {
      done.done.push_back(std::move(run));
    }
  }
  runs_.clear();
  std::sort(failed_.begin(), failed_.end(),
            [](const auto& a, const auto& b) { return a.unit < b.unit; });
  done.failed = std::move(failed_);
  return done;
}

}  // namespace shoal
