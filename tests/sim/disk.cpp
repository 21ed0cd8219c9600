#include "tests/sim/disk.h"

#include <utility>

namespace shoal::sim {

bool Disk::write(Store group) {
  const bool idle = syncing_.empty();
  (idle ? syncing_ : waiting_).push_back({std::exchange(erased_, {}), std::move(group)});
  return idle;
}

void Disk::erase(Erase erase) {
  if (syncing_.empty()) {
    forget(erase);
  } else {
    erased_.push_back(std::move(erase));
  }
}

std::vector<StoreDone> Disk::synced(bool& more) {
  std::vector<StoreDone> answers;
  for (Write& write : syncing_) {
    StoreDone done;
    done.token = write.group.token;
    if (full_) {
      done.error = "no space left on the disk";
    } else if (!lies_) {
      keep(std::move(write));
    }
    answers.push_back(std::move(done));
  }
  syncing_ = std::exchange(waiting_, {});
  more = !syncing_.empty();
  if (!more) {
    for (const Erase& erase : std::exchange(erased_, {})) forget(erase);
  }
  return answers;
}

void Disk::crash(Rng& rng) {
  std::size_t survive = 0;
  if (!full_ && !lies_ && unsynced_groups() != 0 && rng.chance(0.5)) {
    survive = rng.below(unsynced_groups() + 1);
  }
  for (std::deque<Write>* writes : {&syncing_, &waiting_}) {
    for (Write& write : *writes) {
      if (survive == 0) break;
      --survive;
      keep(std::move(write));
    }
    writes->clear();
  }
  erased_.clear();
}

void Disk::keep(Write write) {
  for (const Erase& erase : write.erased) forget(erase);
  for (StoredFact& fact : write.group.facts) keep(std::move(fact));
}

void Disk::forget(const Erase& erase) {
  const auto found = jobs_.find(erase.job);
  if (found == jobs_.end()) return;
  std::erase_if(found->second.others,
                [&](const auto& entry) { return covers(erase, entry.second); });
  if (erase.what == Erase::What::kKept) found->second.receipts.clear();
}

void Disk::keep(StoredFact fact) {
  bytes_ += fact.bytes.size();
  switch (fact.kind) {
    case FactKind::kReceipt:
      jobs_[fact.job].receipts[fact.sequence] = std::move(fact.bytes);
      return;
    case FactKind::kPeer:
      peers_[fact.sequence] = std::move(fact);
      return;
    case FactKind::kManifest:
    case FactKind::kControl:
    case FactKind::kSnapshot:
    case FactKind::kTerms:
    case FactKind::kEnded:
    case FactKind::kTask:
    case FactKind::kTaskTerms:
    case FactKind::kPaper:
    case FactKind::kBatch:
    case FactKind::kPart:
    case FactKind::kMade:
    case FactKind::kCopied:
    case FactKind::kPartEnds:
    case FactKind::kHolder: {
      const std::tuple key(fact.kind, fact.sequence, fact.about);
      jobs_[fact.job].others[key] = std::move(fact);
      return;
    }
  }
}

RecoveredState Disk::recovered() const {
  RecoveredState state;
  for (const auto& [job, facts] : jobs_) {
    for (const auto& [key, fact] : facts.others) state.facts.push_back(fact);
    for (const auto& [sequence, bytes] : facts.receipts) {
      StoredFact fact;
      fact.kind = FactKind::kReceipt;
      fact.job = job;
      fact.sequence = sequence;
      fact.bytes = bytes;
      state.facts.push_back(std::move(fact));
    }
  }
  for (const auto& [place, fact] : peers_) state.facts.push_back(fact);
  return state;
}

bool Disk::holds(FactKind kind, const JobId& job, std::uint64_t sequence) const {
  const auto found = jobs_.find(job);
  if (found == jobs_.end()) return false;
  if (kind == FactKind::kReceipt) return found->second.receipts.contains(sequence);
  return found->second.others.contains({kind, sequence, NodeId()});
}

ReceiptsLoaded Disk::perform(const LoadReceipts& load) const {
  ReceiptsLoaded loaded;
  loaded.job = load.job;
  loaded.reader = load.reader;
  const auto found = jobs_.find(load.job);
  if (found == jobs_.end()) return loaded;
  const auto& receipts = found->second.receipts;
  std::size_t bytes = 0;
  for (auto at = receipts.upper_bound(load.after); at != receipts.end(); ++at) {
    if (!loaded.receipts.empty() && bytes + at->second.size() > load.bytes_max) break;
    bytes += at->second.size();
    loaded.receipts.push_back(at->second);
  }
  return loaded;
}

}  // namespace shoal::sim
