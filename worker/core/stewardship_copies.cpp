#include <algorithm>

#include "worker/core/stewardship.h"

// Copies of what is too large for a ledger: who holds it is counted, and where too few do, somebody
// else is asked to. Rules (stewards.capnp has the conversation):
//
// - The leader does it, and once the job is over the first of its stewards that is here. Two who do
//   it at once cost copies that were not needed, nothing else.
// - A holder whose link is lost is dialled; who stays away is done without. Each waits a little
//   longer than the other, and few copies are under way at once: where a hundred holders vanish
//   together, the rest of the pool is not drowned in their copies.
// - Where no holder is left that this node knows of, there may be one all the same: who asked for a
//   copy may have died before he could tell of it. Each worker is asked once then, one at a time.
// - What only workers hold that cannot be dialled does not reach a submitter who cannot be dialled
//   either: content goes over no relay. One more worker holds it then, who can be. Not before the
//   submitter has asked twice who holds an output, for most of them get along without.
// - Only those are asked that have a part in the job, and who refuses is left alone for a while.
namespace shoal {
namespace {

constexpr std::size_t kCopiesAtOnce = 4;
constexpr Duration kLookSoon = 5s;                   // while there is something to see to
constexpr Duration kLookLater = 60s;                 // jobs that are over, and nobody is missed
constexpr Duration kKeepPatience = 120s;             // it may have much to fetch
constexpr Duration kAskAgain = 120s;                 // one that would not, or could not
constexpr std::uint64_t kJitterNs = 10'000'000'000;  // of when a holder is given up

bool contains(const std::vector<NodeId>& nodes, const NodeId& node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

bool Stewardship::sees_to_copies(const Entry& entry) const {
  if (!entry.durable || !entry.begun) return false;
  // Whoever else does it, its submitter is linked with this node.
  if (entry.sought_in_vain) return true;
  if (entry.job->active()) return entry.job->leading();
  for (const NodeId& steward : entry.job->term().stewards) {
    if (steward == signer_.id()) return true;
    if (steward_here(entry, steward)) return false;
  }
  return false;
}

bool Stewardship::given_up(Instant now, const NodeId& holder) const {
  const auto absent = absent_.find(holder);
  return absent != absent_.end() && absent->second <= now;
}

// True: it may come back yet.
bool Stewardship::note_absence(Instant now, const NodeId& holder) {
  const Duration jitter(static_cast<std::int64_t>(rng_.below(kJitterNs)));
  const auto absent = absent_.try_emplace(holder, now + limits::kHolderAway + jitter).first;
  return absent->second > now;
}

void Stewardship::look_for_copies(Instant at) {
  if (!copies_at_ || at < *copies_at_) copies_at_ = at;
}

void Stewardship::see_to_copies(Instant now, Outbox& out) {
  copies_at_.reset();
  std::erase_if(asks_, [&](const CopyAsk& ask) {
    Entry* found = entry(ask.job);
    const bool late = now - ask.since > kKeepPatience;
    if (late && ask.sent && found != nullptr) found->unwilling[ask.worker] = now;
    return late || found == nullptr;
  });
  std::set<NodeId> holders;
  bool soon = false;
  bool any = false;
  for (auto& [id, entry] : jobs_) {
    if (!entry.durable || !entry.begun) continue;
    any |= entry.job->active() || !entry.job->copies().lots().empty();
    if (!sees_to_copies(entry)) continue;
    if (entry.job->active() && !contents_of(entry.job->manifest()).empty()) {
      // Whoever became one of them has said that he has all of it.
      for (const NodeId& steward : entry.job->term().stewards) {
        if (entry.resigned.contains(steward)) continue;
        entry.job->copies().hold(CopyBook::kInputs, steward);
      }
    }
    if (!entry.job->active()) entry.job->copies().forget_inputs();
    for (const auto& [holder, lots] : entry.job->copies().holders()) holders.insert(holder);
    std::erase_if(entry.unwilling, [&](const auto& who) { return now - who.second > kAskAgain; });
    soon |= entry.job->active();
  }
  for (const NodeId& holder : holders) {
    if (holder == signer_.id() || membership_.linked(holder)) {
      absent_.erase(holder);
    } else {
      soon |= note_absence(now, holder);
      membership_.reach(now, holder, out);
    }
  }
  std::erase_if(absent_, [&](const auto& absent) { return !holders.contains(absent.first); });
  for (auto& [id, entry] : jobs_) {
    if (!sees_to_copies(entry)) continue;
    entry.copy_cursor = 0;
    ask_for_copies(now, entry, out);
    count_copies(now, entry);
  }
  soon |= !asks_.empty();
  if (any) look_for_copies(now + (soon ? kLookSoon : kLookLater));
}

std::size_t Stewardship::holders_here(Instant now, const CopyBook::Lot& lot) const {
  return static_cast<std::size_t>(
      std::count_if(lot.holders.begin(), lot.holders.end(),
                    [&](const NodeId& holder) { return !given_up(now, holder); }));
}

void Stewardship::count_copies(Instant now, Entry& entry) {
  entry.inputs_held = 0;
  entry.thin_outputs = 0;
  for (const auto& [sequence, lot] : entry.job->copies().lots()) {
    const std::size_t here = holders_here(now, lot);
    if (sequence == CopyBook::kInputs) {
      entry.inputs_held = static_cast<std::uint32_t>(here);
    } else if (here < limits::kOutputCopies) {
      entry.thin_outputs += lot.outputs;
    }
  }
}

// From where it stopped: whoever answers makes room for the next one.
void Stewardship::ask_for_copies(Instant now, Entry& entry, Outbox& out) {
  const auto& lots = entry.job->copies().lots();
  bool nobody_dialable = false;
  for (auto it = lots.lower_bound(entry.copy_cursor); it != lots.end(); ++it) {
    if (asks_.size() >= kCopiesAtOnce) return;
    const std::uint64_t sequence = it->first;
    const CopyBook::Lot& lot = it->second;
    entry.copy_cursor = sequence + 1;
    if (sequence == CopyBook::kInputs && !entry.job->active()) continue;
    const std::size_t wanted =
        sequence == CopyBook::kInputs ? limits::kInputCopies : limits::kOutputCopies;
    const auto asked = std::count_if(asks_.begin(), asks_.end(), [&](const CopyAsk& ask) {
      return ask.job == entry.job->id() && ask.lot == sequence;
    });
    const std::size_t here = holders_here(now, lot);
    const bool enough = here + static_cast<std::size_t>(asked) >= wanted;
    std::optional<NodeId> worker;
    if (!nobody_dialable && asked == 0 && out_of_reach(now, entry, sequence)) {
      worker = copy_candidate(now, entry, lot, true);
      nobody_dialable = !worker;  // nor is there one for the next lot, as a rule
    }
    if (!worker && enough) continue;
    if (here == 0 && searching(now, entry)) continue;  // others have somebody to be copied from
    if (!worker) worker = copy_candidate(now, entry, lot, false);
    if (!worker && here == 0) continue;
    if (!worker) return;  // as above
    asks_.push_back({.job = entry.job->id(), .lot = sequence, .worker = *worker, .since = now});
    if (sequence == CopyBook::kInputs) {
      ask_to_keep(now, entry, asks_.back(), {}, out);
    } else {
      out.act(LoadReceipts{
          .job = entry.job->id(), .reader = signer_.id(), .after = sequence - 1, .bytes_max = 1});
    }
  }
}

// Whether somebody is asked for what nobody is known to hold.
bool Stewardship::searching(Instant now, const Entry& entry) const {
  const auto& lots = entry.job->copies().lots();
  return std::any_of(asks_.begin(), asks_.end(), [&](const CopyAsk& ask) {
    const auto lot = ask.job == entry.job->id() ? lots.find(ask.lot) : lots.end();
    return lot != lots.end() && holders_here(now, lot->second) == 0;
  });
}

// Of its submitter, as far as is known.
bool Stewardship::out_of_reach(Instant now, const Entry& entry, std::uint64_t lot) const {
  if (!entry.sought_in_vain || lot == CopyBook::kInputs) return false;
  const std::vector<NodeId>& holders = entry.job->copies().lots().at(lot).holders;
  return std::none_of(holders.begin(), holders.end(), [&](const NodeId& holder) {
    return membership_.dialable(holder) && !given_up(now, holder);
  });
}

void Stewardship::on_sought(Instant now, const NodeId& from, const ContentId& content,
                            Outbox& out) {
  for (auto& [id, entry] : jobs_) {
    if (entry.job->signed_manifest().signer != membership_.node_of(from)) continue;
    const auto lot = entry.job->copies().lot_of(content);
    if (!lot || !entry.job->copies().note_sought(*lot)) continue;
    entry.sought_in_vain = true;
    if (!sees_to_copies(entry) || !out_of_reach(now, entry, *lot)) continue;
    entry.copy_cursor = *lot;
    ask_for_copies(now, entry, out);
    look_for_copies(now + kLookSoon);
  }
}

std::optional<NodeId> Stewardship::copy_candidate(Instant now, const Entry& entry,
                                                  const CopyBook::Lot& lot, bool dialable) {
  const JobLed& job = *entry.job;
  // Who has nothing of his own can hold a copy all the same, once there is somebody to have it of.
  const bool searches = holders_here(now, lot) == 0;
  std::vector<NodeId> able;
  const auto consider = [&](const NodeId& node) {
    const bool has_part =
        is_steward(job.term(), node) || job.has_part(node) || job.copies().holders().contains(node);
    const bool asked_before =
        contains(lot.holders, node) || (searches && contains(lot.strangers, node));
    if (dialable && !membership_.dialable(node)) return;
    // There may be one alone that can be dialled.
    const bool busy = !dialable && std::any_of(asks_.begin(), asks_.end(), [&](const CopyAsk& ask) {
      return ask.worker == node;
    });
    if (has_part && !asked_before && !busy && !entry.unwilling.contains(node)) able.push_back(node);
  };
  consider(signer_.id());
  for (const auto& [node, link] : membership_.links()) {
    if (link.role == Role::kWorker && link.path != LinkPath::kRelayed) consider(node);
  }
  if (able.empty()) return std::nullopt;
  return able[rng_.below(able.size())];
}

void Stewardship::ask_to_keep(Instant now, const Entry& entry, CopyAsk& ask, Bytes receipt,
                              Outbox& out) {
  ask.sent = true;
  Keep keep{.job = ask.job, .terms = entry.job->terms(), .receipt = std::move(receipt)};
  for (const NodeId& holder : entry.job->copies().lots().at(ask.lot).holders) {
    if (given_up(now, holder) || keep.holders.size() == limits::kKeepHolders) continue;
    if (auto record = membership_.record_of(holder)) keep.holders.push_back(std::move(*record));
  }
  out.send(ask.worker, std::move(keep));
}

void Stewardship::on_own_receipts(Instant now, ReceiptsLoaded& loaded, Outbox& out) {
  Entry* found = entry(loaded.job);
  if (found == nullptr) return;
  std::vector<Bytes>& receipts = loaded.receipts;
  Receipt receipt;
  if (!receipts.empty() && receipts.front().size() <= limits::kKeepReceiptBytes) {
    if (auto decoded = decode_receipt(receipts.front())) receipt = std::move(*decoded);
  }
  const auto ask = std::find_if(asks_.begin(), asks_.end(), [&](const CopyAsk& other) {
    return other.job == loaded.job && !other.sent && other.lot == receipt.sequence;
  });
  if (ask != asks_.end()) {
    return ask_to_keep(now, *found, *ask, std::move(receipts.front()), out);
  }
  // What was to be read first is not on the disk yet, or too large for a message: the others need
  // not wait for it.
  const auto first = std::find_if(asks_.begin(), asks_.end(), [&](const CopyAsk& other) {
    return other.job == loaded.job && !other.sent;
  });
  if (first != asks_.end()) asks_.erase(first);
  if (sees_to_copies(*found)) ask_for_copies(now, *found, out);
}

// From who was asked, or from a fellow steward who asked him.
void Stewardship::on_kept(Instant now, const NodeId& from, const Kept& kept, Outbox& out) {
  Entry* found = entry(kept.job);
  if (found == nullptr) return;
  const std::vector<std::uint64_t> lots = kept.output.is_zero()
                                              ? std::vector{CopyBook::kInputs}
                                              : found->job->copies().lots_named(kept.output);
  const auto ask = std::find_if(asks_.begin(), asks_.end(), [&](const CopyAsk& other) {
    return other.job == kept.job && other.worker == from &&
           std::find(lots.begin(), lots.end(), other.lot) != lots.end();
  });
  const bool asked = ask != asks_.end();
  if (!asked && !kept.held && kept.holder == from) {  // it held it, and does no more
    found->job->copies().lose(kept.output, from);
    look_for_copies(now);
    return;
  }
  const bool believed = kept.held && (asked || fellow(*found, from));
  for (const std::uint64_t lot : lots) {
    if (believed) note_holder(*found, lot, asked ? from : kept.holder, out);
  }
  if (!asked) return;
  const auto lot = found->job->copies().lots().find(ask->lot);
  asks_.erase(ask);
  if (kept.held) {
    tell_fellows(*found, kept, out);
  } else if (lot == found->job->copies().lots().end()) {
    // Program and inputs of a job that is over by now.
  } else if (holders_here(now, lot->second) == 0) {
    found->job->copies().note_stranger(lot->first, from);
  } else {
    found->unwilling[from] = now;
    out.tell(LogLevel::kInfo, "worker " + short_hex(from) + " holds no copy for job " +
                                  short_hex(kept.job) + ": " + kept.detail);
  }
  if (!sees_to_copies(*found)) return;
  ask_for_copies(now, *found, out);
  look_for_copies(now + kLookSoon);
}

void Stewardship::note_holder(Entry& entry, std::uint64_t lot, const NodeId& holder, Outbox& out) {
  CopyBook& copies = entry.job->copies();
  if (!copies.hold(lot, holder) || lot == CopyBook::kInputs) return;
  out.store_soon(StoredFact{.kind = FactKind::kHolder,
                            .job = entry.job->id(),
                            .sequence = lot,
                            .about = holder,
                            .bytes = to_bytes(copies.lots().at(lot).name.view())});
}

void Stewardship::forget_asks_of(const NodeId& worker) {
  std::erase_if(asks_, [&](const CopyAsk& ask) { return ask.worker == worker; });
}

std::set<NodeId> Stewardship::holders_of(const ContentId& content) const {
  std::set<NodeId> holders;
  for (const auto& [_, entry] : jobs_) {
    const CopyBook& copies = entry.job->copies();
    const std::vector<NodeId> of_output = copies.holders_of(content);
    holders.insert(of_output.begin(), of_output.end());
    const auto inputs = copies.lots().find(CopyBook::kInputs);
    if (inputs == copies.lots().end()) continue;
    for (const ContentName& name : contents_of(entry.job->manifest())) {
      if (name.id == content) {
        holders.insert(inputs->second.holders.begin(), inputs->second.holders.end());
      }
    }
  }
  return holders;
}

}  // namespace shoal
