#include "sdk/host/unit_loop.h"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <time.h>

#include <algorithm>
#include <deque>
#include <new>

#include "node/protocol/limits.h"
#include "node/protocol/result.h"
#include "sdk/host/fault_marks.h"
#include "sdk/host/unit_ended.h"

namespace shoal {
namespace {

// Units that a thread takes at once fill about so much time: long against taking them, short
// against what anybody waits for.
constexpr std::uint64_t kTakeNs = 20'000;
constexpr std::uint64_t kTakeUnitsMax = 1024;
// Units that take longer than expected: the rest of what a thread has taken is shared out again.
constexpr std::uint64_t kTakeNsMax = 1'000'000;
// What a thread has gathered is sent when it is this much, or this old: a crash costs no more.
constexpr std::size_t kPartBytes = limits::kExecutorPartBytes;
constexpr std::uint64_t kPartNs = 100'000'000;

std::uint64_t monotonic_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(t.tv_nsec);
}

std::string shortened(std::string text) {
  if (text.size() > limits::kFailureTextBytes) text.resize(limits::kFailureTextBytes);
  return text;
}

// The exception in flight, in words. For catch (...) only.
ExecutorFailure failure_of(UnitIndex unit) {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return {unit, FailureKind::kOutOfMemory, "out of memory"};
  } catch (const UnitEnded& e) {
    return {unit, e.kind(), shortened(e.what()), shortened(e.stderr_end())};
  } catch (const UnitRefused& e) {
    return {unit, FailureKind::kRefused, shortened(e.what())};
  } catch (const std::exception& e) {
    return {unit, FailureKind::kThrew, shortened(detail::words_of(e))};
  } catch (...) {
    return {unit, FailureKind::kThrew, "threw something that is not a std::exception"};
  }
}

}  // namespace

// Threads that begin what is enqueued in the order in which it came. (oneTBB's own begin it in any
// order: a chunk could wait behind a later one whose units take for ever.) An executor has one
// number of them for as long as it lives: a job that is to have fewer has an executor of its own.
class UnitLoop::Arena {
 public:
  explicit Arena(unsigned threads)
      : threads_(threads),
        stack_(tbb::global_control::thread_stack_size, kUnitStackBytes),
        parallelism_(tbb::global_control::max_allowed_parallelism, threads + 1),
        arena_(static_cast<int>(threads), 0) {}

  unsigned threads() const { return threads_; }
  void enqueue(std::function<void()> task) {
    {
      std::lock_guard lock(mutex_);
      waiting_.push_back(std::move(task));
    }
    arena_.enqueue([this] { next()(); });
  }

 private:
  std::function<void()> next() {
    std::lock_guard lock(mutex_);
    auto task = std::move(waiting_.front());
    waiting_.pop_front();
    return task;
  }

  const unsigned threads_;
  // oneTBB's own threads have half of that, and a kernel that fits into main() would crash. It
  // counts for threads that are started from then on.
  tbb::global_control stack_;
  // oneTBB starts one worker less than the machine has processors unless told otherwise, and tasks
  // that are enqueued run on workers alone.
  tbb::global_control parallelism_;
  tbb::task_arena arena_;
  std::mutex mutex_;
  std::deque<std::function<void()>> waiting_;
};

struct UnitLoop::Setup {
  const KernelEntry* kernel = nullptr;
  UnitFunction run;
  EquivalentFunction equivalent;
  std::string refused;  // not empty: why it cannot run
  std::uint64_t output_bytes_max = 0;
  std::uint64_t checkpoint_ns = 0;        // the least time between two of a unit
  std::atomic<std::uint64_t> unit_ns{0};  // measured; 0: not yet
};

struct UnitLoop::Chunk {
  std::uint64_t number = 0;
  Range range;
  std::shared_ptr<Setup> setup;
  std::shared_ptr<const Bytes> frame;
  ByteView inputs;
  std::vector<std::uint64_t> input_ends;  // empty: no inputs
  std::map<UnitIndex, Bytes> saved;       // states to go on from
  std::atomic<std::uint64_t> next{0};     // the first unit that nobody has taken
  std::atomic<bool> cancelled{false};
  std::mutex mutex;  // guards what follows
  std::unique_ptr<Gathered> gathered;
  std::vector<Range> given_back;  // taken, and not run
  unsigned pullers = 0;           // tasks that take units

  std::optional<ByteView> input(UnitIndex unit) const {
    if (input_ends.empty()) return std::nullopt;
    const std::size_t i = unit - range.first;
    const std::uint64_t begin = i == 0 ? 0 : input_ends[i - 1];
    return inputs.subspan(begin, input_ends[i] - begin);
  }
};

// What has become of units, to be told.
struct UnitLoop::Gathered {
  struct Run {
    Range range;
    std::vector<std::uint32_t> sizes;
    Bytes bytes;
    std::vector<UnitCost> costs = {};  // one a unit, or none

    void add_cost(const std::optional<UnitCost>& cost) {
      if (!cost && costs.empty()) return;
      costs.resize(sizes.size());
      costs.push_back(cost.value_or(UnitCost{}));
    }
  };
  std::vector<Run> runs;
  std::vector<ExecutorFailure> failures;
  std::size_t bytes = 0;  // of outputs and messages
  std::uint64_t compute_ns = 0;

  Run& run_at(UnitIndex unit) {
    if (runs.empty() || runs.back().range.last != unit) runs.push_back({{unit, unit}, {}, {}});
    return runs.back();
  }
  void add(Gathered more) {
    for (Run& run : more.runs) runs.push_back(std::move(run));
    for (ExecutorFailure& failure : more.failures) failures.push_back(std::move(failure));
    bytes += more.bytes;
    compute_ns += more.compute_ns;
  }
};

// A slot of the page for as long as a task runs.
class UnitLoop::Slot {
 public:
  explicit Slot(UnitLoop& loop) : loop_(loop) {
    std::lock_guard lock(loop.mutex_);
    index_ = RunningPage::kSlots - 1;
    if (loop.free_slots_.empty()) return;
    index_ = loop.free_slots_.back();
    loop.free_slots_.pop_back();
    owned_ = true;
  }
  ~Slot() {
    get().started_ns.store(0, std::memory_order_release);
    if (!owned_) return;
    std::lock_guard lock(loop_.mutex_);
    loop_.free_slots_.push_back(index_);
  }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  RunningSlot& get() { return loop_.page_.slots[index_]; }

 private:
  UnitLoop& loop_;
  std::size_t index_ = 0;
  bool owned_ = false;
};

// The state of one unit, for as long as it runs.
class UnitLoop::UnitState final : public StateKeeper {
 public:
  UnitState(const UnitLoop& loop, const Chunk& chunk, UnitIndex unit, std::uint64_t begin_ns)
      : loop_(loop), chunk_(chunk), unit_(unit), last_ns_(begin_ns) {}

  std::optional<ByteView> saved() const override {
    const auto found = chunk_.saved.find(unit_);
    if (found == chunk_.saved.end()) return std::nullopt;
    return found->second;
  }
  bool due() override {
    std::uint64_t last = last_ns_.load(std::memory_order_relaxed);
    const std::uint64_t now = monotonic_ns();
    return now - last >= chunk_.setup->checkpoint_ns && last_ns_.compare_exchange_strong(last, now);
  }
  void save(ByteView state) override {
    if (state.size() > limits::kCheckpointBytes) {
      throw UnitFailure("the state to be kept has " + std::to_string(state.size()) +
                        " bytes; a worker keeps at most " +
                        std::to_string(limits::kCheckpointBytes));
    }
    loop_.send_(encode_executor_frame(ExecutorCheckpoint{chunk_.number, unit_, state}));
  }

 private:
  const UnitLoop& loop_;
  const Chunk& chunk_;
  const UnitIndex unit_;
  std::atomic<std::uint64_t> last_ns_;
};

namespace {

void note(RunningSlot& slot, std::uint64_t chunk, UnitIndex unit, std::uint64_t now_ns) {
  slot.started_ns.store(0, std::memory_order_release);
  slot.chunk.store(chunk, std::memory_order_release);
  slot.unit.store(unit, std::memory_order_release);
  slot.started_ns.store(now_ns, std::memory_order_release);
}

}  // namespace

UnitLoop::UnitLoop(const std::vector<KernelEntry>& kernels, RunningPage& page, SendFrame send)
    : kernels_(kernels), page_(page), send_(std::move(send)) {
  // The last one is shared by those who find none free.
  for (std::size_t i = RunningPage::kSlots - 1; i > 0; --i) free_slots_.push_back(i - 1);
}

UnitLoop::~UnitLoop() {
  std::unique_lock lock(mutex_);
  for (auto& [number, weak] : chunks_) {
    if (auto chunk = weak.lock()) chunk->cancelled = true;
  }
  idle_.wait(lock, [&] { return inside_ == 0; });
}

void UnitLoop::perform(const ExecutorSetup& message) {
  auto setup = std::make_shared<Setup>();
  if (!arena_) arena_ = std::make_unique<Arena>(message.threads);
  setup->checkpoint_ns = std::uint64_t{message.checkpoint_ms} * 1'000'000;
  setup->output_bytes_max = std::min<std::uint64_t>(message.output_bytes_max, limits::kOutputBytes);
  const auto found = std::find_if(kernels_.begin(), kernels_.end(),
                                  [&](const KernelEntry& k) { return k.name == message.kernel; });
  if (!refusal_.empty()) {
    setup->refused = refusal_;
  } else if (message.threads != arena_->threads()) {
    setup->refused = "this executor computes on " + std::to_string(arena_->threads()) +
                     " threads, and not on " + std::to_string(message.threads);
  } else if (found == kernels_.end()) {
    setup->refused = "there is no kernel \"" + message.kernel + "\" in this program";
  } else {
    setup->kernel = &*found;
    try {
      setup->run = found->prepare(message.parameters);
      setup->equivalent = found->prepare_equivalent ? found->prepare_equivalent(message.parameters)
                                                    : found->equivalent;
    } catch (...) {
      setup->refused = failure_of(0).message;
    }
  }
  setups_[message.setup] = std::move(setup);
}

void UnitLoop::perform(const ExecutorDrop& message) { setups_.erase(message.setup); }

std::shared_ptr<UnitLoop::Setup> UnitLoop::setup_of(std::uint64_t number) const {
  const auto found = setups_.find(number);
  return found == setups_.end() ? nullptr : found->second;
}

void UnitLoop::perform(const ExecutorCheckpoint& message) {
  saved_[message.chunk][message.unit] = to_bytes(message.state);
}

void UnitLoop::perform(const RunChunk& message, std::shared_ptr<const Bytes> frame) {
  auto saved = saved_.extract(message.chunk);
  auto setup = setup_of(message.setup);
  if (!setup) return refuse(message.chunk, "this chunk's setup was never sent");
  if (!setup->refused.empty()) return refuse(message.chunk, setup->refused);

  auto chunk = std::make_shared<Chunk>();
  chunk->number = message.chunk;
  chunk->range = message.range;
  chunk->setup = setup;
  chunk->frame = std::move(frame);
  chunk->inputs = message.inputs;
  std::uint64_t end = 0;
  for (std::uint32_t size : message.input_sizes) chunk->input_ends.push_back(end += size);
  if (!saved.empty()) chunk->saved = std::move(saved.mapped());
  chunk->next = message.range.first;
  chunk->gathered = std::make_unique<Gathered>();
  chunk->pullers = threads_for(*chunk);
  {
    std::lock_guard lock(mutex_);
    chunks_[message.chunk] = chunk;
  }
  enqueue_pullers(chunk, chunk->pullers);
}

void UnitLoop::enqueue_pullers(const std::shared_ptr<Chunk>& chunk, unsigned count) {
  {
    std::lock_guard lock(mutex_);
    inside_ += count;
  }
  for (unsigned i = 0; i < count; ++i) {
    arena_->enqueue([this, chunk] {
      pull(chunk);
      leave();
    });
  }
}

void UnitLoop::give_back(const std::shared_ptr<Chunk>& chunk, Range units) {
  unsigned more = 0;
  {
    std::lock_guard lock(chunk->mutex);
    chunk->given_back.push_back(units);
    if (chunk->pullers < arena_->threads()) more = arena_->threads() - chunk->pullers;
    more = static_cast<unsigned>(std::min<std::uint64_t>(more, units.size()));
    chunk->pullers += more;
  }
  enqueue_pullers(chunk, more);
}

std::optional<Range> UnitLoop::take(Chunk& chunk) {
  const std::uint64_t unit_ns = chunk.setup->unit_ns.load(std::memory_order_relaxed);
  const std::uint64_t wanted =
      unit_ns == 0 ? 1 : std::clamp<std::uint64_t>(kTakeNs / unit_ns, 1, kTakeUnitsMax);
  const std::uint64_t seen = chunk.next.load(std::memory_order_relaxed);
  if (seen < chunk.range.last) {
    // Smaller towards the end, so that the threads end together.
    const std::uint64_t fair = (chunk.range.last - seen) / (2 * arena_->threads()) + 1;
    const std::uint64_t first = chunk.next.fetch_add(std::min(wanted, fair));
    const std::uint64_t last = std::min(first + std::min(wanted, fair), chunk.range.last);
    if (first < last) return Range{first, last};
  }
  std::lock_guard lock(chunk.mutex);
  if (chunk.given_back.empty()) return std::nullopt;
  Range& rest = chunk.given_back.back();
  const Range taken{rest.first, std::min(rest.first + wanted, rest.last)};
  rest.first = taken.last;
  if (rest.empty()) chunk.given_back.pop_back();
  return taken;
}

// As many threads as the chunk has work for: waking one for nothing costs more than a short chunk.
unsigned UnitLoop::threads_for(const Chunk& chunk) const {
  const std::uint64_t unit_ns = chunk.setup->unit_ns.load(std::memory_order_relaxed);
  std::uint64_t worth = chunk.range.size();
  if (unit_ns != 0) {
    worth = std::min(worth, std::max<std::uint64_t>(chunk.range.size() * unit_ns / kTakeNs, 1));
  }
  return static_cast<unsigned>(std::min<std::uint64_t>(arena_->threads(), worth));
}

void UnitLoop::perform(const ExecutorCancel& message) {
  std::lock_guard lock(mutex_);
  const auto found = chunks_.find(message.chunk);
  if (found == chunks_.end()) return;
  if (auto chunk = found->second.lock()) chunk->cancelled = true;
}

void UnitLoop::leave() {
  std::lock_guard lock(mutex_);
  if (--inside_ == 0) idle_.notify_all();
}

void UnitLoop::pull(const std::shared_ptr<Chunk>& chunk) {
  Gathered gathered;
  std::uint64_t sent_ns = monotonic_ns();
  const auto send_if_due = [&] {
    const std::uint64_t now = monotonic_ns();
    if (gathered.bytes == 0) return;
    if (gathered.bytes < kPartBytes && now - sent_ns < kPartNs) return;
    send_part(chunk->number, std::exchange(gathered, {}), false);
    sent_ns = now;
  };
  {
    Slot slot(*this);
    const FaultMark mark(slot.get());
    while (!chunk->cancelled.load(std::memory_order_relaxed)) {
      const auto units = take(*chunk);
      if (!units) break;
      send_if_due();  // only now: what is the last of the chunk goes with its end
      Range rest;
      tbb::this_task_arena::isolate(
          [&] { rest = run_units(*chunk, *units, slot.get(), gathered); });
      if (!rest.empty()) give_back(chunk, rest);
    }
  }
  std::unique_lock lock(chunk->mutex);
  if (chunk->pullers > 1) {  // who may be at their units for long
    lock.unlock();
    send_if_due();
    lock.lock();
  }
  chunk->gathered->add(std::move(gathered));
  if (chunk->pullers > 1 && chunk->gathered->bytes >= kPartBytes) {
    // What many threads have at the end would be more than the worker takes for one answer.
    auto full = std::exchange(chunk->gathered, std::make_unique<Gathered>());
    lock.unlock();
    send_part(chunk->number, std::move(*full), false);
    lock.lock();
  }
  if (--chunk->pullers != 0) return;
  lock.unlock();
  {
    std::lock_guard forget(mutex_);
    chunks_.erase(chunk->number);
  }
  send_part(chunk->number, std::move(*chunk->gathered), true);
}

Range UnitLoop::run_units(Chunk& chunk, Range units, RunningSlot& slot, Gathered& gathered) {
  const std::uint64_t begin = monotonic_ns();
  std::uint64_t now = begin;
  std::uint64_t counted = begin;  // time up to here is in some part
  UnitIndex unit = units.first;
  for (; unit < units.last && now - begin < kTakeNsMax; ++unit) {
    if (chunk.cancelled.load(std::memory_order_relaxed)) break;
    note(slot, chunk.number, unit, now);
    run_unit(chunk, unit, now, gathered);
    now = monotonic_ns();
    if (gathered.bytes >= kPartBytes) {
      gathered.compute_ns += now - counted;
      counted = now;
      send_part(chunk.number, std::exchange(gathered, {}), false);
    }
  }
  slot.started_ns.store(0, std::memory_order_release);
  gathered.compute_ns += now - counted;
  const Range rest{unit, units.last};
  if (unit == units.first) return rest;
  const std::uint64_t measured = std::max<std::uint64_t>((now - begin) / (unit - units.first), 1);
  auto& unit_ns = chunk.setup->unit_ns;
  const std::uint64_t old = unit_ns.load(std::memory_order_relaxed);
  unit_ns.store(old == 0 ? measured : (3 * old + measured) / 4, std::memory_order_relaxed);
  return rest;
}

void UnitLoop::run_unit(Chunk& chunk, UnitIndex unit, std::uint64_t begin_ns, Gathered& gathered) {
  const auto fail = [&](ExecutorFailure failure) {
    gathered.bytes += failure.message.size() + failure.stderr_end.size() + 64;
    gathered.failures.push_back(std::move(failure));
  };
  Gathered::Run& run = gathered.run_at(unit);
  const std::size_t before = run.bytes.size();
  std::optional<UnitCost> cost;
  try {
    UnitState state(*this, chunk, unit, begin_ns);
    const UnitCall call{unit, chunk.input(unit), &chunk.cancelled, nullptr, &state, &cost};
    chunk.setup->run(call, run.bytes);
  } catch (...) {
    run.bytes.resize(before);
    ExecutorFailure failure = failure_of(unit);
    failure.cost = cost;
    return fail(std::move(failure));
  }
  const std::size_t size = run.bytes.size() - before;
  if (size > chunk.setup->output_bytes_max) {
    run.bytes.resize(before);
    run.bytes.shrink_to_fit();
    return fail({unit,
                 FailureKind::kBadAnswer,
                 "the output has " + std::to_string(size) + " bytes; the job allows " +
                     std::to_string(chunk.setup->output_bytes_max),
                 {},
                 cost});
  }
  run.add_cost(cost);
  run.sizes.push_back(static_cast<std::uint32_t>(size));
  ++run.range.last;
  gathered.bytes += size + sizeof(std::uint32_t);
}

void UnitLoop::send_part(std::uint64_t chunk, Gathered gathered, bool last) {
  ChunkPart part;
  part.chunk = chunk;
  part.last = last;
  part.compute_ns = gathered.compute_ns;
  part.failures = std::move(gathered.failures);
  auto& runs = gathered.runs;
  std::erase_if(runs, [](const Gathered::Run& run) { return run.range.empty(); });
  std::sort(runs.begin(), runs.end(),
            [](const auto& a, const auto& b) { return a.range.first < b.range.first; });
  Bytes joined;
  if (runs.size() == 1) {
    joined = std::move(runs.front().bytes);
    part.sizes = std::move(runs.front().sizes);
    part.costs = std::move(runs.front().costs);
    part.runs.push_back(runs.front().range);
  } else {
    const bool measured = std::any_of(runs.begin(), runs.end(),
                                      [](const Gathered::Run& run) { return !run.costs.empty(); });
    for (Gathered::Run& run : runs) {
      joined.insert(joined.end(), run.bytes.begin(), run.bytes.end());
      part.sizes.insert(part.sizes.end(), run.sizes.begin(), run.sizes.end());
      if (measured) {
        run.costs.resize(run.sizes.size());
        part.costs.insert(part.costs.end(), run.costs.begin(), run.costs.end());
      }
      if (!part.runs.empty() && part.runs.back().last == run.range.first) {
        part.runs.back().last = run.range.last;
      } else {
        part.runs.push_back(run.range);
      }
    }
  }
  part.outputs = joined;
  send_(encode_executor_frame(part));
}

void UnitLoop::refuse(std::uint64_t chunk, const std::string& why) {
  ChunkPart part;
  part.chunk = chunk;
  part.refused = shortened(why);
  part.last = true;
  send_(encode_executor_frame(part));
}

void UnitLoop::perform(const ExecutorCompare& message, std::shared_ptr<const Bytes> frame) {
  auto setup = setup_of(message.setup);
  std::string error;
  if (!setup) {
    error = "this comparison's setup was never sent";
  } else if (!setup->refused.empty()) {
    error = setup->refused;
  } else if (!setup->equivalent) {
    error = "the kernel has no comparison of its own";
  }
  if (!error.empty()) {
    send_(encode_executor_frame(ExecutorCompared{message.compare, false, shortened(error)}));
    return;
  }
  {
    std::lock_guard lock(mutex_);
    ++inside_;
  }
  arena_->enqueue([this, setup, message, frame = std::move(frame)] {
    compare(*setup, message);
    leave();
  });
}

void UnitLoop::compare(const Setup& setup, const ExecutorCompare& request) {
  ExecutorCompared answer{request.compare, true, {}};
  {
    Slot slot(*this);
    const FaultMark mark(slot.get());
    note(slot.get(), request.compare, request.unit, monotonic_ns());
    std::size_t begin = 0;
    std::vector<ByteView> candidates;
    for (std::uint32_t size : request.sizes) {
      candidates.push_back(request.candidates.subspan(begin, size));
      begin += size;
    }
    try {
      tbb::this_task_arena::isolate([&] {
        for (std::size_t i = 1; i < candidates.size() && answer.all_match; ++i) {
          answer.all_match = setup.equivalent(candidates[0], candidates[i]);
        }
      });
    } catch (...) {
      answer.all_match = false;
      answer.error = failure_of(request.unit).message;
      if (answer.error.empty()) answer.error = "the comparison threw";
    }
  }
  send_(encode_executor_frame(answer));
}

}  // namespace shoal
