#pragma once

#include "node/protocol/rng.h"

// Random quantities of volunteer pools: speeds, latencies and the lengths of sessions. Computed
// with additions, multiplications and divisions alone: a libm picks its code by the processor, and
// a seed would not replay on another one.
namespace shoal::sim {

// e to the x, for -40 <= x <= 40.
double exp_of(double x);
// Natural logarithm of x > 0.
double log_of(double x);

// Nearly a standard normal: the sum of twelve uniforms less six, so never beyond +-6.
double normal(Rng&);
// Log-normal with median 1; `sigma` is the deviation of its logarithm. 1 where sigma is 0.
double log_normal(Rng&, double sigma);
// Exponential with this mean.
double exponential(Rng&, double mean);

}  // namespace shoal::sim
