#pragma once

#include <map>

#include "node/protocol/bytes.h"
#include "node/protocol/limits.h"
#include "node/protocol/range.h"

namespace shoal {

// How far units of one job have come, as those who compute them told its leader. Within a limit:
// what does not fit is not kept, and its unit then begins anew elsewhere.
class UnitStates {
 public:
  void keep(UnitIndex unit, Bytes state) {
    const auto old = states_.find(unit);
    const std::size_t others = bytes_ - (old == states_.end() ? 0 : old->second.size());
    if (others + state.size() > limits::kUnitStatesBytes) return;
    bytes_ = others + state.size();
    states_[unit] = std::move(state);
  }
  void drop(Range units) {
    while (true) {
      const auto it = states_.lower_bound(units.first);
      if (it == states_.end() || it->first >= units.last) return;
      bytes_ -= it->second.size();
      states_.erase(it);
    }
  }
  void clear() {
    states_.clear();
    bytes_ = 0;
  }
  // Calls use(unit, state) for those of `units` that have one.
  void for_each_in(Range units, const auto& use) const {
    for (auto it = states_.lower_bound(units.first); it != states_.end() && it->first < units.last;
         ++it) {
      use(it->first, it->second);
    }
  }

 private:
  std::map<UnitIndex, Bytes> states_;
  std::size_t bytes_ = 0;
};

}  // namespace shoal
