#include "node/reach/core/quota.h"

namespace shoal {
namespace {

constexpr Duration kMinute = 60s;

}  // namespace

bool Quota::take(Instant now, const std::string& key) {
  auto it = minutes_.find(key);
  if (it == minutes_.end()) {
    if (minutes_.size() >= keys_max_) {
      std::erase_if(minutes_, [&](const auto& m) { return now - m.second.began >= kMinute; });
    }
    if (minutes_.size() >= keys_max_) return false;
    it = minutes_.emplace(key, Minute{now, 0}).first;
  }
  Minute& minute = it->second;
  if (now - minute.began >= kMinute) minute = {now, 0};
  if (minute.taken >= per_minute_) return false;
  ++minute.taken;
  return true;
}

void Quota::give_back(const std::string& key) {
  const auto it = minutes_.find(key);
  if (it != minutes_.end() && it->second.taken > 0) --it->second.taken;
}

}  // namespace shoal
