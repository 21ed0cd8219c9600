#include "worker/runtime/turns.h"

#include <algorithm>

namespace shoal {

void Turns::update(std::int64_t ran_ns, const std::vector<Wish>& wishes) {
  const bool anybody_waited = anybody_waits();
  for (Place& place : line_) place.threads = 0;
  for (const Wish& wish : wishes) {
    const auto at = std::find_if(line_.begin(), line_.end(),
                                 [&](const Place& place) { return place.who == wish.who; });
    // One executor's own threads are bounded by itself.
    const unsigned threads = std::min(wish.threads, threads_);
    if (at != line_.end()) {
      at->threads = threads;
    } else {
      line_.push_back({wish.who, threads, false});
    }
  }
  std::erase_if(line_, [](const Place& place) { return place.threads == 0; });
  if (anybody_waited && ran_ns - slice_began_ns_ >= slice_ns()) {
    std::stable_partition(line_.begin(), line_.end(),
                          [](const Place& place) { return !place.runs; });
    slice_began_ns_ = ran_ns;
  }
  choose();
  if (!anybody_waited) slice_began_ns_ = ran_ns;
}

void Turns::choose() {
  unsigned left = threads_;
  for (Place& place : line_) {
    place.runs = place.threads <= left;
    if (place.runs) left -= place.threads;
  }
}

std::int64_t Turns::slice_ns() const {
  std::int64_t running = 0;
  for (const Place& place : line_) running += place.runs ? place.threads : 0;
  return std::max(kSliceNs / threads_ * running, kSliceLeastNs);
}

bool Turns::anybody_waits() const {
  return std::any_of(line_.begin(), line_.end(), [](const Place& place) { return !place.runs; });
}

bool Turns::waits(std::uint64_t who) const {
  return std::any_of(line_.begin(), line_.end(),
                     [&](const Place& place) { return place.who == who && !place.runs; });
}

unsigned Turns::threads_of(std::uint64_t who) const {
  if (line_.empty()) return threads_;
  const auto at = std::find_if(line_.begin(), line_.end(),
                               [&](const Place& place) { return place.who == who; });
  return at == line_.end() ? 1 : at->threads;
}

std::optional<std::int64_t> Turns::next_change_ns() const {
  if (!anybody_waits()) return std::nullopt;
  return slice_began_ns_ + slice_ns();
}

}  // namespace shoal
