#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "node/protocol/result.h"

namespace shoal::bench {

// Raw ZeroMQ over CURVE on loopback, with nothing of ours: a thread that sends back what it gets,
// and a client beside it, each with a context, and thus an I/O thread, of its own. What everything
// that talks over CURVE is measured against. One thread only.
class CurveEcho {
 public:
  // `server_core`: the only one that the echoing side may use; nothing: all.
  static Result<std::unique_ptr<CurveEcho>, std::string> start(
      std::optional<int> server_core = std::nullopt);
  ~CurveEcho();
  CurveEcho(const CurveEcho&) = delete;
  CurveEcho& operator=(const CurveEcho&) = delete;

  // Requests that were answered in a second, where `window` are always on their way.
  double requests_per_second(std::uint64_t requests, std::uint64_t window);
  // One request and its answer, after a pause in which all threads involved have gone to sleep.
  std::chrono::nanoseconds idle_round_trip();
  // A visit: connect, prove the key, one request, its answer, leave. `at_once` clients come so many
  // times each, on as many threads.
  double visits_per_second(std::uint64_t at_once, std::uint64_t visits);

 private:
  CurveEcho() = default;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal::bench
