#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "node/content/store/content_store.h"
#include "node/protocol/executor_messages.h"
#include "worker/core/peer.h"

namespace shoal {

// One StartCompute: what of it is done and what is not. Units come back in any order, in parts, and
// some of them twice asked for, after an executor has died.
class ChunkWork {
 public:
  // Executors that may die with units of this chunk, and nobody clearly to blame, before its units
  // are run one by one.
  static constexpr unsigned kUnclearDeathsMax = 3;

  explicit ChunkWork(StartCompute start) : start_(std::move(start)), left_(start_.range) {}

  const StartCompute& start() const { return start_; }
  const Manifest& manifest() const { return *start_.manifest; }
  const RangeSet& left() const { return left_; }
  bool finished() const { return left_.empty(); }

  // Takes what an executor says about units within `asked`. Large outputs go to `contents`; where
  // that fails, the unit fails. Returns what is wrong with the part, in which case none of it has
  // been taken, or nothing.
  std::string take(const ChunkPart& part, Range asked, const std::string& output_end,
                   ContentStore& contents);
  // Fails all of `units` that are left.
  void fail(Range units, FailureKind kind, const std::string& message,
            const std::string& output_end);

  // Counts a death with nobody clearly to blame. True: it is time to run the units one by one.
  bool count_unclear_death() { return ++unclear_deaths_ >= kUnclearDeathsMax; }

  // Once, when finished.
  ComputeDone result();

 private:
  std::string fault_of(const ChunkPart& part, Range asked) const;
  void take_run(Range run, std::span<const std::uint32_t> sizes, std::span<const UnitCost> costs,
                ByteView outputs, ContentStore& contents);
  void fail_unit(UnitIndex unit, FailureKind kind, std::string message, std::string output_end,
                 const std::optional<UnitCost>& cost = {});

  StartCompute start_;
  RangeSet left_;
  std::map<UnitIndex, ComputeDone::Run> runs_;  // by first unit
  std::vector<ComputeDone::FailedUnit> failed_;
  std::uint64_t compute_ns_ = 0;
  unsigned unclear_deaths_ = 0;
};

}  // namespace shoal
