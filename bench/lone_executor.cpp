#include "bench/lone_executor.h"

#include <poll.h>
#include <stdlib.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "node/protocol/limits.h"

namespace shoal::bench {
namespace {

constexpr int kPatienceMs = 10'000;
// As the keeper of a worker's executors has it.
constexpr std::uint64_t kChunksAhead = 256;
constexpr std::uint64_t kSetup = 1;
constexpr std::uint64_t kOutputBytesMax = 1 << 20;

}  // namespace

Result<std::unique_ptr<LoneExecutor>, std::string> LoneExecutor::start(const Run& run,
                                                                       const Wish& wish) {
  std::string scratch = (run.folder / "scratch-XXXXXX").string();
  if (::mkdtemp(scratch.data()) == nullptr) {
    return tl::unexpected("cannot make a folder in " + run.folder.string());
  }
  LaunchSpec spec;
  spec.sandbox.program = run.programs / "shoal-sandbox";
  spec.sandbox.level = wish.level;
  spec.sandbox.read_only = wish.readable;
  spec.kind = wish.kind;
  spec.program = run.programs / wish.program;
  spec.arguments = wish.arguments;
  spec.library_folder = wish.library_folder;
  spec.scratch = scratch;
  auto process = ExecutorProcess::start(spec);
  if (!process) return tl::unexpected(process.error());
  std::unique_ptr<LoneExecutor> executor(new LoneExecutor(std::move(*process)));
  bool greeted = false;
  while (!greeted) {
    const auto turned = executor->turn([&](ByteView) {
      greeted = true;
      return std::string();
    });
    if (!turned) return tl::unexpected(turned.error());
  }
  return executor;
}

Measured LoneExecutor::turn(const std::function<std::string(ByteView body)>& take) {
  process_->write_queued();
  const short wanted = process_->queued_bytes() > 0 ? POLLIN | POLLOUT : POLLIN;
  pollfd ready{process_->socket(), wanted, 0};
  if (::poll(&ready, 1, kPatienceMs) != 1) {
    return tl::unexpected(std::string("the executor says nothing"));
  }
  if (const std::string wrong = process_->read_frames(take); !wrong.empty()) {
    return tl::unexpected(wrong);
  }
  if (!process_->finished_reading()) return {};
  process_->read_output();
  return tl::unexpected("the executor ended: " + process_->output_end());
}

void LoneExecutor::use(const std::string& kernel, Bytes parameters) {
  ExecutorSetup setup;
  setup.setup = kSetup;
  setup.kernel = kernel;
  setup.parameters = std::move(parameters);
  setup.output_bytes_max = kOutputBytesMax;
  process_->queue(encode_executor_frame(setup));
}

Measured LoneExecutor::compute(std::uint64_t units, const Take& take) {
  std::uint64_t sent = 0;
  std::uint64_t chunks = 0;  // that are on their way
  std::uint64_t done = 0;
  const auto hear = [&](ByteView body) {
    const auto message = decode_executor_body(body);
    const auto* part = message ? std::get_if<ChunkPart>(&*message) : nullptr;
    if (part == nullptr) return std::string("the executor says what makes no sense");
    if (!part->refused.empty()) return part->refused;
    if (!part->failures.empty()) return "a unit failed: " + part->failures.front().message;
    done += part->sizes.size();
    chunks -= part->last ? 1 : 0;
    take(*part);
    return std::string();
  };
  while (chunks > 0 || sent < units) {
    for (; chunks < kChunksAhead && sent < units; ++chunks) {
      RunChunk chunk;
      chunk.range = {sent, std::min(units, sent + limits::kUnitsPerBatch)};
      sent = chunk.range.last;
      chunk.chunk = ++last_number_;
      chunk.setup = kSetup;
      process_->queue(encode_executor_frame(chunk));
    }
    if (auto turned = turn(hear); !turned) return turned;
  }
  if (done == units) return {};
  return tl::unexpected(std::to_string(done) + " outputs of " + std::to_string(units) + " units");
}

}  // namespace shoal::bench
