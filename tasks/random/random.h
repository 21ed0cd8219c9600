#pragma once

#include <cstdint>

namespace shoal::tasks {

// Numbers that look random and are the same on every machine and with every standard library, which
// std:: distributions are not: workers' outputs are compared byte for byte. SplitMix64 of Steele,
// Lea and Flood (2014). Not for secrets.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15;
    return mix(state_);
  }
  // Evenly from [0, n), n > 0, without the slight preference for small numbers that next() % n has
  // (Lemire 2019).
  std::uint32_t below(std::uint32_t n) {
    std::uint64_t product = (next() >> 32) * n;
    if (static_cast<std::uint32_t>(product) < n) {
      const std::uint32_t least = (0u - n) % n;
      while (static_cast<std::uint32_t>(product) < least) product = (next() >> 32) * n;
    }
    return static_cast<std::uint32_t>(product >> 32);
  }

  // Makes one seed out of two, so that units with neighbouring numbers have unrelated streams.
  static std::uint64_t seed_of(std::uint64_t seed, std::uint64_t stream) {
    return mix(mix(seed) + 0x9e3779b97f4a7c15 * (stream + 1));
  }

 private:
  static std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  std::uint64_t state_;
};

}  // namespace shoal::tasks
