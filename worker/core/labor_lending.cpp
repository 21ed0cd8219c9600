#include <algorithm>

#include "worker/core/admission.h"
#include "worker/core/labor.h"

// What the donor lends, and takes back; and what he refuses.
namespace shoal {

void Labor::lend(Lend::What what, Outbox& out) {
  lending_ = what;
  for (auto& [_, job] : jobs_) job.stood_down = job.hungry = false;
  if (what == Lend::What::kAll || what == Lend::What::kWhatIsHeld) return;
  for (auto& [key, job] : jobs_) {
    job.stood_down = job.manifest && leader_linked(job);
    put_back(job, what == Lend::What::kNothing, out);
  }
}

// What is not begun goes back, at once, rather than when the next report is due.
void Labor::put_back(Job& job, bool what_runs_too, Outbox& out) {
  std::set<std::uint64_t> gone;
  for (const auto& [lease, held] : job.leases) gone.insert(lease);
  for (auto* queue : job.queues()) {
    for (const Item& item : *queue) release(job, item.range);
    queue->clear();
  }
  for (auto& [id, chunk] : chunks_) {
    if (!what_runs_too || chunk.job != job.key() || chunk.cancelled) continue;
    chunk.cancelled = true;
    release(job, chunk.item.range);
    out.act(CancelCompute{id});
  }
  drop_cancelled(job);
  job.victims.clear();
  if (!job.manifest || !leader_linked(job)) return;
  LeaseReport report = empty_report(job);
  for (const auto& [lease, held] : job.leases) gone.erase(lease);
  list_leases(job, report);
  // A lease that is not named may be one that the leader believes on its way.
  for (const std::uint64_t lease : gone) report.leases.push_back({lease, {}});
  out.send(job.leader, std::move(report));
}

// Where it had asked, it is counted upon: to verify what others have computed, most of all.
void Labor::stand_down(Outbox& out) {
  for (auto& [_, job] : jobs_) {
    const bool open = job.state == State::kHeardOf || job.state == State::kReady;
    if (!open || job.stood_down || job.asked || !leader_linked(job)) continue;
    job.stood_down = true;
    LeaseReport report = empty_report(job);
    list_leases(job, report);
    out.send(job.leader, std::move(report));
  }
}

void Labor::reconsider(Outbox& out) {
  for (auto& [_, job] : jobs_) {
    if (!job.manifest) continue;
    const auto objection = objection_to_computing(config_, job.signed_manifest, *job.manifest);
    if (objection && job.state != State::kRefused) {
      leave(job, objection->why, out);
    } else if (!objection && job.state == State::kRefused) {
      job.state = State::kHeardOf;  // it is asked for again
      job.asked.reset();
    }
  }
}

// As if it had never worked for it, save that it knows what it leaves.
void Labor::leave(Job& job, const std::string& why, Outbox& out) {
  out.tell(LogLevel::kInfo, "leaves job " + short_hex(job.id) + ": " + why);
  stop_all(job.key(), out);
  LeaseReport none = empty_report(job);
  for (const auto& [lease, held] : job.leases) none.leases.push_back({lease, {}});
  if (!none.leases.empty() && leader_linked(job)) out.send(job.leader, std::move(none));
  decline(job, out);
  const Erase erase{.job = job.id, .what = Erase::What::kWorked};
  std::erase_if(unsaved_, [&](const StoredFact& fact) { return covers(erase, fact); });
  if (job.saved) out.erase(erase);
  out.act(ForgetJob{job.id});
  Job left;
  left.id = job.id;
  left.leader = job.leader;
  left.leader_record = std::move(job.leader_record);
  left.submitter = job.submitter;
  left.state = State::kRefused;
  left.manifest = std::move(job.manifest);
  left.signed_manifest = std::move(job.signed_manifest);
  left.terms = std::move(job.terms);
  left.report_at = job.report_at;
  job = std::move(left);
}

// Whoever leads it can say why nothing moves, and does not ask this worker to keep it; save where
// it keeps it already, and only cannot compute it: it would have resigned.
void Labor::decline(const Job& job, Outbox& out) const {
  if (!leader_linked(job)) return;
  const auto refusal = objection_of_owner(config_, job.submitter, *job.manifest);
  const auto objection =
      refusal ? refusal : objection_to_computing(config_, job.signed_manifest, *job.manifest);
  if (!objection) return;
  const auto term = last_term(job.terms);
  const bool follows =
      job.leader != signer_.id() && term.has_value() && is_steward(*term, signer_.id());
  if (follows && !refusal) {
    LeaseReport report = empty_report(job);
    report.declines = objection->why;
    out.send(job.leader, std::move(report));
  } else {
    out.send(job.leader, EnlistReply{.job = job.id, .accepted = false, .detail = objection->why});
  }
}

bool Labor::nothing_in_hand() const {
  return chunks_.empty() && std::all_of(jobs_.begin(), jobs_.end(), [](const auto& entry) {
           const auto& batches = entry.second.batches;
           return std::all_of(batches.begin(), batches.end(),
                              [](const auto& batch) { return batch.second.shown; });
         });
}

}  // namespace shoal
