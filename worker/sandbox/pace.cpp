#include "worker/sandbox/pace.h"

#include <algorithm>
#include <utility>

namespace shoal {

void Pace::update(std::int64_t now_ns, std::int64_t taken_ns) {
  // What is missing twice has gone for good, as that of children for which nobody waited.
  missing_ = taken_ns < taken_ns_ && !missing_;
  if (missing_) return;
  const std::int64_t taken =
      std::max<std::int64_t>(taken_ns - std::exchange(taken_ns_, taken_ns), 0);
  const std::int64_t passed = now_ns - std::exchange(now_ns_, now_ns).value_or(now_ns);
  stops_ = false;
  if (threads_ == 0) return;
  saved_ns_ = std::clamp(saved_ns_ + passed - taken / threads_, -kStopMostNs, kSavedMostNs);
  stops_ = saved_ns_ < 0;
  if (stops_) stopped_ns_ = now_ns;
}

std::optional<std::int64_t> Pace::next_ns() const {
  if (threads_ == 0 || !stopped_ns_) return std::nullopt;
  if (stops_) return *now_ns_ - saved_ns_;
  if (*now_ns_ - *stopped_ns_ >= kLookAgainNs) return std::nullopt;
  return *now_ns_ + kLookNs;
}

}  // namespace shoal
