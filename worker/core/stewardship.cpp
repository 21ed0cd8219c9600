#include "worker/core/stewardship.h"

#include <algorithm>

namespace shoal {
namespace {

// A leader that was restarted gives the others so long to say that they went on without it.
constexpr Duration kResumeWait = 2s;
constexpr Duration kFetchAgain = 5s;
// Who wakes so long after its deadline has slept itself.
constexpr Duration kSlept = 1s;
// The places of a job's terms on disk: those in force, and those under which it was kept before.
constexpr std::uint64_t kTermsInForce = 0;
constexpr std::uint64_t kTermsBefore = 1;

}  // namespace

Stewardship::Stewardship(const PeerConfig& config, const Signer& signer,
                         const SignatureChecker& checker, Membership& membership, Custody& custody,
                         Rng rng)
    : config_(config),
      signer_(signer),
      checker_(checker),
      membership_(membership),
      custody_(custody),
      rng_(rng),
      context_{.self = signer.id(), .config = config, .signer = signer, .checker = checker} {}

Stewardship::Entry* Stewardship::entry(const JobId& id) {
  auto it = jobs_.find(id);
  return it == jobs_.end() ? nullptr : &it->second;
}

const Stewardship::Entry* Stewardship::entry(const JobId& id) const {
  auto it = jobs_.find(id);
  return it == jobs_.end() ? nullptr : &it->second;
}

JobLed* Stewardship::find(const JobId& id) {
  Entry* found = entry(id);
  return found == nullptr || !found->durable ? nullptr : found->job.get();
}

JobLed* Stewardship::led(const JobId& id) {
  JobLed* job = find(id);
  return job == nullptr || !job->leading() ? nullptr : job;
}

UnixMs Stewardship::unix_ms(Instant now) const {
  return config_.unix_ms_at_zero + now.ns / 1'000'000;
}

void Stewardship::recover(const std::vector<StoredFact>& facts) {
  for (const StoredFact& fact : facts) {
    if (fact.kind != FactKind::kManifest) continue;
    auto manifest = unpack_signed(fact.bytes);
    auto what = decode_manifest(manifest ? ByteView(manifest->body) : ByteView());
    if (!what || job_id_of(manifest->body) != fact.job) continue;
    Entry& entry = jobs_[fact.job];
    entry.job = std::make_unique<JobLed>(context_, *manifest, std::move(*what), rng_.fork());
    entry.durable = true;
    custody_.take_part(fact.job, entry.job->signed_manifest());
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
          if (auto what = decode_control(control->body)) {
            found->job->recover_control(*control, *what);
          }
        }
        break;
      case FactKind::kSnapshot:
        found->snapshot = unpack_signed(fact.bytes);
        break;
      case FactKind::kTerms:
        if (auto terms = decode_chain(fact.bytes); terms && last_term(*terms)) {
          if (fact.sequence == kTermsBefore) {
            found->kept_under = std::move(*terms);
          } else {
            found->job->set_terms(std::move(*terms));
          }
        }
        break;
      case FactKind::kEnded:
        found->ended = static_cast<UnixMs>(fact.sequence);
        custody_.over(fact.job, kept_until(*found));
        break;
      case FactKind::kHolder:  // once all receipts are there
      case FactKind::kManifest:
      case FactKind::kPeer:
      case FactKind::kTask:
      case FactKind::kTaskTerms:
      case FactKind::kPaper:
      case FactKind::kBatch:
      case FactKind::kPart:
      case FactKind::kMade:
      case FactKind::kCopied:
      case FactKind::kPartEnds:
        break;
    }
  }
  for (auto& [_, entry] : jobs_) {
    if (is_steward(entry.job->term(), signer_.id())) entry.kept_under.clear();
  }
  for (const StoredFact& fact : facts) {
    if (fact.kind != FactKind::kHolder) continue;
    Entry* found = entry(fact.job);
    const auto name = ContentId::from_bytes(fact.bytes);
    if (found != nullptr && name) found->job->copies().recall(fact.sequence, *name, fact.about);
  }
}

void Stewardship::on_started(Instant now, Outbox& out) {
  for (auto& [_, entry] : jobs_) {
    if (leads_by_term(entry)) {
      const bool alone = entry.job->term().stewards.size() <= 1;
      entry.resume_at = alone ? now : now + kResumeWait;
    }
    if (entry.ended == 0) need_contents(entry);  // else they may have gone meanwhile
    if (entry.missing.empty()) begin(now, entry, out);
  }
}

void Stewardship::answer(const NodeId& to, const JobId& job, SubmitOutcome outcome,
                         std::string detail, Outbox& out) {
  out.send(to, SubmitReply{.job = job, .outcome = outcome, .detail = std::move(detail)});
}

std::optional<Objection> Stewardship::objection(const Signed& manifest,
                                                const Manifest& what) const {
  if (jobs_.size() >= limits::kJobsLed) {
    return Objection{SubmitOutcome::kFull, "this steward leads as many jobs as it can"};
  }
  return objection_to_keeping(config_, manifest, what);
}

void Stewardship::answer_waiting(Entry& entry, SubmitOutcome outcome, const std::string& detail,
                                 Outbox& out) {
  const JobId& id = entry.job->id();
  for (const NodeId& to : std::exchange(entry.to_answer, {})) answer(to, id, outcome, detail, out);
  if (!entry.enlisted_by) return;
  out.send(
      *entry.enlisted_by,
      EnlistReply{.job = id, .accepted = outcome == SubmitOutcome::kAccepted, .detail = detail});
  entry.enlisted_by.reset();
}

Stewardship::Entry& Stewardship::add_entry(const Signed& manifest, Manifest what, TermChain terms) {
  const JobId id = job_id_of(manifest.body);
  left_.erase(id);
  Entry& entry = jobs_[id];
  entry.job = std::make_unique<JobLed>(context_, manifest, std::move(what), rng_.fork());
  entry.job->set_terms(std::move(terms));
  return entry;
}

void Stewardship::on_submit(Instant now, const NodeId& from, const Submit& submit, Outbox& out) {
  const JobId id = job_id_of(submit.manifest.body);
  const auto invalid = [&](std::string why) {
    answer(from, id, SubmitOutcome::kInvalid, std::move(why), out);
  };
  const NodeId& submitter = membership_.node_of(from);
  if (submit.manifest.signer != submitter) return invalid("it was signed by somebody else");
  const auto term = term_in_force(submit.terms, id, submitter, checker_);
  if (!term) return invalid("the terms of its stewards do not hold: " + term.error());
  if (Entry* known = entry(id)) {
    // Anybody can sign what another has submitted, and give it to stewards of his own.
    if (known->job->signed_manifest().signer != submitter) {
      return invalid("it was submitted by somebody else");
    }
    // The same job again: the acknowledgement was lost, or its stewards are others now.
    if (outranks(submit.terms, known->job->terms())) {
      adopt_terms(now, *known, submit.terms, out);
    } else if (outranks(known->job->terms(), submit.terms)) {
      // From before a crash of the submitter, which has forgotten them: it outranks them in turn,
      // lest its stewards follow others who may be gone.
      out.send(from, notice_of(*known));
    }
    auto& waiting = known->to_answer;
    if (std::find(waiting.begin(), waiting.end(), from) == waiting.end()) waiting.push_back(from);
    if (known->durable) store_terms(*known, out);
    return;
  }
  if (!is_steward(*term, signer_.id())) return invalid("its terms name other stewards");
  auto what = decode_manifest(submit.manifest.body);
  if (!what) return invalid(what.error().what);
  if (!signed_by_submitter(checker_, submit.manifest, *what)) {
    return invalid("its signature does not hold");
  }
  make_room(out);
  if (const auto objects = objection(submit.manifest, *what)) {
    return answer(from, id, objects->outcome, objects->why, out);
  }
  Entry& entry = add_entry(submit.manifest, std::move(*what), submit.terms);
  entry.to_answer.push_back(from);
  need_contents(entry);
  if (entry.missing.empty()) make_durable(entry, out);
}

// Jobs whose submitters have taken everything go before their time, also from the disk: what nobody
// knows of any more would stay there for ever, and be in the way after a restart.
void Stewardship::make_room(Outbox& out) {
  for (auto it = jobs_.begin(); it != jobs_.end() && jobs_.size() >= limits::kJobsLed;) {
    if (!it->second.snapshot) {
      ++it;
      continue;
    }
    custody_.over(it->first);
    out.erase(Erase{.job = it->first, .what = Erase::What::kKept});
    it = jobs_.erase(it);
  }
}

void Stewardship::need_contents(Entry& entry) {
  const Manifest& what = entry.job->manifest();
  std::vector<NodeId> sources{entry.job->signed_manifest().signer};
  for (const NodeId& steward : entry.job->term().stewards) {
    if (steward != signer_.id()) sources.push_back(steward);
  }
  for (const ContentName& content : contents_of(what)) {
    entry.missing.insert(content.id);
    needs_.push_back({content.id, content.length, sources});
  }
}

void Stewardship::make_durable(Entry& entry, Outbox& out) {
  custody_.take_part(entry.job->id(), entry.job->signed_manifest());
  out.store(StoredFact{.kind = FactKind::kManifest,
                       .job = entry.job->id(),
                       .sequence = 0,
                       .about = {},
                       .bytes = pack_signed(entry.job->signed_manifest())});
  store_terms(entry, out);
}

void Stewardship::store_terms(const Entry& entry, Outbox& out) {
  const auto keep = [&](std::uint64_t place, const TermChain& terms) {
    out.store(StoredFact{.kind = FactKind::kTerms,
                         .job = entry.job->id(),
                         .sequence = place,
                         .about = {},
                         .bytes = encode_chain(entry.job->id(), terms)});
  };
  keep(kTermsInForce, entry.job->terms());
  // Whoever leads now may not have read what is in the ledger here when this process ends.
  if (!entry.kept_under.empty()) keep(kTermsBefore, entry.kept_under);
}

void Stewardship::on_content(Instant now, const ContentId& id, const std::string& error,
                             Outbox& out) {
  std::vector<JobId> failed;
  for (auto& [job, entry] : jobs_) {
    if (entry.missing.erase(id) == 0) continue;
    if (!error.empty()) {
      answer_waiting(entry, SubmitOutcome::kStorageFailed, error, out);
      if (!entry.durable) {
        failed.push_back(job);
      } else {
        entry.job->storage_trouble(error);
        entry.missing.insert(id);
        entry.fetch_again_at = now + kFetchAgain;
      }
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
  if (error.empty()) disk_fails_ = false;
  std::set<JobId> advanced;
  for (const StoredFact& fact : facts) {
    Entry* found = entry(fact.job);
    if (found == nullptr) continue;
    if (!error.empty()) {
      // What a worker keeps for itself is not stored again, and nothing would tell that it can be.
      disk_fails_ |= found->durable && goes_with(fact.kind) == Erase::What::kKept;
      answer_waiting(*found, SubmitOutcome::kStorageFailed, error, out);
      if (fact.kind == FactKind::kManifest && !found->durable) {
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
        answer_waiting(*found, SubmitOutcome::kAccepted, {}, out);
        begin(now, *found, out);
        break;
      case FactKind::kReceipt:
        found->job->delivery().stored(fact.sequence);
        advanced.insert(fact.job);
        note_end(now, *found, out);
        break;
      case FactKind::kControl:
        note_end(now, *found, out);
        break;
      case FactKind::kTerms:
        if (found->durable) answer_waiting(*found, SubmitOutcome::kAccepted, {}, out);
        break;
      case FactKind::kSnapshot:
      case FactKind::kPeer:
      case FactKind::kEnded:
      case FactKind::kTask:
      case FactKind::kTaskTerms:
      case FactKind::kPaper:
      case FactKind::kBatch:
      case FactKind::kPart:
      case FactKind::kMade:
      case FactKind::kCopied:
      case FactKind::kPartEnds:
      case FactKind::kHolder:
        break;
    }
  }
  for (const JobId& job : advanced) {
    if (Entry* found = entry(job)) found->job->delivery().advance(out);
  }
}

// From its end on its results are kept for as long as the manifest says.
void Stewardship::note_end(Instant now, Entry& entry, Outbox& out) {
  if (entry.ended != 0 || !entry.begun || entry.job->active()) return;
  entry.ended = unix_ms(now);
  out.store(StoredFact{.kind = FactKind::kEnded,
                       .job = entry.job->id(),
                       .sequence = static_cast<std::uint64_t>(entry.ended),
                       .about = {},
                       .bytes = {}});
  custody_.over(entry.job->id(), kept_until(entry));
}

UnixMs Stewardship::kept_until(const Entry& entry) const {
  if (entry.ended == 0) return 0;
  return entry.ended + static_cast<UnixMs>(entry.job->manifest().keep_s) * 1000;
}

void Stewardship::forget_expired(Instant now, Outbox& out) {
  for (auto it = jobs_.begin(); it != jobs_.end();) {
    if (it->second.ended == 0 || kept_until(it->second) > unix_ms(now)) {
      ++it;
      continue;
    }
    out.erase(Erase{.job = it->first, .what = Erase::What::kKept});
    out.act(ForgetJob{it->first});
    it = jobs_.erase(it);
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
  entry.begun = true;
  look_for_copies(now);
  entry.job->start(out);
  note_end(now, entry, out);
  meet_fellows(now, entry, out);
  if (leads_by_term(entry) && (!entry.resume_at || *entry.resume_at <= now)) {
    if (entry.resume_at) {
      elect_self(now, entry, {}, out);
    } else {
      take_lead(now, entry, out);
    }
  }
}

void Stewardship::on_link_up(Instant now, const NodeId& node, Outbox& out) {
  const auto& links = membership_.links();
  auto link = links.find(node);
  if (link == links.end() || link->second.role != Role::kWorker) return;
  const auto what = membership_.what_of(node);
  for (auto& [_, entry] : jobs_) {
    if (entry.job->leading()) {
      entry.job->worker_here(node, what ? what->threads : 1, link->second.address,
                             membership_.record_of(node));
      entry.job->worker_back(node, out);
    }
    if (!entry.begun || !fellow(entry, node)) continue;
    entry.away.erase(node);
    const auto& stewards = entry.job->term().stewards;
    // The leader, or who was until this node took its place.
    if (node == stewards.front() || node == stewards.back()) entry.contests = 0;
    entry.watch.asked = false;  // the question may have been lost with the link
    heard_[node] = now;
    present_to(node, entry, out);
  }
}

void Stewardship::on_link_lost(Instant now, const LinkLost& lost, Outbox& out) {
  const NodeId& node = lost.peer;
  heard_.erase(node);
  forget_asks_of(node);
  bool missed = false;
  for (auto& [_, entry] : jobs_) {
    missed |= entry.job->worker_gone(now, node);
    if (entry.job->copies().holders().contains(node) && note_absence(now, node)) {
      look_for_copies(now + limits::kHeartbeatEvery);
    }
    entry.job->delivery().reader_lost(node);
    entry.readings.erase(node);
    if (fellow(entry, node)) {
      note_away(now, entry, lost);
      missed = true;
    }
    if (entry.enlisting && entry.enlisting->candidate == node) {
      entry.declined[node] = now;
      entry.enlisting.reset();
    }
  }
  // Dialled at once: whoever does not answer either is gone, and what it held goes elsewhere.
  if (missed) membership_.reach(now, node, out);
}

JobStatus Stewardship::status_of(Instant now, const Entry& entry) const {
  JobStatus status = entry.job->status(now);
  status.stewards_here = 1;
  for (const NodeId& steward : entry.job->term().stewards) {
    if (steward != signer_.id() && steward_here(entry, steward)) ++status.stewards_here;
  }
  status.kept_until = kept_until(entry);
  if (sees_to_copies(entry)) {
    status.inputs_held = entry.inputs_held;
    status.large_outputs = entry.job->copies().outputs();
    status.thin_outputs = entry.thin_outputs;
  }
  return status;
}

void Stewardship::on_status_request(Instant now, const NodeId& from,
                                    const JobStatusRequest& request, Outbox& out) {
  constexpr std::size_t kStatusesPerReply = 256;
  JobStatusReply reply;
  for (const auto& [id, entry] : jobs_) {
    if (!entry.durable) continue;
    if (!request.job.is_zero() && id != request.job) continue;
    if (!request.submitter.is_zero() && entry.job->signed_manifest().signer != request.submitter) {
      continue;
    }
    if (reply.jobs.size() == kStatusesPerReply) break;
    reply.jobs.push_back(status_of(now, entry));
  }
  out.send(from, std::move(reply));
}

// Whoever brings it: it is the submitter's signature that counts.
void Stewardship::on_control(Instant now, const NodeId& from, const ControlRequest& request,
                             Outbox& out) {
  auto what = decode_control(request.control.body);
  Entry* found = what ? entry(what->job) : nullptr;
  if (found == nullptr || !found->durable) return;
  if (!found->job->on_control(now, request.control, out)) return;
  for (const NodeId& steward : found->job->term().stewards) {
    if (steward != from && fellow(*found, steward) && membership_.linked(steward)) {
      out.send(steward, request);
    }
  }
  // The leader tells its workers, if it is there.
  if (found->job->leading() || !found->job->cancelled_by()) return;
  for (const NodeId& worker : membership_.linked_workers()) {
    if (worker != from && !fellow(*found, worker)) out.send(worker, request);
  }
}

void Stewardship::on_job_over(const NodeId& from, const JobOver& over, Outbox& out) {
  auto what = decode_snapshot(over.snapshot.body);
  Entry* found = what ? entry(what->job) : nullptr;
  if (found == nullptr || !found->durable || found->snapshot) return;
  if (found->job->signed_manifest().signer != over.snapshot.signer) return;
  if (!signature_holds(checker_, Purpose::kSnapshot, over.snapshot)) return;
  found->snapshot = over.snapshot;
  out.store(StoredFact{.kind = FactKind::kSnapshot,
                       .job = what->job,
                       .sequence = 0,
                       .about = {},
                       .bytes = pack_signed(over.snapshot)});
  for (const NodeId& steward : found->job->term().stewards) {
    if (steward != from && fellow(*found, steward) && membership_.linked(steward)) {
      out.send(steward, over);
    }
  }
}

void Stewardship::on_deadline(Instant now, Outbox& out) {
  for (auto& [_, entry] : jobs_) {
    entry.job->on_deadline(now, out);
    if (entry.fetch_again_at && *entry.fetch_again_at <= now) {
      entry.fetch_again_at.reset();
      need_contents(entry);
    }
  }
  for (auto& [_, entry] : jobs_) {
    const auto at = takeover_at(entry);
    if (!at || *at > now) continue;
    const auto silent = heard_.find(entry.job->term().stewards.front());
    if (now - *at > kSlept) {
      pardon(now, entry);
    } else if (silent != heard_.end() && !disk_answers(now)) {
      pardon(now + limits::kHeartbeatEvery, entry);
    } else {
      const bool resigned = entry.resigned.contains(entry.job->term().stewards.front());
      elect_self(now, entry, resigned ? "keeps it no more" : "does not answer", out);
    }
  }
  if (tick_at_ && *tick_at_ <= now) tick(now, out);
  if (copies_at_ && *copies_at_ <= now) see_to_copies(now, out);
  forget_expired(now, out);
}

std::optional<Instant> Stewardship::next_deadline() const {
  std::optional<Instant> next = tick_at_;
  auto consider = [&](std::optional<Instant> at) {
    if (at && (!next || *at < *next)) next = at;
  };
  consider(copies_at_);
  for (const auto& [_, entry] : jobs_) {
    consider(entry.job->next_deadline());
    consider(entry.fetch_again_at);
    consider(takeover_at(entry));
    if (entry.ended != 0) {
      consider(Instant{(kept_until(entry) - config_.unix_ms_at_zero) * 1'000'000});
    }
  }
  return next;
}

std::vector<JobStatus> Stewardship::statuses(Instant now) const {
  std::vector<JobStatus> all;
  for (const auto& [_, entry] : jobs_) all.push_back(status_of(now, entry));
  return all;
}

std::vector<JobId> Stewardship::running() const {
  std::vector<JobId> ids;
  for (const auto& [id, entry] : jobs_) {
    if (entry.durable && entry.job->wants_workers()) ids.push_back(id);
  }
  return ids;
}

std::uint64_t Stewardship::jobs_led() const {
  return static_cast<std::uint64_t>(std::count_if(
      jobs_.begin(), jobs_.end(), [](const auto& e) { return e.second.job->leading(); }));
}

void Stewardship::add_needed(std::set<ContentId>& needed) const {
  for (const auto& [id, entry] : jobs_) {
    if (!entry.job->active()) continue;
    for (const ContentName& content : contents_of(entry.job->manifest())) needed.insert(content.id);
  }
}

void Stewardship::check_invariants() const {
  check(jobs_.size() <= limits::kJobsLed, "more jobs are kept than the limit allows");
  for (const auto& [_, entry] : jobs_) {
    entry.job->check_invariants();
    check(!entry.job->leading() || leads_by_term(entry), "a job is led against its terms");
  }
}

}  // namespace shoal
