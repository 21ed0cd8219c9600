#pragma once

#include "shoal/kernel.h"
#include "tasks/ising/ising.h"

namespace shoal::ising {

inline Kernel<Params, Walk, Bins> kernel() { return {"ising", run_walk}; }

}  // namespace shoal::ising
