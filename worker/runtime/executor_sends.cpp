#include <algorithm>

#include "node/protocol/limits.h"
#include "worker/runtime/executor_keeper_impl.h"

namespace shoal {
namespace {

constexpr std::size_t kTaskInputBytes = 8 << 20;  // unless a single unit has more

}  // namespace

void ExecutorKeeper::Impl::send(ExecutorLane& lane, ExecutorTask task) {
  Living& living = *lane.living;
  const JobInUse& job = jobs.at(task.job);
  if (!living.setups.contains(job.setup)) send_setup(living, job);
  lane.last_used_ns = keeper_now_ns();
  task.alone_from_the_start = lane.solo && !living.used;
  const std::int64_t wall_ns = unit_wall_ns(task);
  if (task.compare) {
    send_compare(living, std::move(task));
  } else {
    send_units(lane, job, std::move(task));
  }
  living.check_ns = std::min(living.check_ns, lane.last_used_ns + wall_ns);
}

void ExecutorKeeper::Impl::send_setup(Living& living, const JobInUse& job) {
  ExecutorSetup setup;
  setup.setup = job.setup;
  setup.kernel = job.manifest->kernel;
  setup.parameters = job.manifest->parameters;
  setup.threads = std::min(job.threads, limits::kExecutorThreads);
  setup.output_bytes_max = job.manifest->output_bytes_max;
  setup.checkpoint_ms = static_cast<std::uint32_t>(config.checkpoint_every.count());
  // It has to hold an output itself before it can send it.
  living.process->expect_outputs(config.memory_bytes == 0
                                     ? setup.output_bytes_max
                                     : std::min(setup.output_bytes_max, config.memory_bytes));
  living.process->queue(encode_executor_frame(setup));
  living.setups.insert(job.setup);
}

void ExecutorKeeper::Impl::send_units(ExecutorLane& lane, const JobInUse& job, ExecutorTask task) {
  RunChunk run;
  run.chunk = ++last_number;
  run.setup = job.setup;
  if (job.inputs) {
    std::size_t bytes = 0;
    UnitIndex unit = task.range.first;
    for (; unit < task.range.last; ++unit) {
      const std::size_t size = job.inputs->input(unit).size();
      if (unit > task.range.first && bytes + size > kTaskInputBytes) break;
      bytes += size;
      run.input_sizes.push_back(static_cast<std::uint32_t>(size));
    }
    if (unit < task.range.last) {
      ExecutorTask rest = task;
      rest.range.first = unit;
      lane.waiting.push_front(std::move(rest));
      task.range.last = unit;
    }
    if (bytes > kInputBytesMax) {
      return fail_task(task, FailureKind::kRefused, "the unit's input is larger than 1 GiB", {});
    }
    run.has_inputs = true;
    run.inputs = inputs_of(*job.inputs, task.range);
  }
  run.range = task.range;
  send_checkpoints(*lane.living, task, run.chunk);
  lane.living->process->queue(encode_executor_frame(run));
  lane.living->in_flight.emplace(run.chunk, std::move(task));
}

void ExecutorKeeper::Impl::send_compare(Living& living, ExecutorTask task) {
  const PackedOutputs& candidates = task.compare->candidates;
  ExecutorCompare request;
  Bytes bytes;
  std::size_t inline_at = 0;
  std::size_t large_at = 0;
  std::string wrong;
  for (std::uint64_t size : candidates.sizes) {
    if (size > limits::kInlineOutputBytes) {
      auto output = large_at < candidates.large.size()
                        ? contents.read(candidates.large[large_at++])
                        : tl::unexpected(StoreError{StoreFault::kMissing, "it is not named"});
      if (!output) {
        wrong = "an output to be compared is not here: " + output.error().what;
        break;
      }
      bytes.insert(bytes.end(), output->begin(), output->end());
      request.sizes.push_back(static_cast<std::uint32_t>(output->size()));
    } else {
      if (candidates.inline_bytes.size() - inline_at < size) {
        wrong = "the outputs to be compared do not fit together";
        break;
      }
      const auto begin = candidates.inline_bytes.begin() + static_cast<std::ptrdiff_t>(inline_at);
      bytes.insert(bytes.end(), begin, begin + static_cast<std::ptrdiff_t>(size));
      request.sizes.push_back(static_cast<std::uint32_t>(size));
      inline_at += size;
    }
    if (bytes.size() > kInputBytesMax || request.sizes.size() > limits::kExecutorCandidates) {
      wrong = "the outputs to be compared are too many or too large";
      break;
    }
  }
  if (!wrong.empty()) return fail_task(task, FailureKind::kRefused, wrong, {});
  request.compare = ++last_number;
  request.setup = jobs.at(task.job).setup;
  request.unit = task.compare->unit;
  request.candidates = bytes;
  living.process->queue(encode_executor_frame(request));
  living.in_flight.emplace(request.compare, std::move(task));
}

}  // namespace shoal
