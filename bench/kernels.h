#pragma once

#include <cstdint>

#include "shoal/kernel.h"

// What the measured units compute.
namespace shoal::bench {

// Nothing: the unit's own number, so that every result can be told from every other.
std::uint64_t noop(const Nothing&, std::uint64_t unit);
inline Kernel<Nothing, std::uint64_t, std::uint64_t> noop_kernel() { return {"noop", noop}; }

// Keeps one core busy for a fixed number of operations on integers, each of which waits for the one
// before. Never for a time: a clock would forgive whoever was kept from computing, and then the
// same work would not be the same length here and there.
struct SpinParams {
  std::uint64_t steps = 0;
  SHOAL_FIELDS(steps)
};
std::uint64_t spin(const SpinParams& params, std::uint64_t unit);
inline Kernel<SpinParams, std::uint64_t, std::uint64_t> spin_kernel() { return {"spin", spin}; }

// How many steps take so many milliseconds on this machine, undisturbed. It decides about the size
// of units alone; efficiencies compare the same steps with each other.
SpinParams spin_for(double unit_ms);

}  // namespace shoal::bench
