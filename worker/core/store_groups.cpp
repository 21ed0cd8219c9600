#include "worker/core/store_groups.h"

#include <utility>

namespace shoal {
namespace {

constexpr Duration kTogether = 100ms;  // between two groups that nobody waits for
// The peer that is awake anyway after so much of it does not wake once more for the rest.
constexpr Duration kNearly = 75ms;
constexpr Duration kRetry = 5s;
// Groups that the disk has not answered. What comes then waits for it in one more.
constexpr std::size_t kUnderWayMax = 256;

}  // namespace

bool StoreGroups::due(Instant now, const Outbox& out) const {
  if (!out.stores() || under_way_.size() >= kUnderWayMax) return false;
  return out.hurried() || now >= stored_at_ + kNearly;
}

void StoreGroups::store(Instant now, Outbox& out) {
  stored_at_ = now;
  const bool awaited = out.hurried();
  Store store{.token = next_token_++, .facts = out.take_facts(), .awaited = awaited};
  under_way_.emplace(store.token, Group{store.facts, now});
  out.act(std::move(store));
}

std::optional<std::vector<StoredFact>> StoreGroups::done(std::uint64_t token) {
  auto group = under_way_.extract(token);
  if (group.empty()) return std::nullopt;
  return std::move(group.mapped().facts);
}

void StoreGroups::try_again(Instant now, StoredFact fact) {
  again_.push_back(std::move(fact));
  if (!again_at_) again_at_ = now + kRetry;
}

void StoreGroups::on_deadline(Instant now, Outbox& out) {
  if (!again_at_ || *again_at_ > now) return;
  again_at_.reset();
  for (StoredFact& fact : std::exchange(again_, {})) out.store(std::move(fact));
}

std::optional<Instant> StoreGroups::next_deadline(const Outbox& out) const {
  std::optional<Instant> next = again_at_;
  if (out.stores() && under_way_.size() < kUnderWayMax) {
    const Instant together = stored_at_ + kTogether;
    if (!next || together < *next) next = together;
  }
  return next;
}

std::optional<Instant> StoreGroups::waits_since() const {
  if (under_way_.empty()) return std::nullopt;
  return under_way_.begin()->second.since;
}

}  // namespace shoal
