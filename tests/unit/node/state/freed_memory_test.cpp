#include "node/state/freed_memory.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <latch>
#include <string>
#include <thread>
#include <vector>

namespace shoal {
namespace {

constexpr std::size_t kBlockBytes = 256 << 10;
constexpr std::size_t kBlocksAtOnce = 16;
constexpr int kRounds = 100;

// As often as blocks of a content come and go in the thread that moves them.
long faults_of_moving_blocks() {
  long faults = 0;
  std::thread([&faults] {
    const auto faults_now = [] {
      rusage usage{};
      ::getrusage(RUSAGE_THREAD, &usage);
      return usage.ru_minflt;
    };
    const long before = faults_now();
    std::vector<void*> blocks(kBlocksAtOnce);
    for (int round = 0; round < kRounds; ++round) {
      for (void*& block : blocks) {
        block = std::malloc(kBlockBytes);
        std::memset(block, round + 1, kBlockBytes);
      }
      for (void* block : blocks) std::free(block);
    }
    faults = faults_now() - before;
  }).join();
  return faults;
}

TEST(FreedMemory, IsUsedAgainWithoutAskingTheSystemForEachPage) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer has an allocator of its own";
#endif
  const auto code = [] {
    keep_freed_memory();
    const long pages = static_cast<long>(kBlockBytes * kBlocksAtOnce) / ::getpagesize();
    return faults_of_moving_blocks() < 4 * pages ? 0 : 1;  // of kRounds times as many
  };
  EXPECT_EXIT(::_exit(code()), testing::ExitedWithCode(0), "");
}

// Arenas that threads have which all want memory in one moment.
std::size_t arenas_of_threads() {
  std::latch all_have_some(4);
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      void* block = std::malloc(kBlockBytes);
      all_have_some.arrive_and_wait();
      std::free(block);
    });
  }
  threads.clear();
  char* text = nullptr;
  std::size_t size = 0;
  FILE* out = ::open_memstream(&text, &size);
  ::malloc_info(0, out);
  std::fclose(out);
  const std::string info(text, size);
  std::free(text);
  std::size_t arenas = 0;
  for (auto at = info.find("<heap "); at != std::string::npos; at = info.find("<heap ", at + 1)) {
    ++arenas;
  }
  return arenas;
}

TEST(FreedMemory, IsKeptOnceForAllThreads) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer has an allocator of its own";
#endif
  const auto code = [] {
    keep_freed_memory();
    return arenas_of_threads() == 1 ? 0 : 1;
  };
  EXPECT_EXIT(::_exit(code()), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace shoal
