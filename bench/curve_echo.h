#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "node/protocol/result.h"

namespace shoal::bench {

// Raw ZeroMQ over CURVE on loopback, with nothing of ours: a thread that sends back what it gets,
// and a client beside it, each with a context, and thus an I/O thread, of its own. What everything
// that talks over CURVE is measured against. One thread only.
class CurveEcho {
 public:
  static Result<std::unique_ptr<CurveEcho>, std::string> start();
  ~CurveEcho();
  CurveEcho(const CurveEcho&) = delete;
  CurveEcho& operator=(const CurveEcho&) = delete;

  // Requests that were answered in a second, where `window` are always on their way.
  double requests_per_second(std::uint64_t requests, std::uint64_t window);
  // One request and its answer, after a pause in which all threads involved have gone to sleep.
  std::chrono::nanoseconds idle_round_trip();
  // A second's worth of: connect, prove the key, one request, its answer, leave.
  double visits_per_second(std::uint64_t visits);

 private:
  CurveEcho() = default;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal::bench
