#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace shoal::sim {

// Virtual nanoseconds since the world began. Nodes never see it: each has a clock of its own.
using Time = std::int64_t;

// One heap ordered by (time, sequence): what was scheduled first happens first, so that a run is
// decided by its seed alone. The heap moves small entries; payloads stay where they are.
template <class Payload>
class EventQueue {
 public:
  void push(Time at, Payload payload) {
    std::uint32_t slot;
    if (free_.empty()) {
      slot = static_cast<std::uint32_t>(slots_.size());
      slots_.push_back(std::move(payload));
    } else {
      slot = free_.back();
      free_.pop_back();
      slots_[slot] = std::move(payload);
    }
    heap_.push_back({at, sequence_++, slot});
    std::push_heap(heap_.begin(), heap_.end(), Later{});
  }
  bool empty() const { return heap_.empty(); }
  std::size_t size() const { return heap_.size(); }
  Time next_time() const { return heap_.front().at; }
  Payload pop() {
    std::pop_heap(heap_.begin(), heap_.end(), Later{});
    const std::uint32_t slot = heap_.back().slot;
    heap_.pop_back();
    Payload payload = std::move(slots_[slot]);
    free_.push_back(slot);
    return payload;
  }

 private:
  struct Entry {
    Time at;
    std::uint64_t sequence;
    std::uint32_t slot;
  };
  struct Later {
    bool operator()(const Entry& a, const Entry& b) const {
      return a.at != b.at ? a.at > b.at : a.sequence > b.sequence;
    }
  };
  std::vector<Entry> heap_;
  std::vector<Payload> slots_;
  std::vector<std::uint32_t> free_;
  std::uint64_t sequence_ = 0;
};

}  // namespace shoal::sim
