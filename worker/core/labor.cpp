#include "worker/core/labor.h"

#include <algorithm>

#include "node/protocol/hash.h"

// Jobs, leases, and the work on them. Stealing is in labor_stealing.cpp.
namespace shoal {
namespace {

constexpr Duration kPrefetchWork = 300ms;
constexpr Duration kShortChunk = 200ms;  // such chunks are queued one ahead of each thread
constexpr Duration kAnswerPatience = 10s;
constexpr std::size_t kChunksMax = 256;
constexpr std::size_t kJobsOverKept = 4096;
constexpr std::size_t kForLeaderMax = 4096;
constexpr std::uint64_t kHeldBytesMax = 64 << 20;
// Receipts of such jobs carry every replica's digests: smaller batches keep them within a message.
constexpr std::uint64_t kUnitsPerEquivalentBatch = 512;
constexpr std::uint64_t kChunkGrowth = 8;

std::uint64_t power_of_two_below(std::uint64_t n) {
  std::uint64_t p = 1;
  while (p <= n / 2) p *= 2;
  return p;
}

}  // namespace

Labor::Labor(const PeerConfig& config, const Signer& signer, Membership& membership, Rng rng)
    : config_(config), signer_(signer), membership_(membership), rng_(rng) {}

std::uint64_t Labor::Job::unstarted() const {
  std::uint64_t units = 0;
  for (const Item& item : bound) units += item.range.size();
  for (const Item& item : primaries) units += item.range.size();
  return units;
}

Labor::Job* Labor::find(const JobId& id) {
  auto it = jobs_.find(id);
  return it == jobs_.end() ? nullptr : &it->second;
}

Labor::Job* Labor::led_by(const JobId& id, const NodeId& from) {
  Job* job = find(id);
  return job != nullptr && job->leader == from ? job : nullptr;
}

bool Labor::hear_of(Instant now, const WorkAvailable& news) {
  if (config_.record.threads == 0) return false;
  if (jobs_.contains(news.job) || jobs_.size() >= limits::kJobsKnown) return false;
  if (std::find(over_.begin(), over_.end(), news.job) != over_.end()) return false;
  Job& job = jobs_[news.job];
  job.id = news.job;
  job.leader = news.leader.signer;
  job.leader_record = news.leader;
  job.report_at = now + config_.lease / 3;
  return true;
}

std::vector<WorkAvailable> Labor::jobs_heard_of() const {
  std::vector<WorkAvailable> news;
  for (const auto& [id, job] : jobs_) {
    if (job.state == State::kOver || news.size() == 16) continue;
    news.push_back({.job = id, .leader = job.leader_record, .hops = 1});
  }
  return news;
}

std::optional<NodeId> Labor::leader_of(const JobId& id) const {
  auto it = jobs_.find(id);
  if (it == jobs_.end()) return std::nullopt;
  return it->second.leader;
}

void Labor::to_leader(Instant now, Job& job, Message message, Outbox& out) {
  if (job.leader == signer_.id() || membership_.linked(job.leader)) {
    out.send(job.leader, std::move(message));
    return;
  }
  if (job.for_leader.size() < kForLeaderMax) job.for_leader.push_back(std::move(message));
  membership_.reach(now, job.leader, out);
}

std::string Labor::refusal_of(const Signed& manifest, const Manifest& what) const {
  const auto& kernels = config_.record.kernels;
  switch (what.kernel_kind) {
    case KernelKind::kShipped:
      if (std::find(kernels.begin(), kernels.end(), what.kernel) == kernels.end()) {
        return "its kernel '" + what.kernel + "' is not among those of this version";
      }
      return {};
    case KernelKind::kNative: {
      const auto& trusted = config_.trusted_submitters;
      if (config_.native_from_anyone ||
          std::find(trusted.begin(), trusted.end(), manifest.signer) != trusted.end()) {
        return {};
      }
      return "it brings a native program, and its submitter " + to_hex(manifest.signer) +
             " is not trusted here (--trust)";
    }
  }
  return "its kind of kernel is unknown here";
}

void Labor::accept_manifest(Job& job, const Signed& manifest, Outbox& out) {
  auto what = decode_manifest(manifest.body);
  if (!what || job_id_of(manifest.body) != job.id) {
    job.state = State::kRefused;
    return;
  }
  if (std::string why = refusal_of(manifest, *what); !why.empty()) {
    out.tell(LogLevel::kInfo, "takes no units of job " + short_hex(job.id) + ": " + why);
    job.state = State::kRefused;
    return;
  }
  job.manifest = std::make_shared<const Manifest>(std::move(*what));
  job.state = State::kReady;
  auto need = [&](const std::optional<ContentId>& id, std::uint64_t length) {
    if (!id) return;
    job.missing.insert(*id);
    job.state = State::kFetching;
    needs_.push_back({*id, length, {job.leader, manifest.signer}});
  };
  need(job.manifest->program, job.manifest->program_bytes);
  need(job.manifest->inputs, job.manifest->inputs_bytes);
}

void Labor::on_content(const ContentId& id, const std::string& error, Outbox& out) {
  for (auto& [_, job] : jobs_) {
    if (job.missing.erase(id) == 0) continue;
    if (!error.empty()) {
      out.tell(LogLevel::kWarning, "takes no units of job " + short_hex(job.id) + ": " + error);
      job.state = State::kRefused;
      while (!job.leases.empty()) give_back(job, job.leases.begin()->first, out);
    } else if (job.missing.empty() && job.state == State::kFetching) {
      job.state = State::kReady;
    }
  }
}

void Labor::on_grant(Instant now, const NodeId& from, LeaseGrant grant, Outbox& out) {
  Job* job = led_by(grant.job, from);
  if (job == nullptr || job->state == State::kOver) return;
  job->epoch = grant.epoch;
  if (!grant.ranges.empty()) {
    job->asked.reset();
    job->hungry = false;
    if (!job->stealing) job->victims.clear();
  }
  if (!job->manifest && grant.manifest && job->state == State::kHeardOf) {
    accept_manifest(*job, *grant.manifest, out);
  }
  if (grant.ranges.empty()) return;
  RangeSet& held = job->leases[grant.lease];
  for (Range range : grant.ranges) held.add(range);
  if (job->state == State::kRefused || !job->manifest) {
    give_back(*job, grant.lease, out);
    return;
  }
  auto& queue = grant.kind == LeaseKind::kPrimary ? job->primaries : job->bound;
  for (Range range : grant.ranges) {
    if (range.last <= job->manifest->units) queue.push_back({range, grant.lease, grant.kind});
  }
  job->report_at = now + config_.lease / 3;
  feed_thieves(*job, out);
}

// Says at once that nothing of the lease will be computed here.
void Labor::give_back(Job& job, std::uint64_t lease, Outbox& out) {
  auto of_lease = [&](const Item& item) { return item.lease == lease; };
  std::erase_if(job.bound, of_lease);
  std::erase_if(job.primaries, of_lease);
  job.leases.erase(lease);
  LeaseReport report{.job = job.id, .epoch = job.epoch, .leases = {}, .unit_ns = job.unit_ns};
  report.leases.push_back({.lease = lease, .ranges = {}});
  for (const auto& [id, held] : job.leases) report.leases.push_back({id, held.runs()});
  out.send(job.leader, std::move(report));
}

void Labor::on_revoke(const NodeId& from, const LeaseRevoke& revoke, Outbox& out) {
  Job* job = led_by(revoke.job, from);
  if (job == nullptr) return;
  if (revoke.job_over) {
    drop_job(*job, out);
    return;
  }
  for (Range range : revoke.ranges) {
    for (auto* queue : {&job->bound, &job->primaries}) {
      std::deque<Item> kept;
      for (const Item& item : *queue) {
        RangeSet rest(item.range);
        rest.remove(range);
        for (Range run : rest.runs()) kept.push_back({run, item.lease, item.kind});
      }
      *queue = std::move(kept);
    }
    release(*job, range);
    for (auto& [id, chunk] : chunks_) {
      if (chunk.job != job->id || chunk.cancelled || !range.contains(chunk.item.range)) continue;
      chunk.cancelled = true;
      out.act(CancelCompute{id});
    }
  }
  for (auto it = chunks_.begin(); it != chunks_.end();) {
    if (it->second.cancelled && it->second.job == job->id) {
      job->running -= 1;
      it = chunks_.erase(it);
    } else {
      ++it;
    }
  }
}

void Labor::drop_job(Job& job, Outbox& out) {
  const JobId id = job.id;
  for (auto it = chunks_.begin(); it != chunks_.end();) {
    if (it->second.job == id) {
      out.act(CancelCompute{it->first});
      it = chunks_.erase(it);
    } else {
      ++it;
    }
  }
  jobs_.erase(id);
  over_.push_back(id);
  if (over_.size() > kJobsOverKept) over_.pop_front();
  out.act(ForgetJob{id});
}

void Labor::release(Job& job, Range range) {
  for (auto it = job.leases.begin(); it != job.leases.end();) {
    it->second.remove(range);
    it = it->second.empty() ? job.leases.erase(it) : std::next(it);
  }
  for (auto& [_, ranges] : job.unsettled) ranges.remove(range);
}

// --- computing ---

std::size_t Labor::chunks_wanted(const Job& job) const {
  const std::size_t threads = std::max<std::uint32_t>(config_.record.threads, 1);
  const bool is_short = job.unit_ns == 0 ||
                        job.unit_ns * job.chunk_units <
                            static_cast<std::uint64_t>(kShortChunk.count());
  return std::min(kChunksMax, is_short ? 2 * threads : threads);
}

Labor::Job* Labor::next_to_run() {
  Job* best = nullptr;
  auto better = [&](Job& job) {
    if (best == nullptr) return true;
    if (job.manifest->priority != best->manifest->priority) {
      return job.manifest->priority > best->manifest->priority;
    }
    if (job.bound.empty() != best->bound.empty()) return best->bound.empty();
    return last_run_ == best->id;
  };
  for (auto& [_, job] : jobs_) {
    if (job.state != State::kReady || (job.bound.empty() && job.primaries.empty())) continue;
    if (job.held_bytes > kHeldBytesMax) continue;
    if (better(job)) best = &job;
  }
  return best;
}

void Labor::start_chunks(Instant, Outbox& out) {
  while (Job* job = next_to_run()) {
    if (chunks_.size() >= chunks_wanted(*job) || !start_one(*job, out)) return;
    last_run_ = job->id;
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

bool Labor::start_one(Job& job, Outbox& out) {
  auto& queue = !job.bound.empty() ? job.bound : job.primaries;
  Item item;
  cut_chunk(job, queue, item);
  const std::uint64_t id = next_chunk_++;
  chunks_.emplace(id, Chunk{.job = job.id, .item = item, .cancelled = false});
  job.running += 1;
  out.act(StartCompute{.chunk = id, .job = job.id, .manifest = job.manifest, .range = item.range});
  return true;
}

void Labor::learn_speed(Job& job, std::uint64_t units, std::uint64_t bytes,
                        std::uint64_t compute_ns) {
  if (units == 0) return;
  const std::uint64_t unit_ns = std::max<std::uint64_t>(compute_ns / units, 1);
  job.unit_ns = job.unit_ns == 0 ? unit_ns : (3 * job.unit_ns + unit_ns) / 4;
  job.unit_bytes = std::max(job.unit_bytes - job.unit_bytes / 8, bytes / units + 1);
  const std::uint64_t target = static_cast<std::uint64_t>(config_.batch_target.count()) / job.unit_ns;
  job.chunk_units =
      std::clamp<std::uint64_t>(target, 1, std::min(job.chunk_units * kChunkGrowth, limits::kUnitsPerBatch));
}

void Labor::on_compute_done(Instant now, ComputeDone done, Outbox& out) {
  auto it = chunks_.find(done.chunk);
  if (it == chunks_.end()) return;
  const Chunk chunk = it->second;
  chunks_.erase(it);
  Job* job = find(chunk.job);
  if (job == nullptr) return;
  job->running -= 1;
  std::uint64_t units = 0, bytes = 0;
  for (const auto& run : done.done) {
    units += run.range.size();
    bytes += run.outputs.inline_bytes.size() + 32 * run.outputs.large.size();
  }
  computed_ += units;
  failed_ += done.failed.size();
  learn_speed(*job, units, bytes, done.compute_ns);
  commit(now, *job, chunk.item, std::move(done.done), done.compute_ns, out);
  if (done.failed.empty()) return;
  FailureNotice notice;
  for (auto& failed : done.failed) {
    failed.message.resize(std::min(failed.message.size(), limits::kFailureTextBytes));
    failed.stderr_end.resize(std::min(failed.stderr_end.size(), limits::kFailureTextBytes));
    release(*job, {failed.unit, failed.unit + 1});
    notice.failures.push_back(sign_fact(signer_, Purpose::kFailure,
                                        encode(Failure{.job = job->id,
                                                       .worker = signer_.id(),
                                                       .unit = failed.unit,
                                                       .kind = failed.kind,
                                                       .message = std::move(failed.message),
                                                       .stderr_end = std::move(failed.stderr_end)})));
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
      PackedOutputs part = at == 0 && end == size ? std::move(run.outputs)
                                                  : slice(run.outputs, at, end);
      const Range range{run.range.first + at, run.range.first + end};
      notice.commitments.push_back(commit_run(job, range, std::move(part), out, shown));
      at = end;
      if (notice.commitments.size() == limits::kBatchesPerMessage) {
        to_leader(now, job, std::exchange(notice, CommitNotice{.commitments = {}, .job = job.id,
                                                               .compute_ns = 0}), out);
      }
    }
  }
  to_leader(now, job, std::move(notice), out);
  for (Message& message : shown) to_leader(now, job, std::move(message), out);
}

Signed Labor::commit_run(Job& job, Range range, PackedOutputs outputs, Outbox&,
                         std::vector<Message>& shown) {
  auto digests = digests_of(outputs);
  check(digests.has_value() && digests->size() == range.size(), "an executor's outputs do not fit");
  Held held{.range = range,
            .salt = commitment_salt(signer_, job.id, range),
            .root = merkle_root(*digests),
            .outputs = std::move(outputs)};
  Signed commitment = sign_fact(
      signer_, Purpose::kCommitment,
      encode(Commitment{.job = job.id,
                        .worker = signer_.id(),
                        .range = range,
                        .sealed = commitment_seal(job.id, signer_.id(), range, held.salt, held.root)}));
  release(job, range);
  if (job.manifest->quorum == 1) {
    // Nobody is there to copy: what is shown at once saves a round trip.
    shown.push_back(Reveal{.job = job.id,
                           .range = range,
                           .part = range,
                           .salt = held.salt,
                           .root = held.root,
                           .digests = {},
                           .outputs = std::move(held.outputs),
                           .proof = {},
                           .lapsed = false});
    return commitment;
  }
  job.held_bytes += held.outputs.inline_bytes.size() + 8 * held.outputs.sizes.size();
  job.batches[range.first] = std::move(held);
  return commitment;
}

void Labor::on_reveal_request(const NodeId& from, const RevealRequest& request, Outbox& out) {
  Reveal reveal;
  reveal.job = request.job;
  reveal.range = request.range;
  reveal.part = request.range;
  const Job* job = led_by(request.job, from);
  const Held* found = nullptr;
  if (job != nullptr) {
    auto it = job->batches.find(request.range.first);
    if (it != job->batches.end() && it->second.range == request.range) found = &it->second;
  }
  if (found == nullptr) {
    reveal.lapsed = true;
    return out.send(from, std::move(reveal));
  }
  const Held& held = *found;
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
}

void Labor::on_compare_request(const NodeId& from, const CompareRequest& request, Outbox& out) {
  Job* job = led_by(request.job, from);
  if (job == nullptr || !job->manifest) return;
  out.act(StartCompare{.job = job->id,
                       .manifest = job->manifest,
                       .unit = request.unit,
                       .candidates = request.candidates});
}

void Labor::on_compare_done(const CompareDone& done, Outbox& out) {
  Job* job = find(done.job);
  if (job == nullptr) return;
  if (!done.error.empty()) {
    out.tell(LogLevel::kWarning, "could not compare two outputs of unit " +
                                     std::to_string(done.unit) + " of job " + short_hex(done.job) +
                                     ": " + done.error);
  }
  ComparisonVerdict verdict{.job = done.job,
                            .worker = signer_.id(),
                            .unit = done.unit,
                            .digests = done.digests,
                            .all_match = done.all_match && done.error.empty()};
  out.send(job->leader, CompareReply{sign_fact(signer_, Purpose::kComparison, encode(verdict))});
}

// --- links and time ---

void Labor::on_link_up(Instant now, const NodeId& peer, Outbox& out) {
  for (auto& [_, job] : jobs_) {
    if (job.leader == peer) {
      for (Message& message : std::exchange(job.for_leader, {})) out.send(peer, std::move(message));
      job.asked.reset();
      job.hungry = false;
      if (!job.leases.empty()) report(now, job, out);
    }
    if (job.stealing && !job.victims.empty() && job.victims.back() == peer) {
      out.send(peer, StealRequest{.job = job.id, .threads = config_.record.threads});
    }
  }
}

void Labor::on_link_lost(Instant now, const NodeId& peer, Outbox& out) {
  for (auto& [_, job] : jobs_) {
    std::erase(job.thieves, peer);
    if (job.leader == peer) {
      job.asked.reset();
      job.hungry = false;
      membership_.reach(now, peer, out);
    }
    if (job.stealing && !job.victims.empty() && job.victims.back() == peer) {
      try_next_victim(now, job, out);
    }
  }
}

void Labor::report(Instant now, Job& job, Outbox& out) {
  job.report_at = now + config_.lease / 3;
  LeaseReport report{.job = job.id, .epoch = job.epoch, .leases = {}, .unit_ns = job.unit_ns};
  for (const auto& [id, held] : job.leases) {
    if (held.runs().size() <= limits::kRangesPerMessage) {
      report.leases.push_back({id, held.runs()});
    }
  }
  to_leader(now, job, std::move(report), out);
}

bool Labor::running_dry() const {
  std::uint64_t ns = 0;
  for (const auto& [_, job] : jobs_) {
    if (job.state == State::kFetching && !job.leases.empty()) return false;
    const std::uint64_t unstarted = job.unstarted();
    if (unstarted > 0 && job.unit_ns == 0) return false;
    ns += unstarted * job.unit_ns;
  }
  return ns / std::max<std::uint32_t>(config_.record.threads, 1) <
         static_cast<std::uint64_t>(kPrefetchWork.count());
}

void Labor::ask_for_work(Instant now, Outbox& out) {
  if (config_.record.threads == 0 || !running_dry()) return;
  for (auto& [_, job] : jobs_) {
    const bool open = job.state == State::kHeardOf || job.state == State::kReady;
    if (!open || job.asked || job.hungry || job.stealing || !job.victims.empty()) continue;
    if (job.held_bytes > kHeldBytesMax) continue;
    job.asked = now;
    to_leader(now, job,
              WorkRequest{.job = job.id,
                          .threads = config_.record.threads,
                          .unit_ns = job.unit_ns,
                          .backlog_units = job.unstarted()},
              out);
  }
}

void Labor::advance(Instant now, Outbox& out) {
  for (auto& [_, job] : jobs_) {
    if (job.report_at <= now) {
      if (!job.leases.empty()) {
        report(now, job, out);
      } else {
        job.report_at = now + config_.lease / 3;
      }
    }
    if (job.asked && now - *job.asked >= kAnswerPatience) job.asked.reset();
    if (job.stealing && now - *job.stealing >= kStealPatience) try_next_victim(now, job, out);
    if (!job.for_leader.empty()) membership_.reach(now, job.leader, out);
  }
  start_chunks(now, out);
  for (auto& [_, job] : jobs_) {
    const bool dry = job.state == State::kReady && job.unstarted() == 0;
    if (dry && !job.stealing && !job.victims.empty()) try_next_victim(now, job, out);
  }
  ask_for_work(now, out);
}

std::optional<Instant> Labor::next_deadline() const {
  std::optional<Instant> next;
  auto consider = [&](Instant at) {
    if (!next || at < *next) next = at;
  };
  for (const auto& [_, job] : jobs_) {
    if (!job.leases.empty()) consider(job.report_at);
    if (job.asked) consider(*job.asked + kAnswerPatience);
    if (job.stealing) consider(*job.stealing + kStealPatience);
  }
  return next;
}

void Labor::fill(WorkerStatus& status) const {
  status.units_computed = computed_;
  status.units_stolen = stolen_;
  status.units_failed = failed_;
  std::size_t jobs = 0;
  for (const auto& [_, job] : jobs_) {
    status.backlog_units += job.unstarted();
    if (job.running > 0) ++jobs;
  }
  status.doing = chunks_.empty() ? "idle" : "computing for " + std::to_string(jobs) +
                                                (jobs == 1 ? " job" : " jobs");
}

void Labor::check_invariants() const {
  std::map<JobId, std::size_t> running;
  for (const auto& [_, chunk] : chunks_) running[chunk.job] += 1;
  for (const auto& [id, job] : jobs_) {
    check(job.running == (running.contains(id) ? running.at(id) : 0), "running chunks miscounted");
    check(job.for_leader.size() <= kForLeaderMax, "too many messages wait for a leader");
    check(job.thieves.size() <= limits::kHungryPeers, "too many thieves are remembered");
  }
  check(chunks_.size() <= kChunksMax, "too many chunks are running");
}

}  // namespace shoal
