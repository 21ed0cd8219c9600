#pragma once

#include <cstdint>

#include "node/protocol/time.h"

// The clocks and the random source of a real process. State machines get their values as arguments.
namespace shoal {

// CLOCK_BOOTTIME: goes on while the machine sleeps, so that a lease ends when others think it does.
Instant boottime_now();
UnixMs unix_ms_now();
// Unix time at Instant{0} of boottime_now(), for configurations that ask for it.
UnixMs unix_ms_at_zero();
// 64 bits from the kernel: the seed of a process's Rng.
std::uint64_t random_seed();

}  // namespace shoal
