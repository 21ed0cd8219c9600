#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "node/content/core/block_bits.h"
#include "node/protocol/ids.h"
#include "node/protocol/time.h"

namespace shoal {

// Which blocks of a content that is whole here those who fetch it are told of. If all were told of
// all, several would ask for the same block in the same moment, and it would be sent to each of
// them. So every block is dealt to one, who passes it on, and with it in turn somebody has
// something that the others want. A hand holds what its owner was told of and has not asked for
// yet; it is filled up while he asks.
//
// Nobody depends on another's good will for long: what lies in a hand for a while is dealt to one
// whose hand is empty, and when nobody has asked for anything new in a while, all are told of
// everything, and get from here what the others do not pass on.
//
// A fan that asks, and passes nothing on, costs what it was sent. Not thread-safe.
class BlockDealer {
 public:
  struct Deal {
    NodeId fan;
    std::vector<std::uint64_t> blocks;
  };

  // Of a content of `length` bytes, which has at least one block. The first that is dealt is
  // `first`.
  BlockDealer(std::uint64_t length, std::uint64_t first);

  std::uint64_t length() const { return length_; }
  // The blocks that it is to be told of now. Joining twice is once.
  std::vector<std::uint64_t> join(Instant now, const NodeId& fan);
  // It was told of everything: it had a part already, and only it knows which.
  void join_knowing_all(const NodeId& fan);
  // It asks for a block, whether it was dealt to it or not; what it is to be told of now.
  std::vector<std::uint64_t> asked(Instant now, const NodeId& fan, std::uint64_t block);
  void leave(const NodeId& fan);
  // What has lain too long, for those who have nothing.
  std::vector<Deal> deal_again(Instant now);
  // Those who are to be told of everything now.
  std::vector<NodeId> take_idle(Instant now);
  std::optional<Instant> next_deadline() const;

 private:
  struct Fan {
    std::map<std::uint64_t, Instant> hand;  // -> since when
    bool knows_all = false;
  };
  std::vector<std::uint64_t> fill(Instant now, Fan& fan);

  std::uint64_t length_;
  std::map<NodeId, Fan> fans_;
  BlockBits dealt_;  // or asked for
  BlockBits asked_;
  std::uint64_t next_;
  Instant news_at_;  // somebody came, or asked for what nobody had asked for
};

}  // namespace shoal
