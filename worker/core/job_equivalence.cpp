#include <algorithm>

#include "worker/core/job_led.h"

// Outputs that differ and may yet agree: the job's own comparison, run by everybody who computed
// them.
namespace shoal {

// Has everybody who computed them judge, unit by unit, whether all outputs match the one with the
// least digest. Large ones they fetch from each other.
void JobLed::ask_equivalence(Instant now, Range run, const std::vector<std::uint64_t>& batches,
                             Outbox& out) {
  for (UnitIndex unit = run.first; unit < run.last; ++unit) {
    if (comparing_.contains(unit)) continue;
    if (comparing_.size() >= limits::kJudgedAtOnce) {
      to_compare_.add({unit, run.last});
      return;
    }
    const CompareRequest request = question_to_judges(unit, batches);
    Duration patience = limits::kRevealTimeout;
    if (!request.candidates.large.empty()) {
      for (std::uint64_t size : request.candidates.sizes) patience += size * limits::kJudgeTime;
    }
    Judging judging{
        .due = now + patience, .digests = *digests_of(request.candidates), .verdicts = {}};
    comparing_.emplace(unit, std::move(judging));
    for (std::uint64_t id : batches) out.send(batches_.find(id)->worker, request);
  }
}

// All that differ, the one with the least digest first.
CompareRequest JobLed::question_to_judges(UnitIndex unit,
                                          const std::vector<std::uint64_t>& batches) const {
  CompareRequest request{.job = id_, .unit = unit, .candidates = {}, .holders = {}};
  std::map<Hash256, PackedOutputs> candidates;
  for (std::uint64_t id : batches) {
    const Batch& batch = *batches_.find(id);
    const std::uint64_t at = unit - batch.range.first;
    candidates.emplace(batch.digests[at], slice(*batch.outputs, at, at + 1));
  }
  for (const auto& [_, output] : candidates) append(request.candidates, output);
  if (request.candidates.large.empty()) return request;
  for (std::uint64_t id : batches) {
    const auto holder = members_.find(batches_.find(id)->worker);
    if (holder == members_.end() || !holder->second.record) continue;
    if (request.holders.size() == limits::kHoldersPerMessage) break;
    request.holders.push_back(*holder->second.record);
  }
  return request;
}

// The evidence may have changed since it was asked; then somebody else's verdict says so.
void JobLed::ask_judge_again(const NodeId& worker, Outbox& out) {
  for (const auto& [unit, judging] : comparing_) {
    if (judging.verdicts.contains(worker)) continue;
    const auto& segment = units_.first_overlapping({unit, unit + 1})->second;
    std::vector<std::uint64_t> batches;
    bool computed_it = false;
    for (const Replica& replica : segment.replicas) {
      const Batch* batch = replica.batch == 0 ? nullptr : batches_.find(replica.batch);
      if (batch == nullptr || !batch->outputs) continue;
      computed_it |= replica.worker == worker;
      batches.push_back(replica.batch);
    }
    if (!computed_it) continue;
    CompareRequest request = question_to_judges(unit, batches);
    if (*digests_of(request.candidates) == judging.digests) out.send(worker, std::move(request));
  }
}

void JobLed::on_verdict(Instant now, const NodeId& from, const Signed& verdict, Outbox& out) {
  auto what = decode_comparison_verdict(verdict.body);
  if (!what || what->job != id_ || what->worker != from || verdict.signer != from) return;
  const auto asked = comparing_.find(what->unit);
  if (asked == comparing_.end()) return;
  // To an earlier question, or to none: it must not have the others judge anew.
  if (what->digests != asked->second.digests) return;
  if (from != context_.self && !signature_holds(context_.checker, Purpose::kComparison, verdict)) {
    return;
  }
  const Range run{what->unit, what->unit + 1};
  units_.update(run, [](UnitIndex, UnitMap::Segment&) {});  // cuts the unit out of its run
  const UnitMap::Segment& segment = units_.segments().at(what->unit);
  std::vector<std::uint64_t> batches;
  std::uint64_t reference = 0;
  bool judged_all = true;
  std::set<Hash256> here;
  bool by_supporter = false;
  for (const Replica& replica : segment.replicas) {
    if (replica.state != ReplicaState::kCommitted && replica.state != ReplicaState::kCompared) {
      continue;
    }
    const Batch& batch = *batches_.find(replica.batch);
    if (batch.digests.empty()) continue;  // committed since, and not open yet: no part of this
    const Hash256& digest = batch.digests[what->unit - batch.range.first];
    by_supporter |= replica.worker == from;
    judged_all &=
        std::find(what->digests.begin(), what->digests.end(), digest) != what->digests.end();
    if (digest == what->digests.front()) reference = replica.batch;
    here.insert(digest);
    batches.push_back(replica.batch);
  }
  if (!by_supporter) return;
  const bool others_are_gone = here.size() < what->digests.size();
  if (!judged_all || reference == 0 || (!what->all_match && others_are_gone)) {
    comparing_.erase(asked);
    weigh_again(now, run, out);  // the evidence has changed since the judges were asked
  } else if (!what->all_match) {
    comparing_.erase(asked);
    need_another(run, batches, manifest_->quorum - 1, out);
    open_or_compare(now, run, out);
  } else {
    Judging& judging = asked->second;
    judging.verdicts[from] = verdict;
    // Whose commitment was lost since it judged supports nothing any more.
    std::vector<Signed> verdicts;
    for (std::uint64_t id : batches) {
      auto one = judging.verdicts.find(batches_.find(id)->worker);
      if (one != judging.verdicts.end()) verdicts.push_back(one->second);
    }
    if (verdicts.size() < manifest_->quorum || !batches_.find(reference)->outputs) return;
    comparing_.erase(asked);
    accept(run, batches, reference, std::move(verdicts), out);
  }
  finish_if_done(out);
  serve_hungry(now, out);
}

// Many together: each run is cut out and weighed anew.
bool JobLed::may_ask_more_equivalence() const {
  return !to_compare_.empty() && comparing_.size() <= limits::kJudgedAtOnce / 2;
}

void JobLed::ask_more_equivalence(Instant now, Outbox& out) {
  if (!may_ask_more_equivalence()) return;
  const RangeSet next = to_compare_.take_front(limits::kJudgedAtOnce - comparing_.size());
  for (Range run : next.runs()) {
    units_.update(run, [](UnitIndex, UnitMap::Segment&) {});
    open_or_compare(now, run, out);
  }
}

// Who has not judged in time is gone, or says nothing: its evidence is replaced by another's.
void JobLed::judges_are_late(Instant now, UnitIndex unit, Outbox& out) {
  const auto& verdicts = comparing_.at(unit).verdicts;
  const auto it = units_.first_overlapping({unit, unit + 1});
  std::vector<std::uint64_t> silent;
  for (const Replica& replica : it->second.replicas) {
    if (replica.batch != 0 && !verdicts.contains(replica.worker)) {
      silent.push_back(replica.batch);
    }
  }
  // Nobody is asked anew before all of them are out: each would be taken for a judge once more.
  for (std::uint64_t batch : silent) reject_withheld(now, batch, out);
  comparing_.erase(unit);
  weigh_again(now, {unit, unit + 1}, out);
}

}  // namespace shoal
