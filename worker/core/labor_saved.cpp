#include <algorithm>
#include <cstring>
#include <tuple>

#include "node/protocol/hash.h"
#include "worker/core/admission.h"
#include "worker/core/labor.h"

// What a worker keeps on its disk of the jobs that it works for, and how it goes on from there.
namespace shoal {

void Labor::save_task(Job& job) {
  if (job.saved || !job.manifest) return;
  job.saved = true;
  custody_.take_part(job.id, job.signed_manifest);
  save(StoredFact{.kind = FactKind::kTask,
                  .job = job.id,
                  .sequence = 0,
                  .about = {},
                  .bytes = pack_signed(job.signed_manifest)});
  save(StoredFact{.kind = FactKind::kTaskTerms,
                  .job = job.id,
                  .sequence = 0,
                  .about = {},
                  .bytes = encode_chain(job.id, job.terms)});
}

// Nothing waits for it: what is lost with it is computed again, and comes out the same.
void Labor::flush_saved(Outbox& out) {
  save_at_.reset();
  for (StoredFact& fact : std::exchange(unsaved_, {})) out.store(std::move(fact));
}

void Labor::recover_job(const StoredFact& task) {
  auto manifest = unpack_signed(task.bytes);
  auto what = decode_manifest(manifest ? ByteView(manifest->body) : ByteView());
  if (!what || job_id_of(manifest->body) != task.job) return;
  if (jobs_.size() >= limits::kJobsKnown || objection_to_computing(config_, *manifest, *what))
    return;
  Job job;
  job.id = task.job;
  job.submitter = manifest->signer;
  job.signed_manifest = std::move(*manifest);
  job.manifest = std::make_shared<const Manifest>(std::move(*what));
  job.saved = true;
  custody_.take_part(job.id, job.signed_manifest);
  jobs_.emplace(job.key(), std::move(job));  // its leader is not known yet
}

void Labor::recover(const std::vector<StoredFact>& facts) {
  for (const StoredFact& fact : facts) {
    if (fact.kind == FactKind::kTask) recover_job(fact);
  }
  for (const StoredFact& fact : facts) {
    if (fact.kind != FactKind::kTaskTerms) continue;
    auto node = jobs_.extract(JobKey{fact.job, NodeId{}});
    if (node.empty()) continue;
    auto terms = decode_chain(fact.bytes);
    const auto term = terms ? last_term(*terms) : std::nullopt;
    Job& job = node.mapped();
    // Of two that signed the same the one wrote over the other.
    if (!term || terms->front().term.signer != job.submitter) continue;
    job.terms = std::move(*terms);
    job.leader = term->stewards.front();
    if (auto record = membership_.record_of(job.leader)) job.leader_record = std::move(*record);
    node.key() = job.key();
    jobs_.insert(std::move(node));
  }
  std::erase_if(jobs_, [](const auto& entry) { return entry.second.terms.empty(); });
  for (const StoredFact& fact : facts) {
    if (fact.kind == FactKind::kPaper) {
      Job* job = known(fact.job);
      auto grant = unpack_signed(fact.bytes);
      auto what = decode_grant(grant ? ByteView(grant->body) : ByteView());
      if (job == nullptr || !what) continue;
      job->epoch = std::max(job->epoch, what->epoch);
      job->papers.push_back(
          {fact.sequence, what->epoch, what->lease, std::move(what->ranges), *grant});
    } else if (fact.kind == FactKind::kBatch) {
      Job* job = known(fact.job);
      auto message = decode(fact.bytes);
      auto* batch = message ? std::get_if<Reveal>(&*message) : nullptr;
      if (job == nullptr || batch == nullptr || !batch->outputs) continue;
      // The same bytes under the same key: the signature, too, is the same as it was.
      Held held{.range = batch->range,
                .commitment = sign_fact(
                    signer_, Purpose::kCommitment,
                    encode(Commitment{.job = job->id,
                                      .worker = signer_.id(),
                                      .range = batch->range,
                                      .sealed = commitment_seal(job->id, signer_.id(), batch->range,
                                                                batch->salt, batch->root)})),
                .salt = batch->salt,
                .root = batch->root,
                .outputs = std::move(*batch->outputs),
                .shown = false};
      keep(*job, std::move(held));
    }
  }
  unsaved_.clear();  // all of it came from there
  for (auto& [_, job] : jobs_) resume_leases(job);
}

// What the papers of the latest epoch give and no batch holds was not computed, or was lost, or
// went to others meanwhile: those are on disk as well, and there may be very many. A unit is in the
// latest lease that has it, and of no more leases than it may hold is anything said. The leader
// will say what of it is still this worker's.
void Labor::resume_leases(Job& job) {
  std::sort(job.papers.begin(), job.papers.end(), [](const Paper& a, const Paper& b) {
    return std::tie(a.epoch, a.lease) < std::tie(b.epoch, b.lease);
  });
  RangeSet done;
  for (const auto& [_, held] : job.batches) done.add(held.range);
  for (auto paper = job.papers.rbegin(); paper != job.papers.rend(); ++paper) {
    if (paper->epoch != job.epoch) continue;
    if (job.leases.size() >= kLeasesMax || job.rejoining.size() >= kItemsMax) break;
    const auto grant = decode_grant(paper->grant.body);
    RangeSet rest(paper->ranges);
    rest.remove(done);
    if (rest.empty()) continue;
    done.add(rest);
    for (Range run : rest.runs()) job.rejoining.push_back({run, paper->lease, grant->kind});
    job.leases[paper->lease] = std::move(rest);
  }
  prune_papers(job);
}

void Labor::on_started(Instant now, Outbox& out) {
  for (auto& [_, job] : jobs_) {
    fetch_contents(job);
    job.report_at = now + config_.lease / 3;
    if (leader_linked(job)) {
      rejoin(now, job, out);
    } else {
      seek_leader(now, job, out);
    }
  }
}

}  // namespace shoal
