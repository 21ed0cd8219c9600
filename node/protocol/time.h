#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace shoal {

using Duration = std::chrono::nanoseconds;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""us;

// A moment on one node's own monotonic clock (CLOCK_BOOTTIME in a runtime, the virtual clock in the
// simulator). Never sent: what travels is a Duration.
struct Instant {
  std::int64_t ns = 0;

  friend auto operator<=>(const Instant&, const Instant&) = default;
  friend Instant operator+(Instant t, Duration d) { return {t.ns + d.count()}; }
  friend Instant operator-(Instant t, Duration d) { return {t.ns - d.count()}; }
  friend Duration operator-(Instant a, Instant b) { return Duration(a.ns - b.ns); }
};

// Milliseconds since 1970-01-01 UTC. Used only for what people read and for records' expiry.
using UnixMs = std::int64_t;

}  // namespace shoal
