#include <algorithm>

#include "worker/core/job_led.h"

// Near the end there are more workers than units. Whoever waits then computes once more what is
// expected to take longest where it is, the quickest worker what takes longest of all. Rules (why
// each is there):
//
// - A unit ends with the last of as many replicas as the quorum wants, whichever are the soonest.
//   So a second double of a unit is worth something only where the first is slow as well.
// - The worker must be done well before the others: by a second, and by a quarter of what the unit
//   takes it. A pool of short units, which are over before anybody could help, gets no doubles.
// - Who is late is expected to take as long again as it is late by now. So nobody is waited for who
//   has gone quietly, and one who was reckoned a little too quick is not doubled for that.
// - Of thousands that compute the last units some vanish, and each such unit would begin anew when
//   all others have ended, once its worker was missed. So where workers have been leaving at a rate
//   that makes it likely, whoever else waits computes one replica more than is needed, in advance.
//   A pool that nobody leaves computes nothing for that.
namespace shoal {
namespace {

constexpr Duration kLeastGain = 1s;
constexpr std::int64_t kGainShare = 4;         // a quarter
constexpr std::size_t kRunsLookedAt = 16'384;  // at once: a leader of many small runs stays quick
constexpr Duration kNever = 86'400s;
constexpr std::uint64_t kSlowest = 8;    // times slower than the job's mean, and still believed
constexpr Duration kLong = 60s;          // without an end, and
constexpr std::int64_t kManyTimes = 10;  // times what a unit takes: worth a word
constexpr double kLossesWorth = 0.1;     // that are to be expected before the end

}  // namespace

// Since when a worker has been at the first of what it holds.
Instant JobLed::begun_at(Instant now, const NodeId& worker) const {
  Instant begun = now;
  for (const std::uint64_t id : leases_.of(worker)) {
    const Lease& lease = *leases_.find(id);
    begun = std::min(begun, std::max(lease.granted, lease.progressed));
  }
  // What was given to it while it was busy with something else began after that.
  const auto member = members_.find(worker);
  return member == members_.end() ? begun : std::max(begun, member->second.committed);
}

// What a replica will take from now on; so many units of its worker, itself included, are to be
// done.
Duration JobLed::more_time(Instant now, const Replica& replica, const InHand& in_hand) const {
  const auto member = members_.find(replica.worker);
  if (replica.state == ReplicaState::kCommitted) {
    const bool here = member != members_.end() && member->second.linked;
    const bool to_be_shown =
        here || lost_.contains(replica.worker) || batches_.find(replica.batch)->opened;
    return to_be_shown ? Duration{} : kNever;
  }
  const Duration taken = now - in_hand.begun;
  const std::uint64_t unit_ns =
      member == members_.end() ? job_unit_ns_ : unit_ns_of(member->second);
  // Nobody has finished a unit yet: there is nothing to expect, and some time is patience.
  if (unit_ns == 0) return taken > context_.config.lease / 2 ? taken : Duration{};
  const std::uint64_t threads = member == members_.end() ? 1 : member->second.threads;
  const std::uint64_t turns = (in_hand.units + threads - 1) / threads;
  if (turns > static_cast<std::uint64_t>(kNever.count()) / unit_ns) return kNever;
  const Duration unit(static_cast<std::int64_t>(unit_ns));
  const Duration expected(static_cast<std::int64_t>(turns * unit_ns));
  // Who is late is so with the first of them: the others come after that, each in its turn.
  const Duration more = expected > taken ? expected - taken : taken - unit + (expected - unit);
  // How long its units take is its own word, and could be said anew each second.
  if (job_unit_ns_ > static_cast<std::uint64_t>(kNever.count()) / (kSlowest * turns)) return more;
  const Duration at_most(static_cast<std::int64_t>(kSlowest * turns * job_unit_ns_));
  return job_unit_ns_ != 0 && taken > at_most ? std::max(more, taken - at_most) : more;
}

// Runs that are computed everywhere where they need to be, and how long that will take: the longest
// first.
std::list<JobLed::Late> JobLed::longest_to_go(Instant now) {
  const auto& shelf = units_.covered();
  std::list<Late> all;
  std::map<NodeId, InHand> in_hand;  // of the runs so far
  // From a random place, so that where there are too many each has its turn.
  auto it =
      shelf.size() <= kRunsLookedAt
          ? shelf.begin()
          : shelf.lower_bound(*shelf.begin() + rng_.below(*shelf.rbegin() - *shelf.begin() + 1));
  for (std::size_t n = std::min(shelf.size(), kRunsLookedAt); n > 0; --n, ++it) {
    if (it == shelf.end()) it = shelf.begin();
    const auto& segment = units_.segments().at(*it);
    std::vector<Duration> times;
    for (const Replica& replica : segment.replicas) {
      if (replica.state == ReplicaState::kLeased) {
        const auto [of, is_new] = in_hand.try_emplace(replica.worker);
        if (is_new) of->second.begun = begun_at(now, replica.worker);
        of->second.units += segment.last - *it;
        times.push_back(more_time(now, replica, of->second));
      } else if (replica.state == ReplicaState::kCommitted) {
        times.push_back(more_time(now, replica, {}));
      }
    }
    std::sort(times.begin(), times.end());
    const std::size_t wanted = manifest_->quorum - std::min(segment.agreed, manifest_->quorum - 1);
    all.push_back({times.size() < wanted ? kNever : times[wanted - 1], *it, times.size() > wanted});
  }
  all.sort([](const Late& a, const Late& b) {
    return a.more != b.more ? a.more > b.more : a.first < b.first;
  });
  return all;
}

// Going by how many workers have left since this node leads.
bool JobLed::some_will_be_lost(Instant now, const std::list<Late>& late) const {
  double to_go = 0;
  for (const Late& run : late) {
    if (run.more < kNever && !run.spare) to_go += static_cast<double>(run.more.count());
  }
  const double stayed = static_cast<double>((now - leads_since_).count()) * askers_;
  return static_cast<double>(gone_) * to_go > kLossesWorth * stayed;
}

void JobLed::double_stragglers(Instant now, Outbox& out) {
  if (!wants_workers() || units_.covered().empty()) return;
  std::vector<std::pair<std::uint64_t, NodeId>> waiting;  // and what a unit takes them
  for (const NodeId& id : hungry_) {
    const auto found = members_.find(id);
    if (found == members_.end()) continue;
    const Member& member = found->second;
    if (!member.linked || !member.hungry || member.rests_until > now) continue;
    if (stands_still(now, id, member)) continue;
    waiting.emplace_back(unit_ns_of(member), id);
  }
  if (waiting.empty()) return;
  std::sort(waiting.begin(), waiting.end());
  std::list<Late> late = longest_to_go(now);
  const bool in_advance = some_will_be_lost(now, late);
  for (const auto& [unit_ns, id] : waiting) {
    const Duration own(static_cast<std::int64_t>(unit_ns));
    const Duration worth = own + std::max(kLeastGain, own / kGainShare);
    Member& member = members_.at(id);
    Pick pick{.kind = LeaseKind::kDouble, .ranges = {}, .units = 0};
    const Duration least = in_advance ? kLeastGain : worth;
    for (auto run = late.begin();
         run != late.end() && run->more >= least && pick.units < member.threads;) {
      if (run->more < worth && run->spare) {
        run = late.erase(run);  // nor does it gain by those who are slower
        continue;
      }
      if (!may_double(run->first, id, member)) {
        ++run;
        continue;
      }
      // The run's last are what its worker comes to last. One that never ends keeps the first.
      const UnitIndex last = units_.segments().at(run->first).last;
      const std::uint64_t size = std::min(last - run->first, member.threads - pick.units);
      pick.ranges.push_back({last - size, last});
      pick.units += size;
      run = late.erase(run);
    }
    if (pick.units > 0) grant(now, id, member, pick, out);
    if (late.empty() || late.front().more < least) return;  // the others are slower
  }
}

// It has enough in hand, and has finished nothing for long. Where it is a unit that never ends,
// what it is given waits behind that.
bool JobLed::stands_still(Instant now, const NodeId& worker, const Member& member) const {
  if (leases_.units_of(worker) < member.threads) return false;
  return now - begun_at(now, worker) > patience_with(unit_ns_of(member));
}

// Where nobody has finished anything for long: the unit that was begun first, in words that stay
// the same as time passes. Otherwise nothing.
std::string JobLed::what_never_ends(Instant now) const {
  if (job_unit_ns_ == 0) return {};
  Instant moved = leads_since_;
  const Lease* oldest = nullptr;
  for (const auto& [worker, member] : members_) {
    moved = std::max(moved, member.committed);
    for (const std::uint64_t id : leases_.of(worker)) {
      const Lease& lease = *leases_.find(id);
      if (oldest == nullptr || lease.granted < oldest->granted) oldest = &lease;
    }
  }
  const Duration usual(static_cast<std::int64_t>(job_unit_ns_));
  if (oldest == nullptr || now - moved < std::max(kLong, kManyTimes * usual)) return {};
  const auto tenths = static_cast<std::uint64_t>(usual / 100ms);
  return "unit " + std::to_string(oldest->held.runs().front().first) + ", begun by the worker " +
         short_hex(oldest->holder) + " long ago, where a unit takes " +
         std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) +
         " s as a rule; nothing else ends meanwhile";
}

bool JobLed::may_double(UnitIndex first, const NodeId& worker, const Member& member) const {
  const auto& segment = units_.segments().at(first);
  if (!eligible(segment, worker, member)) return false;
  return worker != context_.self || manifest_->quorum == 1 || !blind_verifiers_suffice() ||
         leader_must_verify(segment);
}

}  // namespace shoal
