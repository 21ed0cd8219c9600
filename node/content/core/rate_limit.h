#pragma once

#include <algorithm>
#include <cstdint>

#include "node/protocol/time.h"

namespace shoal {

// Lets so many bytes a second through: over any long time no more, and after a pause a quarter of a
// second's worth at once. What is let through is let through whole, and paid for by those after it.
class RateLimit {
 public:
  // 0: no limit.
  explicit RateLimit(std::uint64_t bytes_per_second = 0) : rate_(bytes_per_second) {}

  bool limited() const { return rate_ > 0; }
  bool take(Instant now, std::uint64_t bytes) {
    if (!limited()) return true;
    if (free_at_ > now) return false;
    const double seconds = static_cast<double>(bytes) / static_cast<double>(rate_);
    free_at_ =
        std::max(free_at_, now - kAtOnce) + Duration(static_cast<std::int64_t>(seconds * 1e9));
    return true;
  }
  Instant free_at() const { return free_at_; }

 private:
  static constexpr Duration kAtOnce = 250ms;
  std::uint64_t rate_ = 0;
  Instant free_at_ = {};
};

}  // namespace shoal
