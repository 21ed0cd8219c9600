#include "tests/sim/faults.h"

#include <algorithm>
#include <vector>

#include "tests/sim/chance.h"

namespace shoal::sim {
namespace {

constexpr Time kSecond = 1'000'000'000;
constexpr double kMachineShare = 0.3;  // of crashes: the machine, not the process alone
constexpr double kPartShare = 0.4;     // of all nodes, in a partition or a power cut

struct Stretch {
  Time from = 0;
  Time until = 0;
};

class Planner {
 public:
  Planner(World& world, const SimOptions& options, Rng& rng, Time end)
      : world_(world), options_(options), rng_(rng), end_(end) {}

  void crashes() {
    for (const NodeIndex worker : world_.of_kind(NodeKind::kWorker)) {
      for (int i = times(options_.churn); i > 0; --i) crash_for_a_while(worker);
    }
    if (options_.submitter_crashes) crash_all(NodeKind::kSubmitter);
    if (options_.coordinator_crashes) crash_all(NodeKind::kCoordinator);
    for (std::uint32_t i = 0; i < options_.power_cuts; ++i) power_cut(some_nodes(), stretch());
  }

  void partitions() {
    for (std::uint32_t i = 0; i < options_.partitions; ++i) {
      const Stretch when = stretch();
      world_.at(when.from, [&world = world_, apart = some_nodes()] { world.partition(apart); });
      world_.at(when.until, [&world = world_] { world.heal(); });
    }
    for (std::uint32_t i = 0; i < options_.one_way; ++i) {
      const Stretch when = stretch();
      world_.at(when.from,
                [&world = world_, mute = some_nodes()] { world.partition_one_way(mute); });
      world_.at(when.until, [&world = world_] { world.heal(); });
    }
  }

  void disks() {
    for (const auto& node : world_.nodes()) {
      for (int i = times(options_.full_disks); i > 0; --i) {
        const Stretch when = stretch();
        world_.at(when.from, [&world = world_, n = node->index] { world.fill_disk(n); });
        world_.at(when.until, [&world = world_, n = node->index] { world.make_room(n); });
      }
      for (int i = times(options_.hung_disks); i > 0; --i) {
        const Stretch when = stretch();
        world_.at(when.from, [&world = world_, n = node->index] { world.hang_disk(n); });
        world_.at(when.until, [&world = world_, n = node->index] { world.free_disk(n); });
      }
    }
  }

  void lost_disks() {
    for (std::uint32_t i = 0; i < options_.lost_disks; ++i) {
      const Stretch when = stretch();
      const std::uint64_t which = rng_.below(1'000'000);
      world_.at(when.from, [&world = world_, until = when.until, which] {
        std::vector<NodeIndex> keepers;
        for (const NodeIndex worker : world.of_kind(NodeKind::kWorker)) {
          if (world.can_be_spared(worker)) keepers.push_back(worker);
        }
        if (keepers.empty()) return;
        const NodeIndex lost = keepers[which % keepers.size()];
        world.leave(lost);
        world.at(until, [&world, lost] {
          WorkerSpec spec = world.node(lost).worker;
          spec.start_after = {};
          world.restart(world.add_worker(std::move(spec)));
        });
      });
    }
  }

  void the_end() {
    world_.at(end_, [&world = world_] {
      world.heal();
      world.network().set_loss(0, 0);
      for (NodeIndex node = 0; node < world.nodes().size(); ++node) {
        world.make_room(node);
        world.free_disk(node);
        world.restart(node);
      }
    });
  }

 private:
  // How often something happens that is expected so often a minute.
  int times(double a_minute) {
    int count = 0;
    double expected = a_minute * static_cast<double>(end_) / (60.0 * kSecond);
    for (; expected > 0; expected -= 1) {
      if (rng_.chance(std::min(1.0, expected))) ++count;
    }
    return count;
  }
  Stretch stretch() {
    const auto span = static_cast<std::uint64_t>(end_);
    const auto from = static_cast<Time>(rng_.below(span));
    return {from, std::min<Time>(end_, from + 1 + static_cast<Time>(rng_.below(span / 3 + 1)))};
  }
  std::vector<NodeIndex> some_nodes() {
    std::vector<NodeIndex> some;
    for (const auto& node : world_.nodes()) {
      if (rng_.chance(kPartShare)) some.push_back(node->index);
    }
    return some;
  }
  void crash_for_a_while(NodeIndex node) {
    const Stretch when = stretch();
    const auto how = rng_.chance(kMachineShare) ? World::Crash::kMachine : World::Crash::kProcess;
    world_.at(when.from, [&world = world_, node, how] { world.crash(node, how); });
    world_.at(when.until, [&world = world_, node] { world.restart(node); });
  }
  void crash_all(NodeKind kind) {
    for (const NodeIndex node : world_.of_kind(kind)) crash_for_a_while(node);
  }
  void power_cut(const std::vector<NodeIndex>& dark, Stretch when) {
    world_.at(when.from, [&world = world_, dark] {
      for (const NodeIndex node : dark) world.crash(node, World::Crash::kMachine);
    });
    world_.at(when.until, [&world = world_, dark] {
      for (const NodeIndex node : dark) world.restart(node);
    });
  }

  World& world_;
  const SimOptions& options_;
  Rng& rng_;
  Time end_;
};

// Workers that come and go, each by a chain of events of its own.
class Sessions {
 public:
  Sessions(World& world, const SimOptions& options, Rng& rng, Time end)
      : world_(world), options_(options), rng_(rng), end_(end) {}

  static void begin(const std::shared_ptr<Sessions>& self, NodeIndex worker) {
    const Time departure = self->world_.now() + self->draw(self->options_.session_s);
    if (departure >= self->end_) return;
    self->world_.at(departure, [self, worker] { depart(self, worker); });
  }

 private:
  Time draw(double mean_s) {
    return static_cast<Time>(exponential(rng_, mean_s) * static_cast<double>(kSecond)) + 1;
  }
  static void depart(const std::shared_ptr<Sessions>& self, NodeIndex worker) {
    World& world = self->world_;
    const bool keeper = world.keeps_a_job(worker);
    if (keeper && self->options_.keepers_stay) return begin(self, worker);
    const bool for_good = !keeper && self->rng_.chance(self->options_.leave_for_good);
    const Time back = world.now() + self->draw(self->options_.pause_s);
    if (for_good) {
      world.leave(worker);
    } else {
      const bool machine = self->rng_.chance(kMachineShare);
      world.crash(worker, machine ? World::Crash::kMachine : World::Crash::kProcess);
    }
    world.at(std::min(back, self->end_), [self, worker, for_good] {
      World& where = self->world_;
      NodeIndex who = worker;
      if (for_good) {
        WorkerSpec spec = where.node(worker).worker;
        spec.start_after = {};
        who = where.add_worker(std::move(spec));
      }
      where.restart(who);
      begin(self, who);
    });
  }

  World& world_;
  const SimOptions& options_;
  Rng& rng_;
  Time end_;
};

}  // namespace

bool has_faults(const SimOptions& options) {
  return options.loss > 0 || options.breaks > 0 || options.churn > 0 || options.session_s > 0 ||
         options.partitions > 0 || options.one_way > 0 || options.power_cuts > 0 ||
         options.full_disks > 0 || options.hung_disks > 0 || options.lost_disks > 0 ||
         options.submitter_crashes || options.coordinator_crashes;
}

void plan_faults(World& world, const SimOptions& options, Rng& rng, Time end) {
  if (end <= 0) return;
  Planner planner(world, options, rng, end);
  planner.crashes();
  planner.partitions();
  planner.disks();
  planner.lost_disks();
  if (options.session_s > 0) {
    const auto sessions = std::make_shared<Sessions>(world, options, rng, end);
    for (const NodeIndex worker : world.of_kind(NodeKind::kWorker)) {
      Sessions::begin(sessions, worker);
    }
  }
  planner.the_end();
}

}  // namespace shoal::sim
