#include "node/state/memory_limit.h"

#include <sys/resource.h>

#include <algorithm>

#include "node/protocol/sanitized.h"

namespace shoal {
bool limit_memory(std::uint64_t bytes) {
  if (kSanitized) return true;
  rlimit limit{};
  if (::getrlimit(RLIMIT_DATA, &limit) != 0) return false;
  limit.rlim_cur = std::min<rlim_t>(bytes, limit.rlim_max);
  return ::setrlimit(RLIMIT_DATA, &limit) == 0;
}

}  // namespace shoal
