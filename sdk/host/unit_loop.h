#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "node/protocol/executor_messages.h"
#include "shoal/kernel.h"

// Runs the units of chunks on the donor's threads. Several chunks are in work at once; within one,
// each thread takes the next few units when it is done with its last ones, a few being as many as
// fill some microseconds by the kernel's measured pace. So neither units of nanoseconds nor units
// of hours leave a thread without work.
//
// Nothing waits for anything here: a thread that finds a chunk empty goes on to the next chunk.
// Units may use oneTBB themselves; while one waits for its own tasks it is kept from starting
// another unit.
namespace shoal {

class UnitLoop {
 public:
  // Sends one whole frame. Called from many threads at once.
  using SendFrame = std::function<void(Bytes frame)>;

  // All must outlive the loop. Threads take slots of `page`.
  UnitLoop(const std::vector<KernelEntry>& kernels, RunningPage& page, SendFrame send);
  // Starts no more units, and waits for those that run.
  ~UnitLoop();

  // From one thread only.
  // Every setup from now on is refused with `why`.
  void refuse_all(std::string why) { refusal_ = std::move(why); }
  void perform(const ExecutorSetup&);
  void perform(const ExecutorDrop&);
  // `frame` owns the bytes that the message's views point to.
  void perform(const RunChunk&, std::shared_ptr<const Bytes> frame);
  void perform(const ExecutorCancel&);
  // Before the chunk that it belongs to.
  void perform(const ExecutorCheckpoint&);
  void perform(const ExecutorCompare&, std::shared_ptr<const Bytes> frame);

 private:
  class Arena;
  struct Setup;
  struct Chunk;
  struct Gathered;
  class Slot;
  class UnitState;

  std::shared_ptr<Setup> setup_of(std::uint64_t number) const;
  unsigned threads_for(const Chunk& chunk) const;
  void pull(const std::shared_ptr<Chunk>& chunk);
  void enqueue_pullers(const std::shared_ptr<Chunk>& chunk, unsigned count);
  std::optional<Range> take(Chunk& chunk);
  void give_back(const std::shared_ptr<Chunk>& chunk, Range units);
  // Returns those of `units` that it has not run, because they take too long or are not wanted.
  Range run_units(Chunk& chunk, Range units, RunningSlot& slot, Gathered& gathered);
  void run_unit(Chunk& chunk, UnitIndex unit, std::uint64_t begin_ns, Gathered& gathered);
  void send_part(std::uint64_t chunk, Gathered gathered, bool last);
  void refuse(std::uint64_t chunk, const std::string& why);
  void compare(const Setup& setup, const ExecutorCompare& request);
  void leave();

  const std::vector<KernelEntry>& kernels_;
  RunningPage& page_;
  SendFrame send_;
  std::unique_ptr<Arena> arena_;  // from the first setup on
  std::map<std::uint64_t, std::shared_ptr<Setup>> setups_;
  std::string refusal_;
  std::map<std::uint64_t, std::map<UnitIndex, Bytes>> saved_;  // by chunk, until that comes

  std::mutex mutex_;  // guards what follows
  std::condition_variable idle_;
  std::map<std::uint64_t, std::weak_ptr<Chunk>> chunks_;
  std::vector<std::size_t> free_slots_;
  std::uint64_t inside_ = 0;  // tasks enqueued and not yet over
};

}  // namespace shoal
