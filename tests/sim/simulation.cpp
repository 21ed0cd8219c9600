#include "tests/sim/simulation.h"

#include <algorithm>

#include "tests/sim/chance.h"
#include "tests/sim/checkers/checkers.h"
#include "tests/sim/faults.h"
#include "tests/sim/figures.h"

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
  world.network.latency_sigma = options.latency_sigma;
  world.network.links_max = options.links_max;
  world.drift_ppm = options.drift_ppm;
  world.wall_skew = std::chrono::seconds(options.wall_skew_s);
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
    spec.speed *= log_normal(rng, options.speed_sigma);
    spec.noise = static_cast<std::uint8_t>(rng.next());
    spec.start_after = ms(static_cast<double>(rng.below(2000)));
    // The first two can be dialled: somebody has to be.
    spec.dialable = i < 2 || !rng.chance(options.unreachable);
    spec.knows = i % 2 == 0;
    if (i + hostile.size() >= options.peers) {
      const Behaviour behaviour = hostile[i + hostile.size() - options.peers];
      spec.factory = hostile_factory(behaviour);
      spec.behaviour = name_of(behaviour);
      spec.honest = false;
    }
    world.add_worker(std::move(spec));
  }
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

}  // namespace

SimReport simulate(const SimOptions& options) {
  SimReport report;
  report.options = options;
  World world(world_options(options));
  world.add_checker(std::make_unique<WrongCounter>(report.wrong_accepted));
  world.add_checker(std::make_unique<NinetyPercent>(report));
  if (options.checks) add_all_checkers(world);
  Rng rng(options.seed ^ 0xf1a7);
  populate(world, options, rng);
  std::vector<NodeIndex> submitters;
  for (std::uint32_t i = 0; i < options.jobs; ++i) submitters.push_back(world.add_submitter());

  const Time end = has_faults(options) ? Time{options.faults_s} * kSecond : 0;
  plan_faults(world, options, rng, end);
  // Workers have found each other before the first job comes; later ones come at any time.
  Time when = 5 * kSecond;
  for (const NodeIndex submitter : submitters) {
    world.at(when, [&world, &options, submitter] { world.submit(submitter, job_spec(options)); });
    when += static_cast<Time>(rng.below(10)) * kSecond;
  }
  // Faults that come after the last job are there for the checkers: figures have nothing to do with
  // them.
  const Time begun = options.checks ? std::max(when, end) : when;
  world.run_for(Duration(begun + 1));
  const Time limit = Time{options.limit_s} * kSecond + std::max(when, end) - begun;
  report.finished = world.run_until_finished(Duration(limit));
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

}  // namespace shoal::sim
