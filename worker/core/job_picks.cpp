#include <algorithm>

#include "node/protocol/address.h"
#include "worker/core/job_led.h"

// Which units a worker is given next.
namespace shoal {
namespace {

// How many runs one request may look at before it is answered with what was found: a leader with
// many small batches must stay quick.
constexpr std::size_t kScanRuns = 512;
// Commitments that wait for verifiers: past this, nothing new is begun.
constexpr std::size_t kOpenBatchesMax = 32'768;
// A first grant to a worker whose speed in this job is unknown: one to compute, and one to begin
// with while it tells how long that took. More may be minutes of work, and as long as those last it
// verifies nothing for others, who may be gone by then with all that they had committed.
constexpr std::uint64_t kProbeUnitsPerThread = 2;
// To find out that nobody has anything to spare takes a link, a question and an answer for each who
// might have. Where a unit takes as long as that, a second replica at once is the better use.
constexpr std::uint64_t kLongUnitNs = 1'000'000'000;
constexpr Duration kVerifyWork = 1s;
// A worker verifies when it has come to the end of what it computes first, so that is no more than
// this where anybody is to verify: results are known to be right within seconds.
constexpr Duration kUnverifiedWork = 4s;
// But a leader has better things to do than to lease: each of its workers asks no more often.
constexpr Duration kLeasingOfWorker = 5ms;
constexpr Duration kLeastPrimaryWork = 100ms;
constexpr Duration kHalfLeasedWork = 200ms;
// What a worker may hold that has committed nothing yet, whatever it says of its threads and speed:
// a unit for each of so many threads, or so much work by the job's own mean; and some units more
// for each that it commits.
constexpr std::uint64_t kThreadsUnproven = 256;
constexpr std::uint64_t kProbedThreads = 16;
constexpr Duration kUnprovenWorkOfThread = 4s;
constexpr Duration kUnprovenWork = 16s;  // of all its threads
constexpr std::uint64_t kUnitsForEach = 4;

// A pool on one machine has no blocks. Where a worker is seen is unknown only of the leader itself.
bool is_loopback(const std::string& address) {
  return address.empty() || scope_of(address) == AddressScope::kLoopback;
}

}  // namespace

std::uint64_t JobLed::unit_ns_of(const Member& member) const {
  return member.unit_ns != 0 ? member.unit_ns : job_unit_ns_;
}

// How many units keep all of the member's threads busy for `work`; at least one a thread.
std::uint64_t JobLed::units_for(const Member& member, Duration work) const {
  const std::uint64_t unit_ns = std::max<std::uint64_t>(unit_ns_of(member), 1);
  const std::uint64_t per_thread = static_cast<std::uint64_t>(work.count()) / unit_ns;
  return std::max<std::uint64_t>(per_thread, 1) * member.threads;
}

void JobLed::count(const NodeId& worker, const Member& member, int sign) {
  if (!member.linked) return;
  threads_here_ += static_cast<std::uint64_t>(sign) * member.threads;
  if (worker == context_.self) return;
  others_here_ += static_cast<std::uint32_t>(sign);
  if (member.asked) askers_ += static_cast<std::uint32_t>(sign);
}

void JobLed::count_out(const NodeId& worker, Member& member) {
  count(worker, member, -1);
  member.asked = false;
  count(worker, member, +1);
}

Duration JobLed::longest_primary() const {
  const Duration most = context_.config.lease / 2;
  if (manifest_->quorum == 1) return most;
  return std::min(most, std::max<Duration>(kUnverifiedWork, kLeasingOfWorker * others_here_));
}

// Enough workers besides the leader that it never needs to verify in its own job.
bool JobLed::blind_verifiers_suffice() const {
  return (settling_until_ ? others_here_ : askers_) >= manifest_->quorum;
}

bool JobLed::eligible(const UnitMap::Segment& segment, const NodeId& worker,
                      const Member& member) const {
  if (!segment.open_to(worker)) return false;
  if (!manifest_->distinct_blocks || is_loopback(member.address)) return true;
  for (const Replica& replica : segment.replicas) {
    if (replica.worker == worker) continue;
    auto other = members_.find(replica.worker);
    if (other == members_.end() || is_loopback(other->second.address)) continue;
    if (address_block(other->second.address) == address_block(member.address)) return false;
  }
  return true;
}

bool JobLed::leader_must_verify(const UnitMap::Segment& segment) const {
  for (const auto& [id, member] : members_) {
    if (member.linked && member.asked && id != context_.self && eligible(segment, id, member)) {
      return false;
    }
  }
  return true;
}

// How many units the worker may be given beyond those that it holds. Keys that compute nothing
// could else take, or steal, all that there is, and keep it from the others until their leases run
// out.
std::uint64_t JobLed::allowance(const NodeId& worker, const Member& member) const {
  if (worker == context_.self) return units_.units();
  const std::uint64_t threads = member.threads;
  std::uint64_t most = std::max(std::min(threads, kThreadsUnproven),
                                kProbeUnitsPerThread * std::min(threads, kProbedThreads));
  if (job_unit_ns_ != 0) {
    const Duration work = std::min<Duration>(kUnprovenWorkOfThread * threads, kUnprovenWork);
    most = std::max(most, static_cast<std::uint64_t>(work.count()) / job_unit_ns_);
  }
  most += kUnitsForEach * member.delivered;
  return most - std::min(most, leases_.units_of(worker));
}

JobLed::Pick JobLed::pick_fresh(const NodeId& worker, const Member& member) {
  Pick pick{.kind = LeaseKind::kPrimary, .ranges = {}, .units = 0};
  if (batches_.size() >= kOpenBatchesMax) return pick;
  std::uint64_t budget = kProbeUnitsPerThread * member.threads;
  const std::uint64_t fair = units_.fresh_units() * member.threads / (2 * threads_here()) + 1;
  if (unit_ns_of(member) != 0) {
    const std::uint64_t least = units_for(member, kLeastPrimaryWork);
    budget = std::clamp(fair, least, std::max(units_for(member, longest_primary()), least));
  } else {
    budget = std::min(budget, fair);
  }
  budget = std::min(budget, allowance(worker, member));
  std::size_t scanned = 0;
  for (UnitIndex first : units_.fresh()) {
    if (pick.units >= budget || ++scanned > kScanRuns) break;
    const auto& segment = units_.segments().at(first);
    if (!eligible(segment, worker, member)) continue;
    const std::uint64_t size = std::min(segment.last - first, budget - pick.units);
    const Range run{first, first + size};
    if (!pick.ranges.empty() && pick.ranges.back().last == run.first) {
      pick.ranges.back().last = run.last;
    } else if (pick.ranges.size() == limits::kRangesPerMessage) {
      break;
    } else {
      pick.ranges.push_back(run);
    }
    pick.units += size;
  }
  return pick;
}

JobLed::Pick JobLed::pick_verify(const NodeId& worker, const Member& member) {
  Pick pick{.kind = LeaseKind::kVerify, .ranges = {}, .units = 0};
  const auto& shelf = units_.verifiable();
  if (shelf.empty()) return pick;
  const bool leader = worker == context_.self;
  const bool leader_helps = leader && !blind_verifiers_suffice();
  std::uint64_t budget = unit_ns_of(member) == 0 ? kProbeUnitsPerThread * member.threads
                                                 : units_for(member, kVerifyWork);
  budget = std::min({budget, units_.verifiable_units() * member.threads / threads_here() + 1,
                     allowance(worker, member)});
  // From a random place, so that no worker can tell or choose what it will be asked to verify.
  const UnitIndex low = *shelf.begin();
  auto it = shelf.lower_bound(low + rng_.below(*shelf.rbegin() - low + 1));
  const std::size_t most = std::min(shelf.size(), kScanRuns);
  for (std::size_t scanned = 0; scanned < most && pick.units < budget; ++scanned, ++it) {
    if (it == shelf.end()) it = shelf.begin();
    const auto& segment = units_.segments().at(*it);
    if (!eligible(segment, worker, member)) continue;
    if (leader && !leader_helps && !leader_must_verify(segment)) continue;
    if (pick.ranges.size() == limits::kRangesPerMessage) break;
    pick.ranges.push_back({*it, segment.last});
    pick.units += segment.last - *it;
  }
  return pick;
}

// A second worker on what a first one holds and has not come to: taken from the far end.
JobLed::Pick JobLed::pick_half_leased(Instant now, const NodeId& worker, const Member& member) {
  Pick pick{.kind = LeaseKind::kDouble, .ranges = {}, .units = 0};
  if (worker == context_.self && blind_verifiers_suffice()) return pick;
  const std::uint64_t budget =
      std::min(unit_ns_of(member) == 0 ? member.threads : units_for(member, kHalfLeasedWork),
               allowance(worker, member));
  const auto& shelf = units_.half_leased();
  std::size_t scanned = 0;
  for (auto it = shelf.rbegin(); it != shelf.rend() && ++scanned <= kScanRuns; ++it) {
    const auto& segment = units_.segments().at(*it);
    if (!eligible(segment, worker, member)) continue;
    // The leader's own would end up committed after another's; unless it never will be.
    if (segment.find(context_.self) != nullptr && blind_verifiers_suffice() &&
        !all_late(now, segment)) {
      continue;
    }
    const std::uint64_t half = (segment.last - *it + 1) / 2;
    const std::uint64_t size = std::min(budget, half);
    pick.ranges.push_back({segment.last - size, segment.last});
    pick.units = size;
    break;
  }
  return pick;
}

// How long a worker may take to move on, whose units take so long.
Duration JobLed::patience_with(std::uint64_t unit_ns) const {
  if (unit_ns == 0) return context_.config.lease / 2;
  return std::max<Duration>(1s, Duration(static_cast<std::int64_t>(3 * unit_ns)));
}

// None of those who hold the run has moved in it for longer than its units should take.
bool JobLed::all_late(Instant now, const UnitMap::Segment& segment) const {
  const Duration patience = patience_with(job_unit_ns_);
  return std::all_of(segment.replicas.begin(), segment.replicas.end(), [&](const Replica& replica) {
    if (replica.state != ReplicaState::kLeased) return true;
    const Lease* lease = leases_.find(replica.lease);
    return lease != nullptr && now - std::max(lease->granted, lease->progressed) > patience;
  });
}

JobLed::Pick JobLed::pick_for(Instant now, const NodeId& worker, const Member& member) {
  Pick pick;
  if (allowance(worker, member) == 0) return pick;
  const bool leader = worker == context_.self;
  const bool primaries_first = leader;
  // With too few others to verify blindly, first replicas are best the leader's own.
  const bool primaries_last = !leader && !blind_verifiers_suffice();
  if (primaries_first) {
    if (pick = pick_fresh(worker, member); pick.units > 0) return pick;
  } else if (pick = pick_verify(worker, member); pick.units > 0) {
    return pick;
  }
  if (!leader && !primaries_last) {
    if (pick = pick_fresh(worker, member); pick.units > 0) return pick;
  }
  const bool theft_is_slow = unit_ns_of(member) >= kLongUnitNs;
  if (primaries_last || member.sent_to_steal || theft_is_slow) {
    if (pick = pick_half_leased(now, worker, member); pick.units > 0) return pick;
  }
  if (primaries_last) {
    if (pick = pick_fresh(worker, member); pick.units > 0) return pick;
  }
  if (leader) {
    if (pick = pick_verify(worker, member); pick.units > 0) return pick;
  }
  return {};
}

}  // namespace shoal
