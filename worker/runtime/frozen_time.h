#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

namespace shoal {

// When something stood still, so that this time does not count. A state machine without a clock;
// times are in ns and never go backwards.
class FrozenTime {
 public:
  bool frozen() const { return since_.has_value(); }
  // True: frozen() has changed.
  bool set(bool frozen, std::int64_t now_ns);
  // Of the time from `from_ns` to `now_ns`, that in which it ran. Not for times that go more than
  // kRemembered freezes back: there it may be too much.
  std::int64_t running_ns(std::int64_t from_ns, std::int64_t now_ns) const;

 private:
  static constexpr std::size_t kRemembered = 100'000;

  std::int64_t frozen_until(std::int64_t at_ns) const;

  std::optional<std::int64_t> since_;
  struct Freeze {
    std::int64_t end_ns = 0;
    std::int64_t before_ns = 0;  // frozen in all freezes before this one
  };
  std::map<std::int64_t, Freeze> past_;  // by their starts
  std::int64_t past_ns_ = 0;             // frozen in all of them
};

}  // namespace shoal
