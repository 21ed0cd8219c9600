#include "worker/core/batches.h"

#include <algorithm>

#include "node/protocol/hash.h"
#include "node/protocol/limits.h"

namespace shoal {

std::uint64_t Batches::add(Batch batch) {
  const std::uint64_t id = next_++;
  by_worker_[{batch.worker, batch.range.first}] = id;
  batches_.emplace(id, std::move(batch));
  return id;
}

Batch* Batches::find(std::uint64_t id) {
  auto it = batches_.find(id);
  return it == batches_.end() ? nullptr : &it->second;
}

const Batch* Batches::find(std::uint64_t id) const { return const_cast<Batches*>(this)->find(id); }

Batch* Batches::find(const NodeId& worker, Range range, std::uint64_t* id) {
  auto it = by_worker_.find({worker, range.first});
  if (it == by_worker_.end()) return nullptr;
  Batch* batch = find(it->second);
  if (batch == nullptr || batch->range != range) return nullptr;
  if (id != nullptr) *id = it->second;
  return batch;
}

void Batches::settle(std::uint64_t id, std::uint64_t units) {
  Batch* batch = find(id);
  if (batch == nullptr) return;
  check(batch->open_units >= units, "a batch settles more units than it has");
  batch->open_units -= units;
  if (batch->open_units == 0) remove(id);
}

void Batches::remove(std::uint64_t id) {
  auto it = batches_.find(id);
  if (it == batches_.end()) return;
  wait_no_more(id, it->second);
  auto by_worker = by_worker_.find({it->second.worker, it->second.range.first});
  if (by_worker != by_worker_.end() && by_worker->second == id) by_worker_.erase(by_worker);
  batches_.erase(it);
}

void Batches::mark_asked(std::uint64_t id, RevealDetail detail, Instant now) {
  Batch& batch = batches_.at(id);
  wait_no_more(id, batch);
  batch.asked = detail;
  batch.asked_at = now;
  waiting_.emplace(now, id);
  ++unanswered_[batch.worker];
}

void Batches::mark_answered(std::uint64_t id) {
  if (const Batch* batch = find(id)) wait_no_more(id, *batch);
}

void Batches::wait_no_more(std::uint64_t id, const Batch& batch) {
  if (waiting_.erase({batch.asked_at, id}) == 0) return;
  const auto count = unanswered_.find(batch.worker);
  if (--count->second == 0) unanswered_.erase(count);
}

std::size_t Batches::unanswered_count(const NodeId& worker) const {
  const auto count = unanswered_.find(worker);
  return count == unanswered_.end() ? 0 : count->second;
}

std::vector<std::uint64_t> Batches::unanswered_since(Instant moment) const {
  std::vector<std::uint64_t> ids;
  for (auto it = waiting_.begin(); it != waiting_.end() && it->first <= moment; ++it) {
    ids.push_back(it->second);
  }
  return ids;
}

std::vector<std::uint64_t> Batches::unanswered_by(const NodeId& worker) const {
  std::vector<std::uint64_t> ids;
  for (auto it = by_worker_.lower_bound({worker, 0});
       it != by_worker_.end() && it->first.first == worker; ++it) {
    const Batch& batch = batches_.at(it->second);
    if (batch.asked && waiting_.contains({batch.asked_at, it->second})) ids.push_back(it->second);
  }
  return ids;
}

std::optional<Instant> Batches::oldest_unanswered() const {
  if (waiting_.empty()) return std::nullopt;
  return waiting_.begin()->first;
}

std::string open_batch(Batch& batch, const JobId& job, std::uint64_t output_bytes_max,
                       Reveal reveal) {
  if (commitment_seal(job, batch.worker, batch.range, reveal.salt, reveal.root) != batch.sealed) {
    return "salt and root do not fit the commitment";
  }
  // What an honest worker commits to fits into a receipt.
  if (reveal.outputs && batch.range.size() > 1 &&
      reveal.outputs->inline_bytes.size() + 32 * reveal.outputs->large.size() >
          limits::kBatchInlineBytes + limits::kInlineOutputBytes) {
    return "it holds more than a batch may";
  }
  // Nobody would believe a receipt of it.
  if (reveal.outputs && std::any_of(reveal.outputs->sizes.begin(), reveal.outputs->sizes.end(),
                                    [&](std::uint64_t size) { return size > output_bytes_max; })) {
    return "an output is larger than the job allows";
  }
  std::vector<Hash256> digests = std::move(reveal.digests);
  if (reveal.outputs) {
    auto computed = digests_of(*reveal.outputs);
    if (!computed) return "its outputs do not fit together";
    digests = std::move(*computed);
  }
  if (!digests.empty() || reveal.outputs) {
    if (reveal.part != batch.range || digests.size() != batch.range.size()) {
      return "it shows another run than was asked";
    }
    if (merkle_root(digests) != reveal.root) return "its digests do not lead to its root";
    batch.digests = std::move(digests);
  }
  if (reveal.outputs) batch.outputs = std::move(reveal.outputs);
  batch.salt = reveal.salt;
  batch.root = reveal.root;
  batch.opened = true;
  return {};
}

Support support_of(const Batch& batch, Range range, const std::vector<Hash256>& digests_shown) {
  Support support;
  support.commitment = batch.commitment;
  support.salt = batch.salt;
  support.root = batch.root;
  support.unblinded = batch.unblinded;
  if (range != batch.range) {
    support.proof = merkle_range_proof(digests_shown, range.first - batch.range.first,
                                       range.last - batch.range.first);
  }
  return support;
}

}  // namespace shoal
