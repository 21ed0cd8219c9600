#include <algorithm>

#include "worker/core/labor.h"

// A job's leader changes, or one side was restarted: papers are shown, leases go on under other
// numbers, and what was committed is committed again.
namespace shoal {
namespace {

constexpr std::size_t kPapersMax = 512;
constexpr std::size_t kPaperBytesPerMessage = 512 * 1024;
constexpr Duration kSeekFirst = 1s;
constexpr Duration kSeekMost = 60s;

}  // namespace

Labor::Job* Labor::known(const JobId& id) {
  return find_any(id, [](const Job& job) { return job.manifest != nullptr; });
}

// Anybody can sign a manifest that he has seen: then there are two of one id, which have nothing to
// do with each other.
Labor::Job* Labor::known(const JobId& id, const TermChain& terms) {
  if (terms.empty()) return known(id);
  return find_any(id, [&](const Job& job) {
    return job.manifest != nullptr && job.submitter == terms.front().term.signer;
  });
}

// True: `terms` hold, and were not known here. The job follows whom they name.
bool Labor::better_terms(Instant now, Job& job, const TermChain& terms, const Signed* record,
                         Outbox& out) {
  if (!outranks(terms, job.terms)) return false;
  const auto term = term_in_force(terms, job.id, job.submitter, checker_);
  if (!term) return false;
  const NodeId leader = term->stewards.front();
  const Job* there = find({job.id, leader});
  if (there != nullptr && there->manifest && there->submitter != job.submitter) return false;
  job.terms = terms;
  if (job.saved) {
    save(StoredFact{.kind = FactKind::kTaskTerms,
                    .job = job.id,
                    .sequence = 0,
                    .about = {},
                    .bytes = encode_chain(job.id, terms)});
  }
  if (record != nullptr && record->signer == leader) job.leader_record = *record;
  if (leader != job.leader) {
    migrate(now, job, leader, out);
  } else if (job.rejoins > 0 && leader_linked(job)) {
    rejoin(now, job, out);  // it was asked before it led again
  }
  return true;
}

void Labor::migrate(Instant now, Job& old, const NodeId& leader, Outbox& out) {
  const JobKey from = old.key(), to{old.id, leader};
  auto node = jobs_.extract(from);
  // What was heard of the new leader before it could be believed.
  jobs_.erase(to);
  node.key() = to;
  Job& job = node.mapped();
  job.leader = leader;
  if (auto record = membership_.record_of(leader)) job.leader_record = std::move(*record);
  drop_unsettled(job);
  job.victims.clear();
  job.stealing.reset();
  job.asked.reset();
  job.unanswered = 0;
  job.hungry = false;
  job.stood_down = false;
  jobs_.insert(std::move(node));
  for (auto& [_, chunk] : chunks_) {
    if (chunk.job == from) chunk.job = to;
  }
  if (last_run_ == from) last_run_ = to;
  if (job.state == State::kRefused) {
    decline(job, out);
  } else if (!leader_linked(job)) {
    membership_.reach(now, leader, out);
  } else if (!job.papers.empty()) {
    rejoin(now, job, out);
  }
}

// A theft that the leader did not settle before it was shown the papers has none itself, and is
// nobody's.
void Labor::drop_unsettled(Job& job) {
  std::erase_if(job.primaries, [&](const Item& i) { return job.unsettled.contains(i.lease); });
  job.unsettled.clear();
}

// Two were heard of that lead the job, before either could be believed. Now one shows its terms: it
// is followed, or forgotten.
void Labor::settle_rivals(Instant now, const JobId& id, const NodeId& leader,
                          const TermChain& terms, Outbox& out) {
  Job* other = known(id, terms);
  if (other == nullptr || other->leader == leader) return;
  if (!better_terms(now, *other, terms, nullptr, out)) jobs_.erase({id, leader});
}

// From the leader itself: it knows nothing of what it, or another, granted before.
void Labor::on_term_notice(Instant now, const NodeId& from, const TermNotice& notice, Outbox& out) {
  Job* job = known(notice.job, notice.terms);
  if (job == nullptr) return;
  for (const Signed& record : notice.records) membership_.learn(now, record, out);
  better_terms(now, *job, notice.terms, nullptr, out);
  job = known(notice.job, notice.terms);
  if (job->leader == from && job->rejoins == 0 && !job->papers.empty()) rejoin(now, *job, out);
}

std::optional<TermNotice> Labor::better_than(const WorkAvailable& news) const {
  const Job* job = const_cast<Labor*>(this)->known(news.job, news.terms);
  if (job == nullptr || !outranks(job->terms, news.terms)) return std::nullopt;
  TermNotice notice{.job = job->id, .terms = job->terms, .records = {}};
  if (auto record = membership_.record_of(job->leader)) notice.records = {std::move(*record)};
  return notice;
}

void Labor::on_job_found(Instant now, const JobFound& found, Outbox& out) {
  Job* job = known(found.job, found.terms);
  if (job == nullptr) return;
  if (found.leader) membership_.learn(now, *found.leader, out);
  for (const Signed& record : found.stewards) membership_.learn(now, record, out);
  better_terms(now, *job, found.terms, found.leader ? &*found.leader : nullptr, out);
}

void Labor::tell(const JobFind& question, JobFound& answer) const {
  for (auto it = jobs_.lower_bound({question.job, NodeId{}});
       it != jobs_.end() && it->first.first == question.job; ++it) {
    const Job& job = it->second;
    answer.leader = membership_.record_of(job.leader);
    if (!job.manifest) continue;
    answer.terms = job.terms;
    if (question.with_manifest) answer.manifest = job.signed_manifest;
    if (const auto term = last_term(job.terms)) {
      for (const NodeId& steward : term->stewards) {
        if (auto record = membership_.record_of(steward)) answer.stewards.push_back(*record);
      }
    }
    return;
  }
}

// The leader is away. Its followers may lead by now: they are dialled, and asked once they are
// here.
void Labor::seek_leader(Instant now, Job& job, Outbox& out) {
  job.seek_at.reset();
  if (leader_linked(job)) return;
  job.seek_at = now + std::min<Duration>(kSeekMost, kSeekFirst * (1 << job.seeks));
  job.seeks = std::min(job.seeks + 1, 6);
  membership_.reach(now, job.leader, out);
  const auto term = last_term(job.terms);
  if (!term) return;
  for (const NodeId& steward : term->stewards) {
    if (steward == signer_.id() || steward == job.leader) continue;
    if (membership_.linked(steward)) {
      out.send(steward, JobFind{.job = job.id});
    } else {
      membership_.reach(now, steward, out);
    }
  }
}

void Labor::take_paper(Job& job, const std::optional<Signed>& grant) {
  auto what = decode_grant(grant ? ByteView(grant->body) : ByteView());
  if (!what || what->job != job.id || what->worker != signer_.id()) return;
  if (job.papers.size() >= kPapersMax) prune_papers(job);
  // The first place that is free: a paper that is of use no more is written over.
  std::set<std::uint64_t> taken;
  for (const Paper& paper : job.papers) taken.insert(paper.place);
  std::uint64_t place = 0;
  while (taken.contains(place)) ++place;
  save(StoredFact{.kind = FactKind::kPaper,
                  .job = job.id,
                  .sequence = place,
                  .about = {},
                  .bytes = pack_signed(*grant)});
  job.papers.push_back({place, what->epoch, what->lease, std::move(what->ranges), *grant});
}

// Papers are for what is held, and for batches that have not ended.
void Labor::prune_papers(Job& job) {
  std::erase_if(job.papers, [&](const Paper& paper) {
    if (paper.epoch == job.epoch && job.leases.contains(paper.lease)) return false;
    return std::none_of(paper.ranges.begin(), paper.ranges.end(), [&](Range range) {
      auto batch = job.batches.upper_bound(range.first);
      if (batch != job.batches.begin()) --batch;
      for (; batch != job.batches.end() && batch->first < range.last; ++batch) {
        if (batch->second.range.overlaps(range)) return true;
      }
      return false;
    });
  });
  while (job.papers.size() >= kPapersMax) job.papers.pop_front();
}

// Shows the leader all papers. Until it has answered, only what is running goes on.
void Labor::rejoin(Instant now, Job& job, Outbox& out) {
  std::map<std::uint64_t, RangeSet> held;  // by lease of this epoch
  drop_unsettled(job);
  for (auto* queue : job.queues()) {
    for (const Item& item : *queue) job.rejoining.push_back(item);
    queue->clear();
  }
  for (const Item& item : job.rejoining) held[item.lease].add(item.range);
  for (const auto& [_, chunk] : chunks_) {
    if (chunk.job == job.key()) held[chunk.item.lease].add(chunk.item.range);
  }
  job.leases.clear();
  job.robbed.clear();
  job.stolen.clear();
  job.rejoins = 0;
  job.rejoined = now;
  job.asked = now;  // what it holds is told first
  const auto term = last_term(job.terms);
  Rejoin message{.job = job.id,
                 .epoch = term ? term->epoch : 0,
                 .parts = {},
                 .threads = config_.record.threads,
                 .unit_ns = job.unit_ns};
  std::size_t bytes = 0;
  auto flush = [&] {
    Rejoin part = message;
    part.parts = std::exchange(message.parts, {});
    job.rejoins += 1;
    bytes = 0;
    out.send(job.leader, std::move(part));
  };
  for (const Paper& paper : job.papers) {
    Rejoin::Part part{.grant = paper.grant, .held = {}};
    if (paper.epoch == job.epoch) {
      if (auto it = held.find(paper.lease); it != held.end()) part.held = it->second.runs();
    }
    const std::size_t more = part.grant.body.size() + 16 * part.held.size() + 256;
    if (!message.parts.empty() && (bytes + more > kPaperBytesPerMessage ||
                                   message.parts.size() == limits::kGrantsPerMessage)) {
      flush();
    }
    bytes += more;
    if (part.held.size() <= limits::kRangesPerMessage) message.parts.push_back(std::move(part));
  }
  flush();
}

void Labor::on_rejoin_reply(Instant now, const NodeId& from, const RejoinReply& reply,
                            Outbox& out) {
  Job* job = led_by(reply.job, from);
  if (job == nullptr || !job->manifest) return;
  // Asked twice before the first answer came, it hears twice, and cannot tell which answer is to
  // which: the leases of both count.
  if (job->rejoins == 0 && reply.epoch != job->epoch) return;
  for (const auto& lease : reply.leases) {
    auto grant = decode_grant(lease.grant.body);
    if (!grant || grant->job != job->id || grant->epoch != reply.epoch) continue;
    // What is not taken is not reported, and lapses.
    const bool can = job->state == State::kReady || job->state == State::kFetching;
    if (!can || !has_room(*job)) continue;
    hold_again(*job, *grant);
    take_paper(*job, lease.grant);
  }
  if (job->rejoins == 0 || --job->rejoins > 0) return;
  job->rejoining.clear();
  job->epoch = reply.epoch;
  job->asked.reset();
  job->unanswered = 0;
  commit_again(now, *job, reply.open, out);
  // What was lost in a crash, as grants of its last moments are, is not held, and is told at once.
  report(now, *job, out);
}

// What it holds is what the leader says, not what it asked for: a unit that the leader believes to
// be here, and that nobody starts, would keep everybody else from it. What is running goes on, and
// what was committed meanwhile is not begun once more.
void Labor::hold_again(Job& job, const Grant& grant) {
  RangeSet given;
  for (Range range : grant.ranges) given.add(intersect(range, {0, job.manifest->units}));
  for (Range range : given.runs()) {
    unqueue(job, range);
    release(job, range);
  }
  for (Range range : grant.ranges) {
    auto batch = job.batches.upper_bound(range.first);
    if (batch != job.batches.begin()) --batch;
    for (; batch != job.batches.end() && batch->first < range.last; ++batch) {
      given.remove(batch->second.range);
    }
  }
  if (given.empty()) return;
  job.leases[grant.lease] = given;
  for (auto& [_, chunk] : chunks_) {
    if (chunk.job != job.key() || given.intersection(chunk.item.range).empty()) continue;
    chunk.item.lease = grant.lease;
    given.remove(chunk.item.range);
  }
  auto& queue = job.queue_of(grant.kind);
  for (Range run : given.runs()) queue.push_back({run, grant.lease, grant.kind});
}

void Labor::commit_again(Instant now, Job& job, const std::vector<Range>& open, Outbox& out) {
  // Commitments that wait are among those that follow.
  for (Message& message : std::exchange(job.for_leader, {})) {
    if (std::holds_alternative<FailureNotice>(message))
      to_leader(now, job, std::move(message), out);
  }
  CommitNotice notice{.commitments = {}, .job = job.id, .compute_ns = 0};
  std::vector<Message> shown;
  auto flush = [&] {
    if (notice.commitments.empty()) return;
    to_leader(now, job, std::exchange(notice, {.commitments = {}, .job = job.id, .compute_ns = 0}),
              out);
    for (Message& reveal : std::exchange(shown, {})) to_leader(now, job, std::move(reveal), out);
  };
  const RangeSet wanted(open);
  for (auto it = job.batches.begin(); it != job.batches.end();) {
    const Held& held = it->second;
    if (wanted.intersection(held.range).empty()) {
      job.held_bytes -= held.bytes();
      it = job.batches.erase(it);
      continue;
    }
    notice.commitments.push_back(held.commitment);
    if (job.manifest->quorum == 1) shown.push_back(show(job, held));
    if (notice.commitments.size() == limits::kBatchesPerMessage) flush();
    ++it;
  }
  flush();
}

}  // namespace shoal
