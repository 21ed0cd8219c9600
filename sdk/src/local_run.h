#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "shoal/job.h"
#include "shoal/kernel.h"
#include "shoal/session.h"

namespace shoal {

// A job computed right here, in oneTBB. Units are started as results are taken: what is ready and
// not yet taken is bounded, so that 10^9 units need no more memory than a million. Nobody waits
// inside the arena: a thread that is too far ahead goes home, and is called again later.
class LocalRun final : public detail::JobCore {
 public:
  // Throws UnitRefused where the kernel does not take the parameters.
  LocalRun(detail::JobRequest request, unsigned threads);
  ~LocalRun() override;  // ends what runs

  std::string id() const override { return "local"; }
  std::shared_ptr<const detail::UnitRun> next() override;
  Bytes fetch(const detail::UnitRun& run, std::uint64_t place) override;
  void save(const detail::UnitRun& run, std::uint64_t place,
            const std::filesystem::path& to) override;
  Progress progress() override;
  void cancel() override;

 private:
  struct Arena;
  using Runs = std::vector<std::shared_ptr<const detail::UnitRun>>;

  void work();  // on a thread of the arena
  Runs compute(std::uint64_t first, std::uint64_t last);
  std::optional<UnitError> compute_one(std::uint64_t unit, Bytes& output);
  void call_threads();  // with the mutex held

  const detail::JobRequest request_;
  UnitFunction function_;
  std::atomic<bool> cancelled_{false};

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::uint64_t next_unit_ = 0;
  std::uint64_t ended_ = 0, failed_ = 0;
  std::uint64_t unit_ns_ = 0;  // a running mean; 0: not known
  std::deque<std::shared_ptr<const detail::UnitRun>> ready_;
  std::uint64_t ready_units_ = 0, ready_bytes_ = 0;
  unsigned working_ = 0;
  unsigned threads_ = 1;

  std::unique_ptr<Arena> arena_;  // last: gone before what its threads use
};

// Writes `bytes` to `file`. Throws Error(kState).
void write_output(const std::filesystem::path& file, ByteView bytes);

}  // namespace shoal
