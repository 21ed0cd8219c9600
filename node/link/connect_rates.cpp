#include "node/link/connect_rates.h"

#include <algorithm>

namespace shoal {
namespace {

constexpr std::chrono::seconds kPurgeEvery{1};

}  // namespace

ConnectRates::ConnectRates(unsigned burst, unsigned per_second)
    : cost_(std::chrono::duration_cast<Time::duration>(std::chrono::seconds(1)) /
            std::max(per_second, 1U)),
      burst_(cost_ * std::max(burst, 1U)) {}

bool ConnectRates::take(const std::string& address, Time now) {
  const auto found = spent_until_.find(address);
  const Time full = found == spent_until_.end() ? now : std::max(found->second, now);
  const Time then = full + cost_;
  if (then - now > burst_) return false;
  if (found != spent_until_.end()) {
    found->second = then;
    return true;
  }
  if (spent_until_.size() >= kAddressesMax && now >= next_purge_) {
    std::erase_if(spent_until_, [&](const auto& entry) { return entry.second <= now; });
    next_purge_ = now + kPurgeEvery;
  }
  if (spent_until_.size() < kAddressesMax) spent_until_.emplace(address, then);
  return true;
}

}  // namespace shoal
