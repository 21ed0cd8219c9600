#pragma once

#include "shoal/kernel.h"
#include "tasks/lucas_lehmer/lucas_lehmer.h"

namespace shoal::lucas_lehmer {

inline Kernel<Params, std::uint32_t, Verdict> kernel() { return {"lucas_lehmer", test}; }

}  // namespace shoal::lucas_lehmer
