#pragma once

#include "tests/sim/simulation.h"

// What a world that has run comes to in figures: everything of the report but its verdict.
namespace shoal::sim {

void measure(World&, SimReport&);

}  // namespace shoal::sim
