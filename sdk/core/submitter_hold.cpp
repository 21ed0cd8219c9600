#include <algorithm>
#include <utility>

#include "sdk/core/submitter_impl.h"

// Staying with those who keep a job. Links to all of them are kept up. Receipts come from the
// leader where it is linked, else from another; a cursor means something to the steward that it
// came from, on the link that stands, and to no other. Where nothing comes for a while, the others
// are asked too: a leader may withhold, or lead no more without having heard of it.
namespace shoal {
namespace {

constexpr Duration kRedialFirst = 200ms;
constexpr Duration kRedialMost = 10s;
constexpr Duration kLookMost = 60s;
constexpr Duration kSettledLink = 5s;      // one that stood so long was no accident
constexpr std::size_t kStrangersMost = 4;  // asked at a time, where no steward is left

std::string fewer_text(std::size_t stewards) {
  if (stewards == 1) {
    return "Only one worker keeps this job: if its disk is lost, so is the job.";
  }
  return "Only " + std::to_string(stewards) + " workers keep this job, and not " +
         std::to_string(limits::kStewards) +
         ": if the disks of all of them are lost, so is the "
         "job.";
}

}  // namespace

void Submitter::Impl::hold(const JobId& id, OpenJob& job) {
  const bool placed = job.stage == JobStage::kPlacing;
  job.stage = JobStage::kHeld;
  job.timer.reset();
  job.seats.clear();
  job.tried.clear();
  job.redials = 0;
  job.asking_all = false;
  if (placed && outranks(job.offered, job.chain)) job.chain = job.offered;
  if (const auto term = last_term(job.chain)) set_stewards(job, term->stewards);
  if (!std::exchange(job.accepted, true)) {
    out.push_back(JobAccepted{id, doors_of(job), job.chain,
                              job.from_pool ? job.signed_manifest : std::nullopt});
  } else {
    out.push_back(StewardsChanged{id, doors_of(job), job.chain});
  }
  if (placed && job.stewards.size() < std::min(told_stewards, job.stewards_wanted)) {
    tell(fewer_text(job.stewards.size()));
  }
  // What somebody asked for says nothing of the pool.
  if (placed && job.stewards_wanted == limits::kStewards) told_stewards = job.stewards.size();
  const std::vector<NodeId> stewards = job.stewards;
  for (const NodeId& node : stewards) dial(node);
  redial_later(job);
  send_controls(job, job.controls);
  if (job.over) {
    say_over(id);
    return;
  }
  read_on(id, job);
}

std::optional<NodeId> Submitter::Impl::best_linked(const OpenJob& job) const {
  std::optional<NodeId> liar;
  for (const NodeId& node : job.stewards) {
    const auto it = contacts.find(node);
    const auto keeper = job.keepers.find(node);
    if (it == contacts.end() || !it->second.linked || keeper == job.keepers.end() ||
        keeper->second.forgot) {
      continue;
    }
    if (!keeper->second.lied) return node;
    if (!liar) liar = node;
  }
  return liar;
}

void Submitter::Impl::read_on(const JobId& id, OpenJob& job) {
  if (!job.wanted || job.stage != JobStage::kHeld) return;
  const auto best = best_linked(job);
  if (!best || job.reader == best) return;
  const bool leads = *best == job.stewards.front();
  if (job.reader && !leads) {
    // One follower is as good as another.
    const auto it = contacts.find(*job.reader);
    const Keeper& keeper = job.keepers[*job.reader];
    if (it != contacts.end() && it->second.linked && !keeper.forgot && !keeper.lied) return;
  }
  job.reader = best;
  ask_receipts(id, job);
}

void Submitter::Impl::steward_linked(const JobId& id, OpenJob& job, const NodeId& node) {
  job.keepers[node] = Keeper{};
  if (std::exchange(job.told_lost, false)) {
    tell("A worker that keeps the job " + short_hex(id) + " is back.");
  }
  if (job.over) {
    say_over(id);
    return;
  }
  // It may have lost its disk: better to be told so than to wait for ever.
  ask_status(node, id, NodeId{});
  for (const Signed& control : job.controls) send(node, ControlRequest{control});
  read_on(id, job);
}

void Submitter::Impl::steward_status(const NodeId& from, const StatusQuestion& question,
                                     const JobStatusReply& reply) {
  const JobId& id = question.job;
  const auto it = jobs.find(id);
  if (it == jobs.end() || it->second.keepers.count(from) == 0) return;
  OpenJob& job = it->second;
  if (job.over && question.after_over) {
    close_job(id);
    return;
  }
  const auto status = std::find_if(reply.jobs.begin(), reply.jobs.end(),
                                   [&](const JobStatus& s) { return s.job == id; });
  const bool knows = status != reply.jobs.end();
  job.keepers[from].forgot = !knows;
  if (job.stage == JobStage::kLocating) {
    job.kept = job.kept || knows;
    if (!knows) {
      keeper_silent(id, job);
    } else if (job.signed_manifest && !job.chain.empty()) {
      hold(id, job);  // without the terms that make it a steward its word is nothing
    }
    return;
  }
  if (job.stage != JobStage::kHeld) return;
  if (!knows) {
    if (std::all_of(job.keepers.begin(), job.keepers.end(),
                    [](const auto& entry) { return entry.second.forgot; })) {
      locate(id, job);
      return;
    }
    if (job.reader == from) job.reader.reset();
    read_on(id, job);
  } else if (status->epoch > job.epoch) {
    send(from, JobFind{id});  // for the terms that it speaks of
  }
}

void Submitter::Impl::steward_lost(const JobId& id, OpenJob& job, const NodeId& node,
                                   const std::string& why, bool was_linked) {
  job.lost_why = why;
  job.keepers[node] = Keeper{};
  const bool was_reader = job.reader == node;
  if (was_reader) job.reader.reset();
  // Another process with this key takes a link away with its own. Were it taken back at once, again
  // and again, neither would have any.
  const bool settled_link = was_linked && now >= contacts[node].linked_at + kSettledLink;
  if (settled_link) {
    job.redials = 0;
    job.timer.reset();
  }
  if (!job.timer) redial_later(job);
  const auto next = best_linked(job);
  const bool tells = settled_link && !letting_go;
  if (tells && !next && !std::exchange(job.told_lost, true)) {
    tell("Lost the link to the last worker that keeps the job " + short_hex(id) + " (" + why +
         "); trying again.");
  } else if (tells && was_reader && next) {
    tell("Lost the link to the worker " + short_hex(node) + " that keeps the job " + short_hex(id) +
         " (" + why + "); going on with " + short_hex(*next) + ".");
  }
  if (job.over) {
    if (next) say_over(id);
    return;
  }
  read_on(id, job);
}

void Submitter::Impl::redial_later(OpenJob& job) {
  const bool all_linked =
      std::all_of(job.stewards.begin(), job.stewards.end(), [this](const NodeId& node) {
        const auto it = contacts.find(node);
        return it != contacts.end() && it->second.linked;
      });
  if (all_linked) {
    job.timer.reset();
    return;
  }
  const std::size_t doublings = std::min<std::size_t>(job.redials++, 8);
  job.timer = now + jittered(std::min<Duration>(kRedialFirst * (1 << doublings), kRedialMost));
}

void Submitter::Impl::redial(const JobId& id, OpenJob& job) {
  for (const NodeId& node : job.stewards) dial(node);
  redial_later(job);
  if (!job.timer || job.redials <= 2) return;
  // Others may know who leads now, or where the lost ones are.
  if (const auto best = best_linked(job)) {
    send(*best, JobFind{id});
    return;
  }
  begin_search();
  std::set<NodeId> asked_before;
  for (const auto& [node, c] : contacts) {
    if (c.asked != Instant{}) asked_before.insert(node);
  }
  drop_strangers(asked_before);
  for (const NodeId& node : strangers_of(job)) {
    contacts.at(node).asked = now;
    if (contacts.at(node).linked) {
      send(node, JobFind{id});
    } else {
      dial(node);
    }
  }
}

// Those that have not been tried come first, then those that were asked or missed longest ago: a
// record outlives its worker, and the one who keeps the job may be none of the first few.
std::vector<NodeId> Submitter::Impl::strangers_of(const OpenJob& job) const {
  std::vector<std::pair<Instant, NodeId>> found;
  for (const auto& [node, c] : contacts) {
    if (!valid_worker(c) || !reachable(c) || job.keepers.count(node) > 0) continue;
    found.emplace_back(std::max(c.missed.value_or(Instant{}), c.asked), node);
  }
  std::sort(found.begin(), found.end());
  if (found.size() > kStrangersMost) found.resize(kStrangersMost);
  std::vector<NodeId> nodes;
  for (const auto& [missed, node] : found) nodes.push_back(node);
  return nodes;
}

void Submitter::Impl::look_around(const JobId& id, OpenJob& job) {
  job.look.reset();
  if (!job.wanted || job.had.size() == job.manifest.units) return;
  const bool moves = job.last_receipt + job.look_wait > now || !job.untaken.empty();
  if (moves || job.stage != JobStage::kHeld) {
    job.look = now + jittered(job.look_wait);
    return;
  }
  for (const NodeId& node : job.stewards) {
    if (!contacts[node].linked || job.keepers[node].forgot) continue;
    // Also the one that is read from: it may have heard of others that keep the job in its place.
    send(node, JobFind{id});
    if (job.reader != node) ask_receipts_of(id, job, node, true);
  }
  if (job.chain.empty()) {  // that the one who is read from is a steward, he alone has said
    std::size_t asked = 0;
    for (const auto& [node, c] : contacts) {
      if (!c.linked || !c.worker || asked++ == kStrangersMost) continue;
      send(node, JobFind{id});
    }
  }
  job.look_wait = std::min<Duration>(2 * job.look_wait, kLookMost);
  job.look = now + jittered(job.look_wait);
}

}  // namespace shoal
