#include "node/state/memory_limit.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>

namespace shoal {
namespace {

constexpr std::size_t kLimit = 256ULL << 20;

// 0: as much was given as asked for.
int code_of_asking_for(std::size_t bytes) {
  if (!limit_memory(kLimit)) return 2;
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? 1 : 0;
}

TEST(MemoryLimit, MoreIsNotGiven) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's shadow memory would count: such programs have no limit";
#endif
  // Each in a process of its own: a limit holds for the rest of a life.
  EXPECT_EXIT(::_exit(code_of_asking_for(kLimit)), testing::ExitedWithCode(1), "");
  EXPECT_EXIT(::_exit(code_of_asking_for(kLimit / 4)), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace shoal
