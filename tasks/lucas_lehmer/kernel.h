#pragma once

#include "shoal/kernel.h"
#include "tasks/lucas_lehmer/lucas_lehmer.h"

namespace shoal::lucas_lehmer {

// A unit may take hours: its state is kept, and it goes on from there.
inline Kernel<Params, std::uint32_t, Verdict> kernel() {
  return {"lucas_lehmer", [](Unit& unit, const Params& params, const std::uint32_t& exponent) {
            return test(params, exponent, unit.saved<Progress>(),
                        [&](const Progress& progress) { unit.save(progress); });
          }};
}

}  // namespace shoal::lucas_lehmer
