#include <algorithm>
#include <utility>

#include "node/protocol/hash.h"
#include "worker/core/job_led.h"

// What the workers committed and showed, and what follows from it.
namespace shoal {

void JobLed::on_commit(Instant now, const NodeId& from, const CommitNotice& notice, Outbox& out) {
  if (phase_ != JobPhase::kRunning && phase_ != JobPhase::kPaused) return;
  std::uint64_t units = 0;
  bool any_counts = false;
  for (const Signed& commitment : notice.commitments) {
    any_counts |= commit_one(now, from, commitment, out);
    if (auto what = decode_commitment(commitment.body)) units += what->range.size();
  }
  auto member = members_.find(from);
  // Else whoever commits to nothing that it was given could say how long the job's units take, and
  // look as if it had just begun what it sits on.
  if (member != members_.end() && any_counts) {
    member->second.heard = member->second.committed = now;
  }
  if (member != members_.end() && any_counts && notice.compute_ns > 0) {
    // Its word, but no unit may take longer than its limit.
    const std::uint64_t most = manifest_->unit_wall_ms * 1'000'000 + 1;
    const std::uint64_t unit_ns = std::clamp<std::uint64_t>(notice.compute_ns / units, 1, most);
    job_unit_ns_ = job_unit_ns_ == 0 ? unit_ns : (7 * job_unit_ns_ + unit_ns) / 8;
    auto& own = member->second.unit_ns;
    own = own == 0 ? unit_ns : (3 * own + unit_ns) / 4;
  }
  serve_hungry(now, out);
}

// True: it counts.
bool JobLed::commit_one(Instant now, const NodeId& from, const Signed& commitment, Outbox& out) {
  auto what = decode_commitment(commitment.body);
  if (!what || what->job != id_ || what->worker != from || commitment.signer != from ||
      what->range.empty() || what->range.last > units_.units() ||
      what->range.size() > limits::kUnitsPerBatch) {
    return false;
  }
  // It came too late: nobody will ask for it, and its worker need not wait for that.
  const LeaseRevoke not_wanted{.job = id_, .ranges = {what->range}};
  if (units_.open_runs(what->range).empty()) {
    out.send(from, not_wanted);
    return false;
  }
  // Only units that this worker was given count; a lease that lapsed meanwhile was given too.
  const std::vector<Range> given = awaited_of(from, what->range);
  if (given.empty()) {
    const auto ever = units_.open_runs_where(
        what->range, [&](const UnitMap::Segment& s) { return s.find(from) != nullptr; });
    if (ever.empty()) out.send(from, not_wanted);
    return false;
  }
  if (from != context_.self &&
      !signature_holds(context_.checker, Purpose::kCommitment, commitment)) {
    return false;
  }
  Batch batch;
  batch.worker = from;
  batch.range = what->range;
  batch.commitment = commitment;
  batch.sealed = what->sealed;
  const std::uint64_t id = batches_.add(std::move(batch));
  std::uint64_t open = 0;
  bool unblinded = false;
  for (Range run : given) {
    units_.update(run, [&](UnitIndex first, UnitMap::Segment& segment) {
      Replica* own = segment.find(from);
      if (own->state == ReplicaState::kLeased) {
        if (Lease* lease = leases_.find(own->lease)) lease->progressed = now;
        leases_.release(own->lease, {first, segment.last});
      }
      if (has_enough(segment)) {
        own->state = ReplicaState::kRejected;
        return;
      }
      unblinded |= from == context_.self && (segment.count(ReplicaState::kCommitted) > 0 ||
                                             segment.count(ReplicaState::kCompared) > 0);
      own->state = ReplicaState::kCommitted;
      own->batch = id;
      open += segment.last - first;
      // One more of them has had its turn, and the unit may have failed on all others.
      if (segment.count(ReplicaState::kFailed) > 0) fewer_are_left(now);
      blame(now, segment, out);
    });
  }
  if (open == 0) {
    batches_.remove(id);
    out.send(from, not_wanted);
    return false;
  }
  if (auto member = members_.find(from); member != members_.end()) {
    member->second.refuted = 0;
    member->second.delivered += open;
    member->second.progressed = now;
  }
  Batch& added = *batches_.find(id);
  added.open_units = open;
  added.unblinded = unblinded;
  open_or_compare(now, what->range, out);
  return true;
}

// Parts of `range` that the worker was given, and of which it has said nothing yet.
std::vector<Range> JobLed::awaited_of(const NodeId& worker, Range range) const {
  return units_.open_runs_where(range, [&](const UnitMap::Segment& segment) {
    const Replica* own = segment.find(worker);
    return own != nullptr && is_awaited(own->state);
  });
}

// For every run of `range`: asks for what must be opened, or compares what is open.
void JobLed::open_or_compare(Instant now, Range range, Outbox& out) {
  std::vector<Range> ready;
  for (auto it = units_.first_overlapping(range);
       it != units_.segments().end() && it->first < range.last; ++it) {
    if (request_reveals(now, it->first, it->second, out)) {
      ready.push_back({it->first, it->second.last});
    }
  }
  for (Range run : ready) compare(now, run, out);
}

// True: everything that this run needs is open, and there is something new to compare.
bool JobLed::request_reveals(Instant now, UnitIndex first, const UnitMap::Segment& segment,
                             Outbox& out) {
  const std::uint32_t committed = segment.count(ReplicaState::kCommitted);
  if (committed == 0 || segment.agreed + committed < manifest_->quorum) return false;
  const Range run{first, segment.last};
  const Batch* outputs_of = nullptr;
  for (const Replica& replica : segment.replicas) {
    if (replica.state != ReplicaState::kCommitted && replica.state != ReplicaState::kCompared) {
      continue;
    }
    const Batch* batch = batches_.find(replica.batch);
    if (batch->outputs || batch->asked == RevealDetail::kOutputs) {
      outputs_of = batch;
      break;
    }
  }
  bool all_open = true;
  for (const Replica& replica : segment.replicas) {
    if (replica.state != ReplicaState::kCommitted && replica.state != ReplicaState::kCompared) {
      continue;
    }
    const Batch& batch = *batches_.find(replica.batch);
    if (outputs_of == nullptr) {
      ask_reveal(now, replica.batch, RevealDetail::kOutputs, out);
      outputs_of = &batch;
      all_open = false;
      continue;
    }
    if (&batch != outputs_of && !batch.asked) {
      ask_reveal(now, replica.batch, detail_beside(*outputs_of, batch, run), out);
    }
    if (!batch.opened || (&batch == outputs_of && !batch.outputs)) {
      all_open = false;
      continue;
    }
    // A root that is not the reference's tells only that something differs: ask what.
    const bool same_as_reference =
        outputs_of->opened && outputs_of->range == batch.range && outputs_of->root == batch.root;
    if (batch.digests.empty() && !same_as_reference) {
      if (outputs_of->opened) ask_reveal(now, replica.batch, RevealDetail::kOutputs, out);
      all_open = false;
    }
  }
  return all_open && outputs_of != nullptr && outputs_of->outputs.has_value();
}

// As little as will do: a root for who has computed the same run, digests for who has not. Where
// the outputs will have to be judged they are asked for at once: a root would only be the first of
// two questions.
RevealDetail JobLed::detail_beside(const Batch& outputs_of, const Batch& batch, Range run) const {
  if (outputs_differ_) return RevealDetail::kOutputs;
  const bool aligned = batch.range == run && outputs_of.range == run;
  return aligned ? RevealDetail::kRoot : RevealDetail::kDigests;
}

void JobLed::ask_reveal(Instant now, std::uint64_t id, RevealDetail detail, Outbox& out) {
  Batch& batch = *batches_.find(id);
  if (batch.asked && *batch.asked >= detail) return;
  const bool comes_unasked = manifest_->quorum == 1 && !batch.asked;
  const auto member = members_.find(batch.worker);
  const bool gone =
      !lost_.contains(batch.worker) && (member == members_.end() || !member->second.linked);
  if (!gone && !comes_unasked &&
      batches_.unanswered_count(batch.worker) >= shown_at_once(batch.worker)) {
    to_show_[batch.worker].insert(id);
    return;
  }
  // Who has gone will not answer: its commitment lapses at once, and counts again when it is back.
  batches_.mark_asked(id, detail, gone ? now - limits::kRevealTimeout : now);
  if (comes_unasked) return;  // with nobody to copy from, workers show as they commit
  out.send(batch.worker,
           RevealRequest{.job = id_, .range = batch.range, .part = batch.range, .detail = detail});
}

// To a new leader a worker commits to a thousand batches in one message. Asked to show all of them
// at once it would have as many outputs under way on one link, and lose them all together with it.
std::size_t JobLed::shown_at_once(const NodeId& worker) const {
  // A thread commits about ten batches a second: more than a second's.
  constexpr std::size_t kOfAThread = 16;
  const auto member = members_.find(worker);
  return kOfAThread * (member == members_.end() ? 1 : member->second.threads);
}

// Of a worker that has answered half of what it may be asked at once; end(): there is none.
JobLed::BatchesToShow::const_iterator JobLed::next_to_show() const {
  return std::find_if(to_show_.begin(), to_show_.end(), [this](const auto& entry) {
    return batches_.unanswered_count(entry.first) <= shown_at_once(entry.first) / 2;
  });
}

void JobLed::ask_more_reveals(Instant now, Outbox& out) {
  for (auto next = next_to_show(); next != to_show_.end(); next = next_to_show()) {
    // What finds no room after all is put back.
    auto taken = to_show_.extract(next);
    const NodeId& worker = taken.key();
    std::set<std::uint64_t>& ids = taken.mapped();
    while (!ids.empty() && batches_.unanswered_count(worker) < shown_at_once(worker)) {
      const Batch* batch = batches_.find(*ids.begin());
      ids.erase(ids.begin());
      if (batch != nullptr) open_or_compare(now, Range(batch->range), out);
    }
    if (!ids.empty()) to_show_[worker].merge(ids);
  }
}

void JobLed::on_reveal(Instant now, const NodeId& from, Reveal reveal, Outbox& out) {
  std::uint64_t id = 0;
  Batch* batch = batches_.find(from, reveal.range, &id);
  if (batch == nullptr) return;
  if (!batch->asked) return;
  const Range range = batch->range;
  if (reveal.lapsed) {
    reject_withheld(now, id, out);
  } else if (std::string fault =
                 open_batch(*batch, id_, manifest_->output_bytes_max, std::move(reveal));
             !fault.empty()) {
    out.tell(LogLevel::kWarning, "worker " + short_hex(from) + " showed a batch of job " +
                                     short_hex(id_) + " that does not hold: " + fault);
    reject_batch(now, id, ReplicaState::kRejected, out);
  } else {
    // An earlier, shorter answer does not settle a later, longer question.
    if (batch->outputs || *batch->asked == RevealDetail::kRoot ||
        (*batch->asked == RevealDetail::kDigests && !batch->digests.empty())) {
      batches_.mark_answered(id);
    }
    open_or_compare(now, range, out);
  }
  serve_hungry(now, out);
}

// The others may be enough without it.
void JobLed::reject_batch(Instant now, std::uint64_t id, ReplicaState state, Outbox& out) {
  const Batch* batch = batches_.find(id);
  if (batch == nullptr) return;
  const Range range = batch->range;
  if (auto member = members_.find(batch->worker); member != members_.end()) {
    std::uint64_t& delivered = member->second.delivered;
    delivered -= std::min(delivered, range.size());
  }
  for (Range run : units_.open_runs(range)) {
    units_.update(run, [&](UnitIndex, UnitMap::Segment& segment) {
      for (Replica& replica : segment.replicas) {
        const bool of_batch = replica.batch == id && (replica.state == ReplicaState::kCommitted ||
                                                      replica.state == ReplicaState::kCompared);
        if (!of_batch) continue;
        replica.state = state;
        replica.batch = 0;
      }
    });
  }
  batches_.remove(id);
  weigh_again(now, range, out);
}

void JobLed::compare(Instant now, Range run, Outbox& out) {
  const UnitMap::Segment& segment = units_.segments().at(run.first);
  std::vector<std::uint64_t> ids;
  std::vector<Batch*> batches;
  for (const Replica& replica : segment.replicas) {
    if (replica.state != ReplicaState::kCommitted && replica.state != ReplicaState::kCompared) {
      continue;
    }
    ids.push_back(replica.batch);
    batches.push_back(batches_.find(replica.batch));
  }
  const bool one_root = std::all_of(batches.begin(), batches.end(), [&](const Batch* batch) {
    return batch->range == run && batch->root == batches.front()->root;
  });
  if (one_root) {
    settle_run(now, run, ids, std::vector<std::size_t>(ids.size(), 0), 0, ids.size(), out);
  } else {
    fill_digests(batches);
    compare_units(now, run, ids, batches, out);
  }
  finish_if_done(out);
}

// A batch that showed only its root has the digests of the one with the same range and root.
void JobLed::fill_digests(const std::vector<Batch*>& batches) {
  for (Batch* batch : batches) {
    if (!batch->digests.empty()) continue;
    for (const Batch* other : batches) {
      if (other->range == batch->range && other->root == batch->root && !other->digests.empty()) {
        batch->digests = other->digests;
        break;
      }
    }
    check(!batch->digests.empty(), "a batch is compared before it is open");
  }
}

// Cuts the run where the pattern of agreement changes, and settles each part.
void JobLed::compare_units(Instant now, Range run, const std::vector<std::uint64_t>& ids,
                           const std::vector<Batch*>& batches, Outbox& out) {
  auto digest = [&](std::size_t i, UnitIndex unit) -> const Hash256& {
    return batches[i]->digests[unit - batches[i]->range.first];
  };
  // group[i]: the first batch with the same digest as batch i, for one unit.
  auto groups_at = [&](UnitIndex unit, std::vector<std::size_t>& group) {
    for (std::size_t i = 0; i < batches.size(); ++i) {
      group[i] = i;
      for (std::size_t j = 0; j < i && group[i] == i; ++j) {
        if (digest(j, unit) == digest(i, unit)) group[i] = group[j];
      }
    }
  };
  struct Part {
    Range run;
    std::vector<std::size_t> group;
  };
  std::vector<Part> parts;
  std::vector<std::size_t> group(batches.size());
  for (UnitIndex unit = run.first; unit < run.last; ++unit) {
    groups_at(unit, group);
    if (!parts.empty() && parts.back().group == group) {
      parts.back().run.last = unit + 1;
    } else {
      parts.push_back({{unit, unit + 1}, group});
    }
  }
  for (const Part& part : parts) {
    std::size_t best = 0, best_size = 0;
    for (std::size_t i = 0; i < batches.size(); ++i) {
      const auto size =
          static_cast<std::size_t>(std::count(part.group.begin(), part.group.end(), i));
      if (size > best_size) {
        best = i;
        best_size = size;
      }
    }
    settle_run(now, part.run, ids, part.group, best, best_size, out);
  }
}

void JobLed::settle_run(Instant now, Range run, const std::vector<std::uint64_t>& batches,
                        const std::vector<std::size_t>& group, std::size_t best,
                        std::size_t best_size, Outbox& out) {
  if (best_size >= manifest_->quorum) {
    std::vector<std::uint64_t> agreeing;
    std::uint64_t outputs_from = 0;
    for (std::size_t i = 0; i < batches.size(); ++i) {
      if (group[i] != best) continue;
      agreeing.push_back(batches[i]);
      if (batches_.find(batches[i])->outputs) outputs_from = batches[i];
    }
    if (outputs_from == 0) {  // those whose outputs we have were outvoted
      ask_reveal(now, agreeing.front(), RevealDetail::kOutputs, out);
      return;
    }
    accept(run, agreeing, outputs_from, {}, out);
    return;
  }
  if (manifest_->comparison == Comparison::kEquivalent && batches.size() >= manifest_->quorum) {
    outputs_differ_ = true;
    bool all_outputs = true;
    for (std::uint64_t id : batches) {
      if (batches_.find(id)->outputs) continue;
      ask_reveal(now, id, RevealDetail::kOutputs, out);
      all_outputs = false;
    }
    if (all_outputs) ask_equivalence(now, run, batches, out);
    return;
  }
  need_another(run, batches, static_cast<std::uint32_t>(best_size), out);
}

// Agreement was not enough: another replica, unless there were too many or nobody is left to ask.
void JobLed::need_another(Range run, const std::vector<std::uint64_t>& batches,
                          std::uint32_t agreed, Outbox& out) {
  bool hope = false;
  units_.update(run, [&](UnitIndex, UnitMap::Segment& segment) {
    segment.agreed = agreed;
    for (Replica& replica : segment.replicas) {
      if (replica.state != ReplicaState::kCommitted) continue;
      // Who committed while the others were judged is still to be weighed.
      const bool weighed =
          std::find(batches.begin(), batches.end(), replica.batch) != batches.end();
      if (weighed) replica.state = ReplicaState::kCompared;
      hope |= !weighed;
    }
    hope |= segment.count(ReplicaState::kLeased) > 0 || anyone_left(segment);
  });
  if (!hope || batches.size() >= manifest_->quorum + limits::kExtraReplicas) {
    dispute(run, batches, out);
  }
}

// A worker that may still be given these units; at first, those who have not asked may yet.
bool JobLed::anyone_left(const UnitMap::Segment& segment) const {
  return std::any_of(members_.begin(), members_.end(), [&](const auto& entry) {
    const auto& [id, member] = entry;
    return member.linked && (member.asked || settling_until_) && eligible(segment, id, member);
  });
}

// Fewer workers are here than were hoped for: what waits for one more may wait in vain.
void JobLed::weigh_stuck(Instant now, Outbox& out) {
  std::vector<Range> stuck;
  for (UnitIndex first : units_.compared()) {
    stuck.push_back({first, units_.segments().at(first).last});
  }
  for (Range run : stuck) weigh_again(now, run, out);
}

// Somebody who was to decide these units will not: what there is is weighed once more, and ends
// where nobody is left to ask.
void JobLed::weigh_again(Instant now, Range range, Outbox& out) {
  for (Range run : units_.open_runs(range)) {
    units_.update(run, [](UnitIndex, UnitMap::Segment& segment) {
      segment.agreed = 0;
      for (Replica& replica : segment.replicas) {
        if (replica.state == ReplicaState::kCompared) replica.state = ReplicaState::kCommitted;
      }
    });
  }
  open_or_compare(now, range, out);
}

void JobLed::accept(Range run, const std::vector<std::uint64_t>& agreeing,
                    std::uint64_t outputs_from, std::vector<Signed> comparisons, Outbox& out) {
  const Batch& shown = *batches_.find(outputs_from);
  Receipt receipt = next_receipt(run, UnitEnd::kVerified);
  receipt.outputs = run == shown.range ? *shown.outputs
                                       : slice(*shown.outputs, run.first - shown.range.first,
                                               run.last - shown.range.first);
  receipt.comparisons = std::move(comparisons);
  bool unblinded = false;
  for (std::uint64_t id : agreeing) {
    const Batch& batch = *batches_.find(id);
    const auto& digests = batch.digests;
    Support support = support_of(batch, run, digests);
    if (!receipt.comparisons.empty() && id != outputs_from) {
      support.digests.assign(
          digests.begin() + static_cast<std::ptrdiff_t>(run.first - batch.range.first),
          digests.begin() + static_cast<std::ptrdiff_t>(run.last - batch.range.first));
    }
    unblinded |= batch.unblinded;
    receipt.supports.push_back(std::move(support));
  }
  verified_ += run.size();
  if (unblinded) unblinded_ += run.size();
  end_run(run, std::move(receipt), out);
}

// Of those who have shown their outputs: two that differ in these units, or nobody.
std::vector<std::uint64_t> JobLed::two_that_differ(Range run,
                                                   const std::vector<std::uint64_t>& ids) {
  const auto digest_of = [&](const Batch& batch) {
    return batch.digests[run.first - batch.range.first];
  };
  std::vector<std::uint64_t> shown;
  for (std::uint64_t id : ids) {
    if (batches_.find(id)->outputs) shown.push_back(id);
  }
  for (std::size_t i = 1; i < shown.size(); ++i) {
    if (digest_of(*batches_.find(shown[i])) != digest_of(*batches_.find(shown[0]))) {
      return {shown[0], shown[i]};
    }
  }
  return {};
}

// A disputed receipt shows every replica's digests, and two outputs that differ: long runs are cut
// to what one message holds.
void JobLed::dispute(Range run, const std::vector<std::uint64_t>& ids, Outbox& out) {
  constexpr std::size_t kEvidenceBytes = limits::kMessageBytes / 2;
  constexpr std::size_t kShownBytes = limits::kInlineOutputBytes + 64;  // of a unit, at the most
  const std::vector<std::uint64_t> apart = two_that_differ(run, ids);
  const std::size_t unit_bytes = 32 * ids.size() + apart.size() * kShownBytes;
  const std::uint64_t most = std::max<std::uint64_t>(1, kEvidenceBytes / unit_bytes);
  // The batches outlive the first parts only as long as they have open units: look them up anew.
  for (Range part{run.first, run.first}; part.last < run.last; part.first = part.last) {
    part.last = std::min(run.last, part.first + most);
    Receipt receipt = next_receipt(part, UnitEnd::kDisputed);
    for (std::uint64_t id : ids) {
      const Batch& batch = *batches_.find(id);
      Support support = support_of(batch, part, batch.digests);
      support.digests.assign(
          batch.digests.begin() + static_cast<std::ptrdiff_t>(part.first - batch.range.first),
          batch.digests.begin() + static_cast<std::ptrdiff_t>(part.last - batch.range.first));
      receipt.supports.push_back(std::move(support));
    }
    for (std::uint64_t id : apart) {
      const Batch& batch = *batches_.find(id);
      receipt.differing.push_back(
          slice(*batch.outputs, part.first - batch.range.first, part.last - batch.range.first));
    }
    disputed_ += part.size();
    end_run(part, std::move(receipt), out);
  }
}

Receipt JobLed::next_receipt(Range run, UnitEnd end) {
  Receipt receipt;
  receipt.sequence = next_sequence_++;
  receipt.range = run;
  receipt.end = end;
  return receipt;
}

// The run has ended: nobody computes it any more, and its receipt is kept.
void JobLed::end_run(Range run, Receipt receipt, Outbox& out) {
  states_.drop(run);
  std::map<NodeId, std::vector<Range>> revoked;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> settled;
  for (Range open : units_.open_runs(run)) {
    units_.update(open, [&](UnitIndex first, UnitMap::Segment& segment) {
      for (const Replica& replica : segment.replicas) {
        if (replica.state == ReplicaState::kLeased) {
          leases_.release(replica.lease, {first, segment.last});
          revoked[replica.worker].push_back({first, segment.last});
        }
        if (replica.batch != 0) settled.emplace_back(replica.batch, segment.last - first);
      }
    });
  }
  units_.end(run);
  comparing_.erase(comparing_.lower_bound(run.first), comparing_.lower_bound(run.last));
  to_compare_.remove(run);
  for (auto [batch, units] : settled) batches_.settle(batch, units);
  for (UnitIndex unit = run.first; !failures_.empty() && unit < run.last;) {
    auto it = failures_.lower_bound(unit);
    if (it == failures_.end() || it->first >= run.last) break;
    unit = it->first + 1;
    failures_.erase(it);
  }
  for (const auto& [worker, ranges] : revoked) revoke(worker, ranges, out);
  Bytes bytes = encode(receipt);
  delivery_.add(receipt, bytes);
  copies_.note(receipt);
  usage_.note(receipt);
  out.store_soon(StoredFact{.kind = FactKind::kReceipt,
                            .job = id_,
                            .sequence = receipt.sequence,
                            .about = {},
                            .bytes = std::move(bytes)});
}

// What another leader ended in one run may be in many pieces here.
void JobLed::revoke(const NodeId& worker, const std::vector<Range>& ranges, Outbox& out) {
  for (auto at = ranges.begin(); at != ranges.end();) {
    const auto many = std::min<std::ptrdiff_t>(ranges.end() - at, limits::kRangesPerMessage);
    out.send(worker, LeaseRevoke{.job = id_, .ranges = {at, at + many}, .job_over = false});
    at += many;
  }
}

void JobLed::finish_if_done(Outbox& out) {
  if (!units_.all_ended() || !active()) return;
  phase_ = JobPhase::kDone;
  out.hurry();
  if (!leading_) return;
  for (auto& [id, member] : members_) {
    if (member.asked && member.linked) {
      out.send(id, LeaseRevoke{.job = id_, .ranges = {}, .job_over = true});
    }
  }
  forget_absent();
}

}  // namespace shoal
