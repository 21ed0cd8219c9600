#pragma once

#include <cstdint>

namespace shoal {

// Where more memory than this is asked for, the process ends rather than the machine: what is
// counted is what it may write to (RLIMIT_DATA), for this process and those that it starts.
// False: the system does not take the limit. Programs under AddressSanitizer or ThreadSanitizer,
// whose shadow memory would count, are left without one.
bool limit_memory(std::uint64_t bytes);

}  // namespace shoal
