#include "node/protocol/hash.h"
#include "tests/sim/byzantine/kinds.h"

// Signs two commitments for each batch, that differ in one unit, and reveals now the one, now the
// other. Both open: each has its own root under the right salt.
namespace shoal::sim {

void Equivocator::before(PeerEvent& event) {
  const auto* done = std::get_if<ComputeDone>(&event);
  if (done == nullptr) return;
  const auto chunk = chunks_.find(done->chunk);
  if (chunk == chunks_.end()) return;
  const JobId job = chunk->second;
  chunks_.erase(chunk);
  for (const ComputeDone::Run& run : done->done) {
    Batch batch;
    batch.outputs = run.outputs;
    twist_output(batch.outputs, 0, 0x55);
    auto digests = digests_of(batch.outputs);
    if (!digests) continue;
    batch.digests = std::move(*digests);
    batch.root = merkle_root(batch.digests);
    other_[{job, run.range}] = std::move(batch);
  }
}

void Equivocator::after(PeerActions& actions) {
  std::vector<Send> more;
  for (PeerAction& action : actions) {
    if (const auto* order = std::get_if<StartCompute>(&action)) chunks_[order->chunk] = order->job;
    auto* send = std::get_if<Send>(&action);
    if (send == nullptr) continue;
    auto message = decode(send->bytes);
    if (!message) continue;
    if (const auto* notice = std::get_if<CommitNotice>(&*message)) {
      CommitNotice second = *notice;
      for (Signed& fact : second.commitments) {
        auto commitment = decode_commitment(fact.body);
        if (!commitment) continue;
        const auto batch = other_.find({commitment->job, commitment->range});
        const Hash256 root = batch != other_.end() ? batch->second.root : Hash256{};
        commitment->sealed =
            commitment_seal(commitment->job, signer_.id(), commitment->range,
                            commitment_salt(signer_, commitment->job, commitment->range), root);
        fact = sign_fact(signer_, Purpose::kCommitment, encode(*commitment));
      }
      more.push_back({send->peer, encode(Message(std::move(second)))});
    } else if (auto* reveal = std::get_if<Reveal>(&*message)) {
      const auto batch = other_.find({reveal->job, reveal->range});
      if (batch == other_.end() || !rng_.chance(0.5)) continue;
      const std::uint64_t first = reveal->part.first - reveal->range.first;
      const std::uint64_t last = reveal->part.last - reveal->range.first;
      const std::vector<Hash256>& digests = batch->second.digests;
      reveal->root = batch->second.root;
      reveal->proof = merkle_range_proof(digests, first, last);
      if (!reveal->digests.empty()) {
        reveal->digests.assign(digests.begin() + static_cast<std::ptrdiff_t>(first),
                               digests.begin() + static_cast<std::ptrdiff_t>(last));
      }
      if (reveal->outputs) reveal->outputs = slice(batch->second.outputs, first, last);
      send->bytes = encode(*message);
    }
  }
  for (Send& send : more) actions.push_back(std::move(send));
}

}  // namespace shoal::sim
