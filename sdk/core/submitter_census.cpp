#include <algorithm>
#include <tuple>
#include <utility>

#include "sdk/core/submitter_impl.h"

namespace shoal {
namespace {

constexpr Duration kStatusPatience = 2s;
constexpr Duration kCensusPatience = 3s;
constexpr std::size_t kAskedMax = 64;
constexpr std::size_t kAskedOfAllJobs = 256;
// Links that stay up after they were needed for a question: the next job is the quicker for them.
constexpr std::size_t kLinksKept = 16;

// Who leads knows best; of two that say so, the one with the later term; among followers, the one
// that has heard of more.
bool better(const JobStatus& a, const JobStatus& b) {
  const auto rank = [](const JobStatus& s) {
    return std::tuple(s.leads, s.epoch, s.verified + s.failed + s.disputed);
  };
  return rank(a) > rank(b);
}

}  // namespace

void Submitter::Impl::on(const WantStatus& want) {
  Census census;
  census.kind = CensusKind::kStatus;
  census.job = want.job;
  census.submitter = want.submitter;
  for (const Ticket::Door& door : want.also) {
    remember_door(door);
    census.also.push_back(door.node);
  }
  const auto it = jobs.find(want.job);
  if (it == jobs.end() || it->second.stage != JobStage::kHeld) begin_search();
  censuses.push_back(std::move(census));
  review();
}

void Submitter::Impl::on(const WantWorkers&) {
  begin_search();
  censuses.push_back(Census{});
  review();
}

std::vector<NodeId> Submitter::Impl::whom_to_ask(const OpenJob& job) const {
  const auto best = best_linked(job);
  if (!best) return job.stewards;
  if (*best == job.stewards.front()) return {*best};
  // None of the followers knows what is under way: the leader's link may only be the slower one to
  // come up.
  std::vector<NodeId> asked;
  for (const NodeId& node : job.stewards) {
    const auto it = contacts.find(node);
    if (it == contacts.end()) continue;
    const bool leads = node == job.stewards.front();
    if (it->second.linked || (leads && reachable(it->second))) asked.push_back(node);
  }
  return asked;
}

bool Submitter::Impl::begin_census(Census& census) {
  std::vector<NodeId> targets;
  const auto job = jobs.find(census.job);
  if (census.kind == CensusKind::kStatus && job != jobs.end() &&
      job->second.stage == JobStage::kHeld) {
    targets = whom_to_ask(job->second);
  } else {
    if (!settled() || (census.of_all_jobs() && !sampled_enough())) return false;
    targets = census.also;
    const std::size_t most = census.of_all_jobs() ? kAskedOfAllJobs : kAskedMax;
    for (const auto& [node, c] : contacts) {
      if (targets.size() >= most) break;
      if (valid_worker(c) && reachable(c)) targets.push_back(node);
    }
  }
  census.begun = true;
  const bool short_one = census.kind == CensusKind::kStatus && !census.of_all_jobs();
  census.ends = now + (short_one ? kStatusPatience : kCensusPatience);
  census.pending.insert(targets.begin(), targets.end());
  for (const NodeId& node : targets) {
    if (contacts[node].linked) {
      census_ask(census, node);
    } else {
      dial(node);
    }
  }
  return true;
}

void Submitter::Impl::census_ask(Census& census, const NodeId& node) {
  if (!census.asked.insert(node).second) return;
  if (census.kind == CensusKind::kStatus) {
    ask_status(node, census.job, census.submitter);
  } else {
    send(node, WorkerStatusRequest{});
  }
}

void Submitter::Impl::census_link_up(const NodeId& node) {
  for (Census& census : censuses) {
    if (census.begun && census.pending.count(node) > 0) census_ask(census, node);
  }
}

void Submitter::Impl::census_link_lost(const NodeId& node) {
  bool elsewhere = false;
  for (Census& census : censuses) {
    if (!census.begun || census.pending.count(node) == 0) continue;
    // A worker that was restarted listens at another port than is remembered of it.
    if (census.asked.count(node) == 0 && ++census.missed[node] < ways_to(contacts[node])) {
      elsewhere = true;
    } else {
      census.pending.erase(node);
    }
  }
  if (elsewhere) dial(node);
}

void Submitter::Impl::heard(const NodeId& from, JobStatusReply& reply) {
  auto& questions = contacts[from].status_asked;
  if (questions.empty()) return;
  const StatusQuestion question = questions.front();
  const JobId& asked = question.job;
  questions.pop_front();
  for (Census& census : censuses) {
    if (census.kind != CensusKind::kStatus || census.job != asked ||
        census.pending.erase(from) == 0) {
      continue;
    }
    for (const JobStatus& status : reply.jobs) {
      if (!asked.is_zero() && status.job != asked) continue;
      if (!census.submitter.is_zero() && status.submitter != census.submitter) continue;
      const auto [it, added] = census.jobs.emplace(status.job, status);
      if (!added && better(status, it->second)) it->second = status;
    }
  }
  steward_status(from, question, reply);
}

void Submitter::Impl::heard(const NodeId& from, WorkerStatus& status) {
  status.node = from;  // it speaks for itself alone
  for (Census& census : censuses) {
    if (census.kind != CensusKind::kWorkers || census.pending.erase(from) == 0) continue;
    census.statuses.insert_or_assign(from, status);
  }
}

// A leader that stands still is linked for a while yet, and nobody follows it where the job is
// cancelled. Whether there is anybody else to ask.
bool Submitter::Impl::ask_followers(Census& census) {
  const auto job = jobs.find(census.job);
  if (census.kind != CensusKind::kStatus || job == jobs.end() || !census.jobs.empty()) return false;
  if (std::exchange(census.followers_asked, true)) return false;
  census.pending.clear();
  for (const NodeId& node : job->second.stewards) {
    const auto it = contacts.find(node);
    if (it == contacts.end() || !it->second.linked || census.asked.count(node) > 0) continue;
    census.pending.insert(node);
    census_ask(census, node);
    census.ends = now + kStatusPatience;
  }
  return census.ends > now;
}

void Submitter::Impl::finish_censuses() {
  std::vector<Census> done;
  for (auto it = censuses.begin(); it != censuses.end();) {
    const bool late = it->begun && it->ends <= now && !it->pending.empty();
    if (it->begun && (it->pending.empty() || (late && !ask_followers(*it)))) {
      done.push_back(std::move(*it));
      it = censuses.erase(it);
    } else {
      ++it;
    }
  }
  for (const Census& census : done) {
    answer(census);
    drop_strangers(census.asked);
  }
}

void Submitter::Impl::answer(const Census& census) {
  if (census.kind == CensusKind::kStatus) {
    StatusReady ready{census.job, {}};
    for (const auto& [id, status] : census.jobs) ready.jobs.push_back(status);
    out.push_back(std::move(ready));
    return;
  }
  WorkersReady ready;
  for (const auto& [node, c] : contacts) {
    if (!valid_worker(c)) continue;
    WorkersReady::Seen seen;
    if (c.record) {
      seen.record = *c.record;
    } else {
      seen.record.node = node;
      seen.record.pool = config.pool;
    }
    seen.owner = c.record ? c.owner : node;
    seen.address = c.address;
    if (c.linked) seen.path = c.path;
    if (auto it = census.statuses.find(node); it != census.statuses.end()) seen.status = it->second;
    ready.workers.push_back(std::move(seen));
  }
  ready.coordinators_up = coordinators_up.size();
  ready.nodes_known = nodes_known;
  out.push_back(std::move(ready));
}

void Submitter::Impl::drop_strangers(const std::set<NodeId>& asked) {
  auto linked = static_cast<std::size_t>(std::count_if(
      contacts.begin(), contacts.end(), [](const auto& entry) { return entry.second.linked; }));
  for (const NodeId& node : asked) {
    if (linked <= kLinksKept) return;
    const bool holder = std::any_of(outputs.begin(), outputs.end(), [&](const auto& entry) {
      return entry.second.holders.count(node) > 0;
    });
    const bool asked_more = std::any_of(censuses.begin(), censuses.end(), [&](const Census& other) {
      return other.pending.count(node) > 0;
    });
    Contact& c = contacts[node];
    if (keeps_a_job(node) || holder || asked_more || !c.linked) continue;
    c.linked = false;
    c.status_asked.clear();
    pass(exchange.link_lost(now, node));
    out.push_back(Drop{node, "answered"});
    --linked;
  }
}

}  // namespace shoal
