#pragma once

#include <cstdint>
#include <map>
#include <optional>

namespace shoal {

// When executors stand still: while the donor has paused the worker, and for that part of each
// second which his share of the processors does not cover. Remembers it, since the clock of a unit
// stands still as well. A state machine without a clock; times are in ns and never go backwards.
class Freezer {
 public:
  static constexpr std::int64_t kPeriodNs = 1'000'000'000;

  // Of each second, in percent, 1 to 100.
  explicit Freezer(unsigned share_percent) : share_percent_(share_percent) {}

  void pause() { paused_ = true; }
  void resume() { paused_ = false; }
  bool paused() const { return paused_; }
  bool frozen() const { return frozen_since_.has_value(); }

  // Whether there is anything that runs: without, no share is kept.
  // True: frozen() has changed.
  bool update(std::int64_t now_ns, bool busy);
  // When to call update() again at the latest; nothing: when something happens.
  std::optional<std::int64_t> next_change_ns(std::int64_t now_ns, bool busy) const;

  // Of the time from `from_ns` to `now_ns`, that in which executors ran. Not for times that go more
  // than kRemembered freezes back: there it may be too much.
  std::int64_t running_ns(std::int64_t from_ns, std::int64_t now_ns) const;

 private:
  static constexpr std::size_t kRemembered = 100'000;

  bool wanted(std::int64_t now_ns, bool busy) const;
  std::int64_t frozen_until(std::int64_t at_ns) const;

  unsigned share_percent_;
  bool paused_ = false;
  std::optional<std::int64_t> frozen_since_;
  struct Freeze {
    std::int64_t end_ns = 0;
    std::int64_t before_ns = 0;  // frozen in all freezes before this one
  };
  std::map<std::int64_t, Freeze> past_;  // by their starts
  std::int64_t past_ns_ = 0;             // frozen in all of them
};

}  // namespace shoal
