#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tests/sim/event_queue.h"
#include "tests/sim/kernel.h"
#include "worker/core/peer.h"

// The simulated executor of one node: so many threads take the units of its chunks in order, and a
// chunk is done when its last unit is.
namespace shoal::sim {

class Executor {
 public:
  Executor(double speed, unsigned threads) : speed_(speed), free_at_(threads, 0) {}

  // When a chunk will be done. A later answer for the same chunk makes earlier ones void.
  struct Due {
    Time at = 0;
    std::uint64_t chunk = 0;
    std::uint32_t version = 0;
  };
  Due start(Time now, const StartCompute&);
  // Its running units are killed, and the chunks behind it move up.
  std::vector<Due> cancel(Time now, std::uint64_t chunk);
  struct Finished {
    StartCompute order;
    Time thread_time = 0;
  };
  // Nothing where the chunk was cancelled or its due time has moved.
  std::optional<Finished> finish(std::uint64_t chunk, std::uint32_t version);

  void crash(Time now);
  void set_speed(double speed) { speed_ = speed; }  // of chunks that start from now on
  double speed() const { return speed_; }
  // Thread time so far, times speed: the nanoseconds that a node of speed 1 would have taken.
  // `finished` went into chunks that were done, `cancelled` and `crashed` into those that ended in
  // that way.
  double finished_work() const { return finished_work_; }
  double cancelled_work() const { return cancelled_work_; }
  double crashed_work() const { return crashed_work_; }
  std::size_t chunks() const { return chunks_.size(); }
  unsigned threads() const { return static_cast<unsigned>(free_at_.size()); }

 private:
  struct Chunk {
    StartCompute order;
    SimKernel kernel;
    double speed = 1;
    std::vector<Time> threads_before;  // when each thread was free as the chunk began,
    std::vector<Time> threads_after;   // and will be as it ends
    Time due = 0;
    Time thread_time = 0;
    std::uint32_t version = 0;
  };
  void schedule(Time now, Chunk& chunk);
  static double work_until(Time now, const Chunk& chunk);

  double speed_;
  double finished_work_ = 0, cancelled_work_ = 0, crashed_work_ = 0;
  std::vector<Time> free_at_;
  std::vector<Chunk> chunks_;  // in the order in which they were started
};

}  // namespace shoal::sim
