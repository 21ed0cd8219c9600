#pragma once

#include "node/protocol/time.h"
#include "tests/sim/event_queue.h"

namespace shoal::sim {

// A node's own monotonic clock: starts where it likes and runs fast or slow by some parts per
// million.
struct NodeClock {
  std::int64_t offset_ns = 0;
  std::int64_t drift_ppm = 0;

  Instant local(Time t) const {
    return {offset_ns + t + t / 1'000'000 * drift_ppm + t % 1'000'000 * drift_ppm / 1'000'000};
  }
  // The first moment at which this clock shows at least `at`.
  Time world(Instant at) const {
    const std::int64_t since = at.ns - offset_ns;
    if (since <= 0) return 0;
    Time t = static_cast<Time>(static_cast<__int128>(since) * 1'000'000 / (1'000'000 + drift_ppm));
    while (local(t) < at) ++t;
    while (t > 0 && local(t - 1) >= at) --t;
    return t;
  }
};

}  // namespace shoal::sim
