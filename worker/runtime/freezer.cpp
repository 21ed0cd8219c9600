#include "worker/runtime/freezer.h"

#include <algorithm>
#include <iterator>

namespace shoal {

bool Freezer::wanted(std::int64_t now_ns, bool busy) const {
  if (paused_) return true;
  if (!busy || share_percent_ >= 100) return false;
  return now_ns % kPeriodNs >= kPeriodNs / 100 * share_percent_;
}

bool Freezer::update(std::int64_t now_ns, bool busy) {
  const bool freeze = wanted(now_ns, busy);
  if (freeze == frozen()) return false;
  if (freeze) {
    frozen_since_ = now_ns;
    return true;
  }
  past_[*frozen_since_] = {now_ns, past_ns_};
  past_ns_ += now_ns - *frozen_since_;
  frozen_since_.reset();
  if (past_.size() > kRemembered) past_.erase(past_.begin());
  return true;
}

std::optional<std::int64_t> Freezer::next_change_ns(std::int64_t now_ns, bool busy) const {
  if (paused_ || share_percent_ >= 100 || (!busy && !frozen())) return std::nullopt;
  const std::int64_t begin = now_ns - now_ns % kPeriodNs;
  const std::int64_t stop = begin + kPeriodNs / 100 * share_percent_;
  return now_ns < stop ? stop : begin + kPeriodNs;
}

std::int64_t Freezer::frozen_until(std::int64_t at_ns) const {
  std::int64_t ns = past_ns_;
  const auto later = past_.upper_bound(at_ns);
  if (later != past_.begin()) {
    const auto& [start, freeze] = *std::prev(later);
    ns = freeze.before_ns + std::min(at_ns, freeze.end_ns) - start;
  } else if (later != past_.end()) {
    ns = later->second.before_ns;
  }
  if (frozen_since_ && at_ns > *frozen_since_) ns += at_ns - *frozen_since_;
  return ns;
}

std::int64_t Freezer::running_ns(std::int64_t from_ns, std::int64_t now_ns) const {
  if (from_ns >= now_ns) return 0;
  return now_ns - from_ns - (frozen_until(now_ns) - frozen_until(from_ns));
}

}  // namespace shoal
