#include "worker/runtime/executor_keeper.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "node/protocol/limits.h"
#include "worker/runtime/executor_keeper_impl.h"
#include "worker/runtime/launch.h"
#include "worker/runtime/scratch.h"

namespace shoal {
namespace {

constexpr std::size_t kTasksInFlight = 256;
constexpr std::size_t kQueuedBytes = 1 << 20;  // to one executor; a task more may come on top
constexpr int kListMs = 10'000;

// What an epoll event is about, in the low bits of its data.
constexpr unsigned kSocket = 0;
constexpr unsigned kOutput = 1;
constexpr unsigned kEnded = 2;

}  // namespace

std::int64_t keeper_now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

ExecutorKeeper::Impl::Impl(KeeperConfig config_, ContentStore& contents_)
    : config(std::move(config_)),
      contents(contents_),
      checkpoints(config.checkpoints),
      freezer(config.cpu_share_percent),
      turns(std::max(config.threads, 1U)),
      epoll_fd(epoll_create1(EPOLL_CLOEXEC)) {
  check(epoll_fd >= 0, "the system gives no epoll descriptor");
  remove_left_scratch(config.scratch);
}

ExecutorKeeper::Impl::~Impl() {
  programs.clear();
  close(epoll_fd);
}

void ExecutorKeeper::Impl::tell(LogLevel level, std::string text) {
  events.push_back(Tell{level, std::move(text)});
}

JobInUse& ExecutorKeeper::Impl::job_of(const JobId& id,
                                       const std::shared_ptr<const Manifest>& manifest) {
  auto found = jobs.find(id);
  // What it lacked may have come since.
  if (found != jobs.end() && !found->second.unusable.empty()) {
    jobs.erase(found);
    found = jobs.end();
  }
  if (found == jobs.end()) {
    const Lent lent{config.shipped_executor, config.program_executor, config.wasm_executor,
                    config.wasm_libraries,   config.threads,          config.memory_bytes};
    found = jobs.emplace(id, open_job(id, manifest, lent, contents)).first;
    found->second.setup = ++last_number;
  }
  return found->second;
}

ExecutorProgram& ExecutorKeeper::Impl::program_of(const JobInUse& job) {
  auto& program = programs[job.key];
  if (!program) program = std::make_unique<ExecutorProgram>();
  program->path = job.program;
  program->arguments = job.arguments;
  program->readable = job.readable;
  program->contents = job.contents;
  program->kind = job.sandbox_kind;
  return *program;
}

void ExecutorKeeper::Impl::start(const StartCompute& start) {
  const auto [work, added] = works.emplace(start.chunk, ChunkWork(start));
  check(added, "a chunk is computed twice at once");
  JobInUse& job = job_of(start.job, start.manifest);
  if (!job.unusable.empty()) {
    work->second.fail(start.range, FailureKind::kRefused, job.unusable, {});
  }
  finish_if_done(start.chunk);
  if (!works.contains(start.chunk)) return;
  ExecutorProgram& program = program_of(job);
  ExecutorTask task;
  task.job = start.job;
  task.chunk = start.chunk;
  task.range = start.range;
  program.lane.waiting.push_back(std::move(task));
  feed(program, program.lane);
}

void ExecutorKeeper::Impl::start(const StartCompare& start) {
  JobInUse& job = job_of(start.job, start.manifest);
  ExecutorTask task;
  task.job = start.job;
  task.range = {start.unit, start.unit + 1};
  task.compare = std::make_shared<const StartCompare>(start);
  if (!job.unusable.empty()) return fail_task(task, FailureKind::kRefused, job.unusable, {});
  ExecutorProgram& program = program_of(job);
  program.lane.waiting.push_back(std::move(task));
  feed(program, program.lane);
}

void ExecutorKeeper::Impl::cancel(std::uint64_t chunk) {
  if (works.erase(chunk) == 0) return;
  for (auto& [key, program] : programs) {
    for (ExecutorLane* lane : {&program->lane, &program->solo}) {
      std::erase_if(lane->waiting,
                    [&](const ExecutorTask& task) { return !task.compare && task.chunk == chunk; });
      if (!lane->living) continue;
      Living& living = *lane->living;
      for (auto& [number, task] : living.in_flight) {
        if (task.compare || task.chunk != chunk || task.cancelled()) continue;
        task.cancel(keeper_now_ns());
        living.process->queue(encode_executor_frame(ExecutorCancel{number}));
      }
      living.check_ns = std::min(living.check_ns, next_check_ns(living, keeper_now_ns()));
      watch(living);
    }
  }
}

void ExecutorKeeper::Impl::forget(const JobId& id) {
  checkpoints.drop(id);
  const auto job = jobs.find(id);
  if (job == jobs.end()) return;
  std::vector<std::uint64_t> chunks;
  for (const auto& [chunk, work] : works) {
    if (work.start().job == id) chunks.push_back(chunk);
  }
  for (std::uint64_t chunk : chunks) cancel(chunk);

  const ExecutorKey key = job->second.key;
  const auto program = programs.find(key);
  const std::uint64_t setup = job->second.setup;
  jobs.erase(job);
  if (program == programs.end()) return;
  for (ExecutorLane* lane : {&program->second->lane, &program->second->solo}) {
    std::erase_if(lane->waiting, [&](const ExecutorTask& task) { return task.job == id; });
    if (!lane->living) continue;
    for (auto& [number, task] : lane->living->in_flight) {
      if (task.job == id) task.cancel(keeper_now_ns());
    }
    if (lane->living->setups.erase(setup) == 0) continue;
    lane->living->process->queue(encode_executor_frame(ExecutorDrop{setup}));
    watch(*lane->living);
  }
  const bool used = std::any_of(jobs.begin(), jobs.end(),
                                [&](const auto& other) { return other.second.key == key; });
  if (used || std::holds_alternative<std::monostate>(key)) return;
  end(program->second->lane);
  end(program->second->solo);
  programs.erase(program);
}

bool ExecutorKeeper::Impl::has_room(const ExecutorLane& lane) const {
  if (!lane.living) return true;
  if (lane.living->reason != EndReason::kNone || lane.living->process->finished_reading()) {
    return false;  // it is about to end
  }
  if (lane.solo) return lane.living->in_flight.empty();
  return lane.living->in_flight.size() < kTasksInFlight &&
         lane.living->process->queued_bytes() < kQueuedBytes;
}

std::optional<ExecutorTask> ExecutorKeeper::Impl::next_task(ExecutorLane& lane) {
  while (!lane.waiting.empty()) {
    ExecutorTask task = std::move(lane.waiting.front());
    lane.waiting.pop_front();
    if (task.compare) return task;
    const auto work = works.find(task.chunk);
    if (work == works.end()) continue;
    const RangeSet left = work->second.left().intersection(task.range);
    if (left.empty()) continue;
    Range run = left.runs().front();
    run.last = std::min(run.last, run.first + (lane.solo ? 1 : limits::kUnitsPerBatch));
    if (run.last < task.range.last) {
      ExecutorTask rest = task;
      rest.range.first = run.last;
      lane.waiting.push_front(std::move(rest));
    }
    task.range = run;
    return task;
  }
  return std::nullopt;
}

void ExecutorKeeper::Impl::feed(ExecutorProgram& program) {
  feed(program, program.lane);
  feed(program, program.solo);
}

void ExecutorKeeper::Impl::feed(ExecutorProgram& program, ExecutorLane& lane) {
  while (!freezer.paused() && has_room(lane)) {
    auto task = next_task(lane);
    if (!task) break;
    if (!lane.living && !launch(program, lane)) {
      lane.waiting.push_front(std::move(*task));
      if (lane.failed_starts < ExecutorLane::kFailedStartsMax) continue;
      lane.failed_starts = 0;
      std::deque<ExecutorTask> waiting = std::move(lane.waiting);
      lane.waiting.clear();
      for (const ExecutorTask& each : waiting) {
        fail_task(each, FailureKind::kRefused, "no executor can be started on this worker", {});
      }
      break;
    }
    send(lane, std::move(*task));
  }
  if (lane.solo && lane.living && lane.idle()) end(lane);
  if (lane.living) watch(*lane.living);
}

bool ExecutorKeeper::Impl::launch(ExecutorProgram& program, ExecutorLane& lane) {
  make_room_for_one_more();
  const std::uint64_t token = ++last_number;
  LaunchSpec spec;
  spec.sandbox = config.sandbox;
  spec.kind = program.kind;
  spec.program = program.path;
  spec.contents = program.contents;
  spec.scratch = scratch_of(config.scratch, token);
  spec.arguments = program.arguments;
  spec.sandbox.read_only.insert(spec.sandbox.read_only.end(), program.readable.begin(),
                                program.readable.end());
  if (program.kind == SandboxKind::kWasm) spec.library_folder = config.wasm_libraries;
  spec.memory_bytes = config.memory_bytes;
  spec.threads = config.threads;
  auto process = ExecutorProcess::start(spec);
  if (!process) {
    ++lane.failed_starts;
    tell(LogLevel::kError, process.error());
    return false;
  }
  auto living = std::make_unique<Living>();
  living->process = std::move(*process);
  living->token = token;
  living->threads = spec.threads;
  living->started_ns = keeper_now_ns();
  living->check_ns = next_check_ns(*living, living->started_ns);
  const auto add = [&](int fd, unsigned kind) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = token * 4 + kind;
    check(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0, "epoll refuses a descriptor");
  };
  add(living->process->socket(), kSocket);
  add(living->process->output(), kOutput);
  add(living->process->pid_fd(), kEnded);
  by_token[token] = {&program, &lane};
  if (freezer.frozen() && living->frozen.set(true, living->started_ns)) {
    living->process->order(HerdOrder::kFreeze);
  }
  lane.living = std::move(living);
  return true;
}

void ExecutorKeeper::Impl::make_room_for_one_more() {
  std::size_t count = 0;
  ExecutorLane* oldest = nullptr;
  for (auto& [key, program] : programs) {
    for (ExecutorLane* lane : {&program->lane, &program->solo}) {
      if (!lane->living) continue;
      ++count;
      if (!lane->idle()) continue;
      if (oldest == nullptr || lane->last_used_ns < oldest->last_used_ns) oldest = lane;
    }
  }
  if (count >= config.executors_max && oldest != nullptr) end(*oldest);
}

void ExecutorKeeper::Impl::watch(Living& living) {
  ExecutorProcess& process = *living.process;
  if (process.finished_reading() && living.socket_watched) {
    epoll_ctl(epoll_fd, EPOLL_CTL_DEL, process.socket(), nullptr);
    living.socket_watched = false;
  }
  if (process.output_closed() && living.output_watched) {
    epoll_ctl(epoll_fd, EPOLL_CTL_DEL, process.output(), nullptr);
    living.output_watched = false;
  }
  const bool wants_write = process.queued_bytes() > 0;
  if (!living.socket_watched || wants_write == living.wants_write) return;
  epoll_event event{};
  event.events = EPOLLIN | (wants_write ? static_cast<std::uint32_t>(EPOLLOUT) : 0U);
  event.data.u64 = living.token * 4 + kSocket;
  epoll_ctl(epoll_fd, EPOLL_CTL_MOD, process.socket(), &event);
  living.wants_write = wants_write;
}

void ExecutorKeeper::Impl::collect_events() {
  epoll_event ready[64];
  const int count = epoll_wait(epoll_fd, ready, 64, 0);
  for (int i = 0; i < count; ++i) {
    // An executor may have ended by what an event before this one was about.
    const auto found = by_token.find(ready[i].data.u64 / 4);
    if (found == by_token.end()) continue;
    const auto [program, lane] = found->second;
    on_event(*program, *lane, static_cast<unsigned>(ready[i].data.u64 % 4));
  }
  freeze_or_thaw();
  const std::int64_t now = keeper_now_ns();
  for (auto& [key, program] : programs) {
    for (ExecutorLane* lane : {&program->lane, &program->solo}) {
      if (lane->living && lane->living->check_ns <= now) look_for_overdue(*program, *lane);
    }
  }
}

void ExecutorKeeper::Impl::on_event(ExecutorProgram& program, ExecutorLane& lane, unsigned kind) {
  Living& living = *lane.living;
  if (kind == kEnded) {
    if (living.process->reap()) on_death(program, lane);
  } else if (kind == kOutput) {
    living.process->read_output();
  } else {
    living.process->write_queued();
    read_frames(lane, false);
  }
  feed(program);
}

void ExecutorKeeper::Impl::read_frames(ExecutorLane& lane, bool to_the_end) {
  Living& living = *lane.living;
  std::string wrong =
      living.process->read_frames([&](ByteView body) { return take_body(lane, body); }, to_the_end);
  if (!wrong.empty() && living.reason == EndReason::kNone) {
    living.reason = EndReason::kNonsense;
    living.nonsense = std::move(wrong);
    living.process->kill();
  } else if (living.process->finished_reading() && living.closed_ns == 0) {
    // It is about to end, most likely, and how it ends is to be seen.
    living.closed_ns = keeper_now_ns();
    living.check_ns = std::min(living.check_ns, living.closed_ns + kClosedNs);
  }
  watch(living);
}

std::string ExecutorKeeper::Impl::take_body(ExecutorLane& lane, ByteView body) {
  auto message = decode_executor_body(body);
  if (!message) return message.error().what;
  Living& living = *lane.living;
  if (std::holds_alternative<ExecutorHello>(*message) != !living.greeted) {
    return "a greeting out of turn";
  }
  if (!living.greeted) {
    living.greeted = true;
    lane.failed_starts = 0;
    living.check_ns = next_check_ns(living, keeper_now_ns());
    return {};
  }
  if (const auto* part = std::get_if<ChunkPart>(&*message)) return take_part(lane, *part);
  if (const auto* compared = std::get_if<ExecutorCompared>(&*message)) {
    return take_compared(lane, *compared);
  }
  if (const auto* checkpoint = std::get_if<ExecutorCheckpoint>(&*message)) {
    take_checkpoint(lane, *checkpoint);
    return {};
  }
  return "a message from the wrong side";
}

std::string ExecutorKeeper::Impl::take_part(ExecutorLane& lane, const ChunkPart& part) {
  Living& living = *lane.living;
  const auto found = living.in_flight.find(part.chunk);
  if (found == living.in_flight.end() || found->second.compare) return "an answer to no question";
  const ExecutorTask& task = found->second;
  const auto work = task.cancelled() ? works.end() : works.find(task.chunk);
  if (work != works.end()) {
    std::string output_end;
    if (!part.failures.empty() || !part.refused.empty()) {
      living.process->read_output();
      output_end = living.process->output_end();
    }
    std::string wrong = work->second.take(part, task.range, output_end, contents);
    if (!wrong.empty()) return wrong;
    if (!part.refused.empty()) {
      work->second.fail(task.range, FailureKind::kRefused, part.refused, output_end);
    } else if (part.last) {
      work->second.fail(task.range, FailureKind::kBadAnswer,
                        "the executor gave no answer for this unit", output_end);
    }
    drop_checkpoints_of_done(task, work->second);
  }
  // Before the last part, if need be: an executor that dies here has nothing left to do over.
  finish_if_done(task.chunk);
  if (!part.last) return {};
  living.in_flight.erase(found);
  living.used = true;
  return {};
}

std::string ExecutorKeeper::Impl::take_compared(ExecutorLane& lane,
                                                const ExecutorCompared& compared) {
  Living& living = *lane.living;
  const auto found = living.in_flight.find(compared.compare);
  if (found == living.in_flight.end() || !found->second.compare) return "an answer to no question";
  const ExecutorTask task = std::move(found->second);
  living.in_flight.erase(found);
  living.used = true;
  if (task.cancelled()) return {};
  if (!compared.error.empty()) {
    fail_task(task, FailureKind::kThrew, clean_end_of(compared.error, limits::kFailureTextBytes),
              {});
    return {};
  }
  CompareDone done{task.job, task.compare->unit, {}, compared.all_match, {}};
  if (auto digests = digests_of(task.compare->candidates)) done.digests = std::move(*digests);
  events.push_back(std::move(done));
  return {};
}

void ExecutorKeeper::Impl::finish_if_done(std::uint64_t chunk) {
  const auto work = works.find(chunk);
  if (work == works.end() || !work->second.finished()) return;
  events.push_back(work->second.result());
  works.erase(work);
}

void ExecutorKeeper::Impl::fail_task(const ExecutorTask& task, FailureKind kind,
                                     const std::string& message, const std::string& output_end) {
  if (task.compare) {
    CompareDone done{task.job, task.compare->unit, {}, false, message};
    if (auto digests = digests_of(task.compare->candidates)) done.digests = std::move(*digests);
    events.push_back(std::move(done));
    return;
  }
  const auto work = works.find(task.chunk);
  if (work == works.end()) return;
  work->second.fail(task.range, kind, message, output_end);
  finish_if_done(task.chunk);
}

ExecutorKeeper::ExecutorKeeper(KeeperConfig config, ContentStore& contents)
    : impl_(std::make_unique<Impl>(std::move(config), contents)) {}
ExecutorKeeper::~ExecutorKeeper() = default;

void ExecutorKeeper::perform(const StartCompute& action) {
  impl_->start(action);
  impl_->freeze_or_thaw();
}
void ExecutorKeeper::perform(const StartCompare& action) {
  impl_->start(action);
  impl_->freeze_or_thaw();
}
void ExecutorKeeper::perform(const CancelCompute& action) { impl_->cancel(action.chunk); }
void ExecutorKeeper::perform(const ForgetJob& action) { impl_->forget(action.job); }

void ExecutorKeeper::pause() { impl_->set_paused(true); }
void ExecutorKeeper::resume() { impl_->set_paused(false); }
bool ExecutorKeeper::paused() const { return impl_->freezer.paused(); }
bool ExecutorKeeper::busy() const { return impl_->busy(); }
std::vector<ExecutorView> ExecutorKeeper::view() { return impl_->view(); }

std::vector<int> ExecutorKeeper::descriptors() const { return {impl_->epoll_fd}; }

std::optional<std::chrono::nanoseconds> ExecutorKeeper::next_timeout() const {
  if (!impl_->events.empty()) return std::chrono::nanoseconds(0);
  const std::int64_t now = keeper_now_ns();
  std::optional<std::int64_t> at = impl_->freezer.next_change_ns(now, impl_->busy());
  if (impl_->freezer.paused()) return std::nullopt;
  if (const auto turn = impl_->turns.next_change_ns()) {
    const std::int64_t turn_at = now + *turn - impl_->freezer.running_ns(0, now);
    at = std::min(at.value_or(turn_at), turn_at);
  }
  for (const auto& [key, program] : impl_->programs) {
    for (const ExecutorLane* lane : {&program->lane, &program->solo}) {
      if (!lane->living) continue;
      const bool idle = lane->living->greeted && lane->living->in_flight.empty();
      if (idle && lane->living->closed_ns == 0) continue;
      at = std::min(at.value_or(lane->living->check_ns), lane->living->check_ns);
    }
  }
  if (!at) return std::nullopt;
  return std::chrono::nanoseconds(std::max<std::int64_t>(*at - keeper_now_ns(), 0));
}

std::vector<KeeperEvent> ExecutorKeeper::collect() {
  impl_->collect_events();
  return std::exchange(impl_->events, {});
}

Result<std::vector<std::string>, std::string> ExecutorKeeper::shipped_kernels(
    const std::filesystem::path& shipped_executor) {
  auto text = run_and_read(shipped_executor, "--list", kListMs);
  if (!text) return tl::unexpected(text.error());
  std::vector<std::string> names;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) names.push_back(line);
  }
  return names;
}

}  // namespace shoal
