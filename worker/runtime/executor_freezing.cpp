#include <algorithm>

#include "worker/runtime/executor_keeper_impl.h"

namespace shoal {

bool ExecutorKeeper::Impl::busy() const {
  return std::any_of(programs.begin(), programs.end(), [](const auto& entry) {
    return !entry.second->lane.idle() || !entry.second->solo.idle();
  });
}

void ExecutorKeeper::Impl::freeze_or_thaw() {
  if (!freezer.update(keeper_now_ns(), busy())) return;
  const HerdOrder order = freezer.frozen() ? HerdOrder::kFreeze : HerdOrder::kThaw;
  for (auto& [key, program] : programs) {
    for (ExecutorLane* lane : {&program->lane, &program->solo}) {
      if (!lane->living) continue;
      lane->living->process->order(order);
      // Its units' deadlines have moved.
      lane->living->check_ns = next_check_ns(*lane->living, keeper_now_ns());
    }
  }
}

void ExecutorKeeper::Impl::set_paused(bool paused) {
  paused ? freezer.pause() : freezer.resume();
  freeze_or_thaw();
  if (paused) return;
  for (auto& [key, program] : programs) feed(*program);
}

std::vector<ExecutorView> ExecutorKeeper::Impl::view() {
  std::vector<ExecutorView> views;
  const std::int64_t now = keeper_now_ns();
  for (auto& [key, program] : programs) {
    for (ExecutorLane* lane : {&program->lane, &program->solo}) {
      if (!lane->living) continue;
      Living& living = *lane->living;
      ExecutorView view;
      view.pid = living.process->pid();
      view.kind = program->kind;
      if (const auto usage = living.process->usage()) view.memory_bytes = usage->memory_bytes;
      living.process->order(HerdOrder::kUsage);
      for (const RunningUnit& unit :
           running_units(living.process->page(), in_hand_of(living.in_flight))) {
        const ExecutorTask& task = living.in_flight.at(unit.chunk);
        const auto job = jobs.find(task.job);
        view.units.push_back({task.job, unit.unit,
                              job == jobs.end() ? "" : job->second.manifest->kernel,
                              freezer.running_ns(static_cast<std::int64_t>(unit.started_ns), now)});
      }
      views.push_back(std::move(view));
    }
  }
  return views;
}

}  // namespace shoal
