#pragma once

#include <cstdint>
#include <cstring>

#include "node/protocol/bytes.h"

// Cheap mixing for the simulator's stand-ins: signatures, outputs, latencies, the hash of a run.
// None of it resists an attacker outside the simulation, and none of it has to.
namespace shoal::sim {

inline std::uint64_t splitmix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

inline std::uint64_t load64(const std::uint8_t* from) {
  std::uint64_t word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

inline void append64(Bytes& to, std::uint64_t word) {
  const std::size_t at = to.size();
  to.resize(at + sizeof word);
  std::memcpy(to.data() + at, &word, sizeof word);
}

// A running hash: what goes in, in its order, decides the value.
class RunningHash {
 public:
  explicit RunningHash(std::uint64_t seed = 0) : state_(splitmix(seed)) {}

  void add(std::uint64_t word) {
    state_ = (state_ ^ word) * 0xff51afd7ed558ccdULL;
    state_ ^= state_ >> 32;
  }
  void add(ByteView bytes) {
    add(bytes.size());
    std::size_t at = 0;
    for (; at + 8 <= bytes.size(); at += 8) add(load64(bytes.data() + at));
    if (at == bytes.size()) return;
    std::uint64_t rest = 0;
    std::memcpy(&rest, bytes.data() + at, bytes.size() - at);
    add(rest);
  }
  std::uint64_t value() const { return splitmix(state_); }

 private:
  std::uint64_t state_;
};

}  // namespace shoal::sim
