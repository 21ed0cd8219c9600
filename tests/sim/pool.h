#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "tests/sim/byzantine/hostile.h"
#include "tests/sim/checkers/checkers.h"
#include "tests/sim/world.h"

// A small pool to tell stories with: one coordinator, one submitter, some workers, all checkers.
namespace shoal::sim {

class Pool {
 public:
  explicit Pool(std::uint64_t seed = 1, WorldOptions options = {}, SubmitterFactory submitter = {})
      : world_(seeded(options, seed)) {
    add_all_checkers(world_);
    coordinator_ = world_.add_coordinator();
    submitter_ = world_.add_submitter(std::move(submitter));
  }

  NodeIndex worker(WorkerSpec spec = {}) {
    workers_.push_back(world_.add_worker(std::move(spec)));
    return workers_.back();
  }
  void workers(int count, const WorkerSpec& spec = {}) {
    for (int i = 0; i < count; ++i) worker(spec);
  }
  NodeIndex hostile(Behaviour behaviour) {
    WorkerSpec spec;
    spec.factory = hostile_factory(behaviour);
    spec.behaviour = name_of(behaviour);
    spec.honest = false;
    return worker(std::move(spec));
  }

  // Workers find each other first, then the job is handed in and accepted.
  JobRun& submit(const JobSpec& spec) {
    run(10s);
    JobRun& job = world_.submit(submitter_, spec);
    world_.run_until([&] { return job.accepted.has_value(); }, 120s);
    return job;
  }
  static JobSpec job_of(std::uint64_t units, Duration unit, std::uint32_t quorum = 2) {
    JobSpec spec;
    spec.units = units;
    spec.quorum = quorum;
    spec.kernel.unit_ns = static_cast<std::uint64_t>(unit.count());
    return spec;
  }

  void stop(NodeIndex node) { world_.crash(node); }
  void crash(NodeIndex node) { world_.crash(node, World::Crash::kMachine); }
  void restart(NodeIndex node) { world_.restart(node); }
  void partition(const std::vector<NodeIndex>& apart) { world_.partition(apart); }
  void heal() { world_.heal(); }
  void run(Duration span) { world_.run_for(span); }
  bool run_until_ended(const JobRun& job, std::uint64_t units, Duration limit = 600s) {
    return world_.run_until([&] { return job.ended.size() >= units; }, limit);
  }
  bool run_until_finished(Duration limit = 600s) { return world_.run_until_finished(limit); }
  // Faults have stopped: nodes get the time to find each other again, then everything is judged.
  std::string judgement() {
    run(2 * limits::kAnnounceEvery);
    world_.finish_checks();
    std::string text;
    for (const Violation& violation : world_.violations()) {
      text += violation.checker + ": " + violation.what + "\n";
    }
    return text;
  }
  bool caught(std::string_view checker) const {
    return std::any_of(world_.violations().begin(), world_.violations().end(),
                       [&](const Violation& v) { return v.checker == checker; });
  }

  // A worker that does not lead the job.
  NodeIndex bystander(const JobRun& job) const {
    for (const NodeIndex worker : workers_) {
      if (job.steward != worker) return worker;
    }
    return workers_.back();
  }
  JobStatus status_at_steward(const JobRun& job) {
    const Node& steward = world_.node(*job.steward);
    if (!steward.peer) return {};
    for (const JobStatus& status : steward.peer->jobs_led()) {
      if (status.job == job.id) return status;
    }
    return {};
  }
  std::uint64_t units_computed() {
    std::uint64_t sum = 0;
    for (const NodeIndex worker : workers_) sum += world_.node(worker).units_computed;
    return sum;
  }
  static double seconds_of(const JobRun& job) {
    return static_cast<double>(*job.finished - *job.accepted) / 1e9;
  }

  World& world() { return world_; }
  NodeIndex coordinator() const { return coordinator_; }
  NodeIndex submitter() const { return submitter_; }
  const std::vector<NodeIndex>& all_workers() const { return workers_; }

 private:
  static WorldOptions seeded(WorldOptions options, std::uint64_t seed) {
    options.seed = seed;
    return options;
  }

  World world_;
  NodeIndex coordinator_ = 0;
  NodeIndex submitter_ = 0;
  std::vector<NodeIndex> workers_;
};

}  // namespace shoal::sim
