#pragma once

#include <cstdint>

// Three ways to hand out units, as simple models over the same machines, sessions and latencies: an
// answer to how much of a pool each of them wastes by its nature, not a simulation of the protocol.
// docs/scheduling.md says what the models leave out.
namespace shoal::sim {

enum class Policy : std::uint8_t {
  kOneUnit,    // a worker asks for one unit whenever it has none
  kGuided,     // guided self-scheduling: a chunk of what is left, divided by the workers
  kStealHalf,  // half a worker's share at most, asked for ahead; then half of what a peer has left
};
inline constexpr Policy kAllPolicies[] = {Policy::kOneUnit, Policy::kGuided, Policy::kStealHalf};
const char* name_of(Policy);

struct ComparisonOptions {
  std::uint64_t seed = 1;
  std::uint32_t workers = 10'000;
  std::uint64_t units = 900'000;  // replicas of one unit count each
  double unit_s = 20;             // on a worker of speed 1
  double speed_sigma = 0.5;       // log-normal, median 1
  double latency_s = 0.2;         // one way
  double session_s = 1800;        // mean, exponential; 0: nobody leaves
  double pause_s = 600;           // mean, exponential
  double notice_s = 12;           // until the units of a worker that vanished are handed out again
  double lease_s = 30;            // of work that one range holds at most (steal half)
};

struct ComparisonResult {
  double makespan_s = 0;
  double efficiency = 0;  // of what the workers that were up could have computed until the end
  double efficiency_until_90 = 0;  // the same, until nine tenths of the units were done
  double lost = 0;                 // begun, and ended by a departure
  double messages_a_unit = 0;
};

// A function of its arguments alone.
ComparisonResult compare(Policy, const ComparisonOptions&);

}  // namespace shoal::sim
