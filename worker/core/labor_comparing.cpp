#include <algorithm>
#include <utility>

#include "worker/core/labor.h"

// Judging whether outputs that differ are as good as each other. Small ones come with the request;
// each of those who computed a large one has its own, and fetches the others'.
namespace shoal {
namespace {

// Of all jobs: small candidates are kept until they are judged.
constexpr std::size_t kComparingMax = 16 * limits::kJudgedAtOnce;

}  // namespace

void Labor::on_compare_request(Instant now, const NodeId& from, const CompareRequest& request,
                               Outbox& out) {
  const Job* job = led_by(request.job, from);
  if (job == nullptr || !job->manifest || job->state == State::kRefused) return;
  std::erase_if(comparing_, [&](const auto& of_job) { return find(of_job.first) == nullptr; });
  auto& of_job = comparing_[job->key()];
  // Asked again: there is other evidence now, or the first request is forgotten there.
  of_job.erase(request.unit);
  std::uint64_t bytes = 0;
  for (const std::uint64_t size : request.candidates.sizes) bytes += size;
  if (bytes > limits::kCompareBytes) {
    return judge(from, request, false, "there is too much to compare", out);
  }
  // No word of it that may be false: the leader has others judge in time.
  if (of_job.size() >= limits::kJudgedAtOnce || comparisons() >= kComparingMax) {
    out.tell(LogLevel::kWarning, "does not judge unit " + std::to_string(request.unit) +
                                     " of job " + short_hex(request.job) +
                                     ": too many are asked of it at once");
    return;
  }
  Comparing comparing{.request = request, .missing = {}};
  std::vector<NodeId> sources;
  for (const Signed& record : request.holders) {
    if (record.signer != signer_.id() && membership_.learn(now, record, out)) {
      sources.push_back(record.signer);
    }
  }
  std::size_t large = 0;
  for (const std::uint64_t size : request.candidates.sizes) {
    if (size <= limits::kInlineOutputBytes) continue;
    const ContentId& output = request.candidates.large[large++];
    comparing.missing.insert(output);
    needs_.push_back({output, size, sources});
  }
  if (comparing.missing.empty()) start_comparing(job->key(), comparing, out);
  of_job.emplace(request.unit, std::move(comparing));
}

std::size_t Labor::comparisons() const {
  std::size_t n = 0;
  for (const auto& [_, of_job] : comparing_) n += of_job.size();
  return n;
}

void Labor::start_comparing(const JobKey& key, const Comparing& comparing, Outbox& out) {
  const Job* job = find(key);
  if (job == nullptr) return;
  out.act(StartCompare{.job = job->id,
                       .manifest = job->manifest,
                       .unit = comparing.request.unit,
                       .candidates = comparing.request.candidates});
}

void Labor::on_candidate(const ContentId& id, const std::string& error, Outbox& out) {
  std::vector<std::pair<NodeId, CompareRequest>> hopeless;
  for (auto& [job, of_job] : comparing_) {
    for (auto it = of_job.begin(); it != of_job.end();) {
      Comparing& comparing = it->second;
      const bool was_missing = comparing.missing.erase(id) > 0;
      if (was_missing && !error.empty()) {
        hopeless.emplace_back(job.second, std::move(comparing.request));
        it = of_job.erase(it);
        continue;
      }
      if (was_missing && comparing.missing.empty()) start_comparing(job, comparing, out);
      ++it;
    }
  }
  for (const auto& [asker, request] : hopeless) judge(asker, request, false, error, out);
}

void Labor::on_compare_done(const CompareDone& done, Outbox& out) {
  for (auto& [key, of_job] : comparing_) {
    if (key.first != done.job) continue;
    const auto found = of_job.find(done.unit);
    if (found == of_job.end()) continue;
    if (digests_of(found->second.request.candidates) != done.digests) continue;  // asked anew since
    const CompareRequest request = std::move(found->second.request);
    of_job.erase(found);
    return judge(key.second, request, done.all_match, done.error, out);
  }
}

// What could not be compared does not match: to say nothing would cost this worker its own output.
void Labor::judge(const NodeId& asker, const CompareRequest& request, bool all_match,
                  const std::string& error, Outbox& out) {
  if (!error.empty()) {
    out.tell(LogLevel::kWarning, "could not compare the outputs of unit " +
                                     std::to_string(request.unit) + " of job " +
                                     short_hex(request.job) + ": " + error);
  }
  const auto digests = digests_of(request.candidates);
  if (!digests) return;
  const ComparisonVerdict verdict{.job = request.job,
                                  .worker = signer_.id(),
                                  .unit = request.unit,
                                  .digests = *digests,
                                  .all_match = all_match && error.empty()};
  out.send(asker, CompareReply{sign_fact(signer_, Purpose::kComparison, encode(verdict))});
}

void Labor::add_compared(std::set<ContentId>& needed) const {
  for (const auto& [_, of_job] : comparing_) {
    for (const auto& [unit, comparing] : of_job) {
      const auto& large = comparing.request.candidates.large;
      needed.insert(large.begin(), large.end());
    }
  }
}

}  // namespace shoal
