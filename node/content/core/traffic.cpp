#include "node/content/core/traffic.h"

#include <chrono>

namespace shoal {

std::uint32_t month_of(UnixMs unix_ms) {
  const std::chrono::sys_time<std::chrono::milliseconds> at{std::chrono::milliseconds(unix_ms)};
  const std::chrono::year_month_day day(std::chrono::floor<std::chrono::days>(at));
  const int years = static_cast<int>(day.year()) - 1970;
  return static_cast<std::uint32_t>(12 * years) + static_cast<unsigned>(day.month()) - 1;
}

Traffic TrafficMeter::at(Instant now) const {
  const std::uint32_t month = month_of(unix_ms_at_zero_ + Duration(now.ns) / 1ms);
  // A clock that was set back does not bring an old month's account back.
  return month > traffic_.month ? Traffic{month, 0, 0} : traffic_;
}

}  // namespace shoal
