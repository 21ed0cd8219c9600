#include "worker/runtime/executor_keeper_impl.h"

namespace shoal {
namespace {

// Of so many states that are kept here, one is told to others as well.
constexpr int kTellEvery = 10;

}  // namespace

void ExecutorKeeper::Impl::send_checkpoints(Living& living, const ExecutorTask& task,
                                            std::uint64_t number) {
  for (UnitIndex unit : checkpoints.within(task.job, task.range)) {
    const auto state = checkpoints.load(task.job, unit);
    if (!state) continue;
    tell(LogLevel::kInfo, "unit " + std::to_string(unit) + " of job " + short_hex(task.job) +
                              " goes on from the state that was kept of it (" +
                              std::to_string(state->size()) + " bytes)");
    living.process->queue(encode_executor_frame(ExecutorCheckpoint{number, unit, *state}));
  }
}

// Of a unit that is not wanted any more, or is done: it comes too late, which is nobody's fault.
void ExecutorKeeper::Impl::take_checkpoint(ExecutorLane& lane,
                                           const ExecutorCheckpoint& checkpoint) {
  const auto found = lane.living->in_flight.find(checkpoint.chunk);
  if (found == lane.living->in_flight.end() || found->second.compare) return;
  ExecutorTask& task = found->second;
  const auto work = works.find(task.chunk);
  if (task.cancelled() || work == works.end() || !task.range.contains(checkpoint.unit) ||
      !work->second.left().contains(checkpoint.unit)) {
    return;
  }
  if (!checkpoints.keep(task.job, checkpoint.unit, checkpoint.state)) {
    tell(LogLevel::kWarning, "the state of unit " + std::to_string(checkpoint.unit) +
                                 " cannot be kept: after a restart it begins anew (is the disk "
                                 "full?)");
  }
  const std::int64_t now = keeper_now_ns();
  auto [told, first] = task.told_ns.emplace(checkpoint.unit, now);
  if (first) {
    tell(LogLevel::kDebug, "unit " + std::to_string(checkpoint.unit) + " of job " +
                               short_hex(task.job) + ": its state is kept");
  }
  const std::chrono::nanoseconds every = kTellEvery * config.checkpoint_every;
  if (checkpoint.state.size() > limits::kUnitStateBytes ||
      (!first && now - told->second < every.count())) {
    return;
  }
  told->second = now;
  events.emplace_back(StateSaved{task.chunk, checkpoint.unit, to_bytes(checkpoint.state)});
}

void ExecutorKeeper::Impl::drop_checkpoints_of_done(const ExecutorTask& task,
                                                    const ChunkWork& work) {
  for (UnitIndex unit : checkpoints.within(task.job, task.range)) {
    if (!work.left().contains(unit)) checkpoints.drop(task.job, unit);
  }
}

void ExecutorKeeper::perform(const KeepState& action) {
  const Range unit{action.unit, action.unit + 1};
  if (!impl_->checkpoints.within(action.job, unit).empty()) return;
  impl_->checkpoints.keep(action.job, action.unit, action.state);
}

void ExecutorKeeper::keep_only(const std::set<JobId>& jobs) {
  impl_->checkpoints.drop_all_but(jobs);
}

}  // namespace shoal
