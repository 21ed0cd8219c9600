#include "tests/sim/executor.h"

#include <algorithm>
#include <utility>

namespace shoal::sim {

void Executor::schedule(Time now, Chunk& chunk) {
  for (Time& free : free_at_) free = std::max(free, now);
  chunk.threads_before = free_at_;
  chunk.due = now;
  chunk.thread_time = 0;
  for (UnitIndex unit = chunk.order.range.first; unit < chunk.order.range.last; ++unit) {
    const auto thread = std::min_element(free_at_.begin(), free_at_.end());
    const Time takes = unit_time(chunk.kernel, chunk.order.job, unit, chunk.speed);
    *thread += takes;
    chunk.thread_time += takes;
    chunk.due = std::max(chunk.due, *thread);
  }
  chunk.threads_after = free_at_;
  ++chunk.version;
}

double Executor::work_until(Time now, const Chunk& chunk) {
  Time spent = 0;
  for (std::size_t i = 0; i < chunk.threads_before.size(); ++i) {
    const Time end = std::min(now, chunk.threads_after[i]);
    spent += std::max<Time>(0, end - chunk.threads_before[i]);
  }
  return static_cast<double>(spent) * chunk.speed;
}

Executor::Due Executor::start(Time now, const StartCompute& order) {
  Chunk chunk;
  chunk.order = order;
  chunk.kernel = kernel_of(*order.manifest);
  chunk.speed = speed_;
  schedule(now, chunk);
  const Due due{chunk.due, order.chunk, chunk.version};
  chunks_.push_back(std::move(chunk));
  return due;
}

std::vector<Executor::Due> Executor::cancel(Time now, std::uint64_t chunk) {
  std::vector<Due> moved;
  const auto gone = std::find_if(chunks_.begin(), chunks_.end(),
                                 [&](const Chunk& c) { return c.order.chunk == chunk; });
  if (gone == chunks_.end()) return moved;
  cancelled_work_ += work_until(now, *gone);
  free_at_ = gone->threads_before;
  for (auto later = chunks_.erase(gone); later != chunks_.end(); ++later) {
    if (later->due <= now) continue;  // done; its event is already due
    schedule(now, *later);
    moved.push_back({later->due, later->order.chunk, later->version});
  }
  return moved;
}

std::optional<Executor::Finished> Executor::finish(std::uint64_t chunk, std::uint32_t version) {
  const auto found = std::find_if(chunks_.begin(), chunks_.end(), [&](const Chunk& c) {
    return c.order.chunk == chunk && c.version == version;
  });
  if (found == chunks_.end()) return std::nullopt;
  finished_work_ += static_cast<double>(found->thread_time) * found->speed;
  Finished finished{std::move(found->order), found->thread_time};
  chunks_.erase(found);
  return finished;
}

void Executor::crash(Time now) {
  for (const Chunk& chunk : chunks_) crashed_work_ += work_until(now, chunk);
  chunks_.clear();
  std::fill(free_at_.begin(), free_at_.end(), 0);
}

}  // namespace shoal::sim
