#pragma once

#include <array>
#include <cstdint>

namespace shoal {

// xoshiro256** (Blackman and Vigna, https://prng.di.unimi.it/), seeded by splitmix64. The project's
// own engine and `below`, so that a seed replays the same run on every machine and library. Not for
// secrets.
class Rng {
 public:
  explicit Rng(std::uint64_t seed);
  std::uint64_t next();
  // Uniform in [0, n), without bias (Lemire's method). n must be above zero.
  std::uint64_t below(std::uint64_t n);
  // Uniform in [0, 1) with 53 random bits.
  double unit();
  // True with probability p.
  bool chance(double p) { return unit() < p; }
  // An independent generator, for a part that must not disturb this one's sequence.
  Rng fork() { return Rng(next()); }

 private:
  std::array<std::uint64_t, 4> state_;
};

}  // namespace shoal
