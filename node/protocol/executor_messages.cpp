#include "node/protocol/executor_messages.h"

#include <capnp/message.h>
#include <capnp/serialize.h>

#include <algorithm>
#include <cstring>

#include "node/protocol/executor.capnp.h"
#include "node/protocol/limits.h"
#include "node/protocol/result.h"

namespace shoal {
namespace {

namespace wire = wire_executor;

constexpr std::size_t kLengthBytes = 4;
constexpr std::size_t kKeptBufferBytes = 4 << 20;

void put_u32(std::uint8_t* at, std::size_t value) {
  for (int i = 0; i < 4; ++i) at[i] = static_cast<std::uint8_t>(value >> (8 * i));
}

std::uint32_t get_u32(const std::uint8_t* at) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value |= std::uint32_t{at[i]} << (8 * i);
  return value;
}

capnp::Text::Reader text(const std::string& s) { return {s.c_str(), s.size()}; }

template <class List>
void put_sizes(List to, const std::vector<std::uint32_t>& sizes) {
  for (std::size_t i = 0; i < sizes.size(); ++i) to.set(static_cast<unsigned>(i), sizes[i]);
}

void put(wire::ExecutorMessage::Builder to, const ExecutorHello& m) {
  auto kernels = to.initHello().initKernels(static_cast<unsigned>(m.kernels.size()));
  for (unsigned i = 0; i < kernels.size(); ++i) kernels.set(i, text(m.kernels[i]));
}
void put(wire::ExecutorMessage::Builder to, const ExecutorSetup& m) {
  auto setup = to.initSetup();
  setup.setSetup(m.setup);
  setup.setKernel(text(m.kernel));
  setup.setParameters({m.parameters.data(), m.parameters.size()});
  setup.setThreads(m.threads);
  setup.setOutputBytesMax(m.output_bytes_max);
  setup.setCheckpointMs(m.checkpoint_ms);
}
void put(wire::ExecutorMessage::Builder to, const ExecutorDrop& m) { to.setDrop(m.setup); }
void put(wire::ExecutorMessage::Builder to, const ExecutorCancel& m) { to.setCancel(m.chunk); }
void put(wire::ExecutorMessage::Builder to, const RunChunk& m) {
  auto run = to.initRun();
  run.setChunk(m.chunk);
  run.setSetup(m.setup);
  run.setFirst(m.range.first);
  run.setLast(m.range.last);
  run.setHasInputs(m.has_inputs);
  put_sizes(run.initInputSizes(static_cast<unsigned>(m.input_sizes.size())), m.input_sizes);
}
void put(wire::Cost::Builder to, const UnitCost& cost) {
  to.setWallMs(cost.wall_ms);
  to.setCpuMs(cost.cpu_ms);
  to.setMemoryKib(cost.memory_kib);
  to.setExitStatus(cost.exit_status);
  to.setSignal(cost.signal);
}
UnitCost take(wire::Cost::Reader from) {
  return {from.getWallMs(), from.getCpuMs(), from.getMemoryKib(), from.getExitStatus(),
          from.getSignal()};
}
void put(wire::ExecutorMessage::Builder to, const ChunkPart& m) {
  auto part = to.initPart();
  part.setChunk(m.chunk);
  auto runs = part.initRuns(static_cast<unsigned>(2 * m.runs.size()));
  for (unsigned i = 0; i < m.runs.size(); ++i) {
    runs.set(2 * i, m.runs[i].first);
    runs.set(2 * i + 1, m.runs[i].last);
  }
  put_sizes(part.initSizes(static_cast<unsigned>(m.sizes.size())), m.sizes);
  auto failures = part.initFailures(static_cast<unsigned>(m.failures.size()));
  for (unsigned i = 0; i < failures.size(); ++i) {
    failures[i].setUnit(m.failures[i].unit);
    failures[i].setKind(static_cast<std::uint8_t>(m.failures[i].kind));
    failures[i].setMessage(text(m.failures[i].message));
    failures[i].setStderrEnd(text(m.failures[i].stderr_end));
    if (m.failures[i].cost) put(failures[i].initCost(), *m.failures[i].cost);
  }
  part.setRefused(text(m.refused));
  part.setLast(m.last);
  part.setComputeNs(m.compute_ns);
  auto costs = part.initCosts(static_cast<unsigned>(m.costs.size()));
  for (unsigned i = 0; i < costs.size(); ++i) put(costs[i], m.costs[i]);
}
void put(wire::ExecutorMessage::Builder to, const ExecutorCompare& m) {
  auto compare = to.initCompare();
  compare.setCompare(m.compare);
  compare.setSetup(m.setup);
  compare.setUnit(m.unit);
  put_sizes(compare.initSizes(static_cast<unsigned>(m.sizes.size())), m.sizes);
}
void put(wire::ExecutorMessage::Builder to, const ExecutorCompared& m) {
  auto compared = to.initCompared();
  compared.setCompare(m.compare);
  compared.setAllMatch(m.all_match);
  compared.setError(text(m.error));
}
void put(wire::ExecutorMessage::Builder to, const ExecutorCheckpoint& m) {
  auto checkpoint = to.initCheckpoint();
  checkpoint.setChunk(m.chunk);
  checkpoint.setUnit(m.unit);
}

ByteView tail_of(const ExecutorMessage& message) {
  if (const auto* run = std::get_if<RunChunk>(&message)) return run->inputs;
  if (const auto* part = std::get_if<ChunkPart>(&message)) return part->outputs;
  if (const auto* compare = std::get_if<ExecutorCompare>(&message)) return compare->candidates;
  if (const auto* saved = std::get_if<ExecutorCheckpoint>(&message)) return saved->state;
  return {};
}

tl::unexpected<DecodeError> bad(std::string what) {
  return tl::unexpected(DecodeError{DecodeFault::kBadValue, std::move(what)});
}
tl::unexpected<DecodeError> too_large(std::string what) {
  return tl::unexpected(DecodeError{DecodeFault::kTooLarge, std::move(what)});
}

using Decoded = Result<ExecutorMessage, DecodeError>;

std::string take_text(capnp::Text::Reader reader) { return {reader.cStr(), reader.size()}; }

// Nothing unless the sizes fill the tail exactly.
std::optional<std::vector<std::uint32_t>> take_sizes(capnp::List<std::uint32_t>::Reader list,
                                                     std::size_t tail_bytes) {
  std::vector<std::uint32_t> sizes(list.size());
  std::uint64_t sum = 0;
  for (unsigned i = 0; i < list.size(); ++i) {
    sizes[i] = list[i];
    sum += sizes[i];
  }
  if (sum != tail_bytes) return std::nullopt;
  return sizes;
}

Decoded take(wire::Hello::Reader from) {
  ExecutorHello hello;
  if (from.getKernels().size() > limits::kExecutorKernels) return too_large("hello.kernels");
  for (auto name : from.getKernels()) {
    if (name.size() > limits::kTextBytes) return too_large("hello.kernels: a name");
    hello.kernels.push_back(take_text(name));
  }
  return hello;
}

// Each list is asked for once: the reader's limit counts what is looked at, again and again.
Decoded take(wire::Setup::Reader from) {
  const auto parameters = from.getParameters();
  if (parameters.size() > limits::kManifestBytes) return too_large("setup.parameters");
  if (from.getKernel().size() > limits::kTextBytes) return too_large("setup.kernel");
  if (from.getThreads() == 0 || from.getThreads() > limits::kExecutorThreads) {
    return bad("setup.threads");
  }
  ExecutorSetup setup;
  setup.setup = from.getSetup();
  setup.kernel = take_text(from.getKernel());
  setup.parameters.assign(parameters.begin(), parameters.end());
  setup.threads = from.getThreads();
  setup.output_bytes_max = from.getOutputBytesMax();
  setup.checkpoint_ms = from.getCheckpointMs();
  return setup;
}

Decoded take(wire::RunChunk::Reader from, ByteView tail) {
  RunChunk run;
  run.chunk = from.getChunk();
  run.setup = from.getSetup();
  run.range = {from.getFirst(), from.getLast()};
  if (run.range.empty()) return bad("run: no units");
  if (run.range.size() > limits::kUnitsPerRunChunk) return too_large("run: units");
  run.has_inputs = from.getHasInputs();
  if (from.getInputSizes().size() != (run.has_inputs ? run.range.size() : 0)) {
    return bad("run.inputSizes: not one a unit");
  }
  auto sizes = take_sizes(from.getInputSizes(), tail.size());
  if (!sizes) return bad("run.inputSizes: do not add up");
  run.input_sizes = std::move(*sizes);
  run.inputs = tail;
  return run;
}

Decoded take(wire::ChunkPart::Reader from, ByteView tail) {
  ChunkPart part;
  part.chunk = from.getChunk();
  auto runs = from.getRuns();
  if (runs.size() % 2 != 0) return bad("part.runs: not in pairs");
  if (runs.size() / 2 > limits::kUnitsPerRunChunk) return too_large("part.runs");
  std::uint64_t units = 0;
  for (unsigned i = 0; i < runs.size(); i += 2) {
    const Range range{runs[i], runs[i + 1]};
    if (range.empty()) return bad("part.runs: an empty one");
    if (range.size() > limits::kUnitsPerRunChunk) return too_large("part.runs: units");
    units += range.size();
    part.runs.push_back(range);
  }
  const auto sizes_read = from.getSizes();
  if (units != sizes_read.size()) return bad("part.sizes: not one a unit");
  auto sizes = take_sizes(sizes_read, tail.size());
  if (!sizes) return bad("part.sizes: do not add up");
  part.sizes = std::move(*sizes);
  part.outputs = tail;
  const auto failures = from.getFailures();
  if (failures.size() > limits::kUnitsPerRunChunk) return too_large("part.failures");
  for (auto failure : failures) {
    if (failure.getKind() > static_cast<std::uint8_t>(FailureKind::kRefused)) {
      return bad("part.failures: kind");
    }
    const auto message = failure.getMessage();
    const auto stderr_end = failure.getStderrEnd();
    if (message.size() > limits::kFailureTextBytes ||
        stderr_end.size() > limits::kFailureTextBytes) {
      return too_large("part.failures: message");
    }
    part.failures.push_back({failure.getUnit(), static_cast<FailureKind>(failure.getKind()),
                             take_text(message), take_text(stderr_end)});
    if (failure.hasCost()) part.failures.back().cost = take(failure.getCost());
  }
  const auto costs = from.getCosts();
  if (costs.size() != 0 && costs.size() != part.sizes.size()) {
    return bad("part.costs: not one a unit");
  }
  for (auto cost : costs) part.costs.push_back(take(cost));
  if (from.getRefused().size() > limits::kFailureTextBytes) return too_large("part.refused");
  part.refused = take_text(from.getRefused());
  part.last = from.getLast();
  part.compute_ns = from.getComputeNs();
  return part;
}

Decoded take(wire::Compare::Reader from, ByteView tail) {
  if (from.getSizes().size() > limits::kExecutorCandidates) return too_large("compare.sizes");
  auto sizes = take_sizes(from.getSizes(), tail.size());
  if (!sizes) return bad("compare.sizes: do not add up");
  return ExecutorCompare{from.getCompare(), from.getSetup(), from.getUnit(), std::move(*sizes),
                         tail};
}

Decoded take(wire::Compared::Reader from) {
  if (from.getError().size() > limits::kFailureTextBytes) return too_large("compared.error");
  return ExecutorCompared{from.getCompare(), from.getAllMatch(), take_text(from.getError())};
}

Decoded take(wire::Checkpoint::Reader from, ByteView tail) {
  if (tail.size() > limits::kCheckpointBytes) return too_large("checkpoint");
  return ExecutorCheckpoint{from.getChunk(), from.getUnit(), tail};
}

Decoded take(wire::ExecutorMessage::Reader from, ByteView tail) {
  switch (from.which()) {
    case wire::ExecutorMessage::HELLO:
      return take(from.getHello());
    case wire::ExecutorMessage::SETUP:
      return take(from.getSetup());
    case wire::ExecutorMessage::DROP:
      return ExecutorDrop{from.getDrop()};
    case wire::ExecutorMessage::RUN:
      return take(from.getRun(), tail);
    case wire::ExecutorMessage::CANCEL:
      return ExecutorCancel{from.getCancel()};
    case wire::ExecutorMessage::PART:
      return take(from.getPart(), tail);
    case wire::ExecutorMessage::COMPARE:
      return take(from.getCompare(), tail);
    case wire::ExecutorMessage::COMPARED:
      return take(from.getCompared());
    case wire::ExecutorMessage::CHECKPOINT:
      return take(from.getCheckpoint(), tail);
  }
  return tl::unexpected(DecodeError{DecodeFault::kUnknown, "a kind of message not known here"});
}

}  // namespace

Bytes encode_executor_frame(const ExecutorMessage& message) {
  capnp::MallocMessageBuilder builder;
  auto root = builder.initRoot<wire::ExecutorMessage>();
  std::visit([&](const auto& m) { put(root, m); }, message);
  const auto words = capnp::messageToFlatArray(builder);
  const auto head = words.asBytes();
  const ByteView tail = tail_of(message);
  check(head.size() <= limits::kExecutorHeadBytes &&
            head.size() + tail.size() + kLengthBytes <= limits::kExecutorFrameBytes,
        "an executor frame past its limit");
  Bytes frame(2 * kLengthBytes + head.size() + tail.size());
  put_u32(frame.data(), frame.size() - kLengthBytes);
  put_u32(frame.data() + kLengthBytes, head.size());
  std::memcpy(frame.data() + 2 * kLengthBytes, head.begin(), head.size());
  if (!tail.empty()) {
    std::memcpy(frame.data() + 2 * kLengthBytes + head.size(), tail.data(), tail.size());
  }
  return frame;
}

Result<ExecutorMessage, DecodeError> decode_executor_body(ByteView body) {
  const auto malformed = [](std::string what) {
    return tl::unexpected(DecodeError{DecodeFault::kMalformed, std::move(what)});
  };
  if (body.size() < kLengthBytes) return malformed("frame: no head");
  const std::size_t head_bytes = get_u32(body.data());
  body = body.subspan(kLengthBytes);
  if (head_bytes > limits::kExecutorHeadBytes) return too_large("frame: head");
  if (head_bytes > body.size() || head_bytes % sizeof(capnp::word) != 0) {
    return malformed("frame: head");
  }
  // The head lies at any address in the frame, and capnp wants it on a whole word.
  auto words = kj::heapArray<capnp::word>(head_bytes / sizeof(capnp::word));
  if (head_bytes != 0) std::memcpy(words.begin(), body.data(), head_bytes);
  capnp::ReaderOptions options;
  options.traversalLimitInWords = 2 * words.size() + 64;
  options.nestingLimit = 8;
  try {
    capnp::FlatArrayMessageReader reader(words, options);
    return take(reader.getRoot<wire::ExecutorMessage>(), body.subspan(head_bytes));
  } catch (const kj::Exception& e) {
    return malformed(std::string("frame: ") + e.getDescription().cStr());
  }
}

std::size_t executor_frame_bytes_max(std::uint64_t output_bytes_max) {
  // What threads gathered comes together at the end of a chunk, and is less than a state may be.
  static_assert(limits::kCheckpointBytes >= 2 * limits::kExecutorPartBytes);
  const auto output = static_cast<std::size_t>(std::min(output_bytes_max, limits::kOutputBytes));
  return std::min(limits::kExecutorHeadBytes + limits::kCheckpointBytes + output,
                  limits::kExecutorFrameBytes);
}

std::size_t FrameSplitter::begun_bytes() const {
  if (end_ - begin_ < kLengthBytes) return 0;
  const std::size_t length = get_u32(buffer_.data() + begin_);
  return length > frame_bytes_max_ ? 0 : kLengthBytes + length;
}

std::span<std::uint8_t> FrameSplitter::room(std::size_t bytes) {
  if (begin_ == end_) {
    begin_ = end_ = 0;
    if (buffer_.size() > kKeptBufferBytes) buffer_ = {};  // one large output is not the rule
  }
  if (buffer_.size() - end_ < bytes && begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() - end_ < bytes) {
    std::size_t size = 2 * buffer_.size();
    if (const std::size_t begun = begun_bytes(); begun != 0) size = std::min(size, begun + bytes);
    buffer_.resize(std::max(end_ + bytes, size));
  }
  return {buffer_.data() + end_, buffer_.size() - end_};
}

Result<std::optional<ByteView>, DecodeError> FrameSplitter::next() {
  const std::size_t held = end_ - begin_;
  if (held < kLengthBytes) return std::optional<ByteView>();
  const std::size_t length = get_u32(buffer_.data() + begin_);
  if (length > frame_bytes_max_) {
    return too_large("a frame of " + std::to_string(length) + " bytes, where at most " +
                     std::to_string(frame_bytes_max_) + " can be needed");
  }
  if (held - kLengthBytes < length) return std::optional<ByteView>();
  const ByteView body(buffer_.data() + begin_ + kLengthBytes, length);
  begin_ += kLengthBytes + length;
  return std::optional<ByteView>(body);
}

std::optional<RunningUnit> read_slot(const RunningSlot& slot) {
  for (int attempt = 0; attempt < 3; ++attempt) {
    const std::uint64_t started = slot.started_ns.load(std::memory_order_acquire);
    if (started == 0) return std::nullopt;
    RunningUnit running;
    running.chunk = slot.chunk.load(std::memory_order_acquire);
    running.unit = slot.unit.load(std::memory_order_acquire);
    running.signal = static_cast<int>(slot.signal.load(std::memory_order_acquire));
    running.started_ns = started;
    if (slot.started_ns.load(std::memory_order_acquire) == started) return running;
  }
  return std::nullopt;
}

}  // namespace shoal
