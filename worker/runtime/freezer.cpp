#include "worker/runtime/freezer.h"

namespace shoal {

bool Freezer::wanted(std::int64_t now_ns, bool busy) const {
  if (paused_) return true;
  if (!busy || share_percent_ >= 100) return false;
  return now_ns % kPeriodNs >= kPeriodNs / 100 * share_percent_;
}

std::optional<std::int64_t> Freezer::next_change_ns(std::int64_t now_ns, bool busy) const {
  if (paused_ || share_percent_ >= 100 || (!busy && !frozen())) return std::nullopt;
  const std::int64_t begin = now_ns - now_ns % kPeriodNs;
  const std::int64_t stop = begin + kPeriodNs / 100 * share_percent_;
  return now_ns < stop ? stop : begin + kPeriodNs;
}

}  // namespace shoal
