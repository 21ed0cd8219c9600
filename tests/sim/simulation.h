#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/sim/byzantine/hostile.h"
#include "tests/sim/world.h"

// One run from options to figures: what shoal-sim and the smoke test share.
namespace shoal::sim {

struct SimOptions {
  std::uint64_t seed = 1;
  std::uint32_t peers = 10;
  std::uint32_t coordinators = 1;
  std::uint32_t jobs = 1;  // each with `units` units, by submitters of their own
  std::uint64_t units = 1000;
  std::uint32_t quorum = 2;
  std::uint32_t threads = 1;
  std::uint32_t unit_ms = 100;
  std::uint32_t spread_permille = 0;  // of unit times
  double speed_min = 1, speed_max = 1;
  std::uint32_t output_bytes = 8;
  std::uint32_t program_bytes = 0;
  std::uint32_t input_bytes = 0;
  std::uint32_t fail_every = 0;
  bool noisy = false;
  double latency_ms_min = 5, latency_ms_max = 40;
  double loss = 0;    // chance that a message is held up
  double breaks = 0;  // chance that a message takes its link down
  std::uint32_t drift_ppm = 50;
  double unreachable = 0;        // share of workers that cannot be dialled
  double churn = 0;              // crashes a worker and minute; each comes back
  std::uint32_t partitions = 0;  // as many times the pool falls in two for a while
  bool submitter_crashes = false;
  bool coordinator_crashes = false;
  std::uint32_t faults_s = 60;   // faults stop after so many virtual seconds
  std::uint32_t limit_s = 3600;  // and then everything must finish within so many
  std::map<Behaviour, std::uint32_t> byzantine;
  bool checks = true;
  bool log = false;
  bool trace = false;
};

struct SimReport {
  SimOptions options;
  std::vector<Violation> violations;
  bool finished = false;
  double virtual_s = 0;
  double makespan_s = 0;  // from the first acceptance to the last receipt
  double efficiency = 0;  // against all threads busy with what the quorum asks, and nothing else
  double messages_a_unit = 0;
  double bytes_a_unit = 0;
  double redundancy = 0;    // replicas computed for each one asked
  double steals_share = 0;  // of computed units, those that came from a peer
  double coordinator_bytes_a_node = 0;
  std::uint64_t units_verified = 0;
  std::uint64_t wrong_accepted = 0;
  std::uint64_t receipts = 0;
  std::uint64_t bad_receipts = 0;
  std::uint64_t events = 0;
  std::uint64_t hash = 0;
};

SimReport simulate(const SimOptions&);
// A small pool with faults of all kinds, that follow from the seed.
SimOptions random_options(std::uint64_t seed);

// "--peers 30 --units 500 ...": what differs from the defaults, seed first.
std::string flags_of(const SimOptions&);
// Reads one flag; `value` is what follows it. 0: not a flag of the simulation; 1: a switch; 2: it
// took the value. A wrong value ends as an error text.
int read_flag(const std::string& flag, const std::string& value, SimOptions&, std::string& error);
std::string json_of(const SimReport&);

}  // namespace shoal::sim
