#pragma once

#include <cstdint>
#include <deque>
#if !defined(__wasm__)
#include <filesystem>
#endif
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shoal/error.h"
#include "shoal/values.h"

// A job that was handed over, and its results as they come:
//
//   auto job = session.map(kCollatz, {.start = 1}, shoal::IndexSpace{1'000'000});
//   for (const auto& result : job.results()) {
//     if (result.ok()) use(result.unit(), result.value());
//     else std::cerr << result.unit() << ": " << result.failure().message << '\n';
//   }
//
// What comes out of results() has been verified: as many distinct workers as the job demands
// computed the unit and agreed, and this program has checked their signatures itself. A unit that
// failed is one element of the loop like all others, and never ends it.
namespace shoal {

// Why a unit has no value.
enum class FailureReason {
  kThrew,        // the kernel threw, or called Unit::fail
  kCrashed,      // the kernel's process died
  kTimedOut,     // it ran past JobOptions::unit_wall
  kOutOfMemory,  // it needed more than JobOptions::unit_memory_bytes or the donors lend
  kBadAnswer,    // its output is larger than the job allows
  kRefused,      // the kernel does not take these parameters or this input
  kDisputed,     // workers computed it and do not agree on the output
};

// What a unit took that was a process of its own, and how that ended: as the worker says that ran
// it. Nobody has verified it.
struct UnitUsage {
  std::uint32_t wall_ms = 0;
  std::uint32_t cpu_ms = 0;
  std::uint32_t memory_kib = 0;  // the most that was resident
  int exit_status = 0;
  int signal = 0;  // 0: it has exited
};

struct UnitError {
  FailureReason kind = FailureReason::kThrew;
  // As the kernel put it, or the worker. In a pool it is a stranger's text, so control characters
  // other than line ends and tabs are spaces: it can be printed as it is.
  std::string message;
  unsigned attempts = 0;  // workers that tried
  // The last lines that the kernel wrote to stderr, likewise; in a local session, those of
  // Unit::log alone, since there the kernel shares stderr with the whole program.
  std::string stderr_end;
  std::optional<UnitUsage> usage = {};  // where it was measured
};

// How far a job is.
struct Progress {
  std::uint64_t units = 0;
  std::uint64_t verified = 0;
  std::uint64_t failed = 0;
  std::uint64_t disputed = 0;
  std::uint64_t in_work = 0;  // with some worker, or waiting for a second opinion
  // Workers that take part; when the job is done, or its steward cannot be asked, as many as were
  // known of last.
  unsigned workers = 0;
  // As the steward said when it was last asked; 0 in a local session.
  std::uint64_t moved = 0;       // units that came to their worker from another one
  std::uint64_t recomputed = 0;  // replicas beyond the quorum
  bool cancelled = false;
  std::string waiting_for;  // why nothing moves, in one line; empty if it moves
  bool done() const { return verified + failed + disputed >= units; }
};

// The machinery under Job and UnitResult. Not to be used directly.
namespace detail {

#if defined(__wasm__)
using Path = std::string;  // a kernel module has no files, and its standard library no <filesystem>
#else
using Path = std::filesystem::path;
#endif

// A run of units that ended alike, as it arrived.
struct UnitRun {
  struct Large {          // an output that is held by workers
    std::string content;  // its id, in hexadecimal
    std::uint64_t bytes = 0;
  };
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  bool ok = true;
  std::vector<std::uint64_t> starts;  // of the outputs in `bytes`; count + 1
  Bytes bytes;
  std::map<std::uint64_t, Large> large;  // by the unit's place in the run
  // Who verified the run, and holds its large outputs: node ids, in hexadecimal. None where nobody
  // but this process did. Shared by all runs that the same workers verified.
  std::shared_ptr<const std::vector<std::string>> workers;
  std::vector<UnitError> errors;  // not ok: one a unit
  std::vector<UnitUsage> usage;   // ok: one a unit, where it was measured; else none

  ByteView inline_output(std::uint64_t i) const {
    return ByteView(bytes).subspan(starts[i], starts[i + 1] - starts[i]);
  }
};

class JobCore {
 public:
  virtual ~JobCore() = default;
  virtual std::string id() const = 0;
  // The next run, in the order of arrival; waits for it. Nothing when every unit was delivered.
  virtual std::shared_ptr<const UnitRun> next() = 0;
  virtual Bytes fetch(const UnitRun& run, std::uint64_t place) = 0;
  virtual void save(const UnitRun& run, std::uint64_t place, const Path& to) = 0;
  virtual Progress progress() = 0;
  virtual void cancel() = 0;
};

// What was taken from a core and not yet delivered, in either order.
class RunBuffer {
 public:
  explicit RunBuffer(std::shared_ptr<JobCore> core) : core_(std::move(core)) {}
  // The next unit: its run, and its place there. False when all were delivered.
  bool take(bool in_order, std::shared_ptr<const UnitRun>& run, std::uint64_t& place) {
    if (!run_ || place_ >= run_->count) {
      run_ = next(in_order);
      place_ = 0;
      if (!run_) return false;
    }
    run = run_;
    place = place_++;
    return true;
  }
  void fill();  // until the job is done
  const std::shared_ptr<JobCore>& core() const { return core_; }

 private:
  std::shared_ptr<const UnitRun> next(bool in_order);

  std::shared_ptr<JobCore> core_;
  std::shared_ptr<const UnitRun> run_;
  std::uint64_t place_ = 0;
  std::deque<std::shared_ptr<const UnitRun>> arrived_;
  std::uint64_t next_unit_ = 0;
  std::map<std::uint64_t, std::shared_ptr<const UnitRun>>
      waiting_;  // for their turn; by first unit
};

[[noreturn]] void throw_bad_output(std::uint64_t unit, const std::string& why);

}  // namespace detail

// The end of one unit. Cheap to copy; valid as long as you keep it, also after its Job is gone.
// Several threads may use results of one job, also while another takes further ones from it. One
// that was default-constructed is good for nothing but to be assigned to.
template <class Output>
class UnitResult {
 public:
  UnitResult() = default;
  UnitResult(std::shared_ptr<detail::JobCore> core, std::shared_ptr<const detail::UnitRun> run,
             std::uint64_t place)
      : core_(std::move(core)), run_(std::move(run)), place_(place) {}

  // Which unit of the job: the index, or the position in the list of inputs.
  std::uint64_t unit() const { return run_->first + place_; }
  bool ok() const { return run_->ok; }
  explicit operator bool() const { return ok(); }

  // The output, decoded anew at each call. Only if ok(). An output above 1 KiB is fetched from the
  // workers that hold it, and checked: that may take a while, and throws Error(kOutputLost) where
  // none of them can be reached any more.
  Output value() const {
    if (!ok()) detail::throw_bad_output(unit(), "the unit has failed: " + failure().message);
    if (run_->large.count(place_) > 0) return decoded(core_->fetch(*run_, place_));
    return decoded(run_->inline_output(place_));
  }
  // The output's encoded bytes, written to a file without passing through memory. Only if ok().
  // Throws Error(kState) where the file cannot be written, and kOutputLost as above.
  void save(const detail::Path& file) const {
    if (!ok()) detail::throw_bad_output(unit(), "the unit has failed: " + failure().message);
    core_->save(*run_, place_, file);
  }
  // Only if not ok().
  const UnitError& failure() const { return run_->errors.at(place_); }
  // Who stands for the output: the ids (64 hexadecimal digits) of the workers whose signed
  // commitments to it were checked here, at least as many as the quorum. Empty if not ok(), and in
  // a local session. Costs nothing; valid as long as this result or a copy of it.
  const std::vector<std::string>& workers() const {
    static const std::vector<std::string> nobody;
    return run_->workers ? *run_->workers : nobody;
  }

 private:
  Output decoded(ByteView bytes) const {
    auto value = decode<Output>(bytes);
    if (!value) detail::throw_bad_output(unit(), value.error().what);
    return std::move(*value);
  }

  std::shared_ptr<detail::JobCore> core_;
  std::shared_ptr<const detail::UnitRun> run_;
  std::uint64_t place_ = 0;
};

// What results() and in_order() return: a range for one pass of a `for` loop. Waits for the next
// result as the loop comes to it.
template <class Output>
class ResultRange {
 public:
  struct Sentinel {};
  class Iterator {
   public:
    using value_type = UnitResult<Output>;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;
    using reference = const value_type&;
    using pointer = const value_type*;

    Iterator() = default;
    explicit Iterator(ResultRange* range) : range_(range) { settle(); }
    reference operator*() const { return current_; }
    pointer operator->() const { return &current_; }
    Iterator& operator++() {
      settle();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const Iterator& it, Sentinel) { return it.range_ == nullptr; }

   private:
    void settle() {
      std::shared_ptr<const detail::UnitRun> run;
      std::uint64_t place = 0;
      if (range_->buffer_->take(range_->in_order_, run, place)) {
        current_ = value_type(range_->buffer_->core(), std::move(run), place);
      } else {
        range_ = nullptr;
      }
    }
    ResultRange* range_ = nullptr;
    value_type current_;
  };

  ResultRange(std::shared_ptr<detail::RunBuffer> buffer, bool in_order)
      : buffer_(std::move(buffer)), in_order_(in_order) {}
  Iterator begin() { return Iterator(this); }
  Sentinel end() const { return {}; }

 private:
  std::shared_ptr<detail::RunBuffer> buffer_;
  bool in_order_ = false;
};

// A job that runs somewhere. The handle may be dropped at any time: that detaches from the job and
// never stops it; come back with Session::attach and the id, from this program or another one. When
// every result was taken and the handle is dropped, the job is closed for good, unless
// JobOptions::keep asks otherwise. (A job of a local session has nowhere else to run: it ends with
// its handle.)
//
// One thread at a time may use a Job. All calls may throw Error.
template <class Output>
class Job {
 public:
  explicit Job(std::shared_ptr<detail::JobCore> core)
      : buffer_(std::make_shared<detail::RunBuffer>(std::move(core))) {}

  // 64 hexadecimal digits, good for Session::attach and `shoal job`.
  std::string id() const { return buffer_->core()->id(); }

  // Every unit once, as soon as it has been verified or has ended otherwise. A loop that was left
  // early is taken up where it was left by the next one. Throws Error(kCancelled) where the job is
  // cancelled meanwhile.
  ResultRange<Output> results() { return ResultRange<Output>(buffer_, false); }
  // The same from unit 0 to the last. What arrives early is kept in memory. Use one or the other.
  ResultRange<Output> in_order() { return ResultRange<Output>(buffer_, true); }

  // Waits until every unit has ended. Results are kept in memory for results() meanwhile: for a
  // large job, loop over results() instead. Throws Error(kCancelled) as results() does.
  void wait() { buffer_->fill(); }

  // Asks the pool. Never throws because of the pool: where it cannot be reached, what is known here
  // is all there is.
  Progress progress() const { return buffer_->core()->progress(); }

  // Stops the job for good. What has been verified by then stays so.
  void cancel() { buffer_->core()->cancel(); }

 private:
  std::shared_ptr<detail::RunBuffer> buffer_;
};

}  // namespace shoal
