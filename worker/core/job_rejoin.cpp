#include <algorithm>

#include "worker/core/job_led.h"

// Leases and commitments that workers bring from the leader before, or over a restart.
namespace shoal {
namespace {

// Of all leases in one answer, which must fit into a message: what was one run when it was given
// may be in many pieces by now.
constexpr std::size_t kRangesPerReply = 16'384;

}  // namespace

// Questions and answers that were under way are lost with a link, and a worker that is back sooner
// than it was missed knows nothing of them. Nobody gains time by it: whoever answers nothing is
// waited for from the first time on.
void JobLed::worker_back(const NodeId& worker, Outbox& out) {
  if (!active()) return;
  // With a quorum of one a worker shows what it commits, and does so again by itself.
  if (manifest_->quorum > 1) {
    for (std::uint64_t id : batches_.unanswered_by(worker)) {
      const Batch& batch = *batches_.find(id);
      out.send(worker,
               RevealRequest{
                   .job = id_, .range = batch.range, .part = batch.range, .detail = *batch.asked});
    }
  }
  ask_judge_again(worker, out);
}

Signed JobLed::paper_for(const NodeId& worker, std::uint64_t lease, LeaseKind kind,
                         const std::vector<Range>& ranges) const {
  return sign_fact(context_.signer, Purpose::kGrant,
                   encode(Grant{.job = id_,
                                .epoch = epoch_,
                                .lease = lease,
                                .kind = kind,
                                .ranges = ranges,
                                .worker = worker}));
}

void JobLed::on_rejoin(Instant now, const NodeId& from, const Rejoin& rejoin, Outbox& out) {
  if (!active()) {
    out.send(from, LeaseRevoke{.job = id_, .ranges = {}, .job_over = true});
    return;
  }
  const auto found = members_.find(from);
  if (found == members_.end()) return;
  Member& member = found->second;
  count(from, member, -1);
  member.linked = true;
  member.asked = true;
  member.heard = now;
  member.knows_manifest = true;
  member.to_show = false;
  member.threads = std::clamp<std::uint32_t>(rejoin.threads, 1, kThreadsMax);
  count(from, member, +1);
  if (rejoin.unit_ns != 0) member.unit_ns = rejoin.unit_ns;
  lost_.erase(from);
  RejoinReply reply{
      .job = id_,
      .epoch = epoch_,
      .leases = {},
      .duration_ms = static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::milliseconds>(context_.config.lease).count()),
      .open = open_ranges()};
  std::size_t room = kRangesPerReply;
  for (const Rejoin::Part& part : rejoin.parts) {
    auto lease = rejoin_part(now, from, part, room);
    if (lease) reply.leases.push_back(std::move(*lease));
  }
  out.send(from, std::move(reply));
  send_controls(from, out);
  serve_hungry(now, out);
}

// What has not ended, within what one message may list: past that, as one run that spans the rest.
std::vector<Range> JobLed::open_ranges() const {
  std::vector<Range> open;
  UnitIndex at = 0;
  for (Range run : units_.ended().runs()) {
    if (open.size() + 1 == limits::kRangesPerMessage) break;
    if (run.first > at) open.push_back({at, run.first});
    at = run.last;
  }
  if (at < units_.units()) open.push_back({at, units_.units()});
  return open;
}

// The grant, if a steward of this job gave it to this worker.
std::optional<Grant> JobLed::checked_paper(const NodeId& from, const Signed& paper) const {
  auto grant = decode_grant(paper.body);
  if (!grant || grant->job != id_ || grant->worker != from) return std::nullopt;
  const bool of_ours =
      std::any_of(terms_.begin(), terms_.end(), [&](const SignedTerm& signed_term) {
        const auto term = decode_term(signed_term.term.body);
        return term && is_steward(*term, paper.signer);
      });
  if (!of_ours && paper.signer != context_.self) return std::nullopt;
  if (!signature_holds(context_.checker, Purpose::kGrant, paper)) return std::nullopt;
  return std::move(*grant);
}

std::optional<RejoinReply::Lease> JobLed::rejoin_part(Instant now, const NodeId& from,
                                                      const Rejoin::Part& part, std::size_t& room) {
  const auto grant = checked_paper(from, part.grant);
  if (!grant) return std::nullopt;
  members_.at(from).has_replicas = true;
  RangeSet given, held;
  for (Range range : grant->ranges) given.add(intersect(range, {0, units_.units()}));
  for (Range range : part.held) held.add(given.intersection(range));
  RangeSet taken;
  std::uint64_t id = 0;
  if (!held.empty()) {
    id = leases_.add(Lease{.holder = from,
                           .kind = grant->kind,
                           .held = held,
                           .granted = now,
                           .expires = now + context_.config.lease,
                           .progressed = now});
    taken = take_over(from, id, grant->kind, held, std::min(room, limits::kRangesPerMessage));
    room -= taken.runs().size();
    RangeSet rest = held;
    rest.remove(taken);
    for (Range run : rest.runs()) leases_.release(id, run);
  }
  // What it was given and does not hold may be committed already: that is to count.
  given.remove(held);
  for (Range range : given.runs()) {
    for (Range run : units_.open_runs(range)) {
      units_.update(run, [&](UnitIndex, UnitMap::Segment& segment) {
        if (segment.find(from) != nullptr) return;
        segment.replicas.push_back(
            Replica{.worker = from, .state = ReplicaState::kLapsed, .kind = grant->kind});
      });
    }
  }
  if (taken.empty()) return std::nullopt;
  return RejoinReply::Lease{.old_epoch = grant->epoch,
                            .old_lease = grant->lease,
                            .grant = paper_for(from, id, grant->kind, taken.runs())};
}

// Leases to it again what it says it holds, as far as another replica is needed, in no more ranges
// than so many. The rest counts as lapsed.
RangeSet JobLed::take_over(const NodeId& from, std::uint64_t lease, LeaseKind kind,
                           const RangeSet& held, std::size_t ranges_max) {
  RangeSet taken;
  for (Range range : held.runs()) {
    for (Range run : units_.open_runs(range)) {
      units_.update(run, [&](UnitIndex first, UnitMap::Segment& segment) {
        const Range here{first, segment.last};
        Replica* own = segment.find(from);
        const bool leased = own != nullptr && own->state == ReplicaState::kLeased;
        if (leased) {
          // Shown again and again a paper makes nobody's units younger.
          const Lease& old = *leases_.find(own->lease);
          Lease& renewed = *leases_.find(lease);
          renewed.granted = std::min(renewed.granted, old.granted);
          renewed.progressed = std::min(renewed.progressed, old.progressed);
          renewed.moves = std::max(renewed.moves, old.moves);
          leases_.release(own->lease, here);
          own->state = ReplicaState::kLapsed;
        }
        if (own != nullptr && own->state != ReplicaState::kLapsed) return;
        if (own == nullptr) {
          own = &segment.replicas.emplace_back(
              Replica{.worker = from, .state = ReplicaState::kLapsed, .kind = kind});
        }
        const bool blind = from != context_.self || !blind_verifiers_suffice() ||
                           segment.count(ReplicaState::kCommitted) == 0;
        if ((!leased && units_.need(segment) == 0) || !blind) return;
        if (taken.runs().size() >= ranges_max) return;
        own->state = ReplicaState::kLeased;
        own->kind = kind;
        own->lease = lease;
        own->batch = 0;
        taken.add(here);
      });
    }
  }
  return taken;
}

}  // namespace shoal
