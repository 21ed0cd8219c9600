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
// A fetch whose source is there, and says that it holds what is missing, waits at least so long for
// the next block: one that shares a narrow line with others needs more than seconds for it.
inline constexpr Duration kPatienceWithHolder = 30s;
// A source that keeps delivering is not late for the blocks queued behind; but a block that it
// holds back while it delivers others is, after this many timeouts.
inline constexpr int kTimeoutsMax = 8;
// The first blocks are picked at random, so that many who start together do not all want the same
// one; then the rarest.
inline constexpr std::uint64_t kBlocksAtRandom = 4;
// Missing blocks among which the rarest is looked for: a content may have millions.
inline constexpr std::uint64_t kBlocksCompared = 2048;
// Blocks of one want in flight or on their way to the disk, over all its sources: 32 MiB.
inline constexpr std::size_t kBlocksAhead = 128;
inline constexpr std::size_t kSourcesPerWant = 64;
inline constexpr std::size_t kSourcesNamed = 8;  // to people, where all of them have failed
inline constexpr std::size_t kAsksPerReader = 2 * limits::kContentWindowMax;
// Blocks that are read ahead of what a reader's link has taken: enough to keep it busy while the
// next one is read. To one that took longer than kQuickBlock for the last, one at a time.
inline constexpr std::size_t kBlocksAheadOfReader = 4;
inline constexpr Duration kQuickBlock = 1s;
// Of all readers together: 8 MiB, of which a wire that they share sends each his part in turn. Not
// counted are those whose link has taken nothing for a while; with them at most 256 MiB.
inline constexpr std::size_t kBlocksAheadOfAll = 32;
// More than those, where slow readers have them: for those who took the last one within
// kQuickBlock.
inline constexpr std::size_t kBlocksAheadOfQuick = 8;
inline constexpr Duration kStuckAfter = 10s;
inline constexpr std::size_t kBlocksAheadMax = 1024;
// Below this a content is here before its holders could tell each other of it.
inline constexpr std::uint64_t kBlocksOfASwarm = 4;
inline constexpr std::size_t kFansPerContent = 64;
// Of a content that is whole here so many blocks are dealt ahead, in equal hands of at least so
// many: enough to keep a single far fan busy, and few enough that all of many have some.
inline constexpr std::size_t kDealtAhead = 32;
inline constexpr std::size_t kHandMin = 4;
// A block that lies in a hand for so long is dealt again; when nobody has asked for anything new
// for so long, all are told of everything.
inline constexpr Duration kDealtFor = 2s;
// Where the donor limits what is sent, so many readers share it: each then gets blocks at a rate at
// which it can pass them on.
inline constexpr std::size_t kUploadSlots = 8;
inline constexpr Duration kSlotsChange = 30s;
inline constexpr Duration kSlotIdle = 2s;  // then it is another's
// One that was named by others is not asked for a block before it has said what it holds, or has
// not for so long: an older program says nothing.
inline constexpr Duration kTimeToSayHoldings = 2s;
// All is asked for, and one block is not there: it is asked of a second source.
inline constexpr Duration kEndgameAfter = 1s;
// And only if that one, at its pace, sends it so many times sooner; or the first is overdue.
inline constexpr int kSecondSooner = 3;
// A window is what a source sends in this time.
inline constexpr Duration kWindowTime = 3s;
// Of one that holds everything, where others hold a part: no more than keeps it busy.
inline constexpr Duration kSeedWindowTime = 250ms;
inline constexpr Duration kRateMeasuredOver = 250ms;
// A source gains for a block and loses for one that it claimed and has not; at the last it is out.
inline constexpr int kGoodBlock = 1;
inline constexpr int kClaimedInVain = -2;
inline constexpr int kScoreMax = 10;
inline constexpr int kScoreOut = -7;
// One that comes and goes gives hope with so many links, until a block of it has come.
inline constexpr unsigned kLinksOfHope = 8;

inline Duration doubled(Duration base, unsigned times) {
  return base * (1 << std::min(times, kDoublingsMax));
}

}  // namespace shoal::exchange_rules
