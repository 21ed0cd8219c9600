#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>

#include "node/content/core/rate_limit.h"
#include "node/protocol/ids.h"
#include "node/protocol/messages.h"
#include "node/protocol/time.h"

namespace shoal {

// Who is sent a block next. A reader asks for up to a window of blocks at once, and dozens may ask
// in one moment: what they ask for waits here, as requests, and is read when the reader's link has
// room for it. So few blocks are in memory, of one reader as of all, however many ask; and a
// request that is taken back, or whose reader has left, has cost nothing.
//
// The turns. Who has given something goes before those who only take, who get one turn in a few all
// the same: they may be new, and have nothing yet. Among equals he goes first who was served
// longest ago. Where the donor limits what is sent, so many readers share it as get blocks at a
// rate at which they can pass them on: these hold the slots. They are those who have given most;
// every so often the one of least merit is another's, who may turn out to be a giver.
//
// Slow readers hold up no quick one: when they have all places, there are a few more for those
// whose link took the last block at once.
//
// What an attacker could try: to ask for much and read nothing. A link that has taken no block for
// a while is left out of the count of all, so that it holds up nobody else, until those together
// hold kBlocksAheadMax. Not thread-safe; the owner's clock.
class UploadQueue {
 public:
  struct Turn {
    NodeId reader;
    BlockRequest request;
  };

  // Bytes a second; 0: no limit.
  void limit_rate(std::uint64_t upload) { rate_ = RateLimit(upload); }
  // A request waits from now on. Not if it does already, and not beyond what a window allows: who
  // wants more will ask again.
  void ask(const NodeId& reader, const BlockRequest&);
  void take_back(const NodeId& reader, const BlockCancel&);
  // It has sent a good block.
  void gave(const NodeId& node, std::uint64_t bytes) { readers_[node].given += bytes; }
  // Whose block is to be read and sent now. It is ahead until it has `left`.
  std::optional<Turn> next(Instant now);
  // A block that was ahead of this reader is with the network, or will not be sent after all.
  void left(Instant now, const NodeId& reader, bool was_sent);
  void forget(const NodeId& reader);
  // When next() may have an answer that it had not at the last call.
  std::optional<Instant> next_deadline() const;
  std::size_t waiting() const { return waiting_; }
  std::size_t ahead() const { return ahead_; }
  std::size_t ahead_of(const NodeId& reader) const;
  void check_invariants() const;

 private:
  struct Reader {
    std::deque<BlockRequest> waiting;
    std::size_t ahead = 0;  // blocks that are being read, or that its link has not taken yet
    std::optional<bool> was_quick;  // took the last one within kQuickBlock; nothing: took none yet
    Instant moved_at = {};          // when its link took one, or had none to take
    std::uint64_t served_at = 0;    // of served_
    std::uint64_t given = 0;        // bytes
  };
  enum class Places : std::uint8_t { kForAll, kForQuick, kNone };
  bool has_room(const Reader&) const;
  Places places(Instant now) const;
  bool may_have(Places free, const Reader&) const;
  void fill_slots(Instant now);
  std::optional<NodeId> best_reader(Instant now, Places free);

  std::map<NodeId, Reader> readers_;  // linked ones that ever asked or gave
  std::map<NodeId, Instant> slots_;   // readers -> last wanted; only under a limit
  Instant slots_change_at_;
  RateLimit rate_;
  Instant now_;               // of the last call that told it
  std::uint64_t served_ = 0;  // turns
  std::size_t waiting_ = 0;   // requests of all
  std::size_t ahead_ = 0;     // blocks of all
};

}  // namespace shoal
