#include <algorithm>
#include <utility>

#include "sdk/core/submitter_impl.h"

// Finding who keeps a job: with luck one of the stewards that are remembered, else by asking all
// workers at hand. What they answer proves itself: the manifest by the job's id and its submitter's
// signature, the stewards by a chain of terms that starts with the submitter's own. Where a worker
// knows no chain, the leader that it names is asked; its word alone makes nobody a steward.
namespace shoal {
namespace {

constexpr Duration kAskAgain = 500ms;
constexpr std::size_t kHearsayMost = 16;  // leaders that are only said to be

}  // namespace

void Submitter::Impl::locate(const JobId& id, OpenJob& job) {
  job.stage = JobStage::kLocating;
  job.asking_all = true;
  job.tried.clear();
  job.reader.reset();
  job.look.reset();
  job.give_up = now + config.search;
  job.timer = std::min(job.give_up, now + jittered(kAskAgain));
  // Those that kept it once may have heard who does now.
  const std::vector<NodeId> stewards = job.stewards;
  for (const NodeId& node : stewards) ask_keeper(id, job, node);
  begin_search();
  review();
}

bool Submitter::Impl::keepers_may_answer(const OpenJob& job) const {
  return std::any_of(job.keepers.begin(), job.keepers.end(), [this](const auto& entry) {
    const auto it = contacts.find(entry.first);
    if (it == contacts.end() || entry.second.forgot) return false;
    return it->second.linked || it->second.dial_ends.has_value();
  });
}

void Submitter::Impl::keeper_silent(const JobId& id, OpenJob& job) {
  if (!job.asking_all && !keepers_may_answer(job)) locate(id, job);
}

void Submitter::Impl::ask_keeper(const JobId& id, OpenJob& job, const NodeId& node) {
  const Contact* c = contact(node);
  if (!c) return;
  if (!c->linked) {
    dial(node);
    return;
  }
  Keeper& keeper = job.keepers[node];
  if (std::exchange(keeper.questioned, true)) return;
  send(node, JobFind{id, !job.signed_manifest});
  ask_status(node, id, NodeId{});
}

bool Submitter::Impl::learn_manifest(const JobId& id, OpenJob& job, const Signed& manifest) {
  const auto what = decode_manifest(manifest.body);
  if (job_id_of(manifest.body) != id || !signature_holds(checker, Purpose::kManifest, manifest) ||
      (what && !may_submit(manifest.signer, *what))) {
    return true;  // whoever sent it lies; others may not
  }
  if (manifest.signer != signer.id()) {
    // Anybody can sign an early job, which names nobody: it is told of only where nothing better
    // comes.
    job.other_key = manifest.signer;
    return true;
  }
  if (!open_manifest(manifest, id, job)) return false;
  job.from_pool = true;
  // Those that had said yes before could not be believed yet.
  for (auto& [node, keeper] : job.keepers) keeper.questioned = false;
  return true;
}

void Submitter::Impl::heard(const NodeId& from, JobFound& found) {
  const auto it = jobs.find(found.job);
  if (it == jobs.end()) return;
  const bool leader_known = found.leader && absorb(*found.leader, from);
  for (const Signed& record : found.stewards) absorb(record, from);
  OpenJob& job = it->second;
  if (!job.signed_manifest && found.manifest && !learn_manifest(found.job, job, *found.manifest)) {
    return;
  }
  adopt(found.job, job, found.terms);
  if (job.stage == JobStage::kHeld) {
    // One that was lost may be back at another address.
    for (const NodeId& node : job.stewards) dial(node);
    return;
  }
  if (job.stage != JobStage::kLocating) return;
  if (leader_known && job.chain.empty() && job.keepers.size() < kHearsayMost &&
      job.keepers.try_emplace(found.leader->signer).second) {
    job.stewards.push_back(found.leader->signer);
  }
  const std::vector<NodeId> stewards = job.stewards;
  for (const NodeId& node : stewards) ask_keeper(found.job, job, node);
}

void Submitter::Impl::locate_deadline(const JobId& id, OpenJob& job) {
  if (!job.asking_all) {
    locate(id, job);
    return;
  }
  if (now < job.give_up) {
    // A steward may just be starting again.
    for (const NodeId& node : job.stewards) dial(node);
    job.timer = std::min(job.give_up, now + jittered(kAskAgain));
    return;
  }
  if (!any_door_answered() && std::none_of(contacts.begin(), contacts.end(), [](const auto& e) {
        return e.second.linked && e.second.worker;
      })) {
    const auto [why, what] = nobody_found();
    refuse(id, why, what);
    return;
  }
  if (job.other_key) {
    refuse(id, JobRefused::Why::kUnknownJob,
           "The job " + short_hex(id) + " was submitted with another key, " +
               to_hex(*job.other_key) + ", and is given to that one alone. This one is " +
               to_hex(signer.id()) + ".");
    return;
  }
  if (job.kept) {
    refuse(id, JobRefused::Why::kUnknownJob,
           "The job " + short_hex(id) +
               " is there, but nobody gave its manifest, and without it results cannot be checked. "
               "Attach from where the job was submitted, or copy its .manifest file from there.");
    return;
  }
  const bool all_forgot =
      !job.keepers.empty() && std::all_of(job.keepers.begin(), job.keepers.end(),
                                          [](const auto& entry) { return entry.second.forgot; });
  if (all_forgot) {
    refuse(id, JobRefused::Why::kUnknownJob,
           "The workers that kept the job " + short_hex(id) +
               " do not know it any more, and nobody else does: it is over, or their state was "
               "lost. Submit it again if you still need it.");
    return;
  }
  std::string what = "No worker that can be reached knows the job " + short_hex(id) + ".";
  std::string where;
  for (const Ticket::Door& door : doors_of(job)) {
    if (job.keepers[door.node].forgot) continue;
    where += (where.empty() ? " " : ", ") + short_hex(door.node) + " at " + door.endpoint;
  }
  if (!where.empty()) {
    what += " It was kept by " + where + ": start one of them again, or wait.";
  } else {
    what +=
        " See that the id is right ('shoal job list' shows your jobs) and that its workers run.";
  }
  refuse(id, JobRefused::Why::kUnknownJob, std::move(what));
}

}  // namespace shoal
