#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shoal/fields.h"

// The Ising model on a square lattice with periodic edges, by the algorithm of Metropolis and
// others (1953). Coupling and Boltzmann's constant are 1, so temperatures are in units of J/k;
// there is no external field.
namespace shoal::ising {

struct Params {
  std::uint32_t size = 64;              // spins along an edge
  std::uint32_t warmup_sweeps = 2'000;  // before anything is measured
  std::uint32_t bins = 8;               // of measured sweeps, after the warm-up
  std::uint32_t sweeps_per_bin = 250;
  SHOAL_FIELDS(size, warmup_sweeps, bins, sweeps_per_bin)
};
inline constexpr std::uint32_t kSizeMax = 4096;

// One walk. What it needs to know of the temperature are two whole numbers, worked out once, where
// the job is submitted: two machines' exp() may differ in the last bit, and then their walks would
// part, sooner or later, and their results with them.
struct Walk {
  // A step that raises the energy by 4 (by 8) is taken if 32 random bits are below this number.
  std::uint64_t take_4 = 0;
  std::uint64_t take_8 = 0;
  std::uint64_t seed = 0;
  SHOAL_FIELDS(take_4, take_8, seed)
};
Walk walk_at(double temperature, std::uint64_t seed);

// Sums over the sweeps of a bin, in whole numbers.
struct Bin {
  std::int64_t energy = 0;         // of the whole lattice
  std::int64_t magnetisation = 0;  // its absolute value
  SHOAL_FIELDS(energy, magnetisation)
};
struct Bins {
  std::vector<Bin> bins;
  SHOAL_FIELDS(bins)
};

// Starts with all spins up. Throws std::invalid_argument if the parameters make no sense.
Bins run_walk(const Params& params, const Walk& walk);

// A mean and its standard error.
struct Estimate {
  double mean = 0;
  double error = 0;
};
struct Estimates {
  Estimate energy;         // a spin
  Estimate magnetisation;  // a spin, absolute value
};
// From the bins of all walks at one temperature: bins much longer than the walk's memory are
// independent, so that the scatter of their means gives the error.
Estimates estimate(const Params& params, const std::vector<Bin>& bins);

// Onsager's exact solution (1944) for the infinite lattice: energy a spin, and spontaneous
// magnetisation (Yang 1952), which is 0 from the critical temperature 2 / ln(1 + sqrt 2) on.
double exact_energy(double temperature);
double exact_magnetisation(double temperature);
double critical_temperature();

// The complete elliptic integral of the first kind with modulus k, by the arithmetic-geometric
// mean.
double elliptic_k(double k);

}  // namespace shoal::ising
