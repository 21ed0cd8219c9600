#include <algorithm>

#include "worker/core/labor.h"

// What the donor lends, and takes back.
namespace shoal {

void Labor::lend(Lend::What what, Outbox& out) {
  lending_ = what;
  if (what == Lend::What::kAll) return;
  for (auto& [key, job] : jobs_) {
    std::set<std::uint64_t> gone;
    for (const auto& [lease, held] : job.leases) gone.insert(lease);
    for (auto* queue : {&job.bound, &job.primaries}) {
      for (const Item& item : *queue) release(job, item.range);
      queue->clear();
    }
    for (auto& [id, chunk] : chunks_) {
      if (what != Lend::What::kNothing || chunk.job != key || chunk.cancelled) continue;
      chunk.cancelled = true;
      release(job, chunk.item.range);
      out.act(CancelCompute{id});
    }
    drop_cancelled(job);
    job.victims.clear();
    // At once, rather than when the next report is due.
    if (job.manifest && leader_linked(job)) {
      LeaseReport report{.job = job.id, .epoch = job.epoch, .leases = {}, .unit_ns = job.unit_ns};
      for (const auto& [lease, held] : job.leases) gone.erase(lease);
      list_leases(job, report);
      // A lease that is not named may be one that the leader believes on its way.
      for (const std::uint64_t lease : gone) report.leases.push_back({lease, {}});
      out.send(job.leader, std::move(report));
    }
  }
}

bool Labor::nothing_in_hand() const {
  return chunks_.empty() && std::all_of(jobs_.begin(), jobs_.end(), [](const auto& entry) {
           const auto& batches = entry.second.batches;
           return std::all_of(batches.begin(), batches.end(),
                              [](const auto& batch) { return batch.second.shown; });
         });
}

}  // namespace shoal
