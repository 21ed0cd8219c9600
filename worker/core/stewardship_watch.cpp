#include <algorithm>

#include "worker/core/stewardship.h"

// A leader may beat and do nothing else: by a fault of its own, or because it wants to. Its
// followers see that the ledger stands still. That alone proves nothing, since units may take hours
// or wait for workers, so they ask it how it is, and take its place where two answers in a row, or
// none, leave no other reason:
//
// - it does not say how it is, over a link on which it beats;
// - it says that it does not lead;
// - it says that more units have ended than it shows, though it was asked again to show them;
// - it does not answer a worker's requests for units;
// - it has leased nothing, and nothing waits for its verification, and still it refuses units to a
//   worker that could compute them.
//
// A leader that lies about all of this gains time, not results. One that is accused wrongly costs
// its workers a round of papers, as any change of leader does; so accusations that help nobody come
// more and more seldom.
namespace shoal {
namespace {

constexpr Duration kStandsStill = 30s;
constexpr Duration kRankLater = 5s;  // so that as a rule one alone accuses
constexpr std::uint32_t kDoublingsMost = 6;
// Who looks so long after it meant to has slept itself.
constexpr Duration kSlept = 5s;

}  // namespace

Duration Stewardship::patience_of(const Entry& entry) const {
  const auto& stewards = entry.job->term().stewards;
  const auto rank = std::find(stewards.begin(), stewards.end(), signer_.id()) - stewards.begin();
  return kRankLater * rank +
         kStandsStill * (1 << std::min(entry.watch.accusations, kDoublingsMost));
}

// What is known of the leader so far says nothing of what it does from now on.
void Stewardship::watch_anew(Entry& entry) {
  const std::uint32_t accusations = entry.watch.accusations;
  entry.watch = {};
  entry.watch.accusations = accusations;
}

void Stewardship::watch_leader(Instant now, Entry& entry, Outbox& out) {
  Watch& watch = entry.watch;
  const NodeId& leader = entry.job->term().stewards.front();
  const std::uint64_t ended = entry.job->ended().size();
  if (watch.look_at && ended > watch.ended) {
    watch.look_at.reset();
    watch.accusations = 0;
  }
  if (!watch.look_at || !heard_.contains(leader) || now - *watch.look_at > kSlept) {
    watch_anew(entry);
    watch.ended = ended;
    watch.look_at = now + patience_of(entry);
    return;
  }
  if (now < *watch.look_at) return;
  if (watch.asked) return accuse(now, entry, "does not say how it is", out);
  watch.asked = true;
  watch.look_at = now + kStandsStill * (1 << std::min(watch.quiet, kDoublingsMost));
  out.send(leader, JobStatusRequest{.job = entry.job->id(), .submitter = {}});
}

bool Stewardship::does_nothing(Entry& entry, const JobStatus& status, InVain in_vain, Outbox& out) {
  if (!status.leads || in_vain == InVain::kUnanswered) return true;
  if (status.phase != JobPhase::kRunning) return false;
  if (status.verified + status.failed + status.disputed > entry.job->ended().size()) {
    // The reading may have been lost on the way: what comes of a new one clears the leader.
    read_from(entry, entry.job->term().stewards.front(), out);
    return true;
  }
  return in_vain == InVain::kRefused && status.leased == 0 && status.committed == 0;
}

void Stewardship::on_leader_status(Instant now, const NodeId& from, const JobStatus& status,
                                   InVain in_vain, Outbox& out) {
  Entry* found = entry(status.job);
  if (found == nullptr || !found->begun || !found->watch.asked || found->job->leading()) return;
  const Term& term = found->job->term();
  if (term.stewards.front() != from) return;
  Watch& watch = found->watch;
  watch.asked = false;
  if (status.epoch != term.epoch) return;  // one of the two has news for the other
  if (!does_nothing(*found, status, in_vain, out)) {
    watch.suspected = false;
    ++watch.quiet;
    return;
  }
  if (std::exchange(watch.suspected, true)) return accuse(now, *found, "does nothing", out);
  watch.look_at = now + kStandsStill;
}

void Stewardship::accuse(Instant now, Entry& entry, const std::string& why, Outbox& out) {
  Watch& watch = entry.watch;
  watch.asked = watch.suspected = false;
  ++watch.accusations;
  watch.look_at = now + patience_of(entry);
  if (disk_answers(now) && is_steward(entry.job->term(), signer_.id())) {
    elect_self(now, entry, why, out);
  }
}

}  // namespace shoal
