#include "worker/sandbox/limits.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "node/protocol/sanitized.h"

namespace shoal {
namespace {

constexpr std::uint64_t kLockedBytes = 64 * 1024;
// Timers, too. All processes of a user have the system's together.
constexpr std::uint64_t kSignals = 4096;

void limit(__rlimit_resource what, std::uint64_t value) {
  rlimit current{};
  if (::getrlimit(what, &current) != 0) return;
  const rlim_t most = std::min<rlim_t>(value, current.rlim_max);
  const rlimit wanted{most, most};
  ::setrlimit(what, &wanted);
}

}  // namespace

void apply_limits(const SandboxPolicy& policy) {
  forbid_cores();
  limit(RLIMIT_NOFILE, policy.open_files);
  limit(RLIMIT_FSIZE, policy.file_bytes);
  limit(RLIMIT_NPROC, policy.processes);
  limit(RLIMIT_MEMLOCK, kLockedBytes);
  limit(RLIMIT_MSGQUEUE, 0);
  limit(RLIMIT_SIGPENDING, kSignals);
  limit(RLIMIT_NICE, 0);
  limit(RLIMIT_RTPRIO, 0);
  if (policy.cpu_seconds != 0) limit(RLIMIT_CPU, policy.cpu_seconds);
  if (policy.memory_bytes != 0 && !kSanitized) {
    // The engine of wasm reserves far more address space than it ever fills; what others map and
    // share is seen by RLIMIT_AS alone.
    limit(policy.kind == SandboxKind::kWasm ? RLIMIT_DATA : RLIMIT_AS, policy.memory_bytes);
  }
}

// With 0 the system would still start a handler. One byte is what it gives the handlers themselves,
// and holds no core.
void forbid_cores() { limit(RLIMIT_CORE, 1); }

void become_idle() {
  constexpr int this_process = 1;
  constexpr int idle_class = 3 << 13;
  ::syscall(SYS_ioprio_set, this_process, 0, idle_class);
  ::setpriority(PRIO_PROCESS, 0, 19);
  const sched_param idle{};
  ::sched_setscheduler(0, SCHED_IDLE, &idle);
}

void be_the_first_to_go() {
  const int fd = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  [[maybe_unused]] const ssize_t written = ::write(fd, "1000", 4);
  ::close(fd);
}

}  // namespace shoal
