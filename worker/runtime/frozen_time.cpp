#include "worker/runtime/frozen_time.h"

#include <algorithm>
#include <iterator>

namespace shoal {

bool FrozenTime::set(bool frozen, std::int64_t now_ns) {
  if (frozen == since_.has_value()) return false;
  if (frozen) {
    since_ = now_ns;
    return true;
  }
  past_[*since_] = {now_ns, past_ns_};
  past_ns_ += now_ns - *since_;
  since_.reset();
  if (past_.size() > kRemembered) past_.erase(past_.begin());
  return true;
}

std::int64_t FrozenTime::frozen_until(std::int64_t at_ns) const {
  std::int64_t ns = past_ns_;
  const auto later = past_.upper_bound(at_ns);
  if (later != past_.begin()) {
    const auto& [start, freeze] = *std::prev(later);
    ns = freeze.before_ns + std::min(at_ns, freeze.end_ns) - start;
  } else if (later != past_.end()) {
    ns = later->second.before_ns;
  }
  if (since_ && at_ns > *since_) ns += at_ns - *since_;
  return ns;
}

std::int64_t FrozenTime::running_ns(std::int64_t from_ns, std::int64_t now_ns) const {
  if (from_ns >= now_ns) return 0;
  return now_ns - from_ns - (frozen_until(now_ns) - frozen_until(from_ns));
}

}  // namespace shoal
