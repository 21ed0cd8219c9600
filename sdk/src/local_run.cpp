#include "sdk/src/local_run.h"

#include <tbb/global_control.h>
#include <tbb/info.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <new>
#include <string_view>
#include <utility>

#include "node/protocol/limits.h"
#include "sdk/src/input_files.h"

namespace shoal {
namespace {

constexpr std::uint64_t kReadyUnits = 1 << 16;
constexpr std::uint64_t kReadyBytes = 64 << 20;
constexpr std::uint64_t kChunkNs = 200'000;  // long beside a lock, short beside a coffee
constexpr std::uint64_t kChunkUnits = 4096;

std::uint64_t elapsed_ns(std::chrono::steady_clock::time_point since) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - since)
          .count());
}

// The last of what a unit has logged, from any of its threads.
class LogEnd {
 public:
  void hear(std::string_view line) {
    std::lock_guard lock(mutex_);
    text_.append(line);
    if (text_.size() > limits::kFailureTextBytes) {
      text_.erase(0, text_.size() - limits::kFailureTextBytes);
    }
  }
  std::string take() {
    std::lock_guard lock(mutex_);
    return std::move(text_);
  }

 private:
  std::mutex mutex_;
  std::string text_;
};

}  // namespace

// oneTBB starts one thread less than there are processors, as it counts on the one that calls it.
// That one hands out results here and enqueued tasks never run on it: without the control a
// processor would idle, and oneTBB would warn that it ignores what the arena asks for. Where its
// own threads suffice there is none, since it would hold for the whole program.
struct LocalRun::Arena {
  explicit Arena(unsigned threads) : arena(static_cast<int>(threads), 0) {
    if (threads < static_cast<unsigned>(tbb::info::default_concurrency())) return;
    control.emplace(tbb::global_control::max_allowed_parallelism, threads + 1);
  }
  // For threads that oneTBB starts from now on; it would give them half of that.
  tbb::global_control stack{tbb::global_control::thread_stack_size, kUnitStackBytes};
  std::optional<tbb::global_control> control;
  tbb::task_arena arena;  // after the controls: it asks for its threads when it is first used
};

LocalRun::LocalRun(detail::JobRequest request, unsigned threads) : request_(std::move(request)) {
  function_ = request_.kernel.prepare(request_.parameters);
  const auto all = static_cast<unsigned>(std::max(1, tbb::info::default_concurrency()));
  arena_ = std::make_unique<Arena>(threads == 0 ? all : threads);
  arena_->arena.initialize();
  threads_ = static_cast<unsigned>(std::max(1, arena_->arena.max_concurrency()));
  std::lock_guard lock(mutex_);
  call_threads();
}

LocalRun::~LocalRun() {
  std::unique_lock lock(mutex_);
  cancelled_ = true;
  changed_.wait(lock, [this] { return working_ == 0; });
}

void LocalRun::call_threads() {
  const std::uint64_t left = request_.units - next_unit_;
  if (cancelled_ || ready_units_ >= kReadyUnits || ready_bytes_ >= kReadyBytes) return;
  while (working_ < threads_ && working_ < left) {
    ++working_;
    arena_->arena.enqueue([this] { work(); });
  }
}

void LocalRun::work() {
  std::unique_lock lock(mutex_);
  while (!cancelled_ && next_unit_ < request_.units && ready_units_ < kReadyUnits &&
         ready_bytes_ < kReadyBytes) {
    const std::uint64_t fitting =
        unit_ns_ == 0 ? 1 : std::clamp<std::uint64_t>(kChunkNs / unit_ns_, 1, kChunkUnits);
    const std::uint64_t first = next_unit_;
    const std::uint64_t last = std::min(request_.units, first + fitting);
    next_unit_ = last;
    lock.unlock();
    const auto start = std::chrono::steady_clock::now();
    Runs runs = compute(first, last);
    const std::uint64_t each = elapsed_ns(start) / (last - first) + 1;
    lock.lock();
    unit_ns_ = unit_ns_ == 0 ? each : (3 * unit_ns_ + each) / 4;
    for (auto& run : runs) {
      ended_ += run->count;
      if (!run->ok) failed_ += run->count;
      ready_units_ += run->count;
      ready_bytes_ += run->bytes.size();
      ready_.push_back(std::move(run));
    }
    changed_.notify_all();
  }
  --working_;
  // Under the lock: whoever waits for the last one destroys the condition next.
  changed_.notify_all();
}

std::optional<UnitError> LocalRun::compute_one(std::uint64_t unit, Bytes& output) {
  UnitCall call;
  call.unit = unit;
  call.cancelled = &cancelled_;
  if (request_.inputs) call.input = ByteView((*request_.inputs)[unit]);
  Bytes from_file;
  LogEnd log;
  const std::function<void(std::string_view)> heard = [&log](std::string_view line) {
    log.hear(line);
  };
  call.heard = &heard;
  const std::size_t before = output.size();
  UnitError error;
  error.attempts = 1;
  try {
    if (request_.files) {
      from_file = read_input(request_.files->paths[unit]);
      call.input = from_file;
    }
    // A unit that waits for oneTBB tasks of its own must not start another unit meanwhile.
    tbb::this_task_arena::isolate([&] { function_(call, output); });
    if (output.size() - before <= request_.options.output_bytes_max) return std::nullopt;
    error.kind = FailureReason::kBadAnswer;
    error.message = "the output is larger than the job allows";
  } catch (const UnitRefused& refused) {
    error.kind = FailureReason::kRefused;
    error.message = refused.what();
  } catch (const std::bad_alloc&) {
    error.kind = FailureReason::kOutOfMemory;
    error.message = "out of memory";
  } catch (const std::exception& thrown) {
    error.kind = FailureReason::kThrew;
    error.message = detail::words_of(thrown);
  } catch (...) {
    error.kind = FailureReason::kThrew;
    error.message = "the kernel threw something that is not a std::exception";
  }
  output.resize(before);
  error.stderr_end = log.take();
  return error;
}

LocalRun::Runs LocalRun::compute(std::uint64_t first, std::uint64_t last) {
  Runs runs;
  std::shared_ptr<detail::UnitRun> current;
  const auto begin = [&](std::uint64_t unit, bool ok) {
    current = std::make_shared<detail::UnitRun>();
    current->first = unit;
    current->ok = ok;
    current->starts.push_back(0);
    runs.push_back(current);
  };
  for (std::uint64_t unit = first; unit < last; ++unit) {
    if (!current || !current->ok) begin(unit, true);
    if (auto error = compute_one(unit, current->bytes)) {
      if (current->count == 0) runs.pop_back();
      begin(unit, false);
      current->errors.push_back(std::move(*error));
    } else {
      current->starts.push_back(current->bytes.size());
    }
    ++current->count;
  }
  return runs;
}

std::shared_ptr<const detail::UnitRun> LocalRun::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] {
    return !ready_.empty() || ended_ == request_.units || (cancelled_ && working_ == 0);
  });
  if (ready_.empty()) {
    if (ended_ == request_.units) return nullptr;
    throw Error(ErrorCode::kCancelled, "The job was cancelled.");
  }
  auto run = std::move(ready_.front());
  ready_.pop_front();
  ready_units_ -= run->count;
  ready_bytes_ -= run->bytes.size();
  // Not for every run: calling a sleeping thread costs more than a small unit.
  if (ready_units_ <= kReadyUnits / 2 && ready_bytes_ <= kReadyBytes / 2) call_threads();
  return run;
}

Bytes LocalRun::fetch(const detail::UnitRun& run, std::uint64_t place) {
  const ByteView bytes = run.inline_output(place);
  return {bytes.begin(), bytes.end()};
}

void LocalRun::save(const detail::UnitRun& run, std::uint64_t place,
                    const std::filesystem::path& to) {
  write_output(to, run.inline_output(place));
}

Progress LocalRun::progress() {
  std::lock_guard lock(mutex_);
  Progress progress;
  progress.units = request_.units;
  progress.verified = ended_ - failed_;
  progress.failed = failed_;
  progress.in_work = next_unit_ - ended_;
  progress.workers = 1;
  progress.cancelled = cancelled_;
  return progress;
}

void LocalRun::cancel() {
  std::lock_guard lock(mutex_);
  cancelled_ = true;
  changed_.notify_all();
}

void write_output(const std::filesystem::path& file, ByteView bytes) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
  out.flush();
  if (!out) {
    throw Error(ErrorCode::kState,
                "Cannot write " + file.string() +
                    ". Is its folder there and writable, and the disk not full?");
  }
}

}  // namespace shoal
