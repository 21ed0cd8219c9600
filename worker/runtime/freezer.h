#pragma once

#include <cstdint>
#include <optional>

#include "worker/runtime/frozen_time.h"

namespace shoal {

// When all executors stand still: while the donor has paused the worker, and for that part of each
// second which his share of the processors does not cover. A state machine without a clock; times
// are in ns and never go backwards.
class Freezer {
 public:
  static constexpr std::int64_t kPeriodNs = 1'000'000'000;

  // Of each second, in percent, 1 to 100.
  explicit Freezer(unsigned share_percent) : share_percent_(share_percent) {}

  void pause() { paused_ = true; }
  void resume() { paused_ = false; }
  bool paused() const { return paused_; }
  bool frozen() const { return time_.frozen(); }

  // Whether there is anything that runs: without, no share is kept.
  // True: frozen() has changed.
  bool update(std::int64_t now_ns, bool busy) { return time_.set(wanted(now_ns, busy), now_ns); }
  // When to call update() again at the latest; nothing: when something happens.
  std::optional<std::int64_t> next_change_ns(std::int64_t now_ns, bool busy) const;

  // As FrozenTime has it.
  std::int64_t running_ns(std::int64_t from_ns, std::int64_t now_ns) const {
    return time_.running_ns(from_ns, now_ns);
  }

 private:
  bool wanted(std::int64_t now_ns, bool busy) const;

  unsigned share_percent_;
  bool paused_ = false;
  FrozenTime time_;
};

}  // namespace shoal
