#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "node/protocol/bytes.h"
#include "node/protocol/decode_error.h"
#include "node/protocol/facts.h"
#include "node/protocol/range.h"

// The conversation between a worker and its executor (executor.capnp says what each message means),
// and the page of memory in which the executor notes what it is doing.
namespace shoal {

namespace limits {
// One frame: the largest output and its head.
inline constexpr std::size_t kExecutorFrameBytes = (1ULL << 30) + (16ULL << 20);
inline constexpr std::size_t kExecutorHeadBytes = 16ULL << 20;
inline constexpr std::uint64_t kUnitsPerRunChunk = 65'536;
inline constexpr std::size_t kExecutorKernels = 1024;
inline constexpr unsigned kExecutorThreads = 1024;
inline constexpr std::size_t kExecutorCandidates = 64;
inline constexpr std::size_t kCheckpointBytes = 64ULL << 20;  // one unit's
// Of outputs and failures that an executor gathers before it tells them; one output more may come
// on top.
inline constexpr std::size_t kExecutorPartBytes = 4ULL << 20;
}  // namespace limits

// How an executor ends whose kernel has closed its socket: nobody hears it any more.
inline constexpr int kExecutorSocketClosedStatus = 113;

// Views in these structs point into the frame that they were decoded from.
struct ExecutorHello {
  std::vector<std::string> kernels;
};
struct ExecutorSetup {
  std::uint64_t setup = 0;
  std::string kernel;
  Bytes parameters;
  std::uint32_t threads = 1;
  std::uint64_t output_bytes_max = 0;
  std::uint32_t checkpoint_ms = 1000;
};
struct ExecutorDrop {
  std::uint64_t setup = 0;
};
struct RunChunk {
  std::uint64_t chunk = 0;
  std::uint64_t setup = 0;
  Range range;
  bool has_inputs = false;
  std::vector<std::uint32_t> input_sizes;
  ByteView inputs;
};
struct ExecutorCancel {
  std::uint64_t chunk = 0;
};
struct ExecutorFailure {
  UnitIndex unit = 0;
  FailureKind kind = FailureKind::kThrew;
  std::string message;
  std::string stderr_end = {};  // of this unit alone; empty: the executor's is all there is
  std::optional<UnitCost> cost = {};
  friend bool operator==(const ExecutorFailure&, const ExecutorFailure&) = default;
};
struct ChunkPart {
  std::uint64_t chunk = 0;
  std::vector<Range> runs;
  std::vector<std::uint32_t> sizes;
  std::vector<UnitCost> costs;  // one a unit of the runs, or none
  ByteView outputs;
  std::vector<ExecutorFailure> failures;
  std::string refused;
  bool last = false;
  std::uint64_t compute_ns = 0;
};
struct ExecutorCompare {
  std::uint64_t compare = 0;
  std::uint64_t setup = 0;
  UnitIndex unit = 0;
  std::vector<std::uint32_t> sizes;
  ByteView candidates;
};
struct ExecutorCompared {
  std::uint64_t compare = 0;
  bool all_match = false;
  std::string error;
};
struct ExecutorCheckpoint {
  std::uint64_t chunk = 0;
  UnitIndex unit = 0;
  ByteView state;
};
using ExecutorMessage =
    std::variant<ExecutorHello, ExecutorSetup, ExecutorDrop, RunChunk, ExecutorCancel, ChunkPart,
                 ExecutorCompare, ExecutorCompared, ExecutorCheckpoint>;

// A whole frame, with its length in front.
Bytes encode_executor_frame(const ExecutorMessage&);
// `body` is a frame without its length. Total: any bytes give a message whose parts fit together
// (sizes add up to the tail, runs are neither empty nor more than the limit), or an error.
Result<ExecutorMessage, DecodeError> decode_executor_body(ByteView body);

// The largest frame that an executor has a reason to send, where no unit's output may be larger.
std::size_t executor_frame_bytes_max(std::uint64_t output_bytes_max);

// Cuts a stream of bytes into frames. Takes memory only for what has arrived, and never much more
// than the frame that has begun.
class FrameSplitter {
 public:
  explicit FrameSplitter(std::size_t frame_bytes_max = limits::kExecutorFrameBytes)
      : frame_bytes_max_(frame_bytes_max) {}
  // From the next frame on.
  void allow(std::size_t frame_bytes_max) { frame_bytes_max_ = frame_bytes_max; }
  std::size_t allowed() const { return frame_bytes_max_; }
  // Room for at least `bytes` more; valid until the next call.
  std::span<std::uint8_t> room(std::size_t bytes);
  // That many bytes of the room have been filled.
  void filled(std::size_t bytes) { end_ += bytes; }
  // The next whole frame's body, empty where more bytes are needed. The view is valid until the
  // next call of room(). An error is final: the stream cannot be followed any more.
  Result<std::optional<ByteView>, DecodeError> next();

 private:
  // Of the frame that has begun, with its length; 0: that is not known yet, or is past the limit.
  std::size_t begun_bytes() const;

  std::size_t frame_bytes_max_;
  Bytes buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

// What one thread of an executor is doing right now. The executor writes, the worker reads, at any
// time and after the executor's death, to know which unit was to blame or is overdue. The worker
// takes it for a hint: whoever runs in the executor can write here.
struct RunningSlot {
  std::atomic<std::uint64_t> started_ns{0};  // CLOCK_MONOTONIC; 0: this thread runs no unit
  std::atomic<std::uint64_t> chunk{0};
  std::atomic<std::uint64_t> unit{0};
  std::atomic<std::uint32_t> signal{0};  // not 0: this thread died of it
  std::uint32_t padding[9] = {};         // to a cache line: threads must not disturb each other
};
static_assert(sizeof(RunningSlot) == 64);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

struct RunningPage {
  static constexpr std::size_t kSlots = 256;
  RunningSlot slots[kSlots];  // a thread takes one for life; those past the last share it
};

// A consistent copy of a slot, nothing while the thread is between two units.
struct RunningUnit {
  std::uint64_t chunk = 0;
  UnitIndex unit = 0;
  std::uint64_t started_ns = 0;
  int signal = 0;
  friend bool operator==(const RunningUnit&, const RunningUnit&) = default;
};
std::optional<RunningUnit> read_slot(const RunningSlot&);

}  // namespace shoal
