#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include <algorithm>
#include <limits>
#include <set>

#include "node/protocol/limits.h"
#include "worker/runtime/executor_keeper_impl.h"

namespace shoal {
namespace {

// That units which nobody wants get to notice it.
constexpr std::int64_t kCancelledNs = 2'000'000'000;
constexpr std::int64_t kLongestNs = std::int64_t{1} << 60;

// Whether units of this kind end when they are told to, however endless they are: then those beside
// them need not end as well. Programs keep to their time by themselves.
bool ends_when_told(SandboxKind kind) { return kind == SandboxKind::kWasm; }

std::int64_t greeting_ns(const KeeperConfig& config) {
  return std::chrono::nanoseconds(config.greeting_patience).count();
}

ExecutorTask cut(const ExecutorTask& task, Range range) {
  ExecutorTask part = task;
  part.range = range;
  return part;
}

struct Cause {
  FailureKind kind = FailureKind::kCrashed;
  std::string what;
};

// Of the death of an executor in which one unit ran alone.
Cause cause_of(const ExecutorLane::Living& living, int status, std::uint64_t memory_bytes) {
  const std::string how = "the executor " + describe_wait_status(status);
  if (living.reason == EndReason::kNonsense) {
    return {FailureKind::kBadAnswer,
            "the executor sent what makes no sense (" + living.nonsense + ")"};
  }
  const auto& ending = living.process->ending();
  if (ending && ending->out_of_memory) {
    return {FailureKind::kOutOfMemory, "its processes took more memory than this worker lends"};
  }
  // Programs that get no more memory mostly give up; the system ends those that it gave too much.
  const bool near_limit =
      memory_bytes != 0 && ending && ending->memory_bytes > memory_bytes / 4 * 3;
  if (WIFSIGNALED(status) && near_limit) {
    return {FailureKind::kOutOfMemory, how + " with all the memory that this worker lends"};
  }
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) {
    return {FailureKind::kRefused, how + ": it called what the sandbox forbids"};
  }
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU) {
    return {FailureKind::kTimedOut, how + ": it took more processor time than is allowed"};
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == kExecutorSocketClosedStatus) {
    return {FailureKind::kCrashed, how + ": the unit has closed the descriptors of its process"};
  }
  return {FailureKind::kCrashed, how + ", running this unit alone"};
}

}  // namespace

AskedFor in_hand_of(const std::map<std::uint64_t, ExecutorTask>& tasks) {
  return [&tasks](std::uint64_t number, UnitIndex unit) {
    const auto task = tasks.find(number);
    return task != tasks.end() && task->second.range.contains(unit);
  };
}

std::int64_t ExecutorKeeper::Impl::unit_wall_ns(const ExecutorTask& task) const {
  const auto job = jobs.find(task.job);
  if (job == jobs.end()) return kCancelledNs;
  constexpr std::uint64_t most_ms = kLongestNs / 1'000'000;
  const std::uint64_t ms =
      std::clamp<std::uint64_t>(job->second.manifest->unit_wall_ms, 1, most_ms);
  return static_cast<std::int64_t>(ms) * 1'000'000;
}

// Before its executor is ended for it.
std::int64_t ExecutorKeeper::Impl::may_run_ns(const ExecutorTask& task) const {
  return unit_wall_ns(task) + (task.cancelled() ? kCancelledNs : 0);
}

std::int64_t ExecutorKeeper::Impl::next_check_ns(const Living& living, std::int64_t now_ns) const {
  if (!living.greeted) {
    return now_ns + greeting_ns(config) - living.frozen.running_ns(living.started_ns, now_ns);
  }
  std::int64_t next = std::numeric_limits<std::int64_t>::max();
  // A unit that has not begun yet cannot be overdue before that.
  for (const auto& [number, task] : living.in_flight) {
    std::int64_t wait = unit_wall_ns(task);
    if (task.cancelled()) {
      const std::int64_t had = living.frozen.running_ns(*task.cancelled_ns, now_ns);
      wait = had < kCancelledNs ? kCancelledNs - had : kCancelledNs;
    }
    next = std::min(next, now_ns + wait);
  }
  for (const RunningUnit& unit :
       running_units(living.process->page(), in_hand_of(living.in_flight))) {
    const ExecutorTask& task = living.in_flight.at(unit.chunk);
    const auto started = static_cast<std::int64_t>(unit.started_ns);
    if (started > now_ns) continue;
    next = std::min(next, now_ns + may_run_ns(task) - living.frozen.running_ns(started, now_ns));
  }
  return next;
}

std::string ExecutorKeeper::Impl::too_long(const ExecutorTask& task) const {
  return "ran longer than the " + std::to_string(unit_wall_ns(task) / 1'000'000) +
         " ms that the job allows";
}

// Those units fail; what else was asked for along with them is asked for anew.
void ExecutorKeeper::Impl::stop(ExecutorProgram& program, ExecutorLane& lane,
                                const std::vector<RunningUnit>& late) {
  Living& living = *lane.living;
  living.process->read_output();
  for (const RunningUnit& unit : late) {
    const ExecutorTask& task = living.in_flight.at(unit.chunk);
    fail_task(cut(task, {unit.unit, unit.unit + 1}), FailureKind::kTimedOut, too_long(task),
              living.process->output_end());
  }
  for (const RunningUnit& unit : late) {
    ExecutorTask& task = living.in_flight.at(unit.chunk);
    if (task.cancelled()) continue;
    if (const auto work = works.find(task.chunk); work != works.end()) {
      const RangeSet left = work->second.left().intersection(task.range);
      for (auto run = left.runs().rbegin(); run != left.runs().rend(); ++run) {
        lane.waiting.push_front(cut(task, *run));
      }
    }
    task.cancel(keeper_now_ns());
    living.process->queue(encode_executor_frame(ExecutorCancel{unit.chunk}));
  }
  feed(program, lane);
}

void ExecutorKeeper::Impl::look_for_overdue(ExecutorProgram& program, ExecutorLane& lane) {
  Living& living = *lane.living;
  const std::int64_t now = keeper_now_ns();
  if (living.frozen.frozen()) {  // it cannot move, and its time stands still
    living.check_ns = now + kCancelledNs;
    return;
  }
  if (living.reason != EndReason::kNone) {
    living.check_ns = now + kCancelledNs;  // killed already, and about to be reaped
    return;
  }
  if (living.closed_ns != 0) {
    if (now - living.closed_ns >= kClosedNs) living.process->kill();
    living.check_ns = now + kClosedNs;
    return;
  }
  if (!living.greeted) {
    if (living.frozen.running_ns(living.started_ns, now) >= greeting_ns(config)) {
      living.reason = EndReason::kOverdue;
      living.process->kill();
    }
    living.check_ns = std::max(next_check_ns(living, now), now + kCancelledNs);
    return;
  }
  bool wanted_runs = false;
  bool unwanted_runs = false;
  std::vector<RunningUnit> late;
  for (const RunningUnit& unit :
       running_units(living.process->page(), in_hand_of(living.in_flight))) {
    const ExecutorTask& task = living.in_flight.at(unit.chunk);
    if (!task.cancelled()) {
      wanted_runs = true;
    } else if (living.frozen.running_ns(*task.cancelled_ns, now) >= kCancelledNs) {
      unwanted_runs = true;
    }
    const auto started = static_cast<std::int64_t>(unit.started_ns);
    if (started > now || living.frozen.running_ns(started, now) < may_run_ns(task)) continue;
    const bool told = task.cancelled() || task.compare || !ends_when_told(program.kind);
    (told ? living.overdue : late).push_back(unit);
  }
  if (!living.overdue.empty()) {
    living.overdue.insert(living.overdue.end(), late.begin(), late.end());
    living.reason = EndReason::kOverdue;
  } else if (unwanted_runs && !wanted_runs) {
    living.reason = EndReason::kCancelled;
  }
  if (living.reason != EndReason::kNone) {
    living.process->kill();
  } else if (!late.empty()) {
    stop(program, lane, late);
  }
  living.check_ns = std::max(next_check_ns(living, now), now + 1'000'000);
}

void ExecutorKeeper::Impl::end(ExecutorLane& lane) {
  if (!lane.living) return;
  by_token.erase(lane.living->token);
  const ExecutorProcess& process = *lane.living->process;
  for (int fd : {process.socket(), process.output(), process.pid_fd()}) {
    epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, nullptr);
  }
  lane.living.reset();
}

void ExecutorKeeper::Impl::on_death(ExecutorProgram& program, ExecutorLane& lane) {
  // What it managed to answer counts.
  read_frames(lane, true);
  lane.living->process->read_output();
  const Living& living = *lane.living;
  const int status = *lane.living->process->reap();
  const std::string how = describe_wait_status(status);
  const std::string output_end = living.process->output_end();
  const auto running = running_units(living.process->page(), in_hand_of(living.in_flight));

  for (const RunningUnit& unit : living.overdue) {
    const ExecutorTask& task = living.in_flight.at(unit.chunk);
    if (task.cancelled()) continue;
    fail_task(cut(task, {unit.unit, unit.unit + 1}), FailureKind::kTimedOut, too_long(task),
              output_end);
  }
  std::map<std::uint64_t, ExecutorTask> tasks = living.in_flight;
  std::erase_if(tasks, [&](const auto& entry) {
    const ExecutorTask& task = entry.second;
    const bool compared = task.compare && std::any_of(living.overdue.begin(), living.overdue.end(),
                                                      [&](const RunningUnit& unit) {
                                                        return unit.chunk == entry.first;
                                                      });
    return task.cancelled() || compared;
  });
  std::vector<ExecutorTask> list;
  for (const auto& [number, task] : tasks) list.push_back(task);

  if (!living.greeted) {
    after_failed_start(lane, how, output_end, std::move(list));
  } else if (lane.solo) {
    after_death_alone(lane, living, status, std::move(list));
  } else {
    after_death_among_others(program, living, running, tasks);
    // Nobody need worry about one that was ended because its units are wanted no more.
    if (living.reason == EndReason::kCancelled) return end(lane);
    tell(LogLevel::kWarning, "an executor " + how + " with " + std::to_string(running.size()) +
                                 " units running; they are looked at one by one");
  }
  end(lane);
}

void ExecutorKeeper::Impl::after_failed_start(ExecutorLane& lane, const std::string& how,
                                              const std::string& output_end,
                                              std::vector<ExecutorTask> tasks) {
  if (++lane.failed_starts < ExecutorLane::kFailedStartsMax) {
    lane.waiting.insert(lane.waiting.begin(), tasks.begin(), tasks.end());
    return;
  }
  lane.failed_starts = 0;
  tasks.insert(tasks.end(), lane.waiting.begin(), lane.waiting.end());
  lane.waiting.clear();
  for (const ExecutorTask& task : tasks) {
    fail_task(task, FailureKind::kRefused,
              "the program " + how + " instead of asking for units: does it call shoal::run?",
              output_end);
  }
}

void ExecutorKeeper::Impl::after_death_alone(ExecutorLane& lane, const Living& living, int status,
                                             std::vector<ExecutorTask> tasks) {
  for (ExecutorTask& task : tasks) {
    // One that ran before it in the same executor may be to blame.
    const bool certain = task.alone_from_the_start && living.reason != EndReason::kCancelled;
    if (!certain) {
      lane.waiting.push_front(std::move(task));
      continue;
    }
    const Cause cause = cause_of(living, status, config.memory_bytes);
    fail_task(task, cause.kind, cause.what, living.process->output_end());
  }
}

void ExecutorKeeper::Impl::after_death_among_others(
    ExecutorProgram& program, const Living& living, const std::vector<RunningUnit>& running,
    const std::map<std::uint64_t, ExecutorTask>& tasks) {
  const bool blame = living.reason == EndReason::kNone || living.reason == EndReason::kNonsense;
  const Suspects suspects = blame ? suspects_among(running) : Suspects{};
  std::map<std::uint64_t, bool> one_by_one;  // by chunk: counted once, though it has many tasks
  for (auto entry = tasks.rbegin(); entry != tasks.rend(); ++entry) {
    const auto& [number, task] = *entry;
    const auto suspect = [&, n = number](const RunningUnit& unit) { return unit.chunk == n; };
    if (task.compare) {
      const bool alone = std::any_of(suspects.units.begin(), suspects.units.end(), suspect);
      if (alone) {
        program.solo.waiting.push_back(task);
      } else {
        program.lane.waiting.push_front(task);
      }
      continue;
    }
    const auto work = works.find(task.chunk);
    if (work == works.end()) continue;
    RangeSet left = work->second.left().intersection(task.range);
    for (const RunningUnit& unit : suspects.units) {
      if (!suspect(unit) || !left.contains(unit.unit)) continue;
      const Range alone{unit.unit, unit.unit + 1};
      left.remove(alone);
      program.solo.waiting.push_back(cut(task, alone));
    }
    if (blame && !suspects.caught && !one_by_one.contains(task.chunk)) {
      one_by_one[task.chunk] = work->second.count_unclear_death();
    }
    const auto each = one_by_one.find(task.chunk);
    const bool all_alone = each != one_by_one.end() && each->second;
    for (auto run = left.runs().rbegin(); run != left.runs().rend(); ++run) {
      if (all_alone) {
        program.solo.waiting.push_back(cut(task, *run));
      } else {
        program.lane.waiting.push_front(cut(task, *run));
      }
    }
  }
}

}  // namespace shoal
