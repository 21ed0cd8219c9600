#include <algorithm>
#include <utility>

#include "worker/core/labor.h"

// Judging whether outputs that differ are as good as each other. Small ones come with the request;
// each of those who computed a large one has its own, and fetches the others'.
namespace shoal {
namespace {

constexpr std::size_t kComparingMax = 1024;  // at once

}  // namespace

void Labor::on_compare_request(Instant now, const NodeId& from, const CompareRequest& request,
                               Outbox& out) {
  const Job* job = led_by(request.job, from);
  if (job == nullptr || !job->manifest || job->state == State::kRefused) return;
  // Asked again: there is other evidence now, or the first request is forgotten there.
  std::erase_if(comparing_, [&](const Comparing& other) {
    const bool same = other.job == job->key() && other.request.unit == request.unit;
    return same || find(other.job) == nullptr;
  });
  Comparing comparing{.job = job->key(), .request = request, .missing = {}};
  std::uint64_t bytes = 0;
  for (const std::uint64_t size : request.candidates.sizes) bytes += size;
  if (bytes > limits::kCompareBytes || comparing_.size() >= kComparingMax) {
    return judge(comparing, false, "there is too much to compare", out);
  }
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
  if (comparing.missing.empty()) start_comparing(comparing, out);
  comparing_.push_back(std::move(comparing));
}

void Labor::start_comparing(const Comparing& comparing, Outbox& out) {
  const Job* job = find(comparing.job);
  if (job == nullptr) return;
  out.act(StartCompare{.job = job->id,
                       .manifest = job->manifest,
                       .unit = comparing.request.unit,
                       .candidates = comparing.request.candidates});
}

void Labor::on_candidate(const ContentId& id, const std::string& error, Outbox& out) {
  std::vector<Comparing> hopeless;
  std::erase_if(comparing_, [&](Comparing& comparing) {
    if (comparing.missing.erase(id) == 0) return false;
    if (!error.empty()) {
      hopeless.push_back(std::move(comparing));
      return true;
    }
    if (comparing.missing.empty()) start_comparing(comparing, out);
    return false;
  });
  for (const Comparing& comparing : hopeless) judge(comparing, false, error, out);
}

void Labor::on_compare_done(const CompareDone& done, Outbox& out) {
  const auto found =
      std::find_if(comparing_.begin(), comparing_.end(), [&](const Comparing& comparing) {
        return comparing.request.job == done.job && comparing.request.unit == done.unit &&
               digests_of(comparing.request.candidates) == done.digests;
      });
  if (found == comparing_.end()) return;  // its job is over, or something else is asked now
  const Comparing comparing = std::move(*found);
  comparing_.erase(found);
  judge(comparing, done.all_match, done.error, out);
}

// What could not be compared does not match: to say nothing would cost this worker its own output.
void Labor::judge(const Comparing& comparing, bool all_match, const std::string& error,
                  Outbox& out) {
  const CompareRequest& request = comparing.request;
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
  out.send(comparing.job.second,
           CompareReply{sign_fact(signer_, Purpose::kComparison, encode(verdict))});
}

void Labor::add_compared(std::set<ContentId>& needed) const {
  for (const Comparing& comparing : comparing_) {
    const auto& large = comparing.request.candidates.large;
    needed.insert(large.begin(), large.end());
  }
}

}  // namespace shoal
