#include "worker/core/labor.h"

#include <algorithm>

#include "worker/core/admission.h"

// Jobs and leases. The work on them is in labor_compute.cpp, stealing in labor_stealing.cpp.
namespace shoal {
namespace {

// Before a thread has nothing to do: a round trip to the leader, across the world, and some more.
constexpr Duration kAskAhead = 1s;
constexpr Duration kAnswerPatience = 10s;
// A leader remembers who waits. One that forgot is reminded, and it costs next to nothing.
constexpr Duration kHungryPatience = 300s;
constexpr std::size_t kJobsOverKept = 4096;
constexpr std::size_t kForLeaderMax = 4096;
constexpr std::uint32_t kUnansweredMost = 2;
// So that one node cannot fill the table with jobs that it made up.
constexpr std::size_t kJobsOfOneLeader = 256;

}  // namespace

Labor::Labor(const PeerConfig& config, const Signer& signer, const SignatureChecker& checker,
             Membership& membership, Custody& custody, Rng rng)
    : config_(config),
      signer_(signer),
      checker_(checker),
      membership_(membership),
      custody_(custody),
      rng_(rng) {}

std::uint64_t Labor::Job::unstarted() const {
  std::uint64_t units = 0;
  for (const auto* queue : {&to_verify, &primaries, &doubles}) {
    for (const Item& item : *queue) units += item.range.size();
  }
  return units;
}

std::deque<Labor::Item>& Labor::Job::queue_of(LeaseKind kind) {
  switch (kind) {
    case LeaseKind::kVerify:
      return to_verify;
    case LeaseKind::kDouble:
      return doubles;
    case LeaseKind::kPrimary:
      break;
  }
  return primaries;
}

std::deque<Labor::Item>* Labor::Job::next_queue() {
  if (!to_verify.empty()) return &to_verify;
  if (!primaries.empty() && !is_full()) return &primaries;
  return doubles.empty() ? nullptr : &doubles;
}

Labor::Job* Labor::find(const JobKey& key) {
  auto it = jobs_.find(key);
  return it == jobs_.end() ? nullptr : &it->second;
}

bool Labor::hear_of(Instant now, const NodeId& from, const WorkAvailable& news, Outbox& out) {
  if (config_.record.threads == 0) return false;
  if (Job* job = known(news.job, news.terms)) {
    return better_terms(now, *job, news.terms, &news.leader, out);
  }
  const JobKey key{news.job, news.leader.signer};
  if (jobs_.contains(key)) return false;
  // Of a leader that was asked before it had the job it was heard that there is none.
  if (from == news.leader.signer) std::erase(over_, key);
  if (std::find(over_.begin(), over_.end(), key) != over_.end()) return false;
  const auto led = std::count_if(jobs_.begin(), jobs_.end(), [&](const auto& entry) {
    return entry.first.second == key.second;
  });
  if (static_cast<std::size_t>(led) >= kJobsOfOneLeader) return false;
  if (jobs_.size() >= limits::kJobsKnown && !forget_one_unproven()) return false;
  Job& job = jobs_[key];
  job.id = news.job;
  job.leader = news.leader.signer;
  job.leader_record = news.leader;
  job.report_at = now + config_.lease / 3;
  return true;
}

// Jobs cost whoever makes them up nothing: one at random of which nobody has shown a manifest, and
// whose leader is not here, makes room for what is heard of next.
bool Labor::forget_one_unproven() {
  std::vector<JobKey> unproven;
  for (const auto& [key, job] : jobs_) {
    if (!job.manifest && !leader_linked(job)) unproven.push_back(key);
  }
  if (unproven.empty()) return false;
  jobs_.erase(unproven[rng_.below(unproven.size())]);
  return true;
}

std::vector<WorkAvailable> Labor::jobs_heard_of() const {
  std::vector<WorkAvailable> news;
  for (const auto& [_, job] : jobs_) {
    if (job.state == State::kOver || news.size() == 16) continue;
    // The leader's newest record, if it is known: those who hear of a job late must believe it.
    const auto record = membership_.record_of(job.leader);
    const Signed& leader = record ? *record : job.leader_record;
    if (leader.signer != job.leader) continue;
    news.push_back({.job = job.id, .leader = leader, .hops = 1, .terms = job.terms});
  }
  return news;
}

std::optional<NodeId> Labor::leader_of(const JobId& id) const {
  auto it = jobs_.lower_bound({id, NodeId{}});
  if (it == jobs_.end() || it->first.first != id) return std::nullopt;
  return it->second.leader;
}

bool Labor::works_for(const JobId& id) const {
  for (auto it = jobs_.lower_bound({id, NodeId{}}); it != jobs_.end() && it->first.first == id;
       ++it) {
    if (it->second.saved && it->second.state != State::kOver) return true;
  }
  return false;
}

InVain Labor::asks_in_vain(const JobId& id) const {
  const auto it = jobs_.lower_bound({id, NodeId{}});
  if (it == jobs_.end() || it->first.first != id) return InVain::kNo;
  const Job& job = it->second;
  if (job.unanswered >= kUnansweredMost) return InVain::kUnanswered;
  const bool idle = job.running == 0 && job.unstarted() == 0 && failed_ == 0;
  return job.hungry && idle ? InVain::kRefused : InVain::kNo;
}

bool Labor::leader_linked(const Job& job) const {
  return job.leader == signer_.id() || membership_.linked(job.leader);
}

// Kept until the link is back, if it is away.
void Labor::to_leader(Instant now, Job& job, Message message, Outbox& out) {
  if (leader_linked(job)) return out.send(job.leader, std::move(message));
  if (job.for_leader.size() < kForLeaderMax) job.for_leader.push_back(std::move(message));
  membership_.reach(now, job.leader, out);
}

void Labor::accept_manifest(Job& job, const Signed& manifest, const TermChain& terms, Outbox& out) {
  auto what = decode_manifest(manifest.body);
  const auto term = term_in_force(terms, job.id, manifest.signer, checker_);
  if (!what || !may_submit(manifest.signer, *what) || job_id_of(manifest.body) != job.id || !term ||
      term->stewards.front() != job.leader) {
    out.tell(LogLevel::kWarning, "node " + short_hex(job.leader) + " leads job " +
                                     short_hex(job.id) + " without terms that say so");
    job.state = State::kRefused;
    return;
  }
  job.manifest = std::make_shared<const Manifest>(std::move(*what));
  job.signed_manifest = manifest;
  job.terms = terms;
  job.submitter = manifest.signer;
  if (const auto objection = objection_to_computing(config_, manifest, *job.manifest)) {
    out.tell(LogLevel::kInfo, "takes no units of job " + short_hex(job.id) + ": " + objection->why);
    job.state = State::kRefused;
    return decline(job, out);
  }
  fetch_contents(job);
}

void Labor::on_grant(Instant now, const NodeId& from, LeaseGrant grant, Outbox& out) {
  if (grant.manifest) settle_rivals(now, grant.job, from, grant.terms, out);
  Job* job = led_by(grant.job, from);
  if (job == nullptr || job->state == State::kOver) return;
  job->epoch = grant.epoch;
  job->unanswered = 0;
  if (!grant.ranges.empty()) {
    job->asked.reset();
    job->hungry = false;
    if (!job->stealing) job->victims.clear();
  }
  if (job->state == State::kHeardOf) {
    if (job->manifest) {
      if (!grant.ranges.empty()) fetch_contents(*job);
    } else if (grant.manifest) {
      accept_manifest(*job, *grant.manifest, grant.terms, out);
    }
  }
  if (grant.ranges.empty()) return;
  if (job->state == State::kRefused) return give_back(*job, grant.lease, out);
  if (!has_room(*job)) {
    job->leases.erase(grant.lease);
    return give_back(*job, grant.lease, out);
  }
  if (!job->manifest || lending_ != Lend::What::kAll) {
    give_back(*job, grant.lease, out);
    return;
  }
  save_task(*job);
  take_paper(*job, grant.grant);
  auto& queue = job->queue_of(grant.kind);
  RangeSet held;
  for (Range range : grant.ranges) {
    if (range.last > job->manifest->units) continue;
    held.add(range);
    queue.push_back({range, grant.lease, grant.kind});
  }
  if (!held.empty()) job->leases[grant.lease].add(held);
  if (job->robbed.empty()) job->report_at = now + config_.lease / 3;
  feed_thieves(now, *job, out);
}

// What is still held of each lease, within what one message may list: where there are too many
// runs, a lease is listed as one run that spans them, since only what is not listed returns.
void Labor::list_leases(const Job& job, LeaseReport& report) {
  std::size_t room = limits::kRangesPerMessage - job.leases.size();
  for (const auto& [id, held] : job.leases) {
    const auto& runs = held.runs();
    if (runs.size() <= room + 1) {
      report.leases.push_back({id, runs});
      room -= runs.size() - 1;
    } else {
      report.leases.push_back({id, {{runs.front().first, runs.back().last}}});
    }
  }
}

LeaseReport Labor::empty_report(const Job& job) const {
  LeaseReport report{
      .job = job.id, .epoch = job.epoch, .leases = {}, .unit_ns = job.unit_ns, .declines = ""};
  if (lending_ == Lend::What::kWhatRuns) {
    report.declines = "its owner is ending it";
  } else if (lending_ != Lend::What::kAll) {
    report.declines = "its owner has paused it";
  }
  return report;
}

// Says at once that nothing of the lease will be computed here.
void Labor::give_back(Job& job, std::uint64_t lease, Outbox& out) {
  auto of_lease = [&](const Item& item) { return item.lease == lease; };
  for (auto* queue : job.queues()) std::erase_if(*queue, of_lease);
  job.leases.erase(lease);
  LeaseReport report = empty_report(job);
  report.leases.push_back({.lease = lease, .ranges = {}});
  list_leases(job, report);
  out.send(job.leader, std::move(report));
}

void Labor::on_revoke(const NodeId& from, const LeaseRevoke& revoke, Outbox& out) {
  Job* job = led_by(revoke.job, from);
  if (job == nullptr) return;
  if (revoke.job_over) {
    drop_job(*job, out);
    return;
  }
  for (Range range : revoke.ranges) {
    unqueue(*job, range);
    release(*job, range);
    for (auto& [first, held] : job->batches) held.shown |= range.contains(held.range);
    for (auto& [id, chunk] : chunks_) {
      if (chunk.job != job->key() || chunk.cancelled || !range.contains(chunk.item.range)) continue;
      chunk.cancelled = true;
      out.act(CancelCompute{id});
    }
  }
  drop_cancelled(*job);
  forget_shown(*job);
}

// Whoever brings it: it is the submitter's signature that counts.
void Labor::on_control(const Signed& control, Outbox& out) {
  const auto what = decode_control(control.body);
  if (!what) return;
  Job* job = find_any(what->job, [&](const Job& j) {
    return j.manifest != nullptr && j.submitter == control.signer;
  });
  if (job == nullptr) return;
  std::uint64_t& heard =
      what->command == ControlCommand::kPriority ? job->heard_of_priority : job->heard_of_going_on;
  if (what->sequence <= heard || !signature_holds(checker_, Purpose::kControl, control)) return;
  heard = what->sequence;
  switch (what->command) {
    case ControlCommand::kCancel:
      return drop_job(*job, out);
    case ControlCommand::kPause:
      // What runs goes on, and its leader hands out no more.
      return put_back(*job, false, out);
    case ControlCommand::kResume:
      return;  // its leader knows who waits
    case ControlCommand::kPriority:
      job->new_priority = what->priority;
      return;
  }
}

// Starts nothing of it any more.
void Labor::unqueue(Job& job, Range range) {
  for (auto* queue : job.queues()) {
    std::deque<Item> kept;
    for (const Item& item : *queue) {
      RangeSet rest(item.range);
      rest.remove(range);
      for (Range run : rest.runs()) kept.push_back({run, item.lease, item.kind});
    }
    *queue = std::move(kept);
  }
}

void Labor::drop_cancelled(Job& job) {
  for (auto it = chunks_.begin(); it != chunks_.end();) {
    if (it->second.cancelled && it->second.job == job.key()) {
      job.running -= 1;
      it = chunks_.erase(it);
    } else {
      ++it;
    }
  }
}

// What runs for it.
void Labor::stop_all(const JobKey& key, Outbox& out) {
  for (auto it = chunks_.begin(); it != chunks_.end();) {
    if (it->second.job == key) {
      out.act(CancelCompute{it->first});
      it = chunks_.erase(it);
    } else {
      ++it;
    }
  }
  comparing_.erase(key);
}

void Labor::drop_job(Job& job, Outbox& out) {
  const JobKey key = job.key();
  stop_all(key, out);
  const bool saved = job.saved;
  jobs_.erase(key);
  over_.push_back(key);
  if (over_.size() > kJobsOverKept) over_.pop_front();
  if (leader_of(key.first)) return;
  const Erase erase{.job = key.first, .what = Erase::What::kWorked};
  std::erase_if(unsaved_, [&](const StoredFact& fact) { return covers(erase, fact); });
  if (saved) out.erase(erase);
  custody_.over(key.first);
  out.act(ForgetJob{key.first});
}

void Labor::release(Job& job, Range range) {
  for (auto it = job.leases.begin(); it != job.leases.end();) {
    it->second.remove(range);
    if (it->second.empty()) job.stolen.erase(it->first);
    it = it->second.empty() ? job.leases.erase(it) : std::next(it);
  }
  for (auto& [_, ranges] : job.unsettled) ranges.remove(range);
}

void Labor::on_link_up(Instant now, const NodeId& peer, Outbox& out) {
  for (auto& [_, job] : jobs_) {
    if (job.leader == peer) {
      job.asked.reset();
      job.unanswered = 0;
      job.hungry = false;
      job.stood_down = false;
      job.seek_at.reset();
      job.seeks = 0;
      if (job.papers.empty()) {
        for (Message& message : std::exchange(job.for_leader, {})) {
          out.send(peer, std::move(message));
        }
      } else {
        rejoin(now, job, out);
      }
    } else if (job.manifest && job.state != State::kRefused && !leader_linked(job)) {
      const auto term = last_term(job.terms);
      if (term && is_steward(*term, peer)) out.send(peer, JobFind{.job = job.id});
    }
    if (job.stealing && !job.victims.empty() && job.victims.back() == peer) {
      out.send(peer, StealRequest{.job = job.id, .threads = config_.record.threads});
    }
  }
}

void Labor::on_link_lost(Instant now, const NodeId& peer, Outbox& out) {
  for (auto& [_, job] : jobs_) {
    std::erase(job.thieves, peer);
    if (job.leader == peer) {
      job.asked.reset();
      job.hungry = false;
      const bool followed = job.manifest && job.state != State::kRefused;
      if (followed && !job.seek_at) job.seek_at = now + limits::kLinkPatience;
      membership_.reach(now, peer, out);
    }
    if (job.stealing && !job.victims.empty() && job.victims.back() == peer) {
      try_next_victim(now, job, out);
    }
  }
}

void Labor::report(Instant now, Job& job, Outbox& out) {
  job.report_at = now + config_.lease / 3;
  if (!leader_linked(job)) return membership_.reach(now, job.leader, out);
  LeaseReport report = empty_report(job);
  // What is not listed may be a grant that the report has met on its way: the leader waits.
  for (const std::uint64_t lease : std::exchange(job.robbed, {})) {
    if (!job.leases.contains(lease)) report.leases.push_back({.lease = lease, .ranges = {}});
  }
  list_leases(job, report);
  out.send(job.leader, std::move(report));
}

// When it is time to ask for more; nothing: there is enough here. Units that stray far from their
// mean may end early, so that is reckoned with. What cannot be begun is none of it: its leader may
// see to it that it never can.
std::optional<Instant> Labor::dry_from(Instant now) const {
  std::uint64_t ns = 0;
  for (const auto& [_, job] : jobs_) {
    if (job.state == State::kFetching || job.is_full()) continue;
    const std::uint64_t unstarted = job.unstarted();
    if (unstarted > 0 && job.unit_ns == 0) return std::nullopt;
    ns += unstarted * job.unit_ns;
  }
  const std::uint32_t threads = std::max<std::uint32_t>(config_.record.threads, 1);
  if (ns / threads >= static_cast<std::uint64_t>(kPrefetchWork.count())) return std::nullopt;
  if (chunks_.size() < threads) return now;
  std::optional<Instant> first_free;
  for (const auto& [_, chunk] : chunks_) {
    const auto job = jobs_.find(chunk.job);
    if (job == jobs_.end() || job->second.unit_ns == 0) return now;
    const std::uint64_t unit_ns = job->second.unit_ns;
    const std::uint64_t quick_ns = unit_ns - std::min(unit_ns, 2 * job->second.unit_stray_ns);
    const Instant free =
        chunk.since + Duration(static_cast<std::int64_t>(quick_ns * chunk.item.range.size()));
    if (!first_free || free < *first_free) first_free = free;
  }
  return *first_free - kAskAhead;
}

// Its submitter has said that it is more urgent than what waits here of his.
bool Labor::goes_before_what_waits(const Job& job) const {
  if (!job.manifest || job.unstarted() > 0) return false;
  return std::any_of(jobs_.begin(), jobs_.end(), [&](const auto& entry) {
    const Job& other = entry.second;
    return other.manifest && other.submitter == job.submitter && other.unstarted() > 0 &&
           other.priority() < job.priority();
  });
}

void Labor::ask_for_work(Instant now, Outbox& out) {
  if (config_.record.threads == 0) return;
  if (lending_ != Lend::What::kAll) return stand_down(out);
  const auto dry = dry_from(now);
  const bool is_dry = dry && *dry <= now;
  for (auto& [_, job] : jobs_) {
    const bool open = job.state == State::kHeardOf || job.state == State::kReady;
    if (!open || job.asked || job.hungry || job.stealing || !job.victims.empty()) continue;
    if (job.is_full() || (!is_dry && !goes_before_what_waits(job))) continue;
    job.asked = now;
    // Not kept for a leader that is away: on_link_up() clears `asked`, and we ask anew.
    if (!leader_linked(job)) {
      membership_.reach(now, job.leader, out);
      continue;
    }
    out.send(job.leader, WorkRequest{.job = job.id,
                                     .threads = config_.record.threads,
                                     .unit_ns = job.unit_ns,
                                     .backlog_units = job.unstarted()});
  }
}

void Labor::advance(Instant now, Outbox& out) {
  advanced_ = now;
  for (auto& [_, job] : jobs_) {
    if (job.report_at <= now) {
      if (!job.leases.empty() || !job.robbed.empty()) {
        report(now, job, out);
      } else {
        job.report_at = now + config_.lease / 3;
      }
    }
    if (job.rejoins > 0 && now - job.rejoined >= kAnswerPatience && leader_linked(job)) {
      rejoin(now, job, out);
    }
    if (job.asked && now - *job.asked >= kAnswerPatience) {
      job.asked.reset();
      if (leader_linked(job)) ++job.unanswered;
    }
    if (job.hungry && now - job.hungry_since >= kHungryPatience) job.hungry = false;
    if (job.stealing && now - *job.stealing >= kStealPatience) try_next_victim(now, job, out);
    if (!job.for_leader.empty()) membership_.reach(now, job.leader, out);
    if (job.seek_at && *job.seek_at <= now) seek_leader(now, job, out);
  }
  if (!unsaved_.empty() && !save_at_) save_at_ = now + config_.batch_target;
  if (save_at_ && *save_at_ <= now) flush_saved(out);
  start_chunks(now, out);
  for (auto& [_, job] : jobs_) {
    const bool dry =
        job.state == State::kReady && job.unstarted() == 0 && chunks_.size() < chunks_wanted(job);
    if (dry && !job.stealing && !job.victims.empty()) try_next_victim(now, job, out);
  }
  ask_for_work(now, out);
}

std::optional<Instant> Labor::next_deadline() const {
  std::optional<Instant> next;
  auto consider = [&](Instant at) {
    if (!next || at < *next) next = at;
  };
  for (const auto& [_, job] : jobs_) {
    if (!job.leases.empty() || !job.robbed.empty()) consider(job.report_at);
    if (job.asked) consider(*job.asked + kAnswerPatience);
    if (job.hungry) consider(job.hungry_since + kHungryPatience);
    if (job.rejoins > 0 && leader_linked(job)) consider(job.rejoined + kAnswerPatience);
    if (job.stealing) consider(*job.stealing + kStealPatience);
    if (job.seek_at) consider(*job.seek_at);
  }
  if (save_at_) consider(*save_at_);
  // From then on it has asked, or waits for somebody to have work.
  if (const auto dry = dry_from(advanced_); dry && *dry > advanced_) consider(*dry);
  return next;
}

void Labor::fill(WorkerStatus& status) const {
  status.units_computed = computed_;
  status.units_stolen = stolen_;
  status.units_failed = failed_;
  std::size_t jobs = 0;
  for (const auto& [_, job] : jobs_) {
    status.backlog_units += job.unstarted();
    if (job.running > 0) ++jobs;
  }
  status.doing = chunks_.empty()
                     ? "idle"
                     : "computing for " + std::to_string(jobs) + (jobs == 1 ? " job" : " jobs");
  if (lending_ == Lend::What::kWhatRuns) {
    status.doing += "; its owner is ending it";
  } else if (lending_ != Lend::What::kAll) {
    status.doing = "paused by its owner";
  }
  if (failing_) status.doing += "; " + failing_->why;
}

void Labor::add_needed(std::set<ContentId>& needed) const {
  for (const auto& [key, job] : jobs_) {
    if (!job.manifest || job.state == State::kRefused || job.state == State::kOver) continue;
    for (const ContentName& content : contents_of(*job.manifest)) needed.insert(content.id);
  }
  add_compared(needed);
}

void Labor::check_invariants() const {
  check(jobs_.size() <= limits::kJobsKnown, "more jobs are known than the limit allows");
  std::map<JobKey, std::size_t> running;
  for (const auto& [_, chunk] : chunks_) running[chunk.job] += 1;
  for (const auto& [key, job] : jobs_) {
    check(job.running == (running.contains(key) ? running.at(key) : 0),
          "running chunks miscounted");
    check(job.for_leader.size() <= kForLeaderMax, "too many messages wait for a leader");
    check(job.thieves.size() <= limits::kHungryPeers, "too many thieves are remembered");
    check(job.leases.size() + job.unsettled.size() <= kLeasesMax,
          "a worker holds more leases than it can report");
    if (job.rejoins > 0) continue;  // the leader is to say what it holds
    RangeSet started;
    for (const auto* queue : {&job.to_verify, &job.primaries, &job.doubles, &job.rejoining}) {
      for (const Item& item : *queue) started.add(item.range);
    }
    for (const auto& [_, chunk] : chunks_) {
      if (chunk.job == key) started.add(chunk.item.range);
    }
    for (const auto& [_, held] : job.leases) {
      RangeSet idle = held;
      idle.remove(started);
      check(idle.empty(), "a worker holds units that it will not compute");
    }
  }
  check(chunks_.size() <= kChunksMax, "too many chunks are running");
}

}  // namespace shoal
