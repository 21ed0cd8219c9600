#pragma once

#include <vector>

#include "shoal/kernel.h"

namespace shoal::tasks {

// The kernels that every worker has. A job of theirs runs for anyone, since no foreign program
// does.
std::vector<KernelEntry> all_kernels();

}  // namespace shoal::tasks
