#pragma once

#include "tests/sim/simulation.h"

// When what breaks, in a run of so many options. All faults lie before `end`: then the network is
// whole, disks have room, and every node that has not left for good is up again.
namespace shoal::sim {

bool has_faults(const SimOptions&);
// `rng` is asked now and, for sessions, as the world goes on: it must outlive the world's run.
void plan_faults(World&, const SimOptions&, Rng& rng, Time end);

}  // namespace shoal::sim
