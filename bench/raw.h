#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bench/kernels.h"

namespace shoal::bench {

// The work of a pool, done without one: what a pool is compared with.
struct Raw {
  double units_per_s = 0;
  std::vector<std::uint64_t> outputs;
  // Of the first `units` outputs, modulo 2^64.
  std::uint64_t sum_of(std::uint64_t units) const;
};

// The kernel as a plain function, one oneTBB task a unit, on so many threads.
Raw run_raw(std::size_t threads, const SpinParams& params, std::uint64_t units);

}  // namespace shoal::bench
