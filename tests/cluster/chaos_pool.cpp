#include "tests/cluster/chaos_pool.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <utility>

#include "node/protocol/rng.h"

namespace shoal::cluster {
namespace {

constexpr std::uint16_t kPort = 4300;
constexpr std::size_t kDialable = 5;
constexpr std::uint64_t kDiskBytes = 16U << 20;

// As from homes in one part of the world.
Wire any_wire(Rng& rng) {
  return {.delay = std::chrono::milliseconds(5 + rng.below(35)),
          .loss = 0.01 * rng.unit(),
          .megabits_per_second = 20 + 80 * rng.unit()};
}

Site site_of(const NetNode& node) { return {node.space.descriptor(), node.address, kPort}; }

}  // namespace

ChaosPool::ChaosPool(std::uint64_t seed) : network_(seed) {
  Rng rng(seed);
  cluster_.emplace(site_of(network_.add("coordinator", any_wire(rng))));
  cluster_->place_submitter(site_of(network_.add("submitter", any_wire(rng))));
  const auto add_worker = [&](Nat nat) {
    const std::string name = "worker-" + std::to_string(workers_.size() + 1);
    cluster_->place_worker(name, site_of(network_.add(name, any_wire(rng), nat)));
    disks_[name] = std::make_unique<SmallDisk>(cluster_->state_of(name), kDiskBytes);
    workers_.push_back(name);
  };
  for (std::size_t i = 0; i < kDialable; ++i) add_worker(Nat::kNone);
  add_worker(Nat::kPortKeeping);
  add_worker(Nat::kFullyRandom);
}

ChaosPool::~ChaosPool() {
  for (const std::string& name : cluster_->workers()) keep_log(name);
}

void ChaosPool::start() {
  cluster_->start_coordinator();
  for (std::size_t i = 0; i < kDialable; ++i) cluster_->start_worker(workers_[i]);
  cluster_->await_workers(kDialable);
  // Now that the coordinator knows somebody whom they can dial: who cannot be dialled and hears of
  // nobody asks again only after minutes.
  for (std::size_t i = kDialable; i < workers_.size(); ++i) cluster_->start_worker(workers_[i]);
}

void ChaosPool::perform(const Step& step) {
  if (lost_.contains(step.one)) return;
  switch (step.verb) {
    case Verb::kKill:
      return kill_worker(step.one);
    case Verb::kRestart:
      dead_.erase(step.one);
      cluster_->start_worker(step.one);
      return;
    case Verb::kStop:
      return cluster_->worker(step.one).signal(SIGSTOP);
    case Verb::kContinue:
      return cluster_->worker(step.one).signal(SIGCONT);
    case Verb::kCut:
      return network_.cut(step.one, step.other);
    case Verb::kHeal:
      return network_.heal(step.one, step.other);
    case Verb::kFill:
      return disks_.at(step.one)->fill();
    case Verb::kFree:
      return disks_.at(step.one)->free();
    case Verb::kKillCoordinator:
      return cluster_->coordinator().kill();
    case Verb::kRestartCoordinator:
      cluster_->start_coordinator();
      return;
    case Verb::kLoseSteward:
      const std::string steward = cluster_->steward();
      lost_.insert(steward);
      return kill_worker(steward);
  }
}

void ChaosPool::kill_worker(const std::string& name) {
  dead_.insert(name);
  cluster_->kill_worker(name);
  keep_log(name);
}

void ChaosPool::keep_log(const std::string& name) {
  std::ofstream file(cluster_->folder() / (name + ".log"), std::ios::app);
  file << cluster_->worker(name).err() << "--\n";
}

void ChaosPool::expect_all_running() {
  for (const std::string& name : workers_) {
    if (dead_.contains(name)) continue;
    Process& worker = cluster_->worker(name);
    EXPECT_EQ(worker.exit_code(std::chrono::milliseconds(0)), -1)
        << name << " has ended by itself:\n"
        << worker.err();
  }
}

std::vector<std::string> ChaosPool::idle() const {
  std::vector<std::string> names;
  for (const std::string& name : workers_) {
    if (Cluster::executors_of(cluster_->worker(name)).empty()) names.push_back(name);
  }
  return names;
}

}  // namespace shoal::cluster
