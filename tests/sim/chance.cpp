#include "tests/sim/chance.h"

#include <cmath>

namespace shoal::sim {
namespace {

constexpr double kLn2 = 0.693147180559945309417;

}  // namespace

double exp_of(double x) {
  // The series of a small part of x, squared back up.
  constexpr int kHalvings = 10;
  const double part = x / (1 << kHalvings);
  double sum = 1;
  double term = 1;
  for (int n = 1; n <= 8; ++n) {
    term = term * part / n;
    sum += term;
  }
  for (int i = 0; i < kHalvings; ++i) sum *= sum;
  return sum;
}

double log_of(double x) {
  int exponent = 0;
  const double mantissa = std::frexp(x, &exponent);  // exact, in [0.5, 1)
  const double z = (mantissa - 1) / (mantissa + 1);
  double sum = 0;
  double power = z;
  for (int n = 1; n <= 39; n += 2) {
    sum += power / n;
    power *= z * z;
  }
  return 2 * sum + exponent * kLn2;
}

double normal(Rng& rng) {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += rng.unit();
  return sum;
}

double log_normal(Rng& rng, double sigma) { return sigma == 0 ? 1 : exp_of(sigma * normal(rng)); }

double exponential(Rng& rng, double mean) { return -mean * log_of(1 - rng.unit()); }

}  // namespace shoal::sim
