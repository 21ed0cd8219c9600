#pragma once

#include <functional>
#include <vector>

#include "node/protocol/executor_messages.h"

// Which units were to blame when an executor died.
namespace shoal {

// What an executor was doing, of that which it was asked to do: its page may hold anything.
// `asked(chunk, unit)` says whether the unit is in its hands.
using AskedFor = std::function<bool(std::uint64_t chunk, UnitIndex unit)>;
std::vector<RunningUnit> running_units(const RunningPage& page, const AskedFor& asked);

struct Suspects {
  std::vector<RunningUnit> units;
  // A thread noted that it died in this unit. Otherwise (killed from outside, exit() called, a
  // thread of the kernel's own) each unit that ran is as suspect as the others.
  bool caught = false;
};
Suspects suspects_among(const std::vector<RunningUnit>& running);

}  // namespace shoal
