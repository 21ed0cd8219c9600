#include "worker/core/labor.h"

// What a job needs on the disk: fetched before its units begin, and once more where the disk has
// changed it since.
namespace shoal {
namespace {

// Of a job's contents, in a row. A disk on which they do not stay is better waited for elsewhere.
constexpr unsigned kLossesMost = 3;

}  // namespace

void Labor::fetch_contents(Job& job) {
  job.state = State::kReady;
  std::vector<NodeId> sources{job.leader, job.submitter};
  if (const auto term = last_term(job.terms)) {
    sources.insert(sources.end(), term->stewards.begin() + 1, term->stewards.end());
  }
  for (const ContentName& content : contents_of(*job.manifest)) {
    job.missing.insert(content.id);
    job.state = State::kFetching;
    needs_.push_back({content.id, content.length, sources});
  }
}

void Labor::on_content(Instant now, const ContentId& id, const std::string& error, Outbox& out) {
  on_candidate(id, error, out);
  for (auto& [_, job] : jobs_) {
    if (job.missing.erase(id) == 0) continue;
    if (!error.empty()) {
      put_off(now, job, error, out);
    } else if (job.missing.empty() && job.state == State::kFetching) {
      job.state = State::kReady;
    }
  }
}

// Perhaps a matter of the moment: who holds them may come back. Asked again after a while.
void Labor::put_off(Instant now, Job& job, const std::string& why, Outbox& out) {
  out.tell(LogLevel::kWarning, "takes no units of job " + short_hex(job.id) + " for now: " + why);
  job.missing.clear();
  job.victims.clear();
  job.state = State::kHeardOf;
  job.asked = now;
  while (!job.leases.empty()) give_back(job, job.leases.begin()->first, out);
}

// Nothing has failed: the units stay here and begin when the contents are here again.
void Labor::on_contents_lost(Instant now, const JobId& id, Outbox& out) {
  for (auto& [key, job] : jobs_) {
    if (key.first != id || !job.manifest) continue;
    const bool goes_on = job.state == State::kReady || job.state == State::kFetching;
    for (auto it = chunks_.rbegin(); it != chunks_.rend(); ++it) {
      Chunk& chunk = it->second;
      if (chunk.job != key || chunk.cancelled) continue;
      chunk.cancelled = true;
      out.act(CancelCompute{it->first});
      if (!goes_on) continue;
      job.queue_of(chunk.item.kind).push_front(chunk.item);
    }
    drop_cancelled(job);
    if (job.state != State::kReady) continue;
    if (++job.losses > kLossesMost) {
      put_off(now, job, "its program or inputs do not stay on the disk as they are", out);
      continue;
    }
    if (const auto of_job = comparing_.find(key); of_job != comparing_.end()) {
      for (auto& [unit, comparing] : of_job->second) {
        for (const ContentName& content : contents_of(*job.manifest)) {
          comparing.missing.insert(content.id);
        }
      }
    }
    fetch_contents(job);
  }
}

}  // namespace shoal
