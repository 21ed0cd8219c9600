#include <algorithm>

#include "worker/core/stewardship.h"

// A steward that stays away, or resigns, is replaced; a job that has too few gets another.
namespace shoal {
namespace {

constexpr Duration kEnlistPatience = 60s;  // it may have much to fetch
constexpr Duration kAskAgain = 120s;       // one that would not, or could not
// A job that is over before needs no more stewards than it began with.
constexpr Duration kGrowAfter = 5s;

}  // namespace

void Stewardship::look_for_steward(Instant now, Entry& entry, Outbox& out) {
  std::erase_if(entry.declined, [&](const auto& who) { return now - who.second > kAskAgain; });
  if (entry.enlisting) {
    if (now - entry.enlisting->since <= kEnlistPatience) return;
    entry.declined[entry.enlisting->candidate] = now;
    entry.enlisting.reset();
  }
  if (now - entry.job->leads_since() < kGrowAfter) return;
  const Term& term = entry.job->term();
  const bool too_few = term.stewards.size() < limits::kStewards;
  const bool one_is_away = std::any_of(entry.away.begin(), entry.away.end(), [&](const auto& who) {
    return now - who.second >= limits::kStewardAway;
  });
  if (!too_few && !one_is_away && entry.resigned.empty()) return;
  const auto here = static_cast<std::size_t>(
      std::count_if(term.stewards.begin(), term.stewards.end(),
                    [&](const NodeId& steward) { return steward_here(entry, steward); }));
  if (here < majority_of(term)) return;
  const auto candidate = steward_candidate(now, entry);
  if (!candidate) return;
  entry.enlisting = Enlisting{.candidate = *candidate, .since = now, .proposal = std::nullopt};
  out.send(*candidate,
           Enlist{.manifest = entry.job->signed_manifest(), .terms = entry.job->terms()});
}

std::optional<NodeId> Stewardship::steward_candidate(Instant, const Entry& entry) {
  const Manifest& what = entry.job->manifest();
  std::vector<NodeId> able;
  for (const NodeId& node : membership_.linked_workers()) {
    if (is_steward(entry.job->term(), node) || entry.declined.contains(node)) continue;
    const auto record = membership_.what_of(node);
    if (!record || record->endpoints.empty()) continue;
    if (!offers_to_compute(*record, what)) continue;
    able.push_back(node);
  }
  // A leader is linked to all who compute its job: among some of them there is a good one.
  constexpr std::size_t kLookedAt = 64;
  std::vector<StewardCandidate> candidates;
  while (!able.empty() && candidates.size() < kLookedAt) {
    std::swap(able[rng_.below(able.size())], able.back());
    candidates.push_back(candidate_of(able.back()));
    able.pop_back();
  }
  std::vector<StewardCandidate> seated;
  for (const NodeId& steward : entry.job->term().stewards) {
    // Whoever is away is replaced, and what it failed of may be what others share with it.
    seated.push_back(candidate_of(steward));
  }
  return next_steward(seated, candidates, rng_);
}

StewardCandidate Stewardship::candidate_of(const NodeId& node) const {
  std::optional<NodeRecord> record = membership_.what_of(node);
  if (node == signer_.id()) {
    record = config_.record;
    record->node = node;
    record->pool = config_.pool;
  }
  StewardCandidate found{node, node, {}, 1, true};
  if (!record) return found;
  found.owner = owner_of(*record, checker_);
  found.threads = record->threads;
  if (!record->endpoints.empty()) found.host = host_of(record->endpoints.front());
  return found;
}

void Stewardship::on_enlist(const NodeId& from, const Enlist& enlist, Outbox& out) {
  const JobId id = job_id_of(enlist.manifest.body);
  const auto decline = [&](std::string why) {
    out.send(from, EnlistReply{.job = id, .accepted = false, .detail = std::move(why)});
  };
  auto what = decode_manifest(enlist.manifest.body);
  if (!what) return decline(what.error().what);
  if (!signed_by_submitter(checker_, enlist.manifest, *what)) {
    return decline("its signature does not hold");
  }
  const auto term = term_in_force(enlist.terms, id, enlist.manifest.signer, checker_);
  if (!term) return decline("the terms of its stewards do not hold: " + term.error());
  if (term->stewards.front() != from) return decline("you do not lead it");
  if (Entry* known = entry(id)) {
    if (known->job->signed_manifest().signer != enlist.manifest.signer) {
      return decline("another has submitted the same here");
    }
    known->enlisted_by = from;
    if (known->durable) answer_waiting(*known, SubmitOutcome::kAccepted, {}, out);
    return;
  }
  make_room(out);
  if (const auto objects = objection(enlist.manifest, *what)) return decline(objects->why);
  Entry& entry = add_entry(enlist.manifest, std::move(*what), enlist.terms);
  entry.enlisted_by = from;
  need_contents(entry);
  if (entry.missing.empty()) make_durable(entry, out);
}

void Stewardship::on_enlist_reply(Instant now, const NodeId& from, const EnlistReply& reply,
                                  Outbox& out) {
  Entry* found = entry(reply.job);
  if (found == nullptr || (from != signer_.id() && !membership_.linked(from))) return;
  if (!reply.accepted) return on_declined(now, *found, from, reply.detail, out);
  if (!found->job->leading()) return;
  if (!found->enlisting || found->enlisting->candidate != from || found->enlisting->proposal) {
    return;
  }
  propose(*found, out);
  admit_if_endorsed(now, *found, out);
}

// Asked to be a steward, or of its own accord: then it computes none of the job's units either, and
// keeps it no more if it did.
void Stewardship::on_declined(Instant now, Entry& entry, const NodeId& from, const std::string& why,
                              Outbox& out) {
  const bool asked = entry.enlisting && entry.enlisting->candidate == from;
  if (asked) entry.enlisting.reset();
  if (entry.job->leading()) entry.declined[from] = now;
  if (asked) return;
  if (entry.job->leading()) entry.job->worker_declines(now, from, why);
  if (!fellow(entry, from) || !entry.begun) return;
  if (!entry.resigned.emplace(from, now).second) return;
  out.tell(LogLevel::kWarning, "steward " + short_hex(from) + " keeps job " +
                                   short_hex(entry.job->id()) + " no more: " + why);
  entry.job->copies().lose(ContentId{}, from);  // program and inputs
  look_for_copies(now);
}

bool Stewardship::steward_here(const Entry& entry, const NodeId& steward) const {
  if (steward == signer_.id()) return true;
  return membership_.linked(steward) && !entry.resigned.contains(steward);
}

void Stewardship::reconsider(Outbox& out) {
  for (auto it = jobs_.begin(); it != jobs_.end();) {
    Entry& entry = it->second;
    const JobLed& job = *entry.job;
    const auto objection =
        objection_of_owner(config_, job.signed_manifest().signer, job.manifest());
    if (!objection) {
      ++it;
      continue;
    }
    out.tell(LogLevel::kWarning,
             "keeps job " + short_hex(it->first) + " no more: " + objection->why);
    answer_waiting(entry, objection->outcome, objection->why, out);
    tell_fellows(entry, EnlistReply{.job = it->first, .accepted = false, .detail = objection->why},
                 out);
    out.erase(Erase{.job = it->first, .what = Erase::What::kKept});
    out.act(ForgetJob{it->first});
    if (left_.size() < limits::kJobsLed) left_[it->first] = objection->why;
    it = jobs_.erase(it);
  }
}

void Stewardship::leave_again(const NodeId& fellow, const JobId& job, Outbox& out) const {
  const auto left = left_.find(job);
  if (left == left_.end()) return;
  out.send(fellow, EnlistReply{.job = job, .accepted = false, .detail = left->second});
}

// The candidate in place of whoever is away, or beside the others.
void Stewardship::propose(Entry& entry, Outbox& out) {
  const Term& before = entry.job->term();
  Term next{.job = before.job, .epoch = before.epoch + 1, .stewards = {}};
  for (const NodeId& steward : before.stewards) {
    if (steward_here(entry, steward)) next.stewards.push_back(steward);
  }
  for (const NodeId& steward : before.stewards) {
    if (next.stewards.size() + 1 >= limits::kStewards) break;
    if (!is_steward(next, steward)) next.stewards.push_back(steward);
  }
  if (next.stewards.size() >= limits::kStewards) next.stewards.resize(limits::kStewards - 1);
  next.stewards.push_back(entry.enlisting->candidate);
  entry.enlisting->proposal = SignedTerm{sign_fact(signer_, Purpose::kTerm, encode(next)), {}};
  tell_fellows(entry, EndorseRequest{entry.enlisting->proposal->term}, out);
}

void Stewardship::on_endorse_request(const NodeId& from, const EndorseRequest& request,
                                     Outbox& out) {
  auto next = decode_term(request.term.body);
  Entry* found = next ? entry(next->job) : nullptr;
  if (found == nullptr || !found->begun || found->job->leading()) return;
  const Term& term = found->job->term();
  const bool from_leader = term.stewards.front() == from && request.term.signer == from;
  if (!from_leader || next->stewards.front() != from || next->epoch != term.epoch + 1) return;
  if (!is_steward(*next, signer_.id()) ||
      !signature_holds(checker_, Purpose::kTerm, request.term)) {
    return;
  }
  out.send(from,
           Endorse{.job = next->job,
                   .epoch = next->epoch,
                   .endorsement = {signer_.id(), signer_.sign(Purpose::kTerm, request.term.body)}});
}

void Stewardship::on_endorse(Instant now, const NodeId& from, const Endorse& endorse, Outbox& out) {
  Entry* found = entry(endorse.job);
  if (found == nullptr || !found->enlisting || !found->enlisting->proposal) return;
  if (endorse.endorsement.signer != from || !fellow(*found, from)) return;
  SignedTerm& proposal = *found->enlisting->proposal;
  const bool known = std::any_of(proposal.endorsements.begin(), proposal.endorsements.end(),
                                 [&](const Endorsement& e) { return e.signer == from; });
  if (known ||
      !checker_.holds(from, Purpose::kTerm, proposal.term.body, endorse.endorsement.signature)) {
    return;
  }
  proposal.endorsements.push_back(endorse.endorsement);
  admit_if_endorsed(now, *found, out);
}

void Stewardship::admit_if_endorsed(Instant now, Entry& entry, Outbox& out) {
  const SignedTerm& proposal = *entry.enlisting->proposal;
  if (1 + proposal.endorsements.size() < majority_of(entry.job->term())) return;
  const NodeId candidate = entry.enlisting->candidate;
  auto chain = extended(entry.job->terms(), proposal);
  if (!chain) {  // replaced so often that only the submitter can go on
    entry.declined[candidate] = now;
    entry.enlisting.reset();
    return;
  }
  out.tell(LogLevel::kInfo,
           "worker " + short_hex(candidate) + " is a steward of job " + short_hex(entry.job->id()));
  adopt_terms(now, entry, std::move(*chain), out);
}

}  // namespace shoal
