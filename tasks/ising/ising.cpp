#include "tasks/ising/ising.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <numbers>
#include <stdexcept>

#include "tasks/random/random.h"

namespace shoal::ising {
namespace {

class Lattice {
 public:
  Lattice(const Params& params, const Walk& walk)
      : size_(params.size),
        spins_(std::size_t{size_} * size_, 1),
        random_(walk.seed),
        magnetisation_(static_cast<std::int64_t>(spins_.size())),
        energy_(-2 * magnetisation_) {
    // By spin * (sum of the neighbours) + 4, which is even: flipping costs 2 * spin * sum. A table
    // of the five alone would want a division in each step.
    constexpr std::uint64_t always = std::uint64_t{1} << 32;
    take_ = {always, 0, always, 0, always, 0, walk.take_4, 0, walk.take_8};
  }

  // As many steps as there are spins, each at a random place. Taking the places in a fixed order is
  // faster, but then steps that cost nothing, which are always taken, can keep the walk for ever
  // within a part of the states: on a lattice of 2 x 2 it never meets a stripe.
  void sweep() {
    for (std::size_t i = 0; i < spins_.size(); ++i) {
      const std::uint64_t bits = random_.next();
      const auto place = static_cast<std::uint32_t>(((bits >> 32) * spins_.size()) >> 32);
      const std::uint32_t y = place / size_;
      step(y, place - y * size_, bits & 0xffffffff);
    }
  }
  std::int64_t energy() const { return energy_; }
  std::int64_t magnetisation() const { return magnetisation_; }

 private:
  std::int8_t* row(std::uint32_t y) { return spins_.data() + std::size_t{y} * size_; }

  void step(std::uint32_t y, std::uint32_t x, std::uint64_t bits) {
    std::int8_t* here = row(y);
    const int neighbours = row(y == 0 ? size_ - 1 : y - 1)[x] + row(y + 1 == size_ ? 0 : y + 1)[x] +
                           here[x == 0 ? size_ - 1 : x - 1] + here[x + 1 == size_ ? 0 : x + 1];
    const int aligned = here[x] * neighbours;
    if (bits >= take_[static_cast<std::size_t>(aligned + 4)]) return;
    energy_ += 2 * aligned;
    magnetisation_ -= 2 * here[x];
    here[x] = static_cast<std::int8_t>(-here[x]);
  }

  std::uint32_t size_;
  std::vector<std::int8_t> spins_;
  tasks::Random random_;
  std::int64_t magnetisation_;
  std::int64_t energy_;
  std::array<std::uint64_t, 9> take_{};
};

void check(const Params& params) {
  if (params.size < 2 || params.size > kSizeMax) {
    throw std::invalid_argument("the size must be from 2 to " + std::to_string(kSizeMax) + ", is " +
                                std::to_string(params.size));
  }
  if (params.bins == 0 || params.sweeps_per_bin == 0) {
    throw std::invalid_argument("there must be at least one bin of at least one sweep");
  }
}

Estimate mean_of(const std::vector<Bin>& bins, std::int64_t Bin::*sum, double scale) {
  const double n = static_cast<double>(bins.size());
  double mean = 0;
  for (const Bin& bin : bins) mean += static_cast<double>(bin.*sum) * scale / n;
  if (bins.size() < 2) return {mean, std::numeric_limits<double>::infinity()};
  double squares = 0;
  for (const Bin& bin : bins) {
    const double off = static_cast<double>(bin.*sum) * scale - mean;
    squares += off * off;
  }
  return {mean, std::sqrt(squares / (n - 1) / n)};
}

}  // namespace

Walk walk_at(double temperature, std::uint64_t seed) {
  const auto take = [&](double raise) {
    return static_cast<std::uint64_t>(std::exp(-raise / temperature) * 4294967296.0);
  };
  return {take(4), take(8), seed};
}

Bins run_walk(const Params& params, const Walk& walk) {
  check(params);
  Lattice lattice(params, walk);
  for (std::uint32_t i = 0; i < params.warmup_sweeps; ++i) lattice.sweep();
  Bins result;
  for (std::uint32_t i = 0; i < params.bins; ++i) {
    Bin bin;
    for (std::uint32_t k = 0; k < params.sweeps_per_bin; ++k) {
      lattice.sweep();
      bin.energy += lattice.energy();
      bin.magnetisation += std::abs(lattice.magnetisation());
    }
    result.bins.push_back(bin);
  }
  return result;
}

Estimates estimate(const Params& params, const std::vector<Bin>& bins) {
  const double scale = 1.0 / (double(params.size) * params.size * params.sweeps_per_bin);
  return {mean_of(bins, &Bin::energy, scale), mean_of(bins, &Bin::magnetisation, scale)};
}

double elliptic_k(double k) {
  double a = 1;
  double g = std::sqrt((1 - k) * (1 + k));
  // Each step doubles the digits that agree; k = 1 would never end, and is infinite.
  if (g <= 0) return std::numeric_limits<double>::infinity();
  while (std::abs(a - g) > 1e-15 * a) {
    const double next = (a + g) / 2;
    g = std::sqrt(a * g);
    if (next == a) break;
    a = next;
  }
  return std::numbers::pi / (2 * a);
}

double critical_temperature() { return 2 / std::log(1 + std::numbers::sqrt2); }

double exact_energy(double temperature) {
  const double x = 2 / temperature;
  const double tanh2 = std::tanh(x) * std::tanh(x);
  const double k = 2 * std::sinh(x) / (std::cosh(x) * std::cosh(x));
  // At the critical temperature 2 tanh^2 - 1 is 0, and wins over the infinite integral.
  const double factor = 2 * tanh2 - 1;
  const double second =
      std::abs(factor) < 1e-12 ? 0 : 2 / std::numbers::pi * factor * elliptic_k(std::min(k, 1.0));
  return -(1 + second) / std::tanh(x);
}

double exact_magnetisation(double temperature) {
  if (temperature >= critical_temperature()) return 0;
  const double s = std::sinh(2 / temperature);
  return std::pow(1 - 1 / (s * s * s * s), 0.125);
}

}  // namespace shoal::ising
