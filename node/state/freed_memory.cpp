#include "node/state/freed_memory.h"

#include <malloc.h>

namespace shoal {
namespace {

constexpr int kKeptBytes = 16 << 20;
// What is larger has pages of its own, which go back when it is freed.
constexpr int kOwnPagesFrom = 2 << 20;
constexpr int kTakenAtOnce = 1 << 20;

}  // namespace

void keep_freed_memory() {
  ::mallopt(M_ARENA_MAX, 1);
  ::mallopt(M_TRIM_THRESHOLD, kKeptBytes);
  ::mallopt(M_MMAP_THRESHOLD, kOwnPagesFrom);
  ::mallopt(M_TOP_PAD, kTakenAtOnce);
}

}  // namespace shoal
