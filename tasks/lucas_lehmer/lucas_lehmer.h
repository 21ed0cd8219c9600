#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "shoal/fields.h"

// Which of the numbers 2^p - 1 are prime (Mersenne), by the test of Lucas and Lehmer: with s(0) = 4
// and s(k + 1) = s(k)^2 - 2, an odd prime p gives a prime if and only if 2^p - 1 divides s(p - 2).
namespace shoal::lucas_lehmer {

// A number of many 64-bit digits, the least first.
using Digits = std::vector<std::uint64_t>;

// x * x, of twice the length. Karatsuba's way for long numbers.
Digits square(const Digits& x);

bool is_prime(std::uint32_t n);

inline constexpr std::uint32_t kExponentMax = 1'000'000;

struct Verdict {
  std::uint32_t exponent = 0;
  bool prime = false;  // whether 2^exponent - 1 is
  // The low 64 bits of s(p - 2) modulo 2^p - 1, as the lists of GIMPS print it; 0 for a prime. Two
  // workers that made different mistakes would hardly agree on it. 0 also where no test was needed:
  // for exponents that are not prime, and for 2.
  std::uint64_t residue = 0;
  SHOAL_FIELDS(exponent, prime, residue)
};

struct Params {
  // Exponents above are refused.
  std::uint32_t exponent_max = kExponentMax;
  SHOAL_FIELDS(exponent_max)
};

// How far a test has come: `residue` is s(steps). A large exponent takes hours.
struct Progress {
  std::uint32_t exponent = 0;
  std::uint32_t steps = 0;
  Digits residue;
  SHOAL_FIELDS(exponent, steps, residue)
};

// Throws std::invalid_argument for an exponent below 2 or above the highest.
Verdict test(const Params& params, const std::uint32_t& exponent);
// The same, from `begin` on, if that is of this exponent. `note` is called now and then on the way.
Verdict test(const Params& params, std::uint32_t exponent, std::optional<Progress> begin,
             const std::function<void(const Progress&)>& note);

}  // namespace shoal::lucas_lehmer
