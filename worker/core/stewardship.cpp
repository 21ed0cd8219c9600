#include "worker/core/stewardship.h"

#include <algorithm>

namespace shoal {

Stewardship::Stewardship(const PeerConfig& config, const Signer& signer,
                         const SignatureChecker& checker, Membership& membership, Rng rng)
    : config_(config),
      signer_(signer),
      checker_(checker),
      membership_(membership),
      rng_(rng),
      context_{.self = signer.id(), .config = config, .checker = checker} {}

Stewardship::Entry* Stewardship::entry(const JobId& id) {
  auto it = jobs_.find(id);
  return it == jobs_.end() ? nullptr : &it->second;
}

JobLed* Stewardship::find(const JobId& id) {
  Entry* found = entry(id);
  return found == nullptr || !found->durable ? nullptr : found->job.get();
}

void Stewardship::recover(const std::vector<StoredFact>& facts) {
  // A job whose submitter has taken everything needs no steward any more.
  std::set<JobId> over;
  for (const StoredFact& fact : facts) {
    if (fact.kind == FactKind::kSnapshot) over.insert(fact.job);
  }
  for (const StoredFact& fact : facts) {
    if (fact.kind != FactKind::kManifest || over.contains(fact.job)) continue;
    auto manifest = unpack_signed(fact.bytes);
    auto what = manifest ? decode_manifest(manifest->body)
                         : Result<Manifest, DecodeError>(tl::unexpect, DecodeError{});
    if (!what || job_id_of(manifest->body) != fact.job) continue;
    Entry& entry = jobs_[fact.job];
    entry.job = std::make_unique<JobLed>(context_, *manifest, std::move(*what), rng_.fork());
    entry.durable = true;
  }
  for (const StoredFact& fact : facts) {
    Entry* found = entry(fact.job);
    if (found == nullptr) continue;
    switch (fact.kind) {
      case FactKind::kReceipt:
        if (auto receipt = decode_receipt(fact.bytes)) found->job->recover(*receipt);
        break;
      case FactKind::kControl:
        if (auto control = unpack_signed(fact.bytes)) {
          if (auto what = decode_control(control->body)) found->job->recover_control(*what);
        }
        break;
      case FactKind::kSnapshot:
        found->snapshot = unpack_signed(fact.bytes);
        break;
      case FactKind::kManifest:
      case FactKind::kPeer:
        break;
    }
  }
}

void Stewardship::on_started(Instant now, Outbox& out) {
  for (auto& [_, entry] : jobs_) {
    need_contents(entry, entry.job->signed_manifest().signer);
    if (entry.missing.empty()) begin(now, entry, out);
  }
}

void Stewardship::answer(const NodeId& to, const JobId& job, SubmitOutcome outcome,
                         std::string detail, Outbox& out) {
  out.send(to, SubmitReply{.job = job, .outcome = outcome, .detail = std::move(detail)});
}

std::pair<SubmitOutcome, std::string> Stewardship::objection(const Signed& manifest,
                                                             const Manifest& what) const {
  if (jobs_.size() >= limits::kJobsLed) {
    return {SubmitOutcome::kFull, "this steward leads as many jobs as it can"};
  }
  if (what.quorum == 0 || what.quorum > limits::kQuorumMax || what.max_attempts == 0) {
    return {SubmitOutcome::kInvalid, "its quorum or its number of attempts is out of bounds"};
  }
  const auto& kernels = config_.record.kernels;
  switch (what.kernel_kind) {
    case KernelKind::kShipped:
      if (std::find(kernels.begin(), kernels.end(), what.kernel) == kernels.end()) {
        return {SubmitOutcome::kUnknownKernel, "no kernel '" + what.kernel + "' ships here"};
      }
      break;
    case KernelKind::kNative:
      if (!what.program) return {SubmitOutcome::kInvalid, "a native job names its program"};
      if (!config_.native_from_anyone &&
          std::find(config_.trusted_submitters.begin(), config_.trusted_submitters.end(),
                    manifest.signer) == config_.trusted_submitters.end()) {
        return {SubmitOutcome::kNotTrusted, "native programs of submitter " +
                                                to_hex(manifest.signer) + " are not trusted here"};
      }
      break;
  }
  return {SubmitOutcome::kAccepted, {}};
}

void Stewardship::on_submit(Instant, const NodeId& from, const Submit& submit, Outbox& out) {
  const JobId id = job_id_of(submit.manifest.body);
  if (Entry* known = entry(id)) {
    // The same job again: its acknowledgement may have been lost.
    if (known->durable) return answer(from, id, SubmitOutcome::kAccepted, {}, out);
    known->to_answer.push_back(from);
    return;
  }
  auto what = decode_manifest(submit.manifest.body);
  if (!what) return answer(from, id, SubmitOutcome::kInvalid, what.error().what, out);
  if (submit.manifest.signer != from ||
      !signature_holds(checker_, Purpose::kManifest, submit.manifest)) {
    return answer(from, id, SubmitOutcome::kInvalid, "its signature does not hold", out);
  }
  make_room();
  if (auto [outcome, why] = objection(submit.manifest, *what);
      outcome != SubmitOutcome::kAccepted) {
    return answer(from, id, outcome, std::move(why), out);
  }
  Entry& entry = jobs_[id];
  entry.job = std::make_unique<JobLed>(context_, submit.manifest, std::move(*what), rng_.fork());
  entry.to_answer.push_back(from);
  need_contents(entry, from);
  if (entry.missing.empty()) make_durable(entry, out);
}

// A job whose submitter has taken everything stays on disk, but may leave the table.
void Stewardship::make_room() {
  if (jobs_.size() < limits::kJobsLed) return;
  auto over = std::find_if(jobs_.begin(), jobs_.end(),
                           [](const auto& entry) { return entry.second.snapshot.has_value(); });
  if (over != jobs_.end()) jobs_.erase(over);
}

void Stewardship::need_contents(Entry& entry, const NodeId& source) {
  const Manifest& what = entry.job->manifest();
  auto need = [&](const std::optional<ContentId>& id, std::uint64_t length) {
    if (!id) return;
    entry.missing.insert(*id);
    needs_.push_back({*id, length, source});
  };
  need(what.program, what.program_bytes);
  need(what.inputs, what.inputs_bytes);
}

void Stewardship::make_durable(Entry& entry, Outbox& out) {
  out.store(StoredFact{.kind = FactKind::kManifest,
                       .job = entry.job->id(),
                       .sequence = 0,
                       .about = {},
                       .bytes = pack_signed(entry.job->signed_manifest())});
}

void Stewardship::on_content(Instant now, const ContentId& id, const std::string& error,
                             Outbox& out) {
  std::vector<JobId> failed;
  for (auto& [job, entry] : jobs_) {
    if (entry.missing.erase(id) == 0) continue;
    if (!error.empty()) {
      for (const NodeId& to : entry.to_answer) {
        answer(to, job, SubmitOutcome::kStorageFailed, error, out);
      }
      if (!entry.durable)
        failed.push_back(job);
      else
        entry.job->storage_trouble(error);
    } else if (entry.missing.empty()) {
      if (entry.durable) {
        begin(now, entry, out);
      } else {
        make_durable(entry, out);
      }
    }
  }
  for (const JobId& job : failed) jobs_.erase(job);
}

void Stewardship::on_stored(Instant now, const std::vector<StoredFact>& facts,
                            const std::string& error, Outbox& out) {
  for (const StoredFact& fact : facts) {
    Entry* found = entry(fact.job);
    if (found == nullptr) continue;
    if (!error.empty()) {
      if (fact.kind == FactKind::kManifest && !found->durable) {
        for (const NodeId& to : found->to_answer) {
          answer(to, fact.job, SubmitOutcome::kStorageFailed, error, out);
        }
        jobs_.erase(fact.job);
      } else {
        found->job->storage_trouble("the steward cannot store: " + error);
      }
      continue;
    }
    found->job->storage_trouble({});
    switch (fact.kind) {
      case FactKind::kManifest:
        found->durable = true;
        for (const NodeId& to : found->to_answer) {
          answer(to, fact.job, SubmitOutcome::kAccepted, {}, out);
        }
        found->to_answer.clear();
        begin(now, *found, out);
        break;
      case FactKind::kReceipt:
        found->job->delivery().stored(fact.sequence, out);
        break;
      case FactKind::kControl:
      case FactKind::kSnapshot:
      case FactKind::kPeer:
        break;
    }
  }
}

void Stewardship::introduce_workers(Entry& entry) {
  entry.job->worker_here(signer_.id(), config_.record.threads, {},
                         membership_.record_of(signer_.id()));
  for (const auto& [node, link] : membership_.links()) {
    if (link.role != Role::kWorker) continue;
    const auto what = membership_.what_of(node);
    entry.job->worker_here(node, what ? what->threads : 1, link.address,
                           membership_.record_of(node));
  }
}

void Stewardship::begin(Instant now, Entry& entry, Outbox& out) {
  introduce_workers(entry);
  entry.job->start(now, out);
  if (entry.job->wants_workers()) news_.push_back(entry.job->id());
}

void Stewardship::on_link_up(Instant, const NodeId& node, Outbox&) {
  const auto& links = membership_.links();
  auto link = links.find(node);
  if (link == links.end() || link->second.role != Role::kWorker) return;
  const auto what = membership_.what_of(node);
  for (auto& [_, entry] : jobs_) {
    entry.job->worker_here(node, what ? what->threads : 1, link->second.address,
                           membership_.record_of(node));
  }
}

void Stewardship::on_link_lost(Instant now, const NodeId& node, Outbox&) {
  for (auto& [_, entry] : jobs_) {
    entry.job->worker_gone(now, node);
    entry.job->delivery().reader_lost(node);
  }
}

void Stewardship::on_status_request(const NodeId& from, const JobStatusRequest& request,
                                    Outbox& out) {
  constexpr std::size_t kStatusesPerReply = 256;
  JobStatusReply reply;
  for (const auto& [id, entry] : jobs_) {
    if (!request.job.is_zero() && id != request.job) continue;
    if (!request.submitter.is_zero() && entry.job->signed_manifest().signer != request.submitter) {
      continue;
    }
    if (reply.jobs.size() == kStatusesPerReply) break;
    reply.jobs.push_back(entry.job->status());
  }
  out.send(from, std::move(reply));
}

void Stewardship::on_job_over(const NodeId& from, const JobOver& over, Outbox& out) {
  auto what = decode_snapshot(over.snapshot.body);
  if (!what || over.snapshot.signer != from) return;
  Entry* found = entry(what->job);
  if (found == nullptr || found->job->signed_manifest().signer != from || found->snapshot) return;
  if (!signature_holds(checker_, Purpose::kSnapshot, over.snapshot)) return;
  found->snapshot = over.snapshot;
  out.store(StoredFact{.kind = FactKind::kSnapshot,
                       .job = what->job,
                       .sequence = 0,
                       .about = {},
                       .bytes = pack_signed(over.snapshot)});
}

void Stewardship::on_deadline(Instant now, Outbox& out) {
  for (auto& [_, entry] : jobs_) entry.job->on_deadline(now, out);
}

std::optional<Instant> Stewardship::next_deadline() const {
  std::optional<Instant> next;
  for (const auto& [_, entry] : jobs_) {
    auto at = entry.job->next_deadline();
    if (at && (!next || *at < *next)) next = at;
  }
  return next;
}

std::vector<JobStatus> Stewardship::statuses() const {
  std::vector<JobStatus> all;
  for (const auto& [_, entry] : jobs_) all.push_back(entry.job->status());
  return all;
}

std::vector<JobId> Stewardship::running() const {
  std::vector<JobId> ids;
  for (const auto& [id, entry] : jobs_) {
    if (entry.durable && entry.job->wants_workers()) ids.push_back(id);
  }
  return ids;
}

void Stewardship::check_invariants() const {
  check(jobs_.size() <= limits::kJobsLed, "more jobs are led than the limit allows");
  for (const auto& [_, entry] : jobs_) entry.job->check_invariants();
}

}  // namespace shoal
