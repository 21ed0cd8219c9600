#include "worker/core/lease_book.h"

namespace shoal {

std::uint64_t LeaseBook::add(Lease lease) {
  const std::uint64_t id = next_++;
  by_holder_[lease.holder].insert(id);
  by_expiry_.emplace(lease.expires, id);
  leases_.emplace(id, std::move(lease));
  return id;
}

Lease* LeaseBook::find(std::uint64_t id) {
  auto it = leases_.find(id);
  return it == leases_.end() ? nullptr : &it->second;
}

const Lease* LeaseBook::find(std::uint64_t id) const {
  return const_cast<LeaseBook*>(this)->find(id);
}

void LeaseBook::release(std::uint64_t id, Range range) {
  Lease* lease = find(id);
  if (lease == nullptr) return;
  lease->held.remove(range);
  if (lease->held.empty()) remove(id);
}

std::optional<Lease> LeaseBook::remove(std::uint64_t id) {
  auto it = leases_.find(id);
  if (it == leases_.end()) return std::nullopt;
  Lease lease = std::move(it->second);
  leases_.erase(it);
  by_expiry_.erase({lease.expires, id});
  auto holder = by_holder_.find(lease.holder);
  holder->second.erase(id);
  if (holder->second.empty()) by_holder_.erase(holder);
  return lease;
}

std::vector<std::uint64_t> LeaseBook::of(const NodeId& holder) const {
  auto it = by_holder_.find(holder);
  if (it == by_holder_.end()) return {};
  return {it->second.begin(), it->second.end()};
}

std::uint64_t LeaseBook::units_held(const NodeId& holder, LeaseKind kind) const {
  std::uint64_t units = 0;
  for (std::uint64_t id : of(holder)) {
    const Lease& lease = leases_.at(id);
    if (lease.kind == kind) units += lease.held.size();
  }
  return units;
}

void LeaseBook::renew(const NodeId& holder, Instant expires) {
  for (std::uint64_t id : of(holder)) {
    Lease& lease = leases_.at(id);
    by_expiry_.erase({lease.expires, id});
    lease.expires = expires;
    by_expiry_.emplace(expires, id);
  }
}

std::vector<std::uint64_t> LeaseBook::expired(Instant now) const {
  std::vector<std::uint64_t> ids;
  for (auto it = by_expiry_.begin(); it != by_expiry_.end() && it->first <= now; ++it) {
    ids.push_back(it->second);
  }
  return ids;
}

std::optional<Instant> LeaseBook::next_expiry() const {
  if (by_expiry_.empty()) return std::nullopt;
  return by_expiry_.begin()->first;
}

}  // namespace shoal
