#include "worker/runtime/blame.h"

#include <algorithm>
#include <iterator>

namespace shoal {

std::vector<RunningUnit> running_units(const RunningPage& page, const AskedFor& asked) {
  std::vector<RunningUnit> running;
  for (const RunningSlot& slot : page.slots) {
    const auto unit = read_slot(slot);
    if (!unit || !asked(unit->chunk, unit->unit)) continue;
    const bool known = std::any_of(running.begin(), running.end(), [&](const RunningUnit& other) {
      return other.chunk == unit->chunk && other.unit == unit->unit;
    });
    if (!known) running.push_back(*unit);
  }
  return running;
}

Suspects suspects_among(const std::vector<RunningUnit>& running) {
  Suspects suspects;
  std::copy_if(running.begin(), running.end(), std::back_inserter(suspects.units),
               [](const RunningUnit& unit) { return unit.signal != 0; });
  suspects.caught = !suspects.units.empty();
  if (!suspects.caught) suspects.units = running;
  return suspects;
}

}  // namespace shoal
