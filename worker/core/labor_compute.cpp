#include <algorithm>

#include "node/protocol/hash.h"
#include "worker/core/labor.h"

// Chunks to the executor; what comes back is committed, kept, and shown when it is asked for.
namespace shoal {
namespace {

// Chunks shorter than this are queued one ahead of each thread, while there is plenty to do.
constexpr Duration kShortChunk = 200ms;
// And these always: compared with them, the way to the executor and back is long.
constexpr Duration kTinyChunk = 20ms;
// Of longer units a worker is soon believed to take always the same time.
constexpr std::uint64_t kLongUnitNs = 1'000'000'000;
// Receipts of such jobs carry every replica's digests: smaller batches keep them within a message.
constexpr std::uint64_t kUnitsPerEquivalentBatch = 512;
constexpr std::uint64_t kChunkGrowth = 8;

std::uint64_t power_of_two_below(std::uint64_t n) {
  std::uint64_t p = 1;
  while (p <= n / 2) p *= 2;
  return p;
}

}  // namespace

// What is queued ahead can be stolen no more: at the end of a job, when each unit that waits here
// is one that somebody else could compute now, nothing is.
std::size_t Labor::chunks_wanted(const Job& job) const {
  const std::size_t threads = std::max<std::uint32_t>(config_.record.threads, 1);
  const std::uint64_t waiting = job.unstarted();
  const Duration unit(std::max<std::uint64_t>(job.unit_ns, 1));
  const Duration chunk = unit * std::clamp<std::uint64_t>(waiting / 4, 1, job.chunk_units);
  const bool plenty = waiting / threads >= static_cast<std::uint64_t>(kPrefetchWork / unit);
  const bool ahead = job.unit_ns == 0 || chunk < kTinyChunk || (chunk < kShortChunk && plenty);
  return std::min(kChunksMax, ahead ? 2 * threads : threads);
}

Labor::Job* Labor::next_to_run() {
  Job* best = nullptr;
  auto better = [&](Job& job) {
    if (best == nullptr) return true;
    // Nobody's jobs come before another's for what he says of them.
    if (job.submitter == best->submitter && job.priority() != best->priority()) {
      return job.priority() > best->priority();
    }
    if (job.to_verify.empty() != best->to_verify.empty()) return best->to_verify.empty();
    return last_run_ == best->key();
  };
  for (auto& [_, job] : jobs_) {
    if (job.state != State::kReady || job.next_queue() == nullptr) continue;
    if (better(job)) best = &job;
  }
  return best;
}

void Labor::start_chunks(Instant now, Outbox& out) {
  while (Job* job = next_to_run()) {
    if (chunks_.size() >= chunks_wanted(*job) || !start_one(now, *job, out)) return;
    last_run_ = job->key();
  }
}

// Cuts the next chunk from the front item of the queue.
Range Labor::cut_chunk(Job& job, std::deque<Item>& queue, Item& item) {
  item = queue.front();
  std::uint64_t most = limits::kUnitsPerBatch;
  if (job.manifest->comparison == Comparison::kEquivalent) most = kUnitsPerEquivalentBatch;
  if (job.unit_bytes > 0) {
    most = std::clamp<std::uint64_t>(limits::kBatchInlineBytes / job.unit_bytes, 1, most);
  }
  std::uint64_t size = job.chunk_units;
  if (item.kind == LeaseKind::kVerify) {
    // The bounds of the batch to be verified are worth more than a short chunk.
    size = std::max(size, item.range.size());
  } else {
    const std::uint64_t queued = job.unstarted();
    size = std::min(size, std::max<std::uint64_t>(1, queued / 4));
    size = power_of_two_below(size);
  }
  size = std::min(size, most);
  UnitIndex last = item.range.first + size;
  if (item.kind != LeaseKind::kVerify) last -= last % size;
  item.range.last = std::min(last, item.range.last);
  if (item.range.last == queue.front().range.last) {
    queue.pop_front();
  } else {
    queue.front().range.first = item.range.last;
  }
  return item.range;
}

bool Labor::start_one(Instant now, Job& job, Outbox& out) {
  Item item;
  cut_chunk(job, *job.next_queue(), item);
  const std::uint64_t id = next_chunk_++;
  chunks_.emplace(id, Chunk{.job = job.key(), .item = item, .since = now, .cancelled = false});
  job.running += 1;
  out.act(StartCompute{.chunk = id, .job = job.id, .manifest = job.manifest, .range = item.range});
  return true;
}

void Labor::learn_speed(Job& job, std::uint64_t units, std::uint64_t bytes,
                        std::uint64_t compute_ns) {
  if (units == 0) return;
  const std::uint64_t unit_ns = std::max<std::uint64_t>(compute_ns / units, 1);
  const std::uint64_t stray = std::max(unit_ns, job.unit_ns) - std::min(unit_ns, job.unit_ns);
  // What is believed at first is soon forgotten where units are long: a slow worker computes few of
  // them, and as long as it asks early, what it is given waits behind one.
  const std::uint64_t kept = job.unit_ns < kLongUnitNs ? 3 : 1;
  job.unit_stray_ns =
      job.unit_ns == 0 ? unit_ns / 2 : (kept * job.unit_stray_ns + stray) / (kept + 1);
  job.unit_ns = job.unit_ns == 0 ? unit_ns : (3 * job.unit_ns + unit_ns) / 4;
  job.unit_bytes = std::max(job.unit_bytes - job.unit_bytes / 8, bytes / units + 1);
  const std::uint64_t target =
      static_cast<std::uint64_t>(config_.batch_target.count()) / job.unit_ns;
  job.chunk_units = std::clamp<std::uint64_t>(
      target, 1, std::min(job.chunk_units * kChunkGrowth, limits::kUnitsPerBatch));
}

// Where one unit after the other fails, it is as a rule this machine's fault, or the job's: its
// owner should hear of it. The leader, who sees both, says what follows from it.
void Labor::note_failures(const Job& job, const ComputeDone& done, Outbox& out) {
  constexpr std::uint64_t kInARow = 8;
  if (!done.done.empty()) failing_.reset();
  if (done.failed.empty()) return;
  if (!failing_) failing_ = Failing{0, {}};
  const bool told = failing_->units >= kInARow;
  failing_->units += done.failed.size();
  failing_->why = "the last " + std::to_string(failing_->units) + " units failed here (" +
                  done.failed.back().message + ")";
  if (told || failing_->units < kInARow) return;
  out.tell(LogLevel::kWarning, failing_->why + "; the last of them of job " + short_hex(job.id));
}

// Its leader passes it on when this worker is gone. Told at once or not at all: the next one comes.
void Labor::on_state_saved(StateSaved saved, Outbox& out) {
  const auto chunk = chunks_.find(saved.chunk);
  if (chunk == chunks_.end() || chunk->second.cancelled) return;
  const Job* job = find(chunk->second.job);
  if (job == nullptr || chunk->second.item.kind != LeaseKind::kPrimary || !leader_linked(*job) ||
      saved.state.size() > limits::kUnitStateBytes) {
    return;
  }
  out.send(job->leader,
           UnitState{.job = job->id, .unit = saved.unit, .state = std::move(saved.state)});
}

void Labor::on_state(const NodeId& from, UnitState state, Outbox& out) {
  Job* job = led_by(state.job, from);
  if (job == nullptr || !job->manifest || job->state == State::kRefused ||
      job->state == State::kOver || state.unit >= job->manifest->units) {
    return;
  }
  out.act(KeepState{.job = job->id, .unit = state.unit, .state = std::move(state.state)});
  // Loot is begun at once, before the leader has said how far it is: it begins once more.
  for (auto& [id, chunk] : chunks_) {
    const Range unit{state.unit, state.unit + 1};
    if (chunk.job != job->key() || chunk.cancelled || chunk.item.range != unit ||
        chunk.item.kind != LeaseKind::kPrimary) {
      continue;
    }
    chunk.cancelled = true;
    out.act(CancelCompute{id});
    job->primaries.push_front(chunk.item);
  }
  drop_cancelled(*job);
}

void Labor::on_compute_done(Instant now, ComputeDone done, Outbox& out) {
  auto it = chunks_.find(done.chunk);
  if (it == chunks_.end()) return;
  const Chunk chunk = it->second;
  chunks_.erase(it);
  Job* job = find(chunk.job);
  if (job == nullptr) return;
  job->running -= 1;
  if (!done.done.empty()) job->losses = 0;
  std::uint64_t units = 0, bytes = 0;
  for (const auto& run : done.done) {
    units += run.range.size();
    bytes += run.outputs.inline_bytes.size() + 32 * run.outputs.large.size();
  }
  computed_ += units;
  failed_ += done.failed.size();
  note_failures(*job, done, out);
  learn_speed(*job, units, bytes, done.compute_ns);
  commit(now, *job, chunk.item, std::move(done.done), done.compute_ns, out);
  if (done.failed.empty()) return;
  FailureNotice notice;
  for (auto& failed : done.failed) {
    release(*job, {failed.unit, failed.unit + 1});
    notice.failures.push_back(sign_fact(signer_, Purpose::kFailure,
                                        encode(Failure{.job = job->id,
                                                       .worker = signer_.id(),
                                                       .unit = failed.unit,
                                                       .kind = failed.kind,
                                                       .message = std::move(failed.message),
                                                       .stderr_end = std::move(failed.stderr_end),
                                                       .cost = failed.cost})));
    if (notice.failures.size() == limits::kBatchesPerMessage / 2) {
      to_leader(now, *job, std::exchange(notice, {}), out);
    }
  }
  if (!notice.failures.empty()) to_leader(now, *job, std::move(notice), out);
}

void Labor::commit(Instant now, Job& job, const Item&, std::vector<ComputeDone::Run> runs,
                   std::uint64_t compute_ns, Outbox& out) {
  if (runs.empty()) return;
  CommitNotice notice{.commitments = {}, .job = job.id, .compute_ns = compute_ns};
  std::vector<Message> shown;
  for (auto& run : runs) {
    // A commitment must fit into one message when it is opened.
    std::uint64_t at = 0;
    const std::uint64_t size = run.range.size();
    while (at < size) {
      std::uint64_t end = at;
      std::size_t bytes = 0;
      while (end < size && end - at < limits::kUnitsPerBatch) {
        const std::uint64_t unit_bytes = run.outputs.sizes[end];
        const std::size_t more = unit_bytes <= limits::kInlineOutputBytes ? unit_bytes : 32;
        if (end > at && bytes + more > limits::kBatchInlineBytes) break;
        bytes += more;
        ++end;
      }
      PackedOutputs part =
          at == 0 && end == size ? std::move(run.outputs) : slice(run.outputs, at, end);
      const Range range{run.range.first + at, run.range.first + end};
      notice.commitments.push_back(commit_run(job, range, std::move(part), shown));
      at = end;
      if (notice.commitments.size() == limits::kBatchesPerMessage) {
        to_leader(
            now, job,
            std::exchange(notice, CommitNotice{.commitments = {}, .job = job.id, .compute_ns = 0}),
            out);
      }
    }
  }
  to_leader(now, job, std::move(notice), out);
  for (Message& message : shown) to_leader(now, job, std::move(message), out);
}

Signed Labor::commit_run(Job& job, Range range, PackedOutputs outputs,
                         std::vector<Message>& shown) {
  auto digests = digests_of(outputs);
  check(digests.has_value() && digests->size() == range.size(), "an executor's outputs do not fit");
  custody_.made(job.id, outputs.large);
  Held held{.range = range,
            .commitment = {},
            .salt = commitment_salt(signer_, job.id, range),
            .root = merkle_root(*digests),
            .outputs = std::move(outputs)};
  held.commitment =
      sign_fact(signer_, Purpose::kCommitment,
                encode(Commitment{
                    .job = job.id,
                    .worker = signer_.id(),
                    .range = range,
                    .sealed = commitment_seal(job.id, signer_.id(), range, held.salt, held.root)}));
  release(job, range);
  Signed commitment = held.commitment;
  // With a quorum of one nobody is there to copy: what is shown at once saves a round trip.
  if (job.manifest->quorum == 1) {
    held.shown = true;
    shown.push_back(show(job, held));
  }
  keep(job, std::move(held));
  return commitment;
}

Reveal Labor::show(const Job& job, const Held& held) const {
  return Reveal{.job = job.id,
                .range = held.range,
                .part = held.range,
                .salt = held.salt,
                .root = held.root,
                .digests = {},
                .outputs = held.outputs,
                .proof = {},
                .lapsed = false};
}

std::uint64_t Labor::Held::bytes() const {
  constexpr std::uint64_t kTableBytes = 640;
  return kTableBytes + outputs.inline_bytes.size() + 8 * outputs.sizes.size() +
         32 * outputs.large.size() + 16 * outputs.costs.size();
}

// Keeps a batch to be shown.
void Labor::keep(Job& job, Held held) {
  const UnitIndex first = held.range.first;
  save(StoredFact{.kind = FactKind::kBatch,
                  .job = job.id,
                  .sequence = first,
                  .about = {},
                  .bytes = encode(Message{show(job, held)})});
  if (auto old = job.batches.find(first); old != job.batches.end()) {
    job.held_bytes -= old->second.bytes();
    old->second = std::move(held);
    job.held_bytes += old->second.bytes();
    return;
  }
  job.held_bytes += held.bytes();
  job.batches.emplace(first, std::move(held));
  job.batch_order.push_back(first);
  forget_shown(job);
}

// Past half of the limit the oldest that were shown are forgotten: where a leader asks again for
// one of those, its units are computed again.
void Labor::forget_shown(Job& job) {
  while (job.held_bytes > kHeldBytesMax / 2 && !job.batch_order.empty()) {
    auto oldest = job.batches.find(job.batch_order.front());
    if (oldest != job.batches.end()) {
      if (!oldest->second.shown) break;
      job.held_bytes -= oldest->second.bytes();
      job.batches.erase(oldest);
    }
    job.batch_order.pop_front();
  }
}

void Labor::on_reveal_request(const NodeId& from, const RevealRequest& request, Outbox& out) {
  Reveal reveal;
  reveal.job = request.job;
  reveal.range = request.range;
  reveal.part = request.range;
  Job* job = led_by(request.job, from);
  Held* found = nullptr;
  if (job != nullptr) {
    auto it = job->batches.find(request.range.first);
    if (it != job->batches.end() && it->second.range == request.range) found = &it->second;
  }
  if (found == nullptr) {
    reveal.lapsed = true;
    return out.send(from, std::move(reveal));
  }
  Held& held = *found;
  held.shown = true;
  reveal.salt = held.salt;
  reveal.root = held.root;
  switch (request.detail) {
    case RevealDetail::kRoot:
      break;
    case RevealDetail::kDigests:
      reveal.digests = *digests_of(held.outputs);
      break;
    case RevealDetail::kOutputs:
      reveal.outputs = held.outputs;
      break;
  }
  out.send(from, std::move(reveal));
  forget_shown(*job);  // it may have been full, and go on now
}

}  // namespace shoal
