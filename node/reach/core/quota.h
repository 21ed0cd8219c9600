#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "node/protocol/time.h"

namespace shoal {

// How often each of many may have something done for it in a minute. Knows only those who asked
// within that minute, and no more than `keys_max` of them: whoever comes while the table is full is
// refused, so that many names buy no more than one.
class Quota {
 public:
  Quota(std::size_t per_minute, std::size_t keys_max)
      : per_minute_(per_minute), keys_max_(keys_max) {}

  // True, and counted: one more is within the quota.
  bool take(Instant now, const std::string& key);
  // One that was taken is not to count.
  void give_back(const std::string& key);
  std::size_t size() const { return minutes_.size(); }

 private:
  struct Minute {
    Instant began;
    std::size_t taken = 0;
  };
  std::size_t per_minute_;
  std::size_t keys_max_;
  std::map<std::string, Minute> minutes_;
};

}  // namespace shoal
