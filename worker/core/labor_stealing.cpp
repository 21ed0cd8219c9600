#include <algorithm>

#include "worker/core/labor.h"

// Work that goes from worker to worker without a steward in the way.
namespace shoal {
namespace {

constexpr std::size_t kThievesRemembered = 32;
// Less than this is not worth a transfer, two signatures and three messages.
constexpr Duration kLeastLoot = 5ms;
// A thief tells the leader at once. What one keeps to itself is nobody's: the leader learns that
// from the victim, who waits until the honest have told it.
constexpr Duration kTheftTold = 3s;

}  // namespace

// The victims are asked once nothing is left to start here: see advance().
void Labor::on_no_work(Instant now, const NodeId& from, const NoWork& answer, Outbox& out) {
  if (!answer.job) return;
  Job* job = led_by(*answer.job, from);
  if (job == nullptr || job->state == State::kOver) return;
  job->asked.reset();
  job->unanswered = 0;
  job->victims.clear();
  for (auto holder = answer.holders.rbegin(); holder != answer.holders.rend(); ++holder) {
    if (holder->signer == signer_.id() || !membership_.learn(now, *holder, out)) continue;
    job->victims.push_back(holder->signer);
  }
  job->hungry = answer.holders.empty();
  job->hungry_since = now;
}

// Asks the next of `victims`, from the end; the one that was being asked had nothing.
void Labor::try_next_victim(Instant now, Job& job, Outbox& out) {
  if (job.stealing && !job.victims.empty()) job.victims.pop_back();
  job.stealing.reset();
  while (!job.victims.empty()) {
    const NodeId victim = job.victims.back();
    if (victim == signer_.id()) {
      job.victims.pop_back();
      continue;
    }
    job.stealing = now;
    if (membership_.linked(victim)) {
      out.send(victim, StealRequest{.job = job.id, .threads = config_.record.threads});
    } else {
      membership_.reach(now, victim, out);
    }
    return;
  }
}

void Labor::on_steal_request(Instant now, const NodeId& from, const StealRequest& request,
                             Outbox& out) {
  Job* job = find_any(request.job, [](const Job& j) { return j.state == State::kReady; });
  if (job != nullptr && give_half(now, *job, from, out)) return;
  if (job != nullptr && job->thieves.size() < kThievesRemembered &&
      std::find(job->thieves.begin(), job->thieves.end(), from) == job->thieves.end()) {
    job->thieves.push_back(from);
  }
  out.send(from, StealReply{.job = request.job, .transfer = std::nullopt, .duration_ms = 0});
}

// Hands half of the primaries that have not been started to `thief`. False: nothing to spare.
bool Labor::give_half(Instant now, Job& job, const NodeId& thief, Outbox& out) {
  std::map<std::uint64_t, std::uint64_t> by_lease;
  std::uint64_t total = 0;
  for (const Item& item : job.primaries) {
    if (job.unsettled.contains(item.lease)) continue;  // not ours to give until it is confirmed
    by_lease[item.lease] += item.range.size();
    total += item.range.size();
  }
  // With nothing running, one unit is ours to do.
  if (total < 2 && (total == 0 || job.running == 0)) return false;
  // A last unit moves once: between workers that are all busy it would go round and round.
  if (total == 1 && job.stolen.contains(by_lease.begin()->first)) return false;
  if (job.unit_ns != 0 && total > 1 &&
      total * job.unit_ns < static_cast<std::uint64_t>(kLeastLoot.count())) {
    return false;
  }
  const auto richest =
      std::max_element(by_lease.begin(), by_lease.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  std::uint64_t loot = std::min((total + 1) / 2, richest->second);
  Transfer transfer{.job = job.id,
                    .epoch = job.epoch,
                    .lease = richest->first,
                    .ranges = {},
                    .from = signer_.id(),
                    .to = thief};
  RangeSet given;
  for (auto it = job.primaries.rbegin(); it != job.primaries.rend() && loot > 0; ++it) {
    if (it->lease != transfer.lease) continue;
    const std::uint64_t size = std::min(loot, it->range.size());
    given.add(Range{it->range.last - size, it->range.last});
    it->range.last -= size;
    loot -= size;
    if (given.runs().size() >= limits::kRangesPerMessage / 2) break;
  }
  std::erase_if(job.primaries, [](const Item& item) { return item.range.empty(); });
  transfer.ranges = given.runs();
  if (auto lease = job.leases.find(transfer.lease); lease != job.leases.end()) {
    lease->second.remove(given);
    if (lease->second.empty()) job.leases.erase(lease);
  }
  if (job.robbed.size() < kThievesRemembered) job.robbed.insert(transfer.lease);
  job.report_at = std::min(job.report_at, now + kTheftTold);
  out.send(thief,
           StealReply{.job = job.id,
                      .transfer = sign_fact(signer_, Purpose::kTransfer, encode(transfer)),
                      .duration_ms = static_cast<std::uint64_t>(config_.lease / Duration(1ms))});
  return true;
}

void Labor::feed_thieves(Instant now, Job& job, Outbox& out) {
  while (!job.thieves.empty()) {
    const NodeId thief = job.thieves.front();
    if (membership_.linked(thief) && !give_half(now, job, thief, out)) return;
    job.thieves.erase(job.thieves.begin());
  }
}

void Labor::on_steal_reply(Instant now, const NodeId& from, const StealReply& reply, Outbox& out) {
  auto asked_it = [&](const Job& j) {
    return j.stealing && !j.victims.empty() && j.victims.back() == from;
  };
  Job* job = find_any(reply.job, asked_it);
  if (job == nullptr) job = find_any(reply.job, [](const Job&) { return true; });
  if (job == nullptr || (job->state != State::kReady && job->state != State::kFetching)) return;
  const bool asked = asked_it(*job);
  if (!reply.transfer) {
    if (asked) try_next_victim(now, *job, out);
    return;
  }
  auto transfer = decode_transfer(reply.transfer->body);
  RangeSet loot;
  for (Range range : transfer ? transfer->ranges : std::vector<Range>()) {
    if (range.last <= job->manifest->units) loot.add(range);
  }
  // It may come from anybody, unasked: there is an end to it. What is not taken is in no report,
  // and so its leader hands it to others. A lease that is one's own already is not another's to
  // give: what the leader says of the theft would take one's own units away.
  if (loot.empty() || !has_room(*job) || transfer->job != job->id || transfer->from != from ||
      reply.transfer->signer != from || transfer->to != signer_.id() ||
      transfer->epoch != job->epoch || job->unsettled.contains(transfer->lease) ||
      job->leases.contains(transfer->lease)) {
    if (asked) try_next_victim(now, *job, out);
    return;
  }
  if (asked) {
    job->stealing.reset();
    job->victims.clear();
  }
  job->hungry = false;
  save_task(*job);  // it may never be given any by the leader
  job->unsettled[transfer->lease] = loot;
  // Sent to one who asked in better times: it takes the loot, and gives it back once it is its own.
  if (lending_ == Lend::What::kAll) {
    for (Range range : loot.runs()) {
      job->primaries.push_back({range, transfer->lease, LeaseKind::kPrimary});
    }
    stolen_ += loot.size();
  }
  const Signature own = signer_.sign(Purpose::kTransfer, reply.transfer->body);
  to_leader(now, *job, TransferNotice{.by_victim = *reply.transfer, .by_thief = own}, out);
}

// The leader says what of a theft has moved. The rest is somebody else's.
void Labor::on_transfer_reply(const NodeId& from, const TransferReply& reply, Outbox& out) {
  Job* job = led_by(reply.job, from);
  if (job == nullptr) return;
  auto it = job->unsettled.find(reply.lease);
  if (it == job->unsettled.end()) return;
  RangeSet moved;
  for (Range range : reply.ranges) moved.add(it->second.intersection(range));
  RangeSet rest = it->second;
  rest.remove(moved);
  job->unsettled.erase(it);
  // What was committed meanwhile has left `unsettled` already: only this is still to be held.
  if (reply.new_lease != 0 && !moved.empty()) {
    job->leases[reply.new_lease] = moved;
    job->stolen.insert(reply.new_lease);
    take_paper(*job, reply.grant);
  }
  std::deque<Item> kept;
  for (Item& item : job->primaries) {
    if (item.lease != reply.lease) {
      kept.push_back(item);
      continue;
    }
    RangeSet mine = moved.intersection(item.range);
    for (Range run : mine.runs()) kept.push_back({run, reply.new_lease, LeaseKind::kPrimary});
  }
  job->primaries = std::move(kept);
  for (auto& [id, chunk] : chunks_) {
    if (chunk.job != job->key() || chunk.item.lease != reply.lease) continue;
    if (chunk.item.kind != LeaseKind::kPrimary) continue;
    chunk.item.lease = reply.new_lease;
    if (rest.intersection(chunk.item.range).empty()) continue;
    chunk.cancelled = true;
    out.act(CancelCompute{id});
    const RangeSet mine = moved.intersection(chunk.item.range);
    for (Range run : mine.runs()) {
      job->primaries.push_back({run, reply.new_lease, LeaseKind::kPrimary});
    }
  }
  drop_cancelled(*job);
  const bool runs = std::any_of(chunks_.begin(), chunks_.end(), [&](const auto& entry) {
    return entry.second.job == job->key() && entry.second.item.lease == reply.new_lease;
  });
  if (lending_ != Lend::What::kAll && reply.new_lease != 0 && !runs) {
    give_back(*job, reply.new_lease, out);
  }
}

}  // namespace shoal
