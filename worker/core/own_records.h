#pragma once

#include <cstddef>
#include <set>

#include "node/protocol/facts.h"

namespace shoal {

// The records that this process has signed of its node. One under the node's key that it has not
// signed, newer than its first, is the work of another process that has the key: a state folder was
// copied, and both copies run. Nobody without the key can make such a record, and whoever repeats
// an old one says nothing. A clock that was set back between two runs looks the same until it has
// caught up. Not thread-safe.
class OwnRecords {
 public:
  static constexpr std::size_t kRemembered = 64;  // hours of them

  void add(UnixMs sequence);
  // Of a record under the node's key, by its sequence.
  bool is_of_another(UnixMs sequence) const;

 private:
  std::set<UnixMs> sequences_;  // all from the first of them on
};

}  // namespace shoal
