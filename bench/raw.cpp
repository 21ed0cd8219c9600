#include "bench/raw.h"

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/partitioner.h>
#include <oneapi/tbb/task_arena.h>

#include <chrono>
#include <numeric>

namespace shoal::bench {

std::uint64_t Raw::sum_of(std::uint64_t units) const {
  const auto first = outputs.begin();
  return std::accumulate(first, first + static_cast<std::ptrdiff_t>(units), std::uint64_t{0});
}

Raw run_raw(std::size_t threads, const SpinParams& params, std::uint64_t units) {
  Raw raw;
  raw.outputs.resize(units);
  tbb::task_arena arena(static_cast<int>(threads));
  const auto start = std::chrono::steady_clock::now();
  arena.execute([&] {
    tbb::parallel_for(
        tbb::blocked_range<std::uint64_t>(0, units, 1),
        [&](const tbb::blocked_range<std::uint64_t>& range) {
          for (auto unit = range.begin(); unit != range.end(); ++unit) {
            raw.outputs[unit] = spin(params, unit);
          }
        },
        tbb::simple_partitioner());
  });
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  raw.units_per_s = static_cast<double>(units) / took.count();
  return raw;
}

}  // namespace shoal::bench
