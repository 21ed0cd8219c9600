#include <algorithm>
#include <utility>

#include "worker/core/job_led.h"

// Leases: given, renewed, moved, lapsed. Which units it is to be is in job_picks.cpp.
namespace shoal {
namespace {

constexpr std::size_t kHungryInVainAtOnce = 16;  // tried, and nothing fits them
constexpr std::size_t kHoldersOffered = 3;
constexpr Duration kLinkGrace = 2s;
constexpr Duration kStragglerLook = 1s;
// Who gives all back may ask again; and nobody has everything weighed by saying this and that.
constexpr Duration kWeighWaiting = 5s;
constexpr Duration kGrantInFlight = 10s;
constexpr std::size_t kReasonBytes = 256;
// A unit may be stolen so often: two keys could else hand it to each other for ever. With half of
// the rest each time that is more than any lease comes to.
constexpr std::uint32_t kMovesMax = 16;

}  // namespace

void JobLed::grant(Instant now, const NodeId& worker, Member& member, const Pick& pick,
                   Outbox& out) {
  const Instant expires = now + context_.config.lease;
  Lease lease{.holder = worker,
              .kind = pick.kind,
              .held = RangeSet(pick.ranges),
              .granted = now,
              .expires = expires,
              .progressed = now};
  const std::uint64_t id = leases_.add(std::move(lease));
  for (Range range : pick.ranges) {
    units_.update(range, [&](UnitIndex, UnitMap::Segment& segment) {
      Replica* own = segment.find(worker);
      if (own == nullptr) own = &segment.replicas.emplace_back(Replica{.worker = worker});
      own->state = ReplicaState::kLeased;
      own->kind = pick.kind;
      own->lease = id;
      own->batch = 0;
    });
  }
  replicas_ += pick.units;
  member.has_replicas = true;
  member.hungry = false;
  member.sent_to_steal = false;
  member.heard = now;
  LeaseGrant message{
      .job = id_,
      .epoch = epoch_,
      .lease = id,
      .kind = pick.kind,
      .ranges = pick.ranges,
      .duration_ms = static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::milliseconds>(context_.config.lease).count()),
      .manifest = std::nullopt,
      .grant = paper_for(worker, id, pick.kind, pick.ranges),
      .terms = {}};
  // Whoever verifies begins at the beginning. With a quorum of one nobody does.
  if (pick.kind == LeaseKind::kPrimary || manifest_->quorum == 1) {
    send_states(worker, member, pick.ranges, worker, out);
  }
  if (!member.knows_manifest) {
    message.manifest = signed_manifest_;
    message.terms = terms_;
  }
  out.send(worker, std::move(message));
  if (!std::exchange(member.knows_manifest, true)) send_controls(worker, out);
}

// A lease of nothing: a thief must know the job before it can use its loot.
void JobLed::introduce(const NodeId& worker, Member& member, Outbox& out) {
  if (member.knows_manifest) return;
  member.knows_manifest = true;
  LeaseGrant message;
  message.job = id_;
  message.epoch = epoch_;
  message.manifest = signed_manifest_;
  message.terms = terms_;
  out.send(worker, std::move(message));
  send_controls(worker, out);
}

// What its submitter said since, to a worker that was not there.
void JobLed::send_controls(const NodeId& worker, Outbox& out) const {
  for (Signed& control : controls()) out.send(worker, ControlRequest{std::move(control)});
}

// Names those who hold more than they can have started. False: there is nobody.
bool JobLed::offer_holders(const NodeId& worker, Member& member, Outbox& out) {
  NoWork answer{.job = id_, .holders = {}, .jobs = {}};
  for (const auto& [held, id] : leases_.primaries_held()) {
    if (held <= 1 || answer.holders.size() == kHoldersOffered) break;
    const auto member_of = members_.find(id);
    if (member_of == members_.end()) continue;
    const Member& other = member_of->second;
    if (id == worker || !other.linked || !other.record) continue;
    // What the leader would have to verify itself is better computed beside it than stolen from it.
    if (id == context_.self && !blind_verifiers_suffice() && manifest_->quorum > 1) continue;
    if (held <= other.threads) continue;
    if (unit_ns_of(other) != 0 && held < units_for(other, Duration(10ms))) continue;
    answer.holders.push_back(*other.record);
  }
  if (answer.holders.empty()) return false;
  member.sent_to_steal = true;
  introduce(worker, member, out);
  out.send(worker, std::move(answer));
  return true;
}

bool JobLed::serve(Instant now, const NodeId& worker, Member& member, Outbox& out) {
  if (member.rests_until > now) return false;
  const Pick pick = pick_for(now, worker, member);
  if (pick.units == 0) return false;
  grant(now, worker, member, pick, out);
  return true;
}

void JobLed::on_work_request(Instant now, const NodeId& from, const WorkRequest& request,
                             Outbox& out) {
  if (phase_ == JobPhase::kDone || phase_ == JobPhase::kCancelled) {
    out.send(from, LeaseRevoke{.job = id_, .ranges = {}, .job_over = true});
    return;
  }
  const auto found = members_.find(from);
  if (found == members_.end()) return;  // no worker, by its own word: nobody knows its block
  Member& member = found->second;
  const std::uint32_t threads = std::clamp<std::uint32_t>(request.threads, 1, kThreadsMax);
  count(from, member, -1);
  member.asked = true;
  member.declined.clear();
  member.heard = now;
  member.linked = true;
  member.threads = threads;
  count(from, member, +1);
  if (request.unit_ns != 0) member.unit_ns = request.unit_ns;
  lapse_forgotten(from, member);
  if (phase_ == JobPhase::kRunning) {
    if (serve(now, from, member, out) ||
        (forgive_stalled(from, member) && serve(now, from, member, out))) {
      serve_hungry(now, out);
      return;
    }
    if (member.rests_until <= now && !member.sent_to_steal && offer_holders(from, member, out)) {
      return;
    }
  }
  member.hungry = true;
  member.sent_to_steal = true;
  if (std::find(hungry_.begin(), hungry_.end(), from) == hungry_.end()) hungry_.push_back(from);
  if (!next_straggler_look_) next_straggler_look_ = now + kStragglerLook;
  out.send(from, NoWork{.job = id_, .holders = {}, .jobs = {}});
  // Its coming may be what others waited for: a verifier more.
  serve_hungry(now, out);
}

void JobLed::serve_hungry(Instant now, Outbox& out) {
  if (!wants_workers() || hungry_.empty()) return;
  if (!units_.anything_to_lease()) return;
  std::vector<NodeId> still;
  std::size_t at = 0;
  for (; at < hungry_.size() && still.size() < kHungryInVainAtOnce; ++at) {
    const NodeId worker = hungry_[at];
    auto it = members_.find(worker);
    if (it == members_.end() || !it->second.linked || !it->second.hungry) continue;
    if (!serve(now, worker, it->second, out)) still.push_back(worker);
  }
  // Those who were tried in vain go to the end, so that the next try is somebody else's.
  hungry_.erase(hungry_.begin(), hungry_.begin() + static_cast<std::ptrdiff_t>(at));
  hungry_.insert(hungry_.end(), still.begin(), still.end());
}

void JobLed::lapse(std::uint64_t lease, const RangeSet& units) {
  for (Range range : units.runs()) {
    units_.update(range, [&](UnitIndex, UnitMap::Segment& segment) {
      for (Replica& replica : segment.replicas) {
        if (replica.state == ReplicaState::kLeased && replica.lease == lease) {
          replica.state = ReplicaState::kLapsed;
        }
      }
    });
    leases_.release(lease, range);
  }
}

void JobLed::lapse_all(const NodeId& worker, Instant granted_by) {
  for (std::uint64_t lease : leases_.of(worker)) {
    if (leases_.find(lease)->granted > granted_by) continue;
    const RangeSet held = leases_.find(lease)->held;
    lapse(lease, held);
  }
}

bool JobLed::on_report(Instant now, const NodeId& from, const LeaseReport& report, Outbox& out) {
  // Of whatever epoch: it may have heard of the job only.
  if (!report.declines.empty()) worker_declines(now, from, report.declines);
  if (report.epoch != epoch_) return false;
  auto member = members_.find(from);
  if (member == members_.end()) return true;
  if (report.unit_ns != 0) member->second.unit_ns = report.unit_ns;
  std::map<std::uint64_t, RangeSet> held;
  for (const auto& entry : report.leases) held.emplace(entry.lease, RangeSet(entry.ranges));
  bool gave_back = false;
  for (std::uint64_t id : leases_.of(from)) {
    const Lease& lease = *leases_.find(id);
    RangeSet returned = lease.held;
    if (auto it = held.find(id); it != held.end()) {
      returned.remove(it->second);
    } else if (now - lease.granted < kGrantInFlight && lease.granted > member->second.gone) {
      continue;  // the report may have passed the grant on its way
    }
    if (returned.empty()) continue;
    lapse(id, returned);
    gave_back = true;
    // What a worker gives back it has not computed. (A leader that took over may not have counted
    // it in.)
    replicas_ -= std::min(replicas_, returned.size());
  }
  // A steward that cannot compute the job's units has asked for some like others. Who gives back
  // all that it was given has no opinion that a unit could wait for, until it asks again.
  if (gave_back && !member->second.hungry && !leases_.holds_any(from)) {
    count_out(from, member->second);
    fewer_are_left(now);
  }
  reject_stalled(now, from, out);
  leases_.renew(from, now + context_.config.lease);
  serve_hungry(now, out);
  return true;
}

// Nobody needs longer than this from being given a unit to saying something about it.
Duration JobLed::longest_lease() const {
  return Duration(1ms) * manifest_->unit_wall_ms + context_.config.lease;
}

// Who has asked once, holds nothing and asks no more takes no part. True: there was one. Where that
// worker is honest it is busy elsewhere, and counts again as soon as it asks.
bool JobLed::count_out_silent(Instant now) {
  bool any = false;
  for (auto& [id, member] : members_) {
    if (!member.linked || !member.asked || member.hungry || leases_.holds_any(id)) continue;
    if (now - std::max(member.heard, member.rests_until) <= longest_lease()) continue;
    count_out(id, member);
    any = true;
  }
  return any;
}

void JobLed::fewer_are_left(Instant now) {
  if (!weigh_waiting_) weigh_waiting_ = now + kWeighWaiting;
}

// Who holds units for longer than any unit may take, and commits none, may not compute them. Or it
// was paused, or had something else to do first: what it commits in the end counts.
void JobLed::reject_stalled(Instant now, const NodeId& worker, Outbox& out) {
  const Duration most = longest_lease();
  const auto member = members_.find(worker);
  for (std::uint64_t id : leases_.of(worker)) {
    const Lease lease = *leases_.find(id);
    Instant since = std::max(lease.granted, lease.progressed);
    if (member != members_.end()) since = std::max(since, member->second.progressed);
    // Past its end it lapses anyway: this leader may have slept, not its worker.
    if (lease.expires <= now || now - since <= most) continue;
    lapse(id, lease.held);
    fewer_are_left(now);
    if (member != members_.end()) member->second.stalled = true;
    for (Range range : lease.held.runs()) {
      units_.update(range, [&](UnitIndex, UnitMap::Segment& segment) {
        Replica* own = segment.find(worker);
        if (own != nullptr) own->state = ReplicaState::kStalled;
      });
      weigh_again(now, range, out);
    }
  }
}

// What a worker committed, and does not show though it is here, others are given first: else it
// could be given the same again and again.
void JobLed::reject_withheld(Instant now, std::uint64_t id, Outbox& out) {
  const Batch* batch = batches_.find(id);
  if (batch == nullptr) return;
  const auto member = members_.find(batch->worker);
  const bool here = member != members_.end() && member->second.linked;
  if (here) {
    member->second.stalled = weigh_stalled_ = true;
    fewer_are_left(now);
  }
  reject_batch(now, id, here ? ReplicaState::kStalled : ReplicaState::kLapsed, out);
}

// Those who wait ask no more for a while.
void JobLed::forgive_who_waits(Instant now, Outbox& out) {
  if (!std::exchange(weigh_stalled_, false)) return;
  bool any = false;
  for (auto& [id, member] : members_) {
    if (member.linked && member.hungry) any |= forgive_stalled(id, member);
  }
  if (any) serve_hungry(now, out);
}

// It asks again, and there is nobody else to be given what it once sat on. True: there is such.
bool JobLed::forgive_stalled(const NodeId& worker, Member& member) {
  if (!member.stalled) return false;
  member.stalled = false;
  std::vector<Range> forgiven;
  for (const auto& [first, segment] : units_.segments()) {
    const Replica* own = segment.find(worker);
    if (own == nullptr || own->state != ReplicaState::kStalled) continue;
    member.stalled = true;
    if (units_.need(segment) > 0 && !anyone_left(segment)) {
      forgiven.push_back({first, segment.last});
    }
  }
  for (Range range : forgiven) {
    units_.update(range, [&](UnitIndex, UnitMap::Segment& segment) {
      segment.find(worker)->state = ReplicaState::kLapsed;
    });
  }
  return !forgiven.empty();
}

void JobLed::on_transfer(Instant now, const NodeId& from, const TransferNotice& notice,
                         Outbox& out) {
  auto transfer = decode_transfer(notice.by_victim.body);
  if (!transfer || transfer->job != id_ || transfer->to != from ||
      notice.by_victim.signer != transfer->from) {
    return;
  }
  auto refuse = [&] {
    out.send(
        from,
        TransferReply{
            .job = id_, .lease = transfer->lease, .new_lease = 0, .ranges = {}, .duration_ms = 0});
  };
  const bool own_victim = transfer->from == context_.self;
  const bool own_thief = from == context_.self;
  if (transfer->epoch != epoch_ || phase_ != JobPhase::kRunning ||
      (!own_victim && !signature_holds(context_.checker, Purpose::kTransfer, notice.by_victim)) ||
      (!own_thief &&
       !context_.checker.holds(from, Purpose::kTransfer, notice.by_victim.body, notice.by_thief))) {
    return refuse();
  }
  const auto thief = members_.find(from);
  const Lease* lent = leases_.find(transfer->lease);
  if (thief == members_.end() || lent == nullptr || lent->holder != transfer->from) return refuse();
  Member& member = thief->second;
  const std::uint32_t moves = lent->moves + 1;
  const Stolen stolen = take_from_victim(*transfer, *lent, member);
  lapse(transfer->lease, stolen.stranded);
  if (stolen.moved.empty()) {
    refuse();
    return serve_hungry(now, out);
  }
  lend_stolen(now, *transfer, moves, stolen.moved, member, out);
  if (!stolen.stranded.empty()) serve_hungry(now, out);
}

// The replicas that the victim has signed away are the thief's, as far as it may have them.
JobLed::Stolen JobLed::take_from_victim(const Transfer& transfer, const Lease& lent,
                                        const Member& thief) {
  const bool own_thief = transfer.to == context_.self;
  Stolen stolen;
  RangeSet named;  // they may overlap: each unit is looked at once
  std::uint64_t room = allowance(transfer.to, thief);
  for (Range range : transfer.ranges) named.add(lent.held.intersection(range));
  for (Range range : named.runs()) {
    for (Range run : units_.open_runs(range)) {
      units_.update(run, [&](UnitIndex first, UnitMap::Segment& segment) {
        Replica* victim = segment.find(transfer.from);
        const bool held = victim != nullptr && victim->state == ReplicaState::kLeased &&
                          victim->lease == transfer.lease && victim->kind == LeaseKind::kPrimary;
        if (!held) return;
        if (lent.moves >= kMovesMax || stolen.moved.size() >= limits::kRangesPerMessage ||
            segment.last - first > room || !eligible(segment, transfer.to, thief) ||
            (own_thief && segment.replicas.size() > 1 && blind_verifiers_suffice())) {
          stolen.stranded.add(Range{first, segment.last});
          return;
        }
        *victim = segment.replicas.back();
        segment.replicas.pop_back();
        std::erase_if(segment.replicas, [&](const Replica& r) { return r.worker == transfer.to; });
        segment.replicas.push_back(Replica{.worker = transfer.to});
        stolen.moved.push_back({first, segment.last});
        room -= segment.last - first;
      });
    }
  }
  return stolen;
}

void JobLed::lend_stolen(Instant now, const Transfer& transfer, std::uint32_t moves,
                         const std::vector<Range>& moved, Member& thief, Outbox& out) {
  const Lease lease{.holder = transfer.to,
                    .kind = LeaseKind::kPrimary,
                    .held = RangeSet(moved),
                    .granted = now,
                    .expires = now + context_.config.lease,
                    .progressed = now,
                    .moves = moves};
  moved_ += lease.held.size();
  thief.has_replicas = true;
  const std::uint64_t id = leases_.add(lease);
  for (Range run : moved) {
    units_.update(run, [&](UnitIndex, UnitMap::Segment& segment) {
      if (Replica* own = segment.find(transfer.to)) own->lease = id;
    });
    leases_.release(transfer.lease, run);
  }
  thief.hungry = false;
  thief.sent_to_steal = false;
  thief.heard = now;
  send_states(transfer.to, thief, lease.held.runs(), transfer.from, out);
  out.send(transfer.to,
           TransferReply{
               .job = id_,
               .lease = transfer.lease,
               .new_lease = id,
               .ranges = lease.held.runs(),
               .duration_ms = static_cast<std::uint64_t>(context_.config.lease / Duration(1ms)),
               .grant = paper_for(transfer.to, id, LeaseKind::kPrimary, lease.held.runs())});
}

void JobLed::worker_here(const NodeId& worker, std::uint32_t threads, const std::string& address,
                         const std::optional<Signed>& record) {
  Member& member = members_[worker];
  count(worker, member, -1);
  member.linked = true;
  member.threads = std::clamp<std::uint32_t>(threads, 1, kThreadsMax);
  count(worker, member, +1);
  if (!address.empty()) member.address = address;
  if (record) member.record = record;
  lost_.erase(worker);
}

void JobLed::worker_declines(Instant now, const NodeId& worker, const std::string& why) {
  const auto it = members_.find(worker);
  if (it == members_.end()) return;
  Member& member = it->second;
  weigh_stalled_ = true;
  if (member.asked) fewer_are_left(now);
  count_out(worker, member);
  member.hungry = false;
  member.declined = why.empty() ? "it does not say why" : why.substr(0, kReasonBytes);
}

bool JobLed::worker_gone(Instant now, const NodeId& worker) {
  auto it = members_.find(worker);
  if (it == members_.end()) return false;
  count(worker, it->second, -1);
  // Lost before, and dialled in vain: it is gone, and what it held goes elsewhere at once.
  const bool again = !it->second.linked && lost_.contains(worker);
  it->second.linked = false;
  it->second.gone = now;
  it->second.to_show = true;
  it->second.hungry = false;
  it->second.knows_manifest = false;
  std::erase(hungry_, worker);
  lost_[worker] = again ? now - kLinkGrace : now;
  if (phase_ == JobPhase::kDone || phase_ == JobPhase::kCancelled) forget_absent();
  return true;
}

// The job is over: nobody is waited for, and it is kept for days in which workers come and go.
void JobLed::forget_absent() {
  std::erase_if(members_, [](const auto& entry) { return !entry.second.linked; });
  lost_.clear();
}

// Whoever comes back with leases shows their papers before it asks for more. Who asks first was
// restarted, and had not yet written that it was given anything.
void JobLed::lapse_forgotten(const NodeId& worker, Member& member) {
  if (std::exchange(member.to_show, false)) lapse_all(worker, member.gone);
}

// What they held, whose link is lost for too long, goes elsewhere, and what they were asked to show
// is not waited for: back again, they commit to it again. True: there was one.
bool JobLed::lapse_lost(Instant now, Outbox& out) {
  std::vector<NodeId> gone;
  for (const auto& [worker, since] : lost_) {
    if (now - since >= kLinkGrace) gone.push_back(worker);
  }
  for (const NodeId& worker : gone) {
    lost_.erase(worker);
    if (leases_.holds_any(worker)) ++gone_;
    lapse_all(worker, now);
    for (std::uint64_t batch : batches_.unanswered_by(worker)) {
      reject_batch(now, batch, ReplicaState::kLapsed, out);
    }
    const auto member = members_.find(worker);
    if (member != members_.end() && !member->second.has_replicas) members_.erase(member);
  }
  return !gone.empty();
}

void JobLed::on_deadline(Instant now, Outbox& out) {
  if (!leading_ || !active()) return;
  bool returned = false;
  bool fewer = false;   // workers than were hoped for
  bool looked = false;  // it is time to look for stragglers
  if (settling_until_ && *settling_until_ <= now) {
    settling_until_.reset();
    returned = fewer = true;
    weigh_failures(now, out);
  }
  for (std::uint64_t id : leases_.expired(now)) {
    const Lease lease = *leases_.find(id);
    lapse(id, lease.held);
    returned = true;
  }
  if (lapse_lost(now, out)) returned = fewer = true;
  if (silence_look_ && *silence_look_ <= now) {
    silence_look_ = now + context_.config.lease;
    if (count_out_silent(now) || !failures_.empty()) weigh_waiting_ = now;
  }
  if (weigh_waiting_ && *weigh_waiting_ <= now) {
    weigh_waiting_.reset();
    returned = fewer = true;
    weigh_failures(now, out);
  }
  if (fewer) {
    weigh_stuck(now, out);
    weigh_stalled_ = true;
  }
  for (std::uint64_t batch : batches_.unanswered_since(now - limits::kRevealTimeout)) {
    reject_withheld(now, batch, out);
    returned = true;
  }
  std::vector<UnitIndex> unjudged;
  for (const auto& [unit, judging] : comparing_) {
    if (judging.due <= now) unjudged.push_back(unit);
  }
  for (UnitIndex unit : unjudged) {
    if (comparing_.contains(unit)) judges_are_late(now, unit, out);
  }
  ask_more_reveals(now, out);
  ask_more_equivalence(now, out);
  if (rest_ends_ && *rest_ends_ <= now) {
    rest_ends_.reset();
    for (const auto& [_, member] : members_) {
      if (member.rests_until <= now) continue;
      if (!rest_ends_ || member.rests_until < *rest_ends_) rest_ends_ = member.rests_until;
    }
    returned = true;
  }
  if (next_straggler_look_ && *next_straggler_look_ <= now) {
    next_straggler_look_.reset();
    returned = looked = true;
  }
  if (returned) serve_hungry(now, out);
  forgive_who_waits(now, out);
  if (looked) double_stragglers(now, out);
  const bool anyone_hungry = std::any_of(hungry_.begin(), hungry_.end(), [&](const NodeId& id) {
    auto it = members_.find(id);
    return it != members_.end() && it->second.linked && it->second.hungry;
  });
  if (!next_straggler_look_ && anyone_hungry && units_.anything_to_lease()) {
    next_straggler_look_ = now + kStragglerLook;
  }
}

std::optional<Instant> JobLed::next_deadline() const {
  if (!leading_ || !active()) return std::nullopt;
  std::optional<Instant> next;
  auto consider = [&](std::optional<Instant> at) {
    if (at && (!next || *at < *next)) next = at;
  };
  consider(settling_until_);
  consider(rest_ends_);
  consider(silence_look_);
  consider(weigh_waiting_);
  consider(leases_.next_expiry());
  for (const auto& [_, since] : lost_) consider(since + kLinkGrace);
  for (const auto& [_, judging] : comparing_) consider(judging.due);
  if (next_to_show() != to_show_.end() || may_ask_more_equivalence() || weigh_stalled_) {
    consider(Instant{});  // at once
  }
  if (auto asked = batches_.oldest_unanswered()) consider(*asked + limits::kRevealTimeout);
  if (units_.anything_to_lease()) consider(next_straggler_look_);
  return next;
}

}  // namespace shoal
