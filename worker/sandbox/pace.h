#pragma once

#include <cstdint>
#include <optional>

namespace shoal {

// When the processes of a sandbox have to stand still, so that together they have no more than the
// time of so many processors, however many threads they start. What they leave unused is saved up
// for a moment; what they took too much, they wait for. A state machine without a clock; times are
// in ns and never go backwards.
class Pace {
 public:
  // So that whoever takes what it was given, and now and then a little more, never stops.
  static constexpr std::int64_t kSavedMostNs = 100'000'000;
  // The longest stop: what was taken beyond it, before anybody looked, is forgiven.
  static constexpr std::int64_t kStopMostNs = 5'000'000'000;
  // How often to look at processes that have taken too much within the last second.
  static constexpr std::int64_t kLookNs = 20'000'000;
  static constexpr std::int64_t kLookAgainNs = 1'000'000'000;

  // 0: as much as they like.
  explicit Pace(unsigned threads) : threads_(threads) {}

  // From now on.
  void set_threads(unsigned threads) { threads_ = threads; }
  // Whether there is anything to hold, or to let go again.
  bool holds() const { return threads_ != 0 || stops_; }

  // What they have taken until now, as far as it can be seen: where a process ends while the others
  // are counted, it may be missing once.
  void update(std::int64_t now_ns, std::int64_t taken_ns);
  bool stops() const { return stops_; }
  // When to call update() again at the latest; nothing: whenever it suits.
  std::optional<std::int64_t> next_ns() const;

 private:
  unsigned threads_;
  bool stops_ = false;
  bool missing_ = false;  // some of taken_ns_, the last time
  std::int64_t taken_ns_ = 0;
  std::int64_t saved_ns_ = kSavedMostNs;  // for each thread; below 0: owed
  std::optional<std::int64_t> now_ns_;
  std::optional<std::int64_t> stopped_ns_;  // when it last did
};

}  // namespace shoal
