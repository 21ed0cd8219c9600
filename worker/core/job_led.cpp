#include "worker/core/job_led.h"

#include <algorithm>

namespace shoal {

JobLed::JobLed(const StewardContext& context, Signed manifest, Manifest what, Rng rng)
    : context_(context),
      id_(job_id_of(manifest.body)),
      signed_manifest_(std::move(manifest)),
      manifest_(std::make_shared<const Manifest>(std::move(what))),
      rng_(rng),
      units_(manifest_->units, manifest_->quorum),
      delivery_(id_, 0),
      priority_(manifest_->priority) {}

// Before its units end: ledgers that were apart may have ended some of them twice.
void JobLed::count_ends(const Receipt& receipt) {
  outputs_differ_ |= !receipt.comparisons.empty();
  std::uint64_t units = 0;
  for (Range run : units_.open_runs(receipt.range)) units += run.size();
  switch (receipt.end) {
    case UnitEnd::kVerified:
      verified_ += units;
      break;
    case UnitEnd::kDisputed:
      disputed_ += units;
      break;
    case UnitEnd::kFailed:
      failed_ += units;
      break;
  }
}

void JobLed::recover(const Receipt& receipt) {
  count_ends(receipt);
  if (!units_.open_runs(receipt.range).empty()) usage_.note(receipt);
  units_.end(receipt.range);
  copies_.note(receipt);
  next_sequence_ = std::max(next_sequence_, receipt.sequence + 1);
  delivery_ = Delivery(id_, next_sequence_ - 1);
}

bool JobLed::merge(Receipt receipt, Outbox& out) {
  if (receipt.range.last > units_.units() || units_.open_runs(receipt.range).empty()) return false;
  receipt.sequence = next_sequence_++;
  count_ends(receipt);
  const Range range = receipt.range;
  end_run(range, std::move(receipt), out);
  finish_if_done(out);
  return true;
}

void JobLed::set_terms(TermChain terms) {
  auto last = last_term(terms);
  check(last.has_value(), "a job is given terms that were not checked");
  terms_ = std::move(terms);
  term_ = std::move(*last);
}

void JobLed::recover_control(const Signed& control, const Control& what) {
  Word& word = last_word(what.command);
  if (what.sequence <= word.sequence) return;
  word = {what.sequence, control};
  switch (what.command) {
    case ControlCommand::kCancel:
      phase_ = JobPhase::kCancelled;
      break;
    case ControlCommand::kPause:
      paused_ = true;
      if (phase_ == JobPhase::kRunning) phase_ = JobPhase::kPaused;
      break;
    case ControlCommand::kResume:
      paused_ = false;
      if (phase_ == JobPhase::kPaused) phase_ = JobPhase::kRunning;
      break;
    case ControlCommand::kPriority:
      priority_ = what.priority;
      break;
  }
}

void JobLed::start(Outbox& out) {
  if (phase_ != JobPhase::kFetching) return;
  phase_ = paused_ ? JobPhase::kPaused : JobPhase::kRunning;
  finish_if_done(out);
}

void JobLed::lead(Instant now, std::uint64_t epoch, Outbox& out) {
  epoch_ = epoch;
  leading_ = true;
  leads_since_ = now;
  settling_until_ = now + Duration(1s);
  silence_look_ = now + context_.config.lease;
  serve_hungry(now, out);
}

void JobLed::follow() {
  if (!leading_) return;
  leading_ = false;
  const RangeSet ended = units_.ended();
  units_ = UnitMap(manifest_->units, manifest_->quorum);
  for (Range run : ended.runs()) units_.end(run);
  leases_ = LeaseBook();
  batches_ = Batches();
  members_.clear();
  threads_here_ = 0;
  askers_ = others_here_ = 0;
  lost_.clear();
  gone_ = 0;
  hungry_.clear();
  failures_.clear();
  comparing_.clear();
  to_compare_ = {};
  to_show_.clear();
  states_.clear();
  weigh_waiting_.reset();
  next_straggler_look_.reset();
  rest_ends_.reset();
  silence_look_.reset();
  settling_until_.reset();
}

std::vector<Signed> JobLed::controls() const {
  std::vector<Signed> all;
  for (const Word* word : {&on_going_on_, &on_priority_}) {
    if (word->control) all.push_back(*word->control);
  }
  return all;
}

bool JobLed::on_control(Instant now, const Signed& control, Outbox& out) {
  auto what = decode_control(control.body);
  if (!what || what->job != id_ || control.signer != signed_manifest_.signer) return false;
  if (what->sequence <= last_word(what->command).sequence) return false;
  if (!signature_holds(context_.checker, Purpose::kControl, control)) return false;
  const JobPhase before = phase_;
  if (before == JobPhase::kDone || before == JobPhase::kCancelled) return false;
  recover_control(control, *what);
  // Of each kind the latest few have a place: an older one that could be stored only later is as a
  // rule not written over the one that counts.
  constexpr std::uint64_t kPlaces = 32;
  const bool of_priority = what->command == ControlCommand::kPriority;
  out.store(StoredFact{.kind = FactKind::kControl,
                       .job = id_,
                       .sequence = 2 * (what->sequence % kPlaces) + (of_priority ? 1 : 0),
                       .about = {},
                       .bytes = pack_signed(control)});
  if (phase_ == JobPhase::kCancelled) {
    for (auto& [id, member] : members_) {
      lapse_all(id, now);
      if (member.asked && member.linked) {
        out.send(id, LeaseRevoke{.job = id_, .ranges = {}, .job_over = true});
      }
    }
    forget_absent();
    return true;
  }
  for (const auto& [id, member] : members_) {
    if (member.linked && member.knows_manifest) out.send(id, ControlRequest{control});
  }
  if (before == JobPhase::kPaused && phase_ == JobPhase::kRunning) {
    finish_if_done(out);
    serve_hungry(now, out);
  }
  return true;
}

JobStatus JobLed::status(Instant now) const {
  JobStatus status;
  status.job = id_;
  status.phase = phase_;
  status.units = manifest_->units;
  status.verified = verified_;
  status.failed = failed_;
  status.disputed = disputed_;
  status.committed = units_.committed_units();
  status.leased = units_.leased_units();
  std::uint32_t here = 0;
  std::uint32_t declining = 0;
  std::string why_declined;
  for (const auto& [id, member] : members_) {
    if (member.linked && !member.declined.empty()) {
      ++declining;
      why_declined = member.declined;
    }
    if (!member.linked || !member.asked) continue;
    ++here;
    if (leases_.holds_any(id) || batches_.size() > 0) ++status.workers;
  }
  status.moved = moved_;
  status.usage = usage_.usage();
  const std::uint64_t expected = verified_ * manifest_->quorum + units_.replicas_within_quorum();
  status.recomputed = replicas_ > expected ? replicas_ - expected : 0;
  status.unblinded = unblinded_;
  status.name = manifest_->name;
  status.submitter = signed_manifest_.signer;
  status.created = manifest_->created;
  status.leads = leading_;
  status.epoch = term_.epoch;
  status.stewards = term_.stewards;
  status.priority = priority_;
  status.keep_s = manifest_->keep_s;
  if (!storage_trouble_.empty()) {
    status.waiting_for = storage_trouble_;
  } else if (phase_ == JobPhase::kFetching) {
    status.waiting_for = "its program or inputs are still being fetched";
  } else if (phase_ == JobPhase::kPaused) {
    status.waiting_for = "it is paused; its submitter can resume it";
  } else if (!leading_) {
    // Only who leads knows what it waits for.
  } else if (phase_ == JobPhase::kRunning && !manifest_->needs.empty() && status.workers == 0 &&
             verified_ + failed_ + disputed_ == 0) {
    // Those that lack something do not ask.
    std::string needs;
    for (const std::string& need : manifest_->needs) needs += (needs.empty() ? "" : ", ") + need;
    status.waiting_for =
        "no worker that has " + needs + " installed, and takes programs, computes its units yet";
    if (declining == 0) {
      status.waiting_for += " (what a worker does not take, and why, is in its log)";
    }
  } else if (phase_ == JobPhase::kRunning && here == 0) {
    status.waiting_for = "no worker has asked for its units yet";
  } else if (phase_ == JobPhase::kRunning && here < manifest_->quorum) {
    status.waiting_for = "each unit needs " + std::to_string(manifest_->quorum) +
                         " different workers, and " + std::to_string(here) +
                         (here == 1 ? " is here" : " are here");
  } else if (phase_ == JobPhase::kRunning) {
    status.waiting_for = what_never_ends(now);
  }
  // Stewards that cannot compute it have asked all the same, and nobody may be left who can.
  if (phase_ == JobPhase::kRunning && declining > 0 &&
      (here < manifest_->quorum || status.workers == 0)) {
    if (status.waiting_for.empty()) status.waiting_for = "no worker computes any of its units";
    status.waiting_for += "; " + std::to_string(declining) +
                          (declining == 1 ? " worker declines: " : " workers decline: ") +
                          why_declined;
  }
  return status;
}

void JobLed::check_invariants() const {
  units_.check_invariants();
  check(failures_.size() <= kFailingUnitsMax, "more failures are kept than the limit allows");
  for (const NodeId& worker : hungry_) {
    const auto member = members_.find(worker);
    check(member != members_.end() && member->second.linked, "units are kept for who has gone");
  }
  for (const auto& [id, member] : members_) {
    const bool awaited = active() && (member.has_replicas || lost_.contains(id));
    check(member.linked || awaited, "a worker that has gone is remembered for nothing");
  }
  for (const auto& [first, segment] : units_.segments()) {
    for (const Replica& replica : segment.replicas) {
      if (replica.state == ReplicaState::kLeased) {
        const Lease* lease = leases_.find(replica.lease);
        check(lease != nullptr, "a replica names a lease that is gone");
        check(lease->held.contains(Range{first, segment.last}),
              "a replica is leased beyond its lease");
      }
      if (replica.state == ReplicaState::kCommitted || replica.state == ReplicaState::kCompared) {
        const Batch* batch = batches_.find(replica.batch);
        check(batch != nullptr, "a replica names a batch that is gone");
        check(batch->range.contains(Range{first, segment.last}), "a batch lies beside its units");
      }
    }
  }
}

}  // namespace shoal
