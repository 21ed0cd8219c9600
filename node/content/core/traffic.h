#pragma once

#include <cstdint>

#include "node/protocol/time.h"

namespace shoal {

// What contents have cost their owner in one month of the calendar (UTC).
struct Traffic {
  std::uint32_t month = 0;    // since January 1970
  std::uint64_t sent = 0;     // bytes of blocks
  std::uint64_t fetched = 0;  // likewise
  friend bool operator==(const Traffic&, const Traffic&) = default;
};

// What they may cost at most, a month; 0: no limit.
struct TrafficCaps {
  std::uint64_t sent = 0;
  std::uint64_t fetched = 0;
};

std::uint32_t month_of(UnixMs unix_ms);

// Counts, and says when a cap is reached. A month begins with nothing. Not thread-safe.
class TrafficMeter {
 public:
  TrafficMeter() = default;
  // `so_far` may be of a month that is over.
  TrafficMeter(TrafficCaps caps, const Traffic& so_far, UnixMs unix_ms_at_zero)
      : caps_(caps), traffic_(so_far), unix_ms_at_zero_(unix_ms_at_zero) {}

  // `more`: bytes that would come on top.
  bool may_send(Instant now, std::uint64_t more) const {
    return caps_.sent == 0 || at(now).sent + more <= caps_.sent;
  }
  bool may_fetch(Instant now, std::uint64_t more) const {
    return caps_.fetched == 0 || at(now).fetched + more <= caps_.fetched;
  }
  bool caps_fetching() const { return caps_.fetched > 0; }
  void sent(Instant now, std::uint64_t bytes) {
    traffic_ = at(now);
    traffic_.sent += bytes;
  }
  void fetched(Instant now, std::uint64_t bytes) {
    traffic_ = at(now);
    traffic_.fetched += bytes;
  }
  const Traffic& traffic() const { return traffic_; }

 private:
  Traffic at(Instant now) const;

  TrafficCaps caps_;
  Traffic traffic_;
  UnixMs unix_ms_at_zero_ = 0;
};

}  // namespace shoal
