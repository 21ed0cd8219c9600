#include <algorithm>
#include <iterator>
#include <utility>

#include "sdk/core/submitter_impl.h"

namespace shoal {
namespace {

// Until then the remembered stewards are asked alone: they know best, and are few.
constexpr Duration kHeadStart = 1s;

bool is_priority(const Signed& control) {
  const auto decoded = decode_control(control.body);
  return decoded && decoded->command == ControlCommand::kPriority;
}

}  // namespace

bool Submitter::Impl::open_manifest(const Signed& manifest, const JobId& id, OpenJob& job) {
  auto decoded = decode_manifest(manifest.body);
  if (!decoded) {
    refuse(id, JobRefused::Why::kStewardRefused,
           "The job's manifest is unreadable: " + decoded.error().what);
    return false;
  }
  if (!may_submit(manifest.signer, *decoded)) {
    refuse(id, JobRefused::Why::kStewardRefused, "The job's manifest is another key's.");
    return false;
  }
  job.signed_manifest = manifest;
  job.manifest = std::move(*decoded);
  return true;
}

void Submitter::Impl::on(SubmitJob& submit) {
  const JobId id = job_id_of(submit.manifest.body);
  if (auto it = jobs.find(id); it != jobs.end()) {
    // The same manifest is the same job: nothing is computed twice.
    OpenJob& job = it->second;
    if (job.accepted) out.push_back(JobAccepted{id, doors_of(job), job.chain, std::nullopt});
    return;
  }
  OpenJob job;
  if (!open_manifest(submit.manifest, id, job)) return;
  job.wait_for_quorum = submit.wait_for_quorum;
  job.stewards_wanted = std::clamp<std::size_t>(submit.stewards, 1, limits::kStewards);
  job.give_up = now + config.search;
  if (search.active) begin_search();
  place(id, jobs.emplace(id, std::move(job)).first->second);
}

void Submitter::Impl::on(AttachJob& attach) {
  if (auto it = jobs.find(attach.job); it != jobs.end()) {
    OpenJob& job = it->second;
    if (job.accepted) {
      out.push_back(JobAccepted{attach.job, doors_of(job), job.chain, std::nullopt});
      start_over(job);
    }
    return;
  }
  OpenJob opened;
  opened.stage = JobStage::kLocating;
  if (attach.manifest) {
    if (job_id_of(attach.manifest->body) != attach.job ||
        !signature_holds(checker, Purpose::kManifest, *attach.manifest)) {
      refuse(attach.job, JobRefused::Why::kUnknownJob,
             "The manifest kept for this job does not belong to it or was changed. Remove it, and "
             "the pool is asked for it.");
      return;
    }
    if (!open_manifest(*attach.manifest, attach.job, opened)) return;
  }
  std::vector<NodeId> remembered;
  for (const Ticket::Door& door : attach.stewards) {
    if (remembered.size() == limits::kStewards) break;
    remember_door(door);
    remembered.push_back(door.node);
  }
  OpenJob& job = jobs.emplace(attach.job, std::move(opened)).first->second;
  set_stewards(job, std::move(remembered));
  if (job.signed_manifest) adopt(attach.job, job, attach.terms);
  job.give_up = now + kHeadStart + config.search;
  job.timer = now + kHeadStart;
  const std::vector<NodeId> stewards = job.stewards;
  for (const NodeId& node : stewards) ask_keeper(attach.job, job, node);
  if (!keepers_may_answer(job)) locate(attach.job, job);
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
  // Kept: one that was on a link when that was lost is sent again, and stewards that were away hear
  // of it. A job that is paused has a priority all the same.
  const bool priority = decoded->command == ControlCommand::kPriority;
  std::erase_if(job.controls, [&](const Signed& other) { return is_priority(other) == priority; });
  job.controls.push_back(control.control);
  if (job.stage == JobStage::kHeld) send_controls(job, {control.control});
}

// To all of them: whoever leads could keep it from the others.
void Submitter::Impl::send_controls(const OpenJob& job, const std::vector<Signed>& controls) {
  for (const NodeId& node : job.stewards) {
    const auto it = contacts.find(node);
    if (it == contacts.end() || !it->second.linked) continue;
    for (const Signed& control : controls) send(node, ControlRequest{control});
  }
}

void Submitter::Impl::heard(const NodeId& from, TermNotice& notice) {
  const auto it = jobs.find(notice.job);
  if (it == jobs.end()) return;
  for (const Signed& record : notice.records) absorb(record, from);
  adopt(notice.job, it->second, notice.terms);
}

bool Submitter::Impl::adopt(const JobId& id, OpenJob& job, const TermChain& chain) {
  if (!job.signed_manifest || !outranks(chain, job.chain)) return false;
  const auto term = term_in_force(chain, id, job.signed_manifest->signer, checker);
  if (!term) return false;
  job.chain = chain;
  job.epoch = std::max(job.epoch, term->epoch);
  // While its seats are being filled, the next term that is signed here comes after this one.
  if (job.stage == JobStage::kPlacing || job.stage == JobStage::kSeeking) return true;
  const std::vector<NodeId> before = std::exchange(job.stewards, {});
  set_stewards(job, term->stewards);
  for (auto& [node, keeper] : job.keepers) keeper.forgot = false;
  if (job.stage == JobStage::kLocating) {
    // One that had said yes before could not be believed yet.
    for (auto& [node, keeper] : job.keepers) keeper.questioned = false;
    for (const NodeId& node : term->stewards) ask_keeper(id, job, node);
    return true;
  }
  for (const NodeId& node : term->stewards) {
    const bool added = std::find(before.begin(), before.end(), node) == before.end();
    dial(node);
    if (const auto it = contacts.find(node); added && it != contacts.end() && it->second.linked) {
      steward_linked(id, job, node);
    }
  }
  out.push_back(StewardsChanged{id, doors_of(job), job.chain});
  if (!job.timer) redial_later(job);
  read_on(id, job);
  return true;
}

void Submitter::Impl::set_stewards(OpenJob& job, std::vector<NodeId> stewards) {
  job.stewards = std::move(stewards);
  std::erase_if(job.keepers, [&](const auto& entry) {
    return std::find(job.stewards.begin(), job.stewards.end(), entry.first) == job.stewards.end();
  });
  for (const NodeId& node : job.stewards) job.keepers.try_emplace(node);
  if (job.reader && job.keepers.count(*job.reader) == 0) job.reader.reset();
}

bool Submitter::Impl::keeps_a_job(const NodeId& node) const {
  return std::any_of(jobs.begin(), jobs.end(), [&](const auto& entry) {
    const OpenJob& job = entry.second;
    return job.keepers.count(node) > 0 ||
           std::any_of(job.seats.begin(), job.seats.end(),
                       [&](const Seat& seat) { return seat.node == node; });
  });
}

std::vector<Ticket::Door> Submitter::Impl::doors_of(const OpenJob& job) const {
  std::vector<Ticket::Door> doors;
  for (const NodeId& node : job.stewards) {
    Ticket::Door& door = doors.emplace_back(Ticket::Door{node, {}});
    const auto it = contacts.find(node);
    if (it == contacts.end()) continue;
    const Contact& c = it->second;
    if (!c.dialled.empty()) {
      door.endpoint = c.dialled;
    } else if (c.record && !c.record->endpoints.empty()) {
      door.endpoint = c.record->endpoints.front();
    } else if (!c.endpoints.empty()) {
      door.endpoint = c.endpoints.front();
    }
  }
  return doors;
}

void Submitter::Impl::remember_door(const Ticket::Door& door) {
  Contact* c = contact(door.node);
  if (!c || door.endpoint.empty()) return;
  if (std::find(c->endpoints.begin(), c->endpoints.end(), door.endpoint) == c->endpoints.end()) {
    c->endpoints.push_back(door.endpoint);
  }
}

void Submitter::Impl::refuse(JobId id, JobRefused::Why why, std::string what) {
  jobs.erase(id);
  out.push_back(JobRefused{id, why, std::move(what)});
}

void Submitter::Impl::job_link_up(const NodeId& node) {
  std::vector<JobId> concerned;
  for (const auto& [id, job] : jobs) concerned.push_back(id);
  for (const JobId& id : concerned) {
    const auto it = jobs.find(id);
    if (it == jobs.end()) continue;
    OpenJob& job = it->second;
    switch (job.stage) {
      case JobStage::kSeeking:
        break;
      case JobStage::kPlacing:
        for (Seat& seat : job.seats) {
          if (seat.node != node) continue;
          seat.heard = now;
          if (!seat.acknowledged) send(node, Submit{*job.signed_manifest, job.offered});
        }
        check_seats(id, job);
        break;
      case JobStage::kLocating:
        if (job.keepers.count(node) > 0) {
          ask_keeper(id, job, node);
        } else if (job.tried.count(node) > 0) {
          send(node, JobFind{id, !job.signed_manifest});
        }
        break;
      case JobStage::kHeld:
        if (job.keepers.count(node) > 0) {
          steward_linked(id, job, node);
        } else if (job.redials > 1 && !best_linked(job)) {
          send(node, JobFind{id});
        }
        break;
    }
  }
}

void Submitter::Impl::job_link_lost(const NodeId& node, const std::string& why, bool was_linked) {
  std::vector<JobId> concerned;
  for (const auto& [id, job] : jobs) concerned.push_back(id);
  for (const JobId& id : concerned) {
    const auto it = jobs.find(id);
    if (it == jobs.end()) continue;
    OpenJob& job = it->second;
    switch (job.stage) {
      case JobStage::kSeeking:
        break;
      case JobStage::kPlacing:
        seat_lost(id, job, node, why, was_linked);
        break;
      case JobStage::kLocating:
        if (job.keepers.count(node) > 0) {
          job.lost_why = why;
          job.keepers[node].questioned = false;
          keeper_silent(id, job);
        }
        break;
      case JobStage::kHeld:
        if (job.keepers.count(node) > 0) steward_lost(id, job, node, why, was_linked);
        break;
    }
  }
}

void Submitter::Impl::job_deadline(const JobId& id) {
  const auto it = jobs.find(id);
  if (it == jobs.end()) return;
  OpenJob& job = it->second;
  if (job.look && *job.look <= now) look_around(id, job);
  if (!job.timer || *job.timer > now) return;
  switch (job.stage) {
    case JobStage::kSeeking:
      job.retrying = false;
      place(id, job);
      return;
    case JobStage::kPlacing:
      seats_deadline(id, job);
      return;
    case JobStage::kLocating:
      locate_deadline(id, job);
      return;
    case JobStage::kHeld:
      redial(id, job);
      return;
  }
}

void Submitter::Impl::ask_status(const NodeId& to, const JobId& job, const NodeId& submitter,
                                 bool after_over) {
  contacts[to].status_asked.push_back({job, after_over});
  send(to, JobStatusRequest{job, submitter});
}

}  // namespace shoal
