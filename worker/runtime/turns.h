#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace shoal {

// Who of several executors may run, so that together they have no more threads at work than the
// donor lends. As long as all have enough, all run. Else they take turns: those first in line run,
// and whoever fits beside them; after a slice of time those that ran go to the end of the line.
// The more threads run in a slice the longer it is, so that few units of one job cost the many of
// another little. A state machine without a clock.
class Turns {
 public:
  // Where all threads run. Long against what it costs to stop and to start processes, short against
  // what people wait for.
  static constexpr std::int64_t kSliceNs = 500'000'000;
  static constexpr std::int64_t kSliceLeastNs = 100'000'000;

  struct Wish {
    std::uint64_t who = 0;
    unsigned threads = 0;  // that it has work for; none: it need not stand in line
  };

  explicit Turns(unsigned threads) : threads_(threads) {}

  // What everybody wants now. `ran_ns` is a clock that stands still when all of them do.
  void update(std::int64_t ran_ns, const std::vector<Wish>& wishes);
  // Of those with a wish, who has to wait. Whoever has none may do as it likes.
  bool waits(std::uint64_t who) const;
  // Of how many processors `who` may have the time when it runs: all, where nobody stands in line.
  unsigned threads_of(std::uint64_t who) const;
  // On the clock of update(): when to call it again at the latest; nothing: when a wish changes.
  std::optional<std::int64_t> next_change_ns() const;

 private:
  struct Place {
    std::uint64_t who = 0;
    unsigned threads = 0;
    bool runs = false;
  };

  bool anybody_waits() const;
  std::int64_t slice_ns() const;
  void choose();

  unsigned threads_;
  std::vector<Place> line_;
  std::int64_t slice_began_ns_ = 0;  // for as long as anybody waits
};

}  // namespace shoal
