#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "worker/core/peer.h"
#include "worker/runtime/blame.h"
#include "worker/runtime/executor_process.h"
#include "worker/runtime/frozen_time.h"

namespace shoal {

// Units of one chunk, or one comparison, for an executor.
struct ExecutorTask {
  JobId job;
  std::uint64_t chunk = 0;  // of the StartCompute
  Range range;
  std::shared_ptr<const StartCompare> compare;     // else it is units
  std::map<UnitIndex, std::int64_t> told_ns = {};  // when a state of it was told to others
  std::optional<std::int64_t> cancelled_ns = {};   // when nobody wanted it any more
  bool alone_from_the_start = false;               // its executor has run nothing else

  bool cancelled() const { return cancelled_ns.has_value(); }
  void cancel(std::int64_t now_ns) {
    if (!cancelled()) cancelled_ns = now_ns;
  }
};

// Why the keeper ended an executor itself.
enum class EndReason : std::uint8_t {
  kNone,       // it did not: the executor died
  kNonsense,   // it sent what makes no sense
  kOverdue,    // a unit ran past the job's limit
  kCancelled,  // units that nobody wants would not stop
};

// One executor at a time, and what waits for it. A program has two lanes: one for all, and one in
// which suspects run alone.
struct ExecutorLane {
  // A program that ends so often before it has said anything is given up.
  static constexpr unsigned kFailedStartsMax = 3;

  explicit ExecutorLane(bool solo_lane) : solo(solo_lane) {}

  const bool solo;
  std::deque<ExecutorTask> waiting;

  // About the living executor; forgotten with it.
  struct Living {
    std::unique_ptr<ExecutorProcess> process;
    std::uint64_t token = 0;                          // names it in epoll
    std::map<std::uint64_t, ExecutorTask> in_flight;  // by the number it was sent under
    std::set<std::uint64_t> setups;                   // that it knows
    unsigned threads = 0;  // whose time its sandbox lets it have, however many it starts
    bool greeted = false;
    bool used = false;           // it has finished a task
    bool wants_write = false;    // as epoll knows it
    bool socket_watched = true;  // as epoll knows it
    bool output_watched = true;
    EndReason reason = EndReason::kNone;
    std::string nonsense;
    std::vector<RunningUnit> overdue;
    FrozenTime frozen;
    std::int64_t started_ns = 0;
    std::int64_t closed_ns = 0;  // when it closed its socket; 0: it has not
    std::int64_t check_ns = 0;   // when to look for overdue units next
  };
  std::unique_ptr<Living> living;
  unsigned failed_starts = 0;  // one after another
  std::int64_t last_used_ns = 0;

  bool idle() const { return waiting.empty() && (!living || living->in_flight.empty()); }
};

struct ExecutorProgram {
  std::filesystem::path path;
  std::vector<std::string> arguments;
  std::vector<std::filesystem::path> readable;
  std::vector<std::filesystem::path> contents;  // that it is given
  SandboxKind kind = SandboxKind::kNative;
  ExecutorLane lane{false};
  ExecutorLane solo{true};
};

}  // namespace shoal
