#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "worker/runtime/checkpoints.h"
#include "worker/runtime/chunk_work.h"
#include "worker/runtime/executor_keeper.h"
#include "worker/runtime/executor_lane.h"
#include "worker/runtime/freezer.h"
#include "worker/runtime/job_in_use.h"
#include "worker/runtime/turns.h"

// The keeper's inside, in five files: executor_keeper.cpp starts executors and takes their
// answers, executor_sends.cpp puts tasks into words, executor_checkpoints.cpp keeps the states of
// units that are not done, executor_deaths.cpp ends executors and finds out who was to blame,
// executor_freezing.cpp makes them stand still, for their owner and for each other.
//
// When an executor dies, what it had in hand runs again, in a fresh one, and no unit loses an
// attempt by it. The exception are suspects: the unit whose thread noted that it died, or, where no
// thread did, all that were running. Each of them runs alone in an executor of its own, and has
// failed only if that one dies as well. A unit that was past its time limit needs no second look:
// it has failed.
namespace shoal {

struct ExecutorKeeper::Impl {
  using Living = ExecutorLane::Living;

  Impl(KeeperConfig config, ContentStore& contents);
  ~Impl();

  // --- executor_keeper.cpp ---
  void start(const StartCompute&);
  void start(const StartCompare&);
  void cancel(std::uint64_t chunk);
  void forget(const JobId&);
  void collect_events();

  JobInUse& job_of(const JobId& id, const std::shared_ptr<const Manifest>& manifest);
  ExecutorProgram& program_of(const JobInUse& job);
  void feed(ExecutorProgram& program);
  void feed(ExecutorProgram& program, ExecutorLane& lane);
  bool has_room(const ExecutorLane& lane) const;
  // The next task to be sent, cut to what is still to be done.
  std::optional<ExecutorTask> next_task(ExecutorLane& lane);
  bool launch(ExecutorProgram& program, ExecutorLane& lane);
  void make_room_for_one_more();

  // --- executor_freezing.cpp ---
  void freeze_or_thaw();
  // That an executor has work for, as far as it matters: at most as many as are lent.
  void hold_to(unsigned threads, Living& living) const;
  unsigned threads_wanted(const ExecutorProgram& program, const ExecutorLane& lane) const;
  std::vector<Turns::Wish> wishes() const;
  bool busy() const;
  void set_paused(bool paused);
  std::vector<ExecutorView> view();

  // --- executor_sends.cpp ---
  void send(ExecutorLane& lane, ExecutorTask task);
  void send_setup(Living& living, const JobInUse& job);
  void send_units(ExecutorLane& lane, const JobInUse& job, ExecutorTask task);
  void send_compare(Living& living, ExecutorTask task);

  // --- executor_keeper.cpp again ---
  void on_event(ExecutorProgram& program, ExecutorLane& lane, unsigned kind);
  void read_frames(ExecutorLane& lane, bool to_the_end);
  std::string take_body(ExecutorLane& lane, ByteView body);
  std::string take_part(ExecutorLane& lane, const ChunkPart& part);
  std::string take_compared(ExecutorLane& lane, const ExecutorCompared& compared);
  void finish_if_done(std::uint64_t chunk);
  void fail_task(const ExecutorTask& task, FailureKind kind, const std::string& message,
                 const std::string& output_end);
  void watch(Living& living);
  void tell(LogLevel level, std::string text);

  // --- executor_checkpoints.cpp ---
  // Before the units of `task`, which will be sent under `number`.
  void send_checkpoints(Living& living, const ExecutorTask& task, std::uint64_t number);
  void take_checkpoint(ExecutorLane& lane, const ExecutorCheckpoint& checkpoint);
  void drop_checkpoints_of_done(const ExecutorTask& task, const ChunkWork& work);

  // --- executor_deaths.cpp ---
  void look_for_overdue(ExecutorProgram& program, ExecutorLane& lane);
  void stop(ExecutorProgram& program, ExecutorLane& lane, const std::vector<RunningUnit>& late);
  std::int64_t may_run_ns(const ExecutorTask& task) const;
  std::string too_long(const ExecutorTask& task) const;
  void on_death(ExecutorProgram& program, ExecutorLane& lane);
  void after_failed_start(ExecutorLane& lane, const std::string& how, const std::string& output_end,
                          std::vector<ExecutorTask> tasks);
  void after_death_alone(ExecutorLane& lane, const Living& living, int status,
                         std::vector<ExecutorTask> tasks);
  void after_death_among_others(ExecutorProgram& program, const Living& living,
                                const std::vector<RunningUnit>& running,
                                const std::map<std::uint64_t, ExecutorTask>& tasks);
  void end(ExecutorLane& lane);  // at once, and without blame: it is idle
  std::int64_t unit_wall_ns(const ExecutorTask& task) const;
  // When the executor has to be looked at, if nothing comes from it before.
  std::int64_t next_check_ns(const Living& living, std::int64_t now_ns) const;

  KeeperConfig config;
  ContentStore& contents;
  Checkpoints checkpoints;
  Freezer freezer;
  Turns turns;
  int epoll_fd = -1;
  std::uint64_t last_number = 0;  // of setups, tasks and executors
  std::map<JobId, JobInUse> jobs;
  std::map<std::uint64_t, ChunkWork> works;  // by the StartCompute's chunk
  std::map<ExecutorKey, std::unique_ptr<ExecutorProgram>> programs;
  std::map<std::uint64_t, std::pair<ExecutorProgram*, ExecutorLane*>> by_token;
  std::vector<KeeperEvent> events;
};

// What has closed its socket is of no use: it is ended, should it still live so long after.
inline constexpr std::int64_t kClosedNs = 1'000'000'000;

// What is in an executor's hands, by the numbers that tasks were sent under.
AskedFor in_hand_of(const std::map<std::uint64_t, ExecutorTask>& tasks);

// CLOCK_MONOTONIC, which executors use on their pages.
std::int64_t keeper_now_ns();

}  // namespace shoal
