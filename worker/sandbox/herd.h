#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <type_traits>

// The processes of one sandbox, kept by one that belongs to us.
namespace shoal {

// What the worker may write to the control socket. Same machine, same build: sent as it lies in
// memory, as the answers are.
struct HerdOrder {
  enum class Kind : std::uint32_t {
    kFreeze,   // none of them runs any more
    kThaw,     // answered, as kFreeze is, when it is done
    kUsage,    // answered with what they have and took
    kThreads,  // from now on they have the time of so many processors. Not answered
  };
  using enum Kind;

  HerdOrder(Kind order) : kind(order) {}
  static HerdOrder of_threads(std::uint32_t threads) {
    HerdOrder order(kThreads);
    order.threads = threads;
    return order;
  }

  Kind kind;
  std::uint32_t threads = 0;  // kThreads; 0: no limit
};
static_assert(std::is_trivially_copyable_v<HerdOrder>);

// What it reads there: an answer, and one when all is over.
struct HerdNews {
  enum class Kind : std::uint8_t { kFrozen, kThawed, kUsage, kEnded };
  Kind kind = Kind::kUsage;
  bool out_of_memory = false;      // kEnded: they had more than the limit together, and were ended
  std::int32_t wait_status = 0;    // kEnded: of the program
  std::uint64_t memory_bytes = 0;  // now; kEnded: the most that was seen
  std::uint64_t cpu_ns = 0;        // of all that have been waited for; kEnded: of all
};
static_assert(std::is_trivially_copyable_v<HerdNews>);

struct Herd {
  pid_t main = -1;                 // the program; leads a process group
  std::uint64_t memory_bytes = 0;  // that they may have together; 0: no limit
  // Of how many processors they have the time, however many threads they start; 0: no limit.
  std::uint32_t threads = 0;
  // A /proc that shows them, to measure them by: that of their own namespace, or, where that could
  // not be mounted, the one outside. -1: they are not measured.
  int proc_fd = -1;
  int control_fd = -1;  // -1: there is nobody to take orders from
  int seal_fd = -1;     // on which the program asks for `seal`, once; -1: it does not
  std::function<bool()> seal;
};

// Until the program has ended: reaps orphans, takes orders, watches memory and processor time, and
// lets nobody else stop the program. As the first process of a process namespace it commands all
// others in it, else the program's process group. All signals must be blocked. Returns the news of
// the end, which the worker has got as well.
HerdNews keep_herd(const Herd& herd);

// Ends the calling process the way that another has ended.
[[noreturn]] void end_like(int wait_status);

}  // namespace shoal
