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
  double speed_sigma = 0;  // above 0: times a log-normal factor of median 1
  std::uint32_t output_bytes = 8;
  std::uint32_t program_bytes = 0;
  std::uint32_t input_bytes = 0;
  std::uint32_t fail_every = 0;
  bool noisy = false;
  double latency_ms_min = 5, latency_ms_max = 40;
  double latency_sigma = 0;                     // above 0: times a log-normal factor of median 1
  std::uint32_t links_max = limits::kLinksMax;  // of a node
  double loss = 0;                              // chance that a message is held up
  double breaks = 0;                            // chance that a message takes its link down
  std::uint32_t drift_ppm = 50;
  std::uint32_t wall_skew_s = 0;  // calendars are wrong by up to so much
  double unreachable = 0;         // share of workers that cannot be dialled
  double churn = 0;               // crashes a worker and minute; each comes back
  // Above 0: workers stay for exponentially distributed times of this mean, vanish without a word,
  // and are away for such times of the other mean.
  double session_s = 0, pause_s = 60;
  // Share of those departures that are for good, disk and all: a new worker comes in its place. Not
  // of those that keep a job.
  double leave_for_good = 0;
  bool keepers_stay = false;     // who keeps a job has no end of session
  std::uint32_t partitions = 0;  // as many times the pool falls in two for a while
  std::uint32_t one_way = 0;     // as many times some are heard by nobody, and hear all
  std::uint32_t power_cuts = 0;  // as many times a part of all machines goes dark at one moment
  double full_disks = 0;         // times that a node's disk is full for a while, a node and minute
  double hung_disks = 0;         // times that it answers nothing for a while, likewise
  // As many times a worker that keeps a job is gone for good, disk and all, and a new worker comes
  // in its place. Of the stewards that a job has then one at least is still there, up or not.
  std::uint32_t lost_disks = 0;
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
  // Shares of the ideal: what all threads of workers that were up could have done in that time, a
  // thread of speed 1 counting as one, without what was running on a worker at the moment when it
  // vanished, since nobody can have that. What came of it: units that were asked, each as often as
  // the quorum wants, and the rest.
  double efficiency = 0;
  // The same, until nine tenths of all units had ended. What was computed by then and waited for
  // its verification counts for nothing in the first, and what was not needed for something in the
  // second: the truth lies between them.
  double efficiency_until_90 = 0;
  double busy_until_90 = 0;
  // What who knew all speeds and departures beforehand would have come to, without a message: in
  // each stay of a worker whole units follow each other, as many as fit, whoever they are for.
  double makespan_best_s = 0;
  double efficiency_best = 0;
  double share_redundant = 0;  // computed, and not needed
  double share_cancelled = 0;  // begun, and no longer wanted
  double share_idle = 0;       // neither
  double share_in_hand = 0;    // of ideal and this: what vanished workers had been running
  double messages_a_unit = 0;
  double messages_a_node_minute = 0;      // sent and received, a mean over workers that keep no job
  double messages_a_node_minute_max = 0;  // the most of one of them
  double messages_a_keeper_minute = 0;    // the most of a worker that keeps a job
  std::size_t links_median = 0, links_p99 = 0;  // at one moment, of workers that keep no job
  std::size_t links_keeper = 0;                 // the most of one that does
  std::uint64_t turned_away = 0;                // dials, for want of room for links
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
// A pool of `peers` volunteers, one job of short span, and one fault of each large kind.
SimOptions large_options(std::uint64_t seed, std::uint32_t peers);

// "--peers 30 --units 500 ...": what differs from the defaults, seed first.
std::string flags_of(const SimOptions&);
// Reads one flag; `value` is what follows it. 0: not a flag of the simulation; 1: a switch; 2: it
// took the value. A wrong value ends as an error text.
int read_flag(const std::string& flag, const std::string& value, SimOptions&, std::string& error);
std::string json_of(const SimReport&);

}  // namespace shoal::sim
