#include <algorithm>
#include <utility>

#include "sdk/core/submitter_impl.h"

namespace shoal {
namespace {

constexpr Duration kOfferPatience = 30s;  // silence of a steward that was handed a job
constexpr Duration kConfirmPatience = 3s;
constexpr Duration kRedialFirst = 200ms;
constexpr Duration kRedialMost = 10s;
constexpr std::size_t kJobsPerSteward = 4;  // then others are preferred

bool offers_kernel(const Contact& c, const std::string& kernel) {
  return c.record && std::find(c.record->kernels.begin(), c.record->kernels.end(), kernel) !=
                         c.record->kernels.end();
}

std::string workers_text(std::size_t n) {
  return std::to_string(n) + (n == 1 ? " worker" : " workers");
}

}  // namespace

bool Submitter::Impl::open_manifest(const Signed& manifest, const JobId& id, OpenJob& job) {
  auto decoded = decode_manifest(manifest.body);
  if (!decoded) {
    refuse(id, JobRefused::Why::kStewardRefused,
           "The job's manifest is unreadable: " + decoded.error().what);
    return false;
  }
  job.signed_manifest = manifest;
  job.manifest = std::move(*decoded);
  job.give_up = now + config.search;
  return true;
}

void Submitter::Impl::on(SubmitJob& submit) {
  const JobId id = job_id_of(submit.manifest.body);
  if (auto it = jobs.find(id); it != jobs.end()) {
    // The same manifest is the same job: nothing is computed twice.
    if (it->second.stage == JobStage::kHeld) out.push_back(JobAccepted{id, *it->second.steward});
    return;
  }
  OpenJob job;
  if (!open_manifest(submit.manifest, id, job)) return;
  job.wait_for_quorum = submit.wait_for_quorum;
  if (search.active) begin_search();
  place(id, jobs.emplace(id, std::move(job)).first->second);
}

void Submitter::Impl::on(AttachJob& attach) {
  if (auto it = jobs.find(attach.job); it != jobs.end()) {
    if (it->second.stage == JobStage::kHeld) {
      out.push_back(JobAccepted{attach.job, *it->second.steward});
      start_over(it->second);
    }
    return;
  }
  if (!attach.manifest) {
    refuse(attach.job, JobRefused::Why::kUnknownJob,
           "The job's manifest is not on this machine, and without it results cannot be checked. "
           "Attach from where the job was submitted, or copy its .manifest file from there.");
    return;
  }
  if (job_id_of(attach.manifest->body) != attach.job ||
      !signature_holds(checker, Purpose::kManifest, *attach.manifest)) {
    refuse(attach.job, JobRefused::Why::kUnknownJob,
           "The manifest kept for this job does not belong to it or was changed. Attach from where "
           "the job was submitted.");
    return;
  }
  OpenJob job;
  if (!open_manifest(*attach.manifest, attach.job, job)) return;
  OpenJob& open = jobs.emplace(attach.job, std::move(job)).first->second;
  Contact* c = attach.steward ? contact(attach.steward->node) : nullptr;
  if (!c) {
    locate(attach.job, open);
    return;
  }
  if (std::find(c->endpoints.begin(), c->endpoints.end(), attach.steward->endpoint) ==
      c->endpoints.end()) {
    c->endpoints.push_back(attach.steward->endpoint);
  }
  open.stage = JobStage::kConfirming;
  open.steward = std::move(attach.steward);
  open.timer = now + std::max<Duration>(kConfirmPatience, config.search);
  if (c->linked) {
    steward_linked(attach.job, open);
  } else {
    dial(open.steward->node);
  }
}

void Submitter::Impl::on(const ControlJob& control) {
  auto decoded = decode_control(control.control.body);
  check(decoded.has_value(), "a control of ours is unreadable");
  const auto it = jobs.find(decoded->job);
  if (it == jobs.end()) {
    refuse(decoded->job, JobRefused::Why::kUnknownJob,
           "This session does not hold the job. Attach to it first.");
    return;
  }
  OpenJob& job = it->second;
  if (job.stage == JobStage::kHeld && contacts[job.steward->node].linked) {
    send(job.steward->node, ControlRequest{control.control});
  }
  // Kept: a control that was on a link when it was lost is sent again. The highest sequence wins.
  job.controls.assign(1, control.control);
}

std::vector<NodeId> Submitter::Impl::eligible(const OpenJob& job) const {
  std::vector<NodeId> found;
  for (const auto& [node, c] : contacts) {
    if (!valid_worker(c)) continue;
    if (job.manifest.kernel_kind == KernelKind::kShipped &&
        !offers_kernel(c, job.manifest.kernel)) {
      continue;
    }
    found.push_back(node);
  }
  return found;
}

bool Submitter::Impl::place(const JobId& id, OpenJob& job) {
  const std::vector<NodeId> workers = eligible(job);
  if (workers.size() < std::max<std::size_t>(1, job.manifest.quorum)) {
    if (!search.active) {
      begin_search();
      return true;
    }
    if (!settled()) return true;
    const auto all = std::count_if(contacts.begin(), contacts.end(), [this](const auto& entry) {
      return valid_worker(entry.second);
    });
    if (all == 0) return true;  // search_deadline() ends this wait
    if (job.wait_for_quorum) {
      if (!job.told_waiting) {
        tell("Waiting for workers: the job needs " + std::to_string(job.manifest.quorum) +
             " that can run '" + job.manifest.kernel + "', " + std::to_string(workers.size()) +
             " known so far.");
      }
      job.told_waiting = true;
      return true;
    }
    if (workers.empty()) {
      refuse_unknown_kernel(id, job);
    } else {
      refuse(id, JobRefused::Why::kQuorumTooLarge,
             "The job demands that " + std::to_string(job.manifest.quorum) +
                 " workers agree on each unit, but the pool has " + workers_text(workers.size()) +
                 " for it. Start more workers, lower the quorum, or ask to wait for them.");
    }
    return false;
  }

  std::vector<NodeId> untried;
  for (const NodeId& node : workers) {
    if (job.tried.find(node) == job.tried.end() && reachable(contacts.at(node))) {
      untried.push_back(node);
    }
  }
  if (auto steward = choose(job, untried)) {
    offer(id, job, *steward);
    return true;
  }
  if (!job.refusal && now < job.give_up) {
    job.tried.clear();
    job.timer = now + jittered(500ms);
    begin_search();
    return true;
  }
  refuse_exhausted(id, job, workers.size());
  return false;
}

std::optional<NodeId> Submitter::Impl::choose(const OpenJob&, const std::vector<NodeId>& among) {
  const auto threads = [this](const NodeId& node) -> std::uint64_t {
    const Contact& c = contacts.at(node);
    return c.record ? c.record->threads : 1;
  };
  std::uint64_t most = 0;
  for (const NodeId& node : among) most = std::max(most, threads(node));
  std::vector<NodeId> strong, warm;
  for (const NodeId& node : among) {
    if (threads(node) * 4 < most * 3) continue;
    strong.push_back(node);
    const auto held = std::count_if(jobs.begin(), jobs.end(), [&](const auto& entry) {
      return entry.second.steward && entry.second.steward->node == node;
    });
    if (contacts.at(node).linked && static_cast<std::size_t>(held) < kJobsPerSteward) {
      warm.push_back(node);
    }
  }
  // A link that stands saves a handshake; it must not make one worker the steward of everything.
  const std::vector<NodeId>& from = warm.empty() ? strong : warm;
  if (from.empty()) return std::nullopt;
  return from[rng.below(from.size())];
}

void Submitter::Impl::offer(const JobId& id, OpenJob& job, const NodeId& steward) {
  job.stage = JobStage::kOffering;
  job.steward = door_of(steward);
  job.tried.insert(steward);
  job.timer.reset();
  if (contacts.at(steward).linked) {
    steward_linked(id, job);
  } else {
    dial(steward);
  }
}

Ticket::Door Submitter::Impl::door_of(const NodeId& node) const {
  Ticket::Door door{node, {}};
  const auto it = contacts.find(node);
  if (it == contacts.end()) return door;
  const Contact& c = it->second;
  if (!c.dialled.empty()) {
    door.endpoint = c.dialled;
  } else if (c.record && !c.record->endpoints.empty()) {
    door.endpoint = c.record->endpoints.front();
  } else if (!c.endpoints.empty()) {
    door.endpoint = c.endpoints.front();
  }
  return door;
}

void Submitter::Impl::locate(const JobId&, OpenJob& job) {
  job.stage = JobStage::kLocating;
  job.tried.clear();
  job.give_up = now + config.search;
  job.timer = std::min(job.give_up, now + jittered(500ms));
  begin_search();
  review();
}

void Submitter::Impl::hold(const JobId& id, OpenJob& job) {
  job.stage = JobStage::kHeld;
  job.timer.reset();
  job.redials = 0;
  job.tried.clear();
  job.steward = door_of(job.steward->node);
  out.push_back(JobAccepted{id, *job.steward});
  for (const Signed& control : job.controls) send(job.steward->node, ControlRequest{control});
  if (job.wanted) ask_receipts(id, job);
}

void Submitter::Impl::refuse(JobId id, JobRefused::Why why, std::string what) {
  jobs.erase(id);
  out.push_back(JobRefused{id, why, std::move(what)});
}

void Submitter::Impl::refuse_unknown_kernel(const JobId& id, const OpenJob& job) {
  std::set<std::string> offered;
  for (const auto& [node, c] : contacts) {
    if (valid_worker(c) && c.record)
      offered.insert(c.record->kernels.begin(), c.record->kernels.end());
  }
  std::string what = "No worker of the pool knows the kernel '" + job.manifest.kernel + "'.";
  if (offered.empty()) {
    what += " They offer none: is shoal-executor installed beside shoal-worker there?";
  } else {
    what += " They offer:";
    for (const std::string& name : offered) what += (name == *offered.begin() ? " " : ", ") + name;
    what += ".";
  }
  refuse(id, JobRefused::Why::kUnknownKernel, std::move(what));
}

void Submitter::Impl::refuse_exhausted(const JobId& id, const OpenJob& job, std::size_t workers) {
  if (!job.refusal) {
    refuse(id, JobRefused::Why::kNoPeers,
           workers_text(workers) + " known, but none of them can be reached (" + job.lost_why +
               "). Check the network between here and them; 'shoal doctor' says more.");
    return;
  }
  switch (*job.refusal) {
    case SubmitOutcome::kNotTrusted:
      refuse(id, JobRefused::Why::kNotTrusted,
             "No worker runs this program, because none trusts this submitter with native code. "
             "Ask their owners to start them with '--trust " +
                 to_hex(signer.id()) + "', or use a kernel that ships with Shoal.");
      return;
    case SubmitOutcome::kUnknownKernel:
      refuse_unknown_kernel(id, job);
      return;
    case SubmitOutcome::kAccepted:
    case SubmitOutcome::kInvalid:
    case SubmitOutcome::kFull:
    case SubmitOutcome::kStorageFailed:
      break;
  }
  refuse(id, JobRefused::Why::kStewardRefused,
         "No worker took the job. The last one asked said: " +
             (job.refusal_detail.empty() ? std::string("nothing more") : job.refusal_detail));
}

void Submitter::Impl::heard(const NodeId& from, SubmitReply& reply) {
  const auto it = jobs.find(reply.job);
  if (it == jobs.end()) return;
  OpenJob& job = it->second;
  if (job.stage != JobStage::kOffering || job.steward->node != from) return;
  if (reply.outcome == SubmitOutcome::kAccepted) {
    hold(reply.job, job);
    return;
  }
  // A lack of trust is what the submitter can do something about: it is told rather than others.
  if (!job.refusal || *job.refusal != SubmitOutcome::kNotTrusted) {
    job.refusal = reply.outcome;
    job.refusal_detail = reply.detail;
  }
  if (reply.outcome == SubmitOutcome::kInvalid) {  // it is so everywhere
    refuse_exhausted(reply.job, job, 1);
    return;
  }
  job.stage = JobStage::kSeeking;
  job.steward.reset();
  job.timer.reset();
  place(reply.job, job);
}

void Submitter::Impl::heard(const NodeId& from, JobFound& found) {
  const auto it = jobs.find(found.job);
  if (it == jobs.end() || !found.leader || !absorb(*found.leader)) return;
  OpenJob& job = it->second;
  const NodeId leader = found.leader->signer;
  const bool lost = job.stage == JobStage::kHeld && !contacts[job.steward->node].linked;
  if (job.stage != JobStage::kLocating && !(lost && leader == job.steward->node)) return;
  if (job.stage == JobStage::kLocating) {
    job.stage = JobStage::kConfirming;
    job.timer = now + kConfirmPatience;
  }
  job.steward = door_of(leader);
  if (contacts[leader].linked) {
    steward_linked(found.job, job);
  } else {
    dial(leader);
  }
  static_cast<void>(from);
}

void Submitter::Impl::steward_linked(const JobId& id, OpenJob& job) {
  const NodeId node = job.steward->node;
  switch (job.stage) {
    case JobStage::kOffering:
      job.timer = now + kOfferPatience;
      send(node, Submit{job.signed_manifest});
      return;
    case JobStage::kConfirming:
      job.timer = now + kConfirmPatience;
      ask_status(node, id, NodeId{});
      return;
    case JobStage::kHeld:
      if (job.redials > 0) tell("The steward of job " + short_hex(id) + " is back.");
      job.redials = 0;
      job.timer.reset();
      if (job.over) {
        say_over(id);
        return;
      }
      // It may have lost its disk: better to be told so than to wait for ever.
      ask_status(node, id, NodeId{});
      for (const Signed& control : job.controls) send(node, ControlRequest{control});
      if (job.wanted) ask_receipts(id, job);
      return;
    case JobStage::kSeeking:
    case JobStage::kLocating:
      return;
  }
}

void Submitter::Impl::steward_status(const NodeId& from, const JobId& asked,
                                     const JobStatusReply& reply) {
  const auto it = jobs.find(asked);
  if (it == jobs.end() || !it->second.steward || it->second.steward->node != from) return;
  OpenJob& job = it->second;
  const bool leads = std::any_of(reply.jobs.begin(), reply.jobs.end(),
                                 [&](const JobStatus& status) { return status.job == asked; });
  if (job.over) {
    close_job(asked);
  } else if (job.stage == JobStage::kConfirming) {
    if (leads) {
      hold(asked, job);
    } else {
      locate(asked, job);
    }
  } else if (job.stage == JobStage::kHeld && !leads) {
    refuse(asked, JobRefused::Why::kUnknownJob,
           "The steward " + short_hex(from) +
               " does not know the job any more: it is over, or the worker's state was lost. "
               "Submit it again if you still need it.");
  }
}

void Submitter::Impl::job_link_up(const NodeId& node) {
  std::vector<JobId> held;
  for (auto& [id, job] : jobs) {
    if (job.stage == JobStage::kLocating) {
      job.tried.insert(node);
      send(node, JobFind{id});
    } else if (job.steward && job.steward->node == node) {
      held.push_back(id);
    } else if (job.stage == JobStage::kHeld && job.redials > 1) {
      send(node, JobFind{id});
    }
  }
  for (const JobId& id : held) {
    if (auto it = jobs.find(id); it != jobs.end()) steward_linked(id, it->second);
  }
}

void Submitter::Impl::job_link_lost(const NodeId& node, const std::string& why) {
  std::vector<JobId> to_locate;
  for (auto& [id, job] : jobs) {
    if (!job.steward || job.steward->node != node) continue;
    job.lost_why = why;
    switch (job.stage) {
      case JobStage::kOffering:
        tell("The worker " + short_hex(node) + " did not take the job (" + why +
             "); trying another one.");
        job.stage = JobStage::kSeeking;
        job.steward.reset();
        job.timer.reset();
        break;
      case JobStage::kConfirming:
        to_locate.push_back(id);
        break;
      case JobStage::kHeld:
        if (job.redials == 0) {
          tell("Lost the link to the steward of job " + short_hex(id) + " (" + why +
               "); trying again.");
        }
        redial_later(job);
        break;
      case JobStage::kSeeking:
      case JobStage::kLocating:
        break;
    }
  }
  for (const JobId& id : to_locate) {
    if (auto it = jobs.find(id); it != jobs.end()) locate(id, it->second);
  }
}

void Submitter::Impl::redial_later(OpenJob& job) {
  const std::size_t doublings = std::min<std::size_t>(job.redials++, 8);
  job.timer = now + jittered(std::min<Duration>(kRedialFirst * (1 << doublings), kRedialMost));
}

void Submitter::Impl::job_deadline(const JobId& id) {
  const auto it = jobs.find(id);
  if (it == jobs.end() || !it->second.timer || *it->second.timer > now) return;
  OpenJob& job = it->second;
  job.timer.reset();
  switch (job.stage) {
    case JobStage::kSeeking:
      place(id, job);
      return;
    case JobStage::kOffering:
      job.lost_why = "no answer to the job";
      job.stage = JobStage::kSeeking;
      job.steward.reset();
      place(id, job);
      return;
    case JobStage::kConfirming:
      locate(id, job);
      return;
    case JobStage::kLocating: {
      if (now < job.give_up) {
        // The remembered steward may just be starting again.
        if (job.steward) dial(job.steward->node);
        job.timer = std::min(job.give_up, now + jittered(500ms));
        return;
      }
      if (!any_door_answered() && std::none_of(contacts.begin(), contacts.end(), [](const auto& e) {
            return e.second.linked && e.second.worker;
          })) {
        const auto [why, what] = nobody_found();
        refuse(id, why, what);
        return;
      }
      std::string what = "No worker that can be reached knows the job " + short_hex(id) + ".";
      if (job.steward) {
        what += " Its steward was " + short_hex(job.steward->node) + " at " +
                job.steward->endpoint + ": start that worker again, or wait for it.";
      }
      refuse(id, JobRefused::Why::kUnknownJob, std::move(what));
      return;
    }
    case JobStage::kHeld:
      if (contacts[job.steward->node].linked) return;
      // It may have come back at another address.
      if (job.redials > 1) begin_search();
      dial(job.steward->node);
      if (!contacts[job.steward->node].dial_ends) redial_later(job);
      return;
  }
}

void Submitter::Impl::ask_status(const NodeId& to, const JobId& job, const NodeId& submitter) {
  contacts[to].status_asked.push_back(job);
  send(to, JobStatusRequest{job, submitter});
}

}  // namespace shoal
