#include "node/state/clock.h"

#include <sys/random.h>
#include <time.h>

#include <cerrno>

#include "node/protocol/result.h"

namespace shoal {
namespace {

std::int64_t read_clock(clockid_t clock) {
  timespec t{};
  check(clock_gettime(clock, &t) == 0, "a clock of the kernel cannot be read");
  return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

}  // namespace

Instant boottime_now() { return {read_clock(CLOCK_BOOTTIME)}; }

UnixMs unix_ms_now() { return read_clock(CLOCK_REALTIME) / 1'000'000; }

UnixMs unix_ms_at_zero() { return unix_ms_now() - boottime_now().ns / 1'000'000; }

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  ssize_t got = 0;
  do {
    got = getrandom(&seed, sizeof seed, 0);
  } while (got < 0 && errno == EINTR);
  check(got == sizeof seed, "the kernel gives no random bytes");
  return seed;
}

}  // namespace shoal
