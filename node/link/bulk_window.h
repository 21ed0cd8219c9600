#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "node/link/descriptor.h"

namespace shoal {

// How much bulk may be under way over one connection. What is handed to it at once goes before
// everything that is sent later, whether it lies in this process, in the kernel, or in the buffer
// of a router on the way. So of bulk only as much is under way as keeps the path busy: what the
// path carries in its shortest round trip, and a few milliseconds' worth on top, which is what
// others may have to wait. And of that only little may lie in this machine, where TCP holds back
// what it has no window for yet.
//
// What the path carries is counted: bytes acknowledged in a time in which the window was full from
// its beginning to its end. The round trips alone would tell too late, and a busy machine or a bad
// radio makes some of them long without any queue; while they are short, the window grows. Not
// thread-safe; no clock.
class BulkWindow {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // How much of a large message goes at once.
  std::size_t part_bytes() const;
  // Whether `bytes` more may follow the `handed_over` that the connection was given since it
  // stands.
  bool is_open_for(std::size_t bytes, std::uint64_t handed_over, const Path& path, Time now);
  // Nothing waits for the window any more: what is acknowledged from now on is no measure.
  void ran_dry() { full_since_.reset(); }
  std::uint64_t bytes() const { return bytes_; }

 private:
  void adapt(const Path& path, Time now);

  std::uint64_t bytes_ = 64 << 10;
  double bytes_a_second_ = 0;  // that the path carries; 0: not known yet
  std::optional<Time> full_since_;
  std::uint64_t acknowledged_then_ = 0;
};

}  // namespace shoal
