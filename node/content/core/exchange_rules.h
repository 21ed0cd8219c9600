#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "node/protocol/limits.h"
#include "node/protocol/time.h"

// The exchange's times and bounds.
namespace shoal::exchange_rules {

inline constexpr Duration kBlockTimeout = 4s;
inline constexpr unsigned kDoublingsMax = 4;  // 64 s
// A source that keeps delivering is not late for the blocks queued behind; but a block that it
// holds back while it delivers others is, after this many timeouts.
inline constexpr int kTimeoutsMax = 8;
// The first blocks are picked at random, so that many who start together do not all want the same
// one; then in order, which disks like.
inline constexpr std::uint64_t kBlocksAtRandom = 4;
// Blocks of one want in flight or on their way to the disk, over all its sources: 16 MiB.
inline constexpr std::size_t kBlocksAhead = 64;
inline constexpr std::size_t kSourcesPerWant = 64;
inline constexpr std::size_t kReadsPerReader = 2 * limits::kContentWindow;

inline Duration doubled(Duration base, unsigned times) {
  return base * (1 << std::min(times, kDoublingsMax));
}

}  // namespace shoal::exchange_rules
