#pragma once

#include "shoal/kernel.h"
#include "tasks/mandelbrot/mandelbrot.h"

namespace shoal::mandelbrot {

inline Kernel<Params, std::uint64_t, Counts> kernel() { return {"mandelbrot", compute_tile}; }

}  // namespace shoal::mandelbrot
