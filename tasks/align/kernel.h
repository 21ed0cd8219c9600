#pragma once

#include "shoal/kernel.h"
#include "tasks/align/align.h"

namespace shoal::align {

inline Kernel<Params, Tile, Scores> kernel() { return {"align", align_tile}; }

}  // namespace shoal::align
