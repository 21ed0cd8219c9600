#include "coordinator/core/record_table.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "node/protocol/result.h"

namespace shoal {
namespace {

// A run of changes this many times larger than the sample is drawn from by trial instead of listed;
// at least about half of its entries are current, so twice the trials find enough.
constexpr std::size_t kListedTimes = 8;

}  // namespace

RecordTable::RecordTable(std::size_t records_max, std::size_t records_per_address,
                         std::uint64_t first_change)
    : records_max_(records_max),
      records_per_address_(records_per_address),
      first_change_(first_change),
      next_change_(first_change) {
  check(first_change > 0, "change 0 stands for no cookie");
}

RecordTable::Put RecordTable::would_put(const Signed& record, UnixMs sequence,
                                        const std::string& address, bool exempt) const {
  const auto held = records_.find(record.signer);
  if (held != records_.end()) {
    if (held->second.sequence > sequence) return Put::kOlder;
    if (held->second.sequence == sequence) {
      // Two records of one moment: the first stands, or the two would take turns for ever.
      return held->second.body == record.body ? Put::kSame : Put::kOlder;
    }
  } else if (records_.size() >= records_max_) {
    return Put::kFull;
  }
  const bool is_counted_there = held != records_.end() && held->second.address->first == address;
  if (exempt || is_counted_there) return Put::kTaken;
  const auto count = addresses_.find(address);
  const bool full = count != addresses_.end() && count->second >= records_per_address_;
  return full ? Put::kAddressFull : Put::kTaken;
}

void RecordTable::put(Signed record, UnixMs sequence, const std::string& address, Instant expires) {
  const auto [it, is_new] = records_.try_emplace(record.signer);
  Record& r = it->second;
  if (is_new) {
    r.slot = slots_.size();
    slots_.push_back(&*it);
  } else {
    uncount_address(r);
    expiries_.erase(r.expiry);
    forget_change(r.change);
  }
  r.body = std::move(record.body);
  r.body.shrink_to_fit();
  r.signature = record.signature;
  r.sequence = sequence;
  count_address(r, address);
  r.expiry = expiries_.emplace(expires, &*it);
  note_change(*it);
}

bool RecordTable::remove(const NodeId& node) {
  const auto it = records_.find(node);
  if (it == records_.end()) return false;
  erase(it);
  return true;
}

void RecordTable::expire(Instant now) {
  while (!expiries_.empty() && expiries_.begin()->first <= now) {
    erase(records_.find(expiries_.begin()->second->first));
  }
}

void RecordTable::erase(Records::iterator it) {
  Record& r = it->second;
  uncount_address(r);
  expiries_.erase(r.expiry);
  forget_change(r.change);
  slots_[r.slot] = slots_.back();
  slots_[r.slot]->second.slot = r.slot;
  slots_.pop_back();
  records_.erase(it);
}

void RecordTable::count_address(Record& record, const std::string& address) {
  record.address = addresses_.try_emplace(address, 0).first;
  ++record.address->second;
}

void RecordTable::uncount_address(Record& record) {
  if (--record.address->second == 0) addresses_.erase(record.address);
}

std::vector<RecordTable::Change>::const_iterator RecordTable::first_after(
    std::uint64_t number) const {
  return std::upper_bound(changes_.begin(), changes_.end(), number,
                          [](std::uint64_t n, const Change& c) { return n < c.number; });
}

void RecordTable::forget_change(std::uint64_t number) {
  const auto at = first_after(number - 1) - changes_.begin();
  changes_[static_cast<std::size_t>(at)].record = nullptr;
}

void RecordTable::note_change(Records::value_type& entry) {
  // Half of the list may be out of date; tidying it then costs a constant for each change.
  if (changes_.size() > 2 * records_.size() + 64) {
    std::erase_if(changes_, [](const Change& c) { return c.record == nullptr; });
  }
  entry.second.change = next_change_++;
  changes_.push_back({entry.second.change, &entry});
}

std::optional<RecordTable::Held> RecordTable::held(const NodeId& node) const {
  const auto it = records_.find(node);
  if (it == records_.end()) return std::nullopt;
  return Held{signed_of(*it), it->second.address->first};
}

Duration RecordTable::time_left(const NodeId& node, Instant now) const {
  const auto it = records_.find(node);
  if (it == records_.end()) return Duration(0);
  return std::max(Duration(0), it->second.expiry->first - now);
}

Signed RecordTable::signed_of(const Records::value_type& entry) {
  return {entry.first, entry.second.body, entry.second.signature};
}

std::vector<Signed> RecordTable::sample(std::size_t count, const NodeId& asker, Rng& rng) {
  std::vector<Signed> drawn;
  // The first draws of a shuffle (Fisher-Yates), done in place: the order of the slots means
  // nothing.
  for (std::size_t i = 0; i < slots_.size() && drawn.size() < count; ++i) {
    const std::size_t j = i + static_cast<std::size_t>(rng.below(slots_.size() - i));
    std::swap(slots_[i], slots_[j]);
    slots_[i]->second.slot = i;
    slots_[j]->second.slot = j;
    if (slots_[i]->first != asker) drawn.push_back(signed_of(*slots_[i]));
  }
  return drawn;
}

std::optional<std::vector<Signed>> RecordTable::changed_since(std::uint64_t cookie,
                                                              std::size_t count,
                                                              const NodeId& asker, Rng& rng) const {
  if (cookie < first_change_ - 1 || cookie > last_change()) return std::nullopt;
  const auto first = first_after(cookie);
  const auto length = static_cast<std::size_t>(std::distance(first, changes_.end()));
  std::vector<Signed> drawn;
  const auto wanted = [&](const Change& c) {
    return c.record != nullptr && c.record->first != asker;
  };
  if (length <= kListedTimes * count) {
    std::vector<const Records::value_type*> all;
    for (auto it = first; it != changes_.end(); ++it) {
      if (wanted(*it)) all.push_back(it->record);
    }
    for (std::size_t i = 0; i < all.size() && i < count; ++i) {
      std::swap(all[i], all[i + static_cast<std::size_t>(rng.below(all.size() - i))]);
      drawn.push_back(signed_of(*all[i]));
    }
    return drawn;
  }
  std::vector<std::size_t> taken;
  for (std::size_t i = 0; i < kListedTimes * count && drawn.size() < count; ++i) {
    const auto at = static_cast<std::size_t>(rng.below(length));
    const auto place = std::lower_bound(taken.begin(), taken.end(), at);
    const Change& change = *(first + static_cast<std::ptrdiff_t>(at));
    if ((place != taken.end() && *place == at) || !wanted(change)) continue;
    taken.insert(place, at);
    drawn.push_back(signed_of(*change.record));
  }
  return drawn;
}

void RecordTable::check_invariants() const {
  check(records_.size() <= records_max_, "more records than there may be");
  check(slots_.size() == records_.size(), "a slot for each record");
  check(expiries_.size() == records_.size(), "an expiry for each record");
  std::size_t counted = 0;
  for (const auto& [address, count] : addresses_) counted += count;
  check(counted == records_.size(), "each record counts for one address");
  std::size_t current = 0;
  std::uint64_t before = 0;
  for (const Change& change : changes_) {
    check(change.number > before, "changes are in order");
    before = change.number;
    if (change.record == nullptr) continue;
    ++current;
    check(change.record->second.change == change.number, "a change leads to its record");
  }
  check(current == records_.size(), "one current change for each record");
  for (const auto& entry : records_) {
    check(slots_[entry.second.slot] == &entry, "a record knows its slot");
    check(entry.second.expiry->second == &entry, "a record knows its expiry");
  }
}

}  // namespace shoal
