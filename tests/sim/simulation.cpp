#include "tests/sim/simulation.h"

#include <algorithm>

#include "tests/sim/checkers/checkers.h"

namespace shoal::sim {
namespace {

constexpr Time kSecond = 1'000'000'000;

Duration ms(double value) { return Duration(static_cast<std::int64_t>(value * 1e6)); }

WorldOptions world_options(const SimOptions& options) {
  WorldOptions world;
  world.seed = options.seed;
  world.network.latency_min = ms(options.latency_ms_min);
  world.network.latency_max = ms(std::max(options.latency_ms_min, options.latency_ms_max));
  world.network.loss = options.loss;
  world.network.breaks = options.breaks;
  world.drift_ppm = options.drift_ppm;
  world.log = options.log;
  world.trace = options.trace;
  return world;
}

// Counts what a checker would complain of, also in runs without checkers.
class WrongCounter final : public Checker {
 public:
  explicit WrongCounter(std::uint64_t& wrong) : wrong_(wrong) {}
  std::string_view name() const override { return "wrong_counter"; }
  void on_receipt(World&, const JobRun& job, const Receipt& receipt) override {
    if (receipt.end != UnitEnd::kVerified || job.spec.kernel.output_bytes != 8) return;
    const ByteView shown = receipt.outputs.inline_bytes;
    for (std::size_t i = 0; i < receipt.range.size(); ++i) {
      if (8 * (i + 1) > shown.size() ||
          !equivalent_outputs(
              job.spec.kernel, shown.subspan(8 * i, 8),
              unit_output(job.spec.kernel, job.id, receipt.range.first + i, 0, 0))) {
        ++wrong_;
      }
    }
  }

 private:
  std::uint64_t& wrong_;
};

void populate(World& world, const SimOptions& options, Rng& rng) {
  for (std::uint32_t i = 0; i < options.coordinators; ++i) world.add_coordinator();
  std::vector<Behaviour> hostile;
  for (const auto& [behaviour, count] : options.byzantine) {
    hostile.insert(hostile.end(), count, behaviour);
  }
  for (std::uint32_t i = 0; i < options.peers; ++i) {
    WorkerSpec spec;
    spec.threads = options.threads;
    spec.speed = options.speed_min + (options.speed_max - options.speed_min) * rng.unit();
    spec.noise = static_cast<std::uint8_t>(rng.next());
    spec.start_after = ms(static_cast<double>(rng.below(2000)));
    // The first two can be dialled: somebody has to be.
    spec.dialable = i < 2 || !rng.chance(options.unreachable);
    if (i + hostile.size() >= options.peers) {
      const Behaviour behaviour = hostile[i + hostile.size() - options.peers];
      spec.factory = hostile_factory(behaviour);
      spec.behaviour = name_of(behaviour);
      spec.honest = false;
    }
    world.add_worker(std::move(spec));
  }
}

void crash_for(World& world, NodeIndex node, Time from, Time until, bool machine) {
  const auto how = machine ? World::Crash::kMachine : World::Crash::kProcess;
  world.at(from, [&world, node, how] { world.crash(node, how); });
  world.at(until, [&world, node] { world.restart(node); });
}

// All faults lie before `end`, when the network is whole and every node is up again.
void plan_faults(World& world, const SimOptions& options, Rng& rng, Time end) {
  if (end <= 0) return;
  const auto span = static_cast<std::uint64_t>(end);
  const auto stretch = [&](Time& from, Time& until) {
    from = static_cast<Time>(rng.below(span));
    until = std::min<Time>(end, from + 1 + static_cast<Time>(rng.below(span / 3 + 1)));
  };
  Time from = 0;
  Time until = 0;
  for (const NodeIndex worker : world.of_kind(NodeKind::kWorker)) {
    double expected = options.churn * static_cast<double>(end) / (60.0 * kSecond);
    for (; expected > 0; expected -= 1) {
      if (!rng.chance(std::min(1.0, expected))) continue;
      stretch(from, until);
      crash_for(world, worker, from, until, rng.chance(0.3));
    }
  }
  if (options.submitter_crashes) {
    for (const NodeIndex submitter : world.of_kind(NodeKind::kSubmitter)) {
      stretch(from, until);
      crash_for(world, submitter, from, until, rng.chance(0.3));
    }
  }
  if (options.coordinator_crashes) {
    for (const NodeIndex coordinator : world.of_kind(NodeKind::kCoordinator)) {
      stretch(from, until);
      crash_for(world, coordinator, from, until, rng.chance(0.3));
    }
  }
  for (std::uint32_t i = 0; i < options.partitions; ++i) {
    stretch(from, until);
    std::vector<NodeIndex> apart;
    for (const auto& node : world.nodes()) {
      if (rng.chance(0.4)) apart.push_back(node->index);
    }
    world.at(from, [&world, apart] { world.partition(apart); });
    world.at(until, [&world] { world.heal(); });
  }
  world.at(end, [&world] {
    world.heal();
    world.network().set_loss(0, 0);
  });
}

JobSpec job_spec(const SimOptions& options) {
  JobSpec spec;
  spec.units = options.units;
  spec.quorum = options.quorum;
  spec.kernel.unit_ns = std::uint64_t{options.unit_ms} * 1'000'000;
  spec.kernel.spread_permille = options.spread_permille;
  spec.kernel.output_bytes = options.output_bytes;
  spec.kernel.fail_every = options.fail_every;
  spec.kernel.noisy = options.noisy;
  spec.program_bytes = options.program_bytes;
  spec.input_bytes = options.input_bytes;
  return spec;
}

void measure(World& world, SimReport& report) {
  const SimOptions& options = report.options;
  double units = 0;
  Time first = 0;
  Time last = 0;
  for (const auto& job : world.jobs()) {
    units += static_cast<double>(job->manifest.units);
    report.units_verified += job->verified.size();
    report.receipts += job->receipts;
    report.bad_receipts += job->bad_receipts;
    if (job->accepted) first = first == 0 ? *job->accepted : std::min(first, *job->accepted);
    if (job->last_receipt) last = std::max(last, *job->last_receipt);
  }
  double speed = 0;
  double computed = 0;
  double known = 0;
  double stolen = 0;
  double coordinator_bytes = 0;
  for (const auto& node : world.nodes()) {
    if (node->kind == NodeKind::kCoordinator) {
      coordinator_bytes += static_cast<double>(world.network().sent_by(node->index).bytes +
                                               world.network().received_by(node->index).bytes);
    }
    if (node->kind != NodeKind::kWorker) continue;
    speed += node->worker.speed * node->worker.threads;
    computed += static_cast<double>(node->units_computed);
    known += static_cast<double>(node->units_computed_before);
    stolen += static_cast<double>(node->units_stolen_before);
    if (!node->peer) continue;
    const WorkerStatus status = node->peer->status();
    known += static_cast<double>(status.units_computed);
    stolen += static_cast<double>(status.units_stolen);
  }
  const Traffic traffic = world.job_traffic();
  report.virtual_s = static_cast<double>(world.now()) / 1e9;
  report.makespan_s = static_cast<double>(last - first) / 1e9;
  if (report.makespan_s > 0 && speed > 0) {
    report.efficiency =
        units * options.quorum * options.unit_ms / 1000.0 / speed / report.makespan_s;
  }
  if (units > 0) {
    report.messages_a_unit = static_cast<double>(traffic.messages) / units;
    report.bytes_a_unit = static_cast<double>(traffic.bytes) / units;
    report.redundancy = computed / units / options.quorum;
  }
  if (known > 0) report.steals_share = stolen / known;
  report.coordinator_bytes_a_node = coordinator_bytes / static_cast<double>(world.nodes().size());
  report.events = world.events();
  report.hash = world.action_hash();
  report.violations = world.violations();
}

}  // namespace

SimReport simulate(const SimOptions& options) {
  SimReport report;
  report.options = options;
  World world(world_options(options));
  world.add_checker(std::make_unique<WrongCounter>(report.wrong_accepted));
  if (options.checks) add_all_checkers(world);
  Rng rng(options.seed ^ 0xf1a7);
  populate(world, options, rng);
  std::vector<NodeIndex> submitters;
  for (std::uint32_t i = 0; i < options.jobs; ++i) submitters.push_back(world.add_submitter());

  const bool faults = options.loss > 0 || options.breaks > 0 || options.churn > 0 ||
                      options.partitions > 0 || options.submitter_crashes ||
                      options.coordinator_crashes;
  const Time end = faults ? Time{options.faults_s} * kSecond : 0;
  plan_faults(world, options, rng, end);
  // Workers have found each other before the first job comes; later ones come at any time.
  Time when = 5 * kSecond;
  for (const NodeIndex submitter : submitters) {
    world.at(when, [&world, &options, submitter] { world.submit(submitter, job_spec(options)); });
    when += static_cast<Time>(rng.below(10)) * kSecond;
  }
  world.run_for(Duration(std::max(when, end) + 1));
  report.finished = world.run_until_finished(Duration(Time{options.limit_s} * kSecond));
  const Time measured = world.now();
  measure(world, report);
  if (options.checks && !world.stopped()) {
    // Until the last links are dialled again and the last jobs are closed.
    world.run_for(2 * limits::kAnnounceEvery);
    world.finish_checks();
    report.violations = world.violations();
    report.hash = world.action_hash();
  }
  report.virtual_s = static_cast<double>(measured) / 1e9;
  return report;
}

SimOptions random_options(std::uint64_t seed) {
  Rng rng(seed ^ 0x5eed);
  SimOptions options;
  options.seed = seed;
  const auto one_in = [&](std::uint64_t n) { return rng.below(n) == 0; };
  options.peers = 3 + static_cast<std::uint32_t>(rng.below(one_in(4) ? 28 : 8));
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
  // A replayer repeats its own reveals to anybody: a copier beside it would accuse the honest.
  if (options.byzantine.contains(Behaviour::kReplayer)) {
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
  // Large outputs are fetched from those who computed them, who must be within reach.
  if (options.output_bytes > limits::kInlineOutputBytes) options.unreachable = 0;
  // Nobody holds the content that a lone liar names: with a quorum of one it could never be
  // fetched.
  if (options.quorum == 1 && liars) options.output_bytes = 8;
  return options;
}

}  // namespace shoal::sim
