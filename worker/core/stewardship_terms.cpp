#include <algorithm>

#include "worker/core/stewardship.h"

// Who leads a job: heartbeats, elections, and what stewards tell each other when they meet.
namespace shoal {
namespace {

// Two that are cut off from each other and not from the rest would depose each other for ever, each
// as soon as it heard of the other's term: they wait twice as long each time.
constexpr std::uint32_t kContestsMost = 6;
// Longer than a disk that is busy takes for a group.
constexpr Duration kDiskPatience = 5s;

std::size_t rank_of(const Term& term, const NodeId& node) {
  return static_cast<std::size_t>(std::find(term.stewards.begin(), term.stewards.end(), node) -
                                  term.stewards.begin());
}

}  // namespace

bool Stewardship::fellow(const Entry& entry, const NodeId& node) const {
  return node != signer_.id() && is_steward(entry.job->term(), node);
}

// Now or before, as its own notice shows. A receipt proves no more than that there are as many keys
// as the quorum wants, and keys cost nothing: a ledger is believed only of who was trusted with it.
bool Stewardship::has_kept(const Entry& entry, const NodeId& node, const TermChain& by) const {
  const bool named = std::any_of(by.begin(), by.end(), [&](const SignedTerm& paper) {
    const auto term = decode_term(paper.term.body);
    return term && is_steward(*term, node);
  });
  return named &&
         (by == entry.job->terms() ||
          term_in_force(by, entry.job->id(), entry.job->signed_manifest().signer, checker_));
}

// Who keeps a job no more has a ledger all the same, which its leader is to read: the terms under
// which it was kept say that it is no stranger's.
void Stewardship::present_to(const NodeId& steward, const Entry& entry, Outbox& out) const {
  TermNotice notice = notice_of(entry);
  out.send(steward, notice);
  if (entry.kept_under.empty() || steward != entry.job->term().stewards.front()) return;
  notice.terms = entry.kept_under;
  out.send(steward, std::move(notice));
}

bool Stewardship::leads_by_term(const Entry& entry) const {
  const auto& stewards = entry.job->term().stewards;
  return !stewards.empty() && stewards.front() == signer_.id();
}

TermNotice Stewardship::notice_of(const Entry& entry) const {
  TermNotice notice{.job = entry.job->id(), .terms = entry.job->terms(), .records = {}};
  for (const NodeId& steward : entry.job->term().stewards) {
    if (auto record = membership_.record_of(steward)) notice.records.push_back(std::move(*record));
  }
  return notice;
}

TermNotice Stewardship::notice_of(const JobId& id) const {
  const Entry* found = entry(id);
  check(found != nullptr, "a notice of a job that is not kept here");
  return notice_of(*found);
}

void Stewardship::tell_fellows(Entry& entry, const Message& message, Outbox& out) {
  for (const NodeId& steward : entry.job->term().stewards) {
    if (fellow(entry, steward) && membership_.linked(steward)) out.send(steward, message);
  }
}

// From now on this node watches the other stewards of the job, and they it.
void Stewardship::meet_fellows(Instant now, Entry& entry, Outbox& out) {
  for (const NodeId& steward : entry.job->term().stewards) {
    if (!fellow(entry, steward)) continue;
    if (membership_.linked(steward)) {
      entry.away.erase(steward);  // it came while this node had not begun with the job
      heard_[steward] = now;
      present_to(steward, entry, out);
    } else {
      entry.away.emplace(steward, now);
      membership_.reach(now, steward, out);
    }
  }
  if (!tick_at_ && entry.job->active() && !entry.job->term().stewards.empty()) tick_at_ = now;
}

// A lost link may come back. Where nobody listens any more there is less to wait for: the node does
// not run, and whoever starts it again does so at once, or not soon.
void Stewardship::note_away(Instant now, Entry& entry, const LinkLost& lost) {
  const auto away = entry.away.emplace(lost.peer, now).first;
  constexpr Duration kLessPatience = limits::kLinkPatience - limits::kRestartTime;
  if (lost.nobody_listens) away->second = std::min(away->second, now - kLessPatience);
}

void Stewardship::take_lead(Instant now, Entry& entry, Outbox& out) {
  entry.resume_at.reset();
  if (!entry.job->active() || entry.job->leading()) return;
  introduce_workers(entry);
  entry.job->lead(now, entry.job->term().epoch, out);
  look_for_copies(now);
  news_.push_back(entry.job->id());
}

// The leader is gone or good for nothing, as `why` says; or was this node itself before it was
// restarted.
void Stewardship::elect_self(Instant now, Entry& entry, const std::string& why, Outbox& out) {
  const Term& before = entry.job->term();
  const bool again = before.stewards.front() == signer_.id();
  Term next{.job = before.job, .epoch = before.epoch + 1, .stewards = {signer_.id()}};
  for (std::size_t i = 1; i < before.stewards.size(); ++i) {
    if (before.stewards[i] != signer_.id()) next.stewards.push_back(before.stewards[i]);
  }
  if (!again) next.stewards.push_back(before.stewards.front());  // who led before comes last
  auto chain = extended(entry.job->terms(),
                        SignedTerm{sign_fact(signer_, Purpose::kTerm, encode(next)), {}});
  if (!chain) {  // its stewards have filled the place that they should have left
    out.tell(LogLevel::kError, "cannot lead job " + short_hex(before.job) +
                                   ": its stewards were replaced too often; its leader " +
                                   short_hex(before.stewards.front()) + " " + why);
    entry.resume_at.reset();
    return pardon(now, entry);
  }
  if (!again) {
    ++entry.contests;
    out.tell(LogLevel::kWarning, "leads job " + short_hex(before.job) +
                                     " from now on: its leader " +
                                     short_hex(before.stewards.front()) + " " + why);
  }
  adopt_terms(now, entry, std::move(*chain), out);
}

// `terms` were checked, and outrank those that were in force here.
void Stewardship::adopt_terms(Instant now, Entry& entry, TermChain terms, Outbox& out) {
  if (is_steward(entry.job->term(), signer_.id())) entry.kept_under = entry.job->terms();
  entry.job->set_terms(std::move(terms));
  if (is_steward(entry.job->term(), signer_.id())) entry.kept_under.clear();
  if (entry.durable) store_terms(entry, out);
  std::erase_if(entry.away, [&](const auto& away) { return !fellow(entry, away.first); });
  std::erase_if(entry.resigned, [&](const auto& who) { return !fellow(entry, who.first); });
  entry.enlisting.reset();
  entry.resume_at.reset();
  watch_anew(entry);
  const NodeId& leader = entry.job->term().stewards.front();
  if (leader != signer_.id()) {
    if (entry.job->leading()) {
      out.tell(LogLevel::kInfo, "job " + short_hex(entry.job->id()) + " is led by " +
                                    short_hex(leader) + " from now on");
      entry.job->follow();
    }
    // A term is a sign of life, whoever brought it.
    if (membership_.linked(leader)) {
      heard_[leader] = now;
      entry.contests = 0;
    } else {
      entry.away[leader] = now;
    }
  }
  if (!entry.begun) return;
  meet_fellows(now, entry, out);
  if (leader == signer_.id()) {
    if (entry.job->leading()) {
      news_.push_back(entry.job->id());  // the same leader; workers learn who else keeps the job
    } else {
      take_lead(now, entry, out);
    }
  }
}

void Stewardship::on_term_notice(Instant now, const NodeId& from, const TermNotice& notice,
                                 Outbox& out) {
  Entry* found = entry(notice.job);
  if (found == nullptr) return leave_again(from, notice.job, out);
  if (!found->begun) return;
  for (const Signed& record : notice.records) membership_.learn(now, record, out);
  if (outranks(notice.terms, found->job->terms())) {
    hear_of(now, notice.job, notice.terms, out);
    if (found->job->terms() != notice.terms) return;
  } else if (outranks(found->job->terms(), notice.terms)) {
    out.send(from, notice_of(*found));
  }
  const NodeId& leader = found->job->term().stewards.front();
  if (from == leader) {
    heard_[from] = now;
  } else if (leader == signer_.id() && notice.terms == found->job->terms()) {
    out.send(from, notice_of(*found));  // it begins to follow
  }
  // The leader reads once what a fellow has; the others read the leader's as it grows.
  if (from == leader || (leader == signer_.id() && has_kept(*found, from, notice.terms))) {
    read_from(*found, from, out);
  }
  for (Signed& control : found->job->controls()) {
    out.send(from, ControlRequest{std::move(control)});
  }
  if (found->snapshot) out.send(from, JobOver{*found->snapshot});
}

void Stewardship::hear_of(Instant now, const JobId& id, const TermChain& terms, Outbox& out) {
  Entry* found = entry(id);
  if (found == nullptr || !found->begun || !outranks(terms, found->job->terms())) return;
  const NodeId& submitter = found->job->signed_manifest().signer;
  if (term_in_force(terms, id, submitter, checker_)) adopt_terms(now, *found, terms, out);
}

void Stewardship::on_heartbeat(Instant now, const NodeId& from) {
  if (auto it = heard_.find(from); it != heard_.end()) it->second = now;
}

// When this node takes the lead, unless it hears of the leader before.
std::optional<Instant> Stewardship::takeover_at(const Entry& entry) const {
  if (!entry.begun || !entry.job->active() || entry.job->leading()) return std::nullopt;
  const Term& term = entry.job->term();
  const std::size_t rank = rank_of(term, signer_.id());
  if (rank == term.stewards.size()) return std::nullopt;
  if (rank == 0) return entry.resume_at;
  const NodeId& leader = term.stewards.front();
  const Duration turn = limits::kRankStep * static_cast<std::int64_t>(rank - 1);
  if (auto resigned = entry.resigned.find(leader); resigned != entry.resigned.end()) {
    return resigned->second + turn;
  }
  if (auto heard = heard_.find(leader); heard != heard_.end()) {
    return heard->second + limits::kLeaderSilence + turn;
  }
  auto away = entry.away.find(leader);
  if (away == entry.away.end()) return std::nullopt;
  return away->second + limits::kLinkPatience * (1 << std::min(entry.contests, kContestsMost)) +
         turn;
}

// This node slept, or its disk does not answer: what it did not hear until `then` proves nothing
// about the leader.
void Stewardship::pardon(Instant then, Entry& entry) {
  const NodeId& leader = entry.job->term().stewards.front();
  if (auto heard = heard_.find(leader); heard != heard_.end()) heard->second = then;
  if (auto who = entry.resigned.find(leader); who != entry.resigned.end()) who->second = then;
  if (auto away = entry.away.find(leader); away != entry.away.end()) away->second = then;
  if (entry.resume_at) entry.resume_at = then;
}

bool Stewardship::disk_answers(Instant now) const {
  return !disk_fails_ && (!disk_waits_ || now - *disk_waits_ < kDiskPatience);
}

// Twice a second, while there is a job with fellow stewards: signs of life, and looking after those
// that are away.
void Stewardship::tick(Instant now, Outbox& out) {
  tick_at_.reset();
  std::set<NodeId> followers;
  for (auto& [_, entry] : jobs_) {
    if (!entry.begun || !entry.job->active()) continue;
    tick_at_ = now + limits::kHeartbeatEvery;
    for (const auto& [steward, since] : entry.away) membership_.reach(now, steward, out);
    if (!entry.job->leading()) {
      watch_leader(now, entry, out);
      continue;
    }
    for (const NodeId& steward : entry.job->term().stewards) {
      if (fellow(entry, steward) && membership_.linked(steward)) followers.insert(steward);
    }
    look_for_steward(now, entry, out);
  }
  if (!disk_answers(now)) return;
  for (const NodeId& follower : followers) out.send(follower, Heartbeat{});
}

}  // namespace shoal
