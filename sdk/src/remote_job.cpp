#include "sdk/src/remote_job.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "node/content/store/folder.h"
#include "node/protocol/limits.h"
#include "node/protocol/plain_text.h"
#include "sdk/src/difference.h"
#include "sdk/src/local_run.h"

namespace shoal {
namespace {

constexpr std::size_t kFetchAhead = 8;  // large outputs on their way at once
// Another process of this account, which shares the content, may drop what it had of the same.
constexpr int kFetchAttempts = 4;
// Of outputs that are disputed, to show in what they differ.
constexpr std::uint64_t kDisputedBytes = 8 << 20;
constexpr int kDisputedFetches = 32;  // in a job
constexpr std::chrono::milliseconds kDisputedPatience{10'000};
constexpr std::size_t kWorkerLists = 4096;  // that are kept to be shared
constexpr std::chrono::milliseconds kFirstLook{2'000};
constexpr std::chrono::milliseconds kLastLook{30'000};
constexpr int kLooksForTheRest = 3;  // of a cancelled job, while nothing comes

ErrorCode code_of(JobRefused::Why why) {
  switch (why) {
    case JobRefused::Why::kNoPeers:
      return ErrorCode::kNoPeers;
    case JobRefused::Why::kNoCoordinator:
      return ErrorCode::kNoCoordinator;
    case JobRefused::Why::kOtherPool:
      return ErrorCode::kOtherPool;
    case JobRefused::Why::kQuorumTooLarge:
      return ErrorCode::kQuorumTooLarge;
    case JobRefused::Why::kUnknownKernel:
      return ErrorCode::kUnknownKernel;
    case JobRefused::Why::kNotTrusted:
      return ErrorCode::kNotTrusted;
    case JobRefused::Why::kStewardRefused:
      return ErrorCode::kRefused;
    case JobRefused::Why::kUnknownJob:
      return ErrorCode::kUnknownJob;
  }
  return ErrorCode::kRefused;
}

FailureReason reason_of(FailureKind kind) {
  switch (kind) {
    case FailureKind::kThrew:
      return FailureReason::kThrew;
    case FailureKind::kCrashed:
      return FailureReason::kCrashed;
    case FailureKind::kTimedOut:
      return FailureReason::kTimedOut;
    case FailureKind::kOutOfMemory:
      return FailureReason::kOutOfMemory;
    case FailureKind::kBadAnswer:
      return FailureReason::kBadAnswer;
    case FailureKind::kRefused:
      return FailureReason::kRefused;
  }
  return FailureReason::kThrew;
}

UnitUsage usage_of(const UnitCost& cost) {
  return {cost.wall_ms, cost.cpu_ms, cost.memory_kib, cost.exit_status, cost.signal};
}

void fill_outputs(detail::UnitRun& run, Receipt& receipt) {
  for (const UnitCost& cost : receipt.outputs.costs) run.usage.push_back(usage_of(cost));
  run.starts.reserve(run.count + 1);
  run.starts.push_back(0);
  std::size_t large = 0;
  for (std::uint64_t i = 0; i < run.count; ++i) {
    const std::uint64_t size = receipt.outputs.sizes[i];
    if (size > limits::kInlineOutputBytes) {
      run.large[i] = {to_hex(receipt.outputs.large[large++]), size};
      run.starts.push_back(run.starts.back());
    } else {
      run.starts.push_back(run.starts.back() + size);
    }
  }
  run.bytes = std::move(receipt.outputs.inline_bytes);
}

bool judged_equal(const Receipt& receipt, UnitIndex unit, const Hash256& output,
                  const Hash256& other) {
  return std::any_of(receipt.comparisons.begin(), receipt.comparisons.end(),
                     [&](const Signed& fact) {
                       const auto verdict = decode_comparison_verdict(fact.body);
                       if (!verdict || verdict->unit != unit || !verdict->all_match) return false;
                       const auto& digests = verdict->digests;
                       return !digests.empty() && digests.front() == output &&
                              std::find(digests.begin(), digests.end(), other) != digests.end();
                     });
}

bool agrees(const Receipt& receipt, const Support& support, const std::vector<Hash256>& outputs) {
  if (support.digests.size() != outputs.size()) return false;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (support.digests[i] != outputs[i] &&
        !judged_equal(receipt, receipt.range.first + i, outputs[i], support.digests[i])) {
      return false;
    }
  }
  return true;
}

void fill_failures(detail::UnitRun& run, const Receipt& receipt) {
  run.errors.resize(run.count);
  for (const Signed& fact : receipt.failures) {
    const auto failure = decode_failure(fact.body);
    if (!failure || !receipt.range.contains(failure->unit)) continue;
    UnitError& error = run.errors[failure->unit - receipt.range.first];
    ++error.attempts;
    if (error.attempts > 1) continue;
    error.kind = reason_of(failure->kind);
    error.message = plain_text(failure->message);
    error.stderr_end = plain_text(failure->stderr_end);
    if (failure->cost) error.usage = usage_of(*failure->cost);
  }
}

void fill_dispute(detail::UnitRun& run, const Receipt& receipt) {
  fill_failures(run, receipt);
  for (UnitError& error : run.errors) {
    error.kind = FailureReason::kDisputed;
    error.attempts += static_cast<unsigned>(receipt.supports.size());
    error.message =
        std::to_string(receipt.supports.size()) + " workers computed it, and too few of them agree";
  }
}

}  // namespace

Error to_error(const ClientError& error) {
  const std::string what = plain_text(error.what);  // it may quote what a steward said
  switch (error.kind) {
    case ClientError::Kind::kState:
    case ClientError::Kind::kNetwork:
      return Error(ErrorCode::kState, what);
    case ClientError::Kind::kTimeout:
      return Error(ErrorCode::kNoPeers, what);
    case ClientError::Kind::kInterrupted:
      return Error(ErrorCode::kCancelled, what);
    case ClientError::Kind::kRefused:
      break;
  }
  return Error(error.why ? code_of(*error.why) : ErrorCode::kRefused, what);
}

std::vector<NodeId> agreeing_workers(const Receipt& receipt) {
  std::vector<NodeId> workers;
  if (receipt.end != UnitEnd::kVerified) return workers;
  std::optional<std::vector<Hash256>> outputs;  // hashed only where somebody shows others
  for (const Support& support : receipt.supports) {
    if (!support.digests.empty()) {
      if (!outputs) outputs = digests_of(receipt.outputs);
      if (!outputs || !agrees(receipt, support, *outputs)) continue;
    }
    workers.push_back(support.commitment.signer);
  }
  std::sort(workers.begin(), workers.end());
  return workers;
}

WorkerLists::List WorkerLists::of(const std::vector<NodeId>& workers) {
  if (workers.empty()) return nullptr;
  const auto found = lists_.find(workers);
  if (found != lists_.end()) return found->second;
  // In a large pool there is no end of sets. Whoever has a list keeps it.
  if (lists_.size() >= kWorkerLists) lists_.clear();
  auto list = std::make_shared<std::vector<std::string>>();
  list->reserve(workers.size());
  for (const NodeId& worker : workers) list->push_back(to_hex(worker));
  return lists_.emplace(workers, std::move(list)).first->second;
}

void KnownProgress::take(const Receipt& receipt, const std::vector<NodeId>& workers) {
  workers_.insert(workers.begin(), workers.end());
  switch (receipt.end) {
    case UnitEnd::kVerified:
      taken_.verified += receipt.range.size();
      break;
    case UnitEnd::kFailed:
      taken_.failed += receipt.range.size();
      break;
    case UnitEnd::kDisputed:
      taken_.disputed += receipt.range.size();
      break;
  }
}

Progress KnownProgress::hear(const JobStatus& now) {
  if (now.workers != 0) told_workers_ = now.workers;
  taken_.moved = std::max(taken_.moved, now.moved);
  taken_.recomputed = std::max(taken_.recomputed, now.recomputed);
  Progress progress = taken_;
  progress.verified = std::max(progress.verified, now.verified);
  progress.failed = std::max(progress.failed, now.failed);
  progress.disputed = std::max(progress.disputed, now.disputed);
  progress.in_work = now.leased + now.committed;
  progress.workers = now.workers;
  progress.cancelled = now.phase == JobPhase::kCancelled;
  progress.waiting_for = plain_text(now.waiting_for);
  return progress;
}

Progress KnownProgress::alone() const {
  Progress progress = taken_;
  // The steward may have been asked last when most had not begun.
  progress.workers = std::max(told_workers_, static_cast<unsigned>(workers_.size()));
  return progress;
}

Receipt part_of(const Receipt& receipt, Range part) {
  check(receipt.range.contains(part), "a part of a receipt is not within it");
  Receipt cut = receipt;
  cut.range = part;
  if (receipt.end == UnitEnd::kVerified) {
    cut.outputs =
        slice(receipt.outputs, part.first - receipt.range.first, part.last - receipt.range.first);
  }
  for (PackedOutputs& shown : cut.differing) {
    shown = slice(shown, part.first - receipt.range.first, part.last - receipt.range.first);
  }
  return cut;
}

std::shared_ptr<detail::UnitRun> run_of(Receipt receipt, WorkerLists::List workers) {
  auto run = std::make_shared<detail::UnitRun>();
  run->workers = std::move(workers);
  run->first = receipt.range.first;
  run->count = receipt.range.size();
  run->ok = receipt.end == UnitEnd::kVerified;
  switch (receipt.end) {
    case UnitEnd::kVerified:
      fill_outputs(*run, receipt);
      break;
    case UnitEnd::kFailed:
      fill_failures(*run, receipt);
      break;
    case UnitEnd::kDisputed:
      fill_dispute(*run, receipt);
      break;
  }
  return run;
}

RemoteJob::~RemoteJob() {
  if (complete_ && !keep_) client_->close_later(job_);
  for (const ContentId& output : outputs_) client_->drop_output(output);
}

void RemoteJob::take(std::vector<Receipt> receipts) {
  for (Receipt& receipt : receipts) {
    // After attaching again what was on its way comes twice, and two leaders at once end units in
    // runs of their own: a unit keeps the end that came first.
    RangeSet fresh(receipt.range);
    fresh.remove(taken_);
    if (fresh.empty()) continue;
    taken_.add(fresh);
    const std::vector<NodeId> workers = agreeing_workers(receipt);
    const WorkerLists::List list = worker_lists_.of(workers);
    std::vector<NodeId> everybody;
    for (const Support& support : receipt.supports) everybody.push_back(support.commitment.signer);
    std::vector<Receipt> parts;
    if (fresh.size() == receipt.range.size()) {
      parts.push_back(std::move(receipt));
    } else {
      for (const Range& part : fresh.runs()) parts.push_back(part_of(receipt, part));
    }
    for (Receipt& part : parts) {
      {
        std::lock_guard lock(mutex_);
        known_.take(part, workers);
      }
      auto differing = std::exchange(part.differing, {});
      auto run = run_of(std::move(part), list);
      if (differing.size() == 2) explain_dispute(*run, differing, everybody);
      ready_.push_back(std::move(run));
    }
  }
}

void RemoteJob::explain_dispute(detail::UnitRun& run, const std::vector<PackedOutputs>& differing,
                                const std::vector<NodeId>& holders) {
  if (!manifest_) {
    const auto entry = client_->remembered(job_);
    const auto decoded =
        decode_manifest(entry.manifest ? ByteView(entry.manifest->body) : ByteView());
    if (decoded) manifest_ = *decoded;
  }
  for (std::uint64_t place = 0; place < run.count; ++place) {
    const auto one = disputed_output(slice(differing[0], place, place + 1), holders);
    const auto other = disputed_output(slice(differing[1], place, place + 1), holders);
    if (!one || !other) continue;
    run.errors[place].message +=
        "; of two of them, " + plain_text(difference_in_words(manifest_, *one, *other));
  }
}

// Large ones are fetched, within reason: nobody wants to wait for what is only to be looked at.
std::optional<Bytes> RemoteJob::disputed_output(const PackedOutputs& output,
                                                const std::vector<NodeId>& holders) {
  const std::uint64_t bytes = output.sizes.front();
  if (bytes <= limits::kInlineOutputBytes) return output.inline_bytes;
  if (bytes > kDisputedBytes || disputed_fetches_ == kDisputedFetches) return std::nullopt;
  ++disputed_fetches_;
  const ContentId& content = output.large.front();
  client_->want_output(job_, content, bytes, holders);
  std::optional<Bytes> fetched;
  if (client_->wait_output(content, kDisputedPatience)) {
    if (auto read = client_->content().read(content)) fetched = std::move(*read);
  } else {
    disputed_fetches_ = kDisputedFetches;
  }
  client_->drop_output(content);
  return fetched;
}

std::shared_ptr<const detail::UnitRun> RemoteJob::next() {
  auto look = kFirstLook;
  while (ready_.empty()) {
    if (taken_.size() == units_) {
      complete_ = true;
      return nullptr;
    }
    auto receipts = client_->next_receipts(job_, look);
    if (receipts) {
      looks_in_vain_ = 0;
      take(std::move(*receipts));
    } else if (receipts.error().kind == ClientError::Kind::kTimeout) {
      look_what_is_wrong();
      look = std::min(2 * look, kLastLook);
    } else {
      throw to_error(receipts.error());
    }
  }
  auto run = std::move(ready_.front());
  ready_.pop_front();
  return run;
}

void RemoteJob::look_what_is_wrong() {
  const auto status = client_->status(job_);
  if (!status || !*status) return;
  if ((*status)->phase == JobPhase::kCancelled) {
    // What had ended by then still comes.
    const std::uint64_t ended = (*status)->verified + (*status)->failed + (*status)->disputed;
    if (taken_.size() < ended && ++looks_in_vain_ < kLooksForTheRest) return;
    throw Error(ErrorCode::kCancelled, "The job " + short_hex(job_) + " was cancelled, after " +
                                           std::to_string((*status)->verified) + " of " +
                                           std::to_string(units_) + " units had been verified.");
  }
  const std::string waits_for = plain_text((*status)->waiting_for);
  if (notice_ && !waits_for.empty() && waits_for != waits_for_) notice_("it waits: " + waits_for);
  waits_for_ = waits_for;
}

namespace {

// Checked on its way: `to` has all of it, or is as it was before.
Result<void, StoreError> save_content(ContentStore& store, const ContentId& content,
                                      const std::filesystem::path& to) {
  std::error_code ignored;
  const auto status = std::filesystem::status(to, ignored);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    return tl::unexpected(StoreError{StoreFault::kRefused, to.string() + " is there, and no file"});
  }
  // Where it is a link, the link stays.
  const auto file = std::filesystem::canonical(to, ignored);
  return unpack_file(store, content, file.empty() ? to : file);
}

}  // namespace

ContentId RemoteJob::obtain(const detail::UnitRun& run, std::uint64_t place) {
  check(run.workers != nullptr, "a verified run of a pool without its workers");
  std::vector<NodeId> holders;
  for (const std::string& hex : *run.workers) {
    if (const auto id = id_from_hex<NodeId>(hex)) holders.push_back(*id);
  }
  const auto content_of = [](const detail::UnitRun::Large& large) {
    const auto id = id_from_hex<ContentId>(large.content);
    check(id.has_value(), "a content id of ours is unreadable");
    return *id;
  };
  std::size_t ahead = 0;
  for (auto it = run.large.find(place); it != run.large.end() && ahead < kFetchAhead;
       ++it, ++ahead) {
    const ContentId content = content_of(it->second);
    {
      std::lock_guard lock(mutex_);
      outputs_.insert(content);
    }
    client_->want_output(job_, content, it->second.bytes, holders);
  }
  const ContentId content = content_of(run.large.at(place));
  if (auto waited = client_->wait_output(content, {}); !waited) {
    throw Error(ErrorCode::kOutputLost, "The output of unit " + std::to_string(run.first + place) +
                                            " cannot be fetched: " + waited.error().what);
  }
  return content;
}

Bytes RemoteJob::fetch(const detail::UnitRun& run, std::uint64_t place) {
  if (run.large.count(place) == 0) {
    const ByteView bytes = run.inline_output(place);
    return {bytes.begin(), bytes.end()};
  }
  for (int attempt = 1;; ++attempt) {
    const ContentId content = obtain(run, place);
    auto bytes = client_->content().read(content);
    if (bytes) return std::move(*bytes);
    if (attempt == kFetchAttempts) throw Error(ErrorCode::kOutputLost, bytes.error().what);
    client_->drop_output(content);
  }
}

void RemoteJob::save(const detail::UnitRun& run, std::uint64_t place,
                     const std::filesystem::path& to) {
  if (run.large.count(place) == 0) {
    write_output(to, run.inline_output(place));
    return;
  }
  std::string damage;
  for (int attempt = 1;; ++attempt) {
    ContentId content;
    try {
      content = obtain(run, place);
    } catch (const Error& error) {
      if (damage.empty() || error.code() != ErrorCode::kOutputLost) throw;
      throw Error(ErrorCode::kOutputLost, damage + ". " + error.what() +
                                              " Save it again when a worker that has it is there.");
    }
    const auto saved = save_content(client_->content(), content, to);
    if (saved) return;
    const bool is_damaged = saved.error().fault == StoreFault::kCorrupt;
    if (!is_damaged && saved.error().fault != StoreFault::kMissing) {
      throw Error(ErrorCode::kState, "The output of unit " + std::to_string(run.first + place) +
                                         " cannot be saved: " + saved.error().what);
    }
    // What else is in the store under this name is of no use to anybody.
    client_->drop_output(content);
    if (is_damaged) {
      damage = "The output of unit " + std::to_string(run.first + place) +
               " was damaged on this machine's disk, whose health should be seen to";
    }
    if (attempt == kFetchAttempts) {
      throw Error(ErrorCode::kOutputLost, is_damaged ? damage + "." : saved.error().what);
    }
  }
}

Progress RemoteJob::progress() {
  {
    std::lock_guard lock(mutex_);
    if (known_.done()) return known_.alone();
  }
  const auto status = client_->status(job_);
  std::lock_guard lock(mutex_);
  if (status && *status) return known_.hear(**status);
  Progress progress = known_.alone();
  if (progress.done()) return progress;  // meanwhile
  progress.waiting_for = status ? "the steward of the job does not answer" : status.error().what;
  return progress;
}

void RemoteJob::cancel() {
  if (auto sent = client_->control(job_, ControlCommand::kCancel); !sent) {
    throw to_error(sent.error());
  }
  // Messages keep their order: once this is answered, the steward has read the other.
  static_cast<void>(client_->status(job_));
}

}  // namespace shoal
