#include <algorithm>

#include "worker/core/job_led.h"

// What the workers failed at: the unit's fault, or theirs.
namespace shoal {

// The segment can be computed, as somebody has just shown.
void JobLed::blame(Instant now, const UnitMap::Segment& segment, Outbox& out) {
  constexpr std::uint32_t kRefuted = 4;
  constexpr Duration kRest = 60s;
  for (const Replica& replica : segment.replicas) {
    auto member = members_.find(replica.worker);
    if (replica.state != ReplicaState::kFailed || member == members_.end()) continue;
    if (++member->second.refuted < kRefuted) continue;
    member->second.refuted = 0;
    member->second.rests_until = now + kRest;
    if (!rest_ends_ || now + kRest < *rest_ends_) rest_ends_ = now + kRest;
    out.tell(LogLevel::kWarning, "worker " + short_hex(replica.worker) + " gets no units of job " +
                                     short_hex(id_) +
                                     " for a minute: all fail there, and others compute them");
  }
}

void JobLed::on_failure(Instant now, const NodeId& from, const Signed& failure, Outbox& out) {
  auto what = decode_failure(failure.body);
  if (!what || what->job != id_ || what->worker != from || failure.signer != from) return;
  const Range run{what->unit, what->unit + 1};
  if (awaited_of(from, run).empty()) return;
  if (from != context_.self && !signature_holds(context_.checker, Purpose::kFailure, failure)) {
    return;
  }
  // Where there are too many it is as if the unit had been given back: it is tried once more.
  const bool room = failures_.size() < kFailingUnitsMax || failures_.contains(what->unit);
  units_.update(run, [&](UnitIndex first, UnitMap::Segment& segment) {
    Replica* own = segment.find(from);
    if (own->state == ReplicaState::kLeased) leases_.release(own->lease, {first, segment.last});
    own->state = room ? ReplicaState::kFailed : ReplicaState::kLapsed;
  });
  if (!room) return;
  failures_[what->unit].push_back(failure);
  if (auto member = members_.find(from); member != members_.end()) member->second.heard = now;
  fail_if_hopeless(what->unit, out);
  serve_hungry(now, out);
}

// Fewer workers than attempts: who is here has had its turn, and the unit must still end.
void JobLed::fail_if_hopeless(UnitIndex unit, Outbox& out) {
  const Range run{unit, unit + 1};
  units_.update(run, [](UnitIndex, UnitMap::Segment&) {});  // cuts the unit out of its run
  const UnitMap::Segment& segment = units_.segments().at(unit);
  auto& failures = failures_.at(unit);
  // As many as it takes say that it does not fail, and are about to show it.
  if (segment.agreed + segment.count(ReplicaState::kCommitted) >= manifest_->quorum) return;
  if (failures.size() < manifest_->max_attempts &&
      (anyone_left(segment) || segment.count(ReplicaState::kLeased) > 0)) {
    return;
  }
  Receipt receipt = next_receipt(run, UnitEnd::kFailed);
  receipt.failures = std::move(failures);
  failed_ += 1;
  end_run(run, std::move(receipt), out);
  finish_if_done(out);
}

// Who is cut off may come back, and compute what fails here.
void JobLed::weigh_failures(Instant now, Outbox& out) {
  std::vector<std::pair<NodeId, const Member*>> away;
  for (const auto& [id, member] : members_) {
    const bool may_be_back = member.asked && now - member.heard <= longest_lease();
    if (!member.linked && may_be_back) away.emplace_back(id, &member);
  }
  std::vector<UnitIndex> units;
  for (const auto& [unit, _] : failures_) {
    const auto& segment = units_.first_overlapping({unit, unit + 1})->second;
    const bool awaited = std::any_of(away.begin(), away.end(), [&](const auto& one) {
      return eligible(segment, one.first, *one.second);
    });
    if (!awaited) units.push_back(unit);
  }
  for (UnitIndex unit : units) fail_if_hopeless(unit, out);
}

}  // namespace shoal
