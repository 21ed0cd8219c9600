#pragma once

#include <chrono>
#include <string>
#include <unordered_map>

namespace shoal {

// How often each address may connect. A handshake costs this node half a millisecond of processor
// time and the other side next to nothing; and whoever may connect without end can wait for libzmq
// to count its routing ids up to one that he has claimed before, which ends the process.
//
// A bucket that holds `burst` connections, and is filled up again at `per_second`. Of addresses
// that have been quiet for long enough nothing is kept. Not thread-safe.
class ConnectRates {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // Past so many that are not quiet, further addresses are let through: the limits on connections
  // hold for them all the same.
  static constexpr std::size_t kAddressesMax = 16'384;

  ConnectRates(unsigned burst, unsigned per_second);

  // One more connection from `address`; false: it has had too many.
  bool take(const std::string& address, Time now);
  std::size_t watched() const { return spent_until_.size(); }

 private:
  const Time::duration cost_;  // of one connection: the time in which the bucket earns it
  const Time::duration burst_;
  // When the bucket will be full again.
  std::unordered_map<std::string, Time> spent_until_;
  Time next_purge_{};
};

}  // namespace shoal
