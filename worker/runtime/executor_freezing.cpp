#include <algorithm>

#include "worker/runtime/executor_keeper_impl.h"

namespace shoal {

bool ExecutorKeeper::Impl::busy() const {
  return std::any_of(programs.begin(), programs.end(), [](const auto& entry) {
    return !entry.second->lane.idle() || !entry.second->solo.idle();
  });
}

unsigned ExecutorKeeper::Impl::threads_wanted(const ExecutorProgram& program,
                                              const ExecutorLane& lane) const {
  if (!lane.living) return 0;
  std::uint64_t units = 0;
  std::uint64_t threads = 0;
  for (const auto& [number, task] : lane.living->in_flight) {
    const auto job = jobs.find(task.job);
    if (job != jobs.end()) threads = std::max<std::uint64_t>(threads, job->second.threads);
    const auto work = task.cancelled() || task.compare ? works.end() : works.find(task.chunk);
    units += work == works.end() ? task.range.size()
                                 : work->second.left().intersection(task.range).size();
    if (units >= config.threads) break;
  }
  // A unit of its submitter's own program may use all the threads that its executor has.
  if (units > 0 && program.kind == SandboxKind::kNative) units = threads;
  return static_cast<unsigned>(std::min(units, std::max<std::uint64_t>(threads, 1)));
}

std::vector<Turns::Wish> ExecutorKeeper::Impl::wishes() const {
  std::vector<Turns::Wish> wishes;
  for (const auto& [key, program] : programs) {
    for (const ExecutorLane* lane : {&program->lane, &program->solo}) {
      if (!lane->living || lane->living->in_flight.empty()) continue;
      wishes.push_back({lane->living->token, 0});
    }
  }
  // As it is nearly always: then nobody need count.
  if (wishes.size() < 2) return {};
  for (Turns::Wish& wish : wishes) {
    const auto [program, lane] = by_token.at(wish.who);
    wish.threads = threads_wanted(*program, *lane);
  }
  return wishes;
}

void ExecutorKeeper::Impl::freeze_or_thaw() {
  const std::int64_t now = keeper_now_ns();
  freezer.update(now, busy());
  turns.update(freezer.running_ns(0, now), wishes());
  for (auto& [key, program] : programs) {
    for (ExecutorLane* lane : {&program->lane, &program->solo}) {
      if (!lane->living) continue;
      Living& living = *lane->living;
      hold_to(turns.threads_of(living.token), living);
      const bool freeze = freezer.frozen() || turns.waits(living.token);
      if (!living.frozen.set(freeze, now)) continue;
      living.process->order(freeze ? HerdOrder::kFreeze : HerdOrder::kThaw);
      // Its units' deadlines have moved.
      living.check_ns = next_check_ns(living, now);
    }
  }
}

void ExecutorKeeper::Impl::hold_to(unsigned threads, Living& living) const {
  // A control group holds all of them together.
  if (config.sandbox.groups != nullptr || living.threads == threads) return;
  living.threads = threads;
  living.process->order(HerdOrder::of_threads(threads));
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
        view.units.push_back(
            {task.job, unit.unit, job == jobs.end() ? "" : job->second.manifest->kernel,
             living.frozen.running_ns(static_cast<std::int64_t>(unit.started_ns), now)});
      }
      views.push_back(std::move(view));
    }
  }
  return views;
}

}  // namespace shoal
