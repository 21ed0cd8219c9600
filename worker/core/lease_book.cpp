#include "worker/core/lease_book.h"

namespace shoal {

// `held` holds so many from now on.
void LeaseBook::count_primaries(const NodeId& holder, Held& held, std::uint64_t units) {
  if (held.primaries == units) return;
  if (held.primaries != 0) primaries_held_.erase({held.primaries, holder});
  held.primaries = units;
  if (units != 0) primaries_held_.insert({units, holder});
}

std::uint64_t LeaseBook::add(Lease lease) {
  const std::uint64_t id = next_++;
  Held& held = by_holder_[lease.holder];
  held.leases.insert(id);
  held.units += lease.held.size();
  if (lease.kind == LeaseKind::kPrimary) {
    count_primaries(lease.holder, held, held.primaries + lease.held.size());
  }
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
  const std::uint64_t before = lease->held.size();
  lease->held.remove(range);
  const std::uint64_t released = before - lease->held.size();
  Held& held = by_holder_.at(lease->holder);
  held.units -= released;
  if (lease->kind == LeaseKind::kPrimary) {
    count_primaries(lease->holder, held, held.primaries - released);
  }
  if (lease->held.empty()) remove(id);
}

// The lease is one of nothing.
void LeaseBook::remove(std::uint64_t id) {
  const auto it = leases_.find(id);
  by_expiry_.erase({it->second.expires, id});
  const auto holder = by_holder_.find(it->second.holder);
  holder->second.leases.erase(id);
  if (holder->second.leases.empty()) by_holder_.erase(holder);
  leases_.erase(it);
}

std::uint64_t LeaseBook::units_of(const NodeId& holder) const {
  const auto it = by_holder_.find(holder);
  return it == by_holder_.end() ? 0 : it->second.units;
}

std::vector<std::uint64_t> LeaseBook::of(const NodeId& holder) const {
  auto it = by_holder_.find(holder);
  if (it == by_holder_.end()) return {};
  return {it->second.leases.begin(), it->second.leases.end()};
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
