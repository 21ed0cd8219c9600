#include <algorithm>

#include "tests/sim/simulation.h"

namespace shoal::sim {
namespace {

// Of volunteers: unequal machines that come and go, one-way partitions, power cuts, full disks and
// wrong calendars.
void add_volunteers(SimOptions& options, Rng& rng) {
  const auto one_in = [&](std::uint64_t n) { return rng.below(n) == 0; };
  if (one_in(3)) options.speed_sigma = 0.2 + 0.6 * rng.unit();
  if (one_in(4)) options.latency_sigma = 0.2 + 0.8 * rng.unit();
  if (one_in(4)) {
    options.session_s = 20 + 200 * rng.unit();
    options.pause_s = 5 + 60 * rng.unit();
    if (one_in(2)) options.leave_for_good = 0.3;
    options.keepers_stay = one_in(2);
  }
  if (one_in(4)) options.one_way = 1 + static_cast<std::uint32_t>(rng.below(2));
  if (one_in(5)) options.power_cuts = 1 + static_cast<std::uint32_t>(rng.below(2));
  if (one_in(4)) options.full_disks = rng.unit();
  if (one_in(3)) options.wall_skew_s = 1 + static_cast<std::uint32_t>(rng.below(100));
}

}  // namespace

SimOptions random_options(std::uint64_t seed) {
  Rng rng(seed ^ 0x5eed);
  SimOptions options;
  options.seed = seed;
  const auto one_in = [&](std::uint64_t n) { return rng.below(n) == 0; };
  options.peers = 3 + static_cast<std::uint32_t>(rng.below(one_in(4) ? 48 : 8));
  options.coordinators = 1 + static_cast<std::uint32_t>(rng.below(2));
  options.jobs = one_in(3) ? 1 + static_cast<std::uint32_t>(rng.below(3)) : 1;
  options.units = 1 + rng.below(one_in(4) ? 2000 : 200);
  const std::uint32_t unit_ms[] = {0, 1, 10, 100, 500, 2000};
  options.unit_ms = unit_ms[rng.below(6)];
  if (options.unit_ms >= 500) options.units = 1 + options.units / 8;
  options.threads = 1 + static_cast<std::uint32_t>(rng.below(4));
  options.spread_permille = one_in(2) ? static_cast<std::uint32_t>(rng.below(900)) : 0;
  if (one_in(3)) options.speed_min = 0.1 + 0.9 * rng.unit();
  options.latency_ms_min = one_in(3) ? 0.1 : 5;
  options.latency_ms_max = one_in(3) ? 200 : 40;
  if (one_in(2)) options.loss = 0.05 * rng.unit();
  if (one_in(3)) options.breaks = 0.01 * rng.unit();
  if (one_in(2)) options.churn = rng.unit();
  if (one_in(3)) options.partitions = 1 + static_cast<std::uint32_t>(rng.below(2));
  if (one_in(4)) options.unreachable = 0.3;
  options.drift_ppm = one_in(3) ? 500 : 50;
  options.submitter_crashes = one_in(4);
  options.coordinator_crashes = one_in(4);
  options.faults_s = 10 + static_cast<std::uint32_t>(rng.below(110));
  if (one_in(6)) options.output_bytes = 2000 + static_cast<std::uint32_t>(rng.below(100'000));
  if (options.output_bytes > 8) options.units = 1 + options.units / 10;
  if (one_in(6)) options.program_bytes = 1 + static_cast<std::uint32_t>(rng.below(1'500'000));
  if (one_in(6)) options.input_bytes = 1 + static_cast<std::uint32_t>(rng.below(2000));
  if (one_in(8)) options.fail_every = 5 + static_cast<std::uint32_t>(rng.below(50));
  if (options.output_bytes == 8 && one_in(8)) options.noisy = true;

  add_volunteers(options, rng);

  // The leader never verifies and liars never agree with anybody: so many honest workers are left
  // that every unit finds its quorum.
  std::uint32_t liars_left = std::min<std::uint32_t>(2, options.peers >= 5 ? options.peers - 4 : 0);
  std::uint32_t others_left = options.peers >= 6 ? 2 : 0;
  for (const Behaviour behaviour : kAllBehaviours) {
    if (behaviour == Behaviour::kForger) continue;  // a forging steward's job never ends
    std::uint32_t& left = lies_about_results(behaviour) ? liars_left : others_left;
    if (left == 0 || !one_in(6)) continue;
    options.byzantine[behaviour] = 1;
    --left;
  }
  // A replayer repeats its own reveals to anybody, and noise may be a reveal of a job that there is
  // not: a copier beside them would accuse the honest.
  if (options.byzantine.contains(Behaviour::kReplayer) ||
      options.byzantine.contains(Behaviour::kGarbage)) {
    options.byzantine.erase(Behaviour::kCopier);
  }
  std::uint32_t hostile = 0;
  bool liars = false;
  for (const auto& [behaviour, count] : options.byzantine) {
    hostile += count;
    liars |= count > 0 && lies_about_results(behaviour);
  }
  const std::uint32_t quorum_max = std::clamp<std::uint32_t>(options.peers - hostile - 1, 1, 3);
  options.quorum = 1 + static_cast<std::uint32_t>(rng.below(quorum_max));
  // What a worker computed and keeps to itself is gone with it.
  if (options.output_bytes > limits::kInlineOutputBytes) options.leave_for_good = 0;
  // Nobody holds the content that a lone liar names: with a quorum of one it could never be
  // fetched.
  if (options.quorum == 1 && liars) options.output_bytes = 8;
  // Of a generator of its own: the other faults of a seed stay what they were.
  Rng more(seed ^ 0xd15c);
  if (more.below(4) == 0) options.hung_disks = more.unit();
  Rng losses(seed ^ 0x105ed);
  if (losses.below(4) == 0 && options.output_bytes <= limits::kInlineOutputBytes) {
    options.lost_disks = 1 + static_cast<std::uint32_t>(losses.below(4));
  }
  return options;
}

SimOptions large_options(std::uint64_t seed, std::uint32_t peers) {
  Rng rng(seed ^ 0x1a49e);
  SimOptions options;
  options.seed = seed;
  options.peers = peers;
  options.coordinators = 2;
  options.units = std::uint64_t{2} * peers;
  options.unit_ms = 20'000;
  options.speed_sigma = 0.5;
  options.latency_ms_min = 20;
  options.latency_ms_max = 200;
  options.loss = 0.01 * rng.unit();
  options.wall_skew_s = 30;
  options.session_s = 300 + 600 * rng.unit();
  options.pause_s = 60;
  options.leave_for_good = 0.2;
  options.partitions = 1;
  options.one_way = 1;
  options.power_cuts = 1;
  options.coordinator_crashes = true;
  options.faults_s = 120;
  return options;
}

}  // namespace shoal::sim
