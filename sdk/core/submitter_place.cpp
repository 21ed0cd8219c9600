#include <algorithm>
#include <utility>

#include "sdk/core/submitter_impl.h"

// Giving a job to its stewards. All of them are asked at once, and the submitter is told that the
// job is accepted when each has it on its disk and knows the term that names it. Whoever refuses,
// is lost or stays silent is replaced, under a term of the next epoch, which goes to all.
namespace shoal {
namespace {

constexpr Duration kOfferPatience = 30s;        // silence, where nobody has the job yet
constexpr Duration kSlowPatience = 10s;         // where one of the others has it
constexpr Duration kLastPatience = 3s;          // where all of them have it
constexpr Duration kLastDialPatience = 1500ms;  // the same, where there is not even a link
constexpr std::size_t kTriedMost = 8;   // once somebody has the job: then those who have it must do
constexpr std::size_t kBreaksMost = 5;  // a link that breaks is dialled again so often
constexpr Duration kRedialSeat = 300ms;
constexpr Duration kRetry = 500ms;
constexpr Duration kMissedFor = 60s;  // those that could not be dialled are left alone so long
// Of what the doors told last; where it is older, and names too few, they are asked again.
constexpr Duration kKnowledgeFresh = 10s;
constexpr Duration kMoreStewards = 500ms;   // what a third steward is worth waiting for
constexpr std::size_t kJobsPerSteward = 4;  // that it leads; then others are preferred
constexpr std::size_t kInvalidMost = 2;     // workers that call a job invalid before it is so

std::string workers_text(std::size_t n) {
  return std::to_string(n) + (n == 1 ? " worker" : " workers");
}

}  // namespace

std::vector<NodeId> Submitter::Impl::eligible(const OpenJob& job) const {
  std::vector<NodeId> found;
  for (const auto& [node, c] : contacts) {
    if (!valid_worker(c)) continue;
    if (offers_to_compute(c.record.value_or(NodeRecord{}), job.manifest)) found.push_back(node);
  }
  return found;
}

bool Submitter::Impl::place(const JobId& id, OpenJob& job) {
  const std::size_t workers = eligible(job).size();
  if (workers < std::max<std::size_t>(1, job.manifest.quorum)) {
    return !lacks_quorum(id, job, workers);
  }
  if (waits_for_more(job, workers)) return true;
  job.timer.reset();
  fill_seats(job);
  if (!job.seats.empty()) {
    job.stage = JobStage::kPlacing;
    issue_term(id, job);
    check_seats(id, job);
    return true;
  }
  if (!job.refusal && now < job.give_up) {
    job.tried.clear();
    job.retrying = true;
    job.timer = now + jittered(kRetry);
    begin_search();
    return true;
  }
  refuse_exhausted(id, job, workers);
  return false;
}

// Whether the job was refused for it; else it waits.
bool Submitter::Impl::lacks_quorum(const JobId& id, OpenJob& job, std::size_t workers) {
  job.timer.reset();
  if (!search.active) {
    begin_search();
    return false;
  }
  if (!settled()) return false;
  const auto all = std::count_if(contacts.begin(), contacts.end(),
                                 [this](const auto& entry) { return valid_worker(entry.second); });
  if (all == 0) return false;  // search_deadline() ends this wait
  if (job.wait_for_quorum) {
    if (!job.told_waiting) {
      tell("Waiting for workers: the job needs " + std::to_string(job.manifest.quorum) +
           " that can run '" + job.manifest.kernel + "', " + std::to_string(workers) +
           " known so far.");
    }
    job.told_waiting = true;
    return false;
  }
  if (workers == 0) {
    refuse_unknown_kernel(id, job);
  } else {
    refuse(id, JobRefused::Why::kQuorumTooLarge,
           "The job demands that " + std::to_string(job.manifest.quorum) +
               " workers agree on each unit, but the pool has " + workers_text(workers) +
               " for it. Start more workers, lower the quorum, or ask to wait for them.");
  }
  return true;
}

bool Submitter::Impl::waits_for_more(OpenJob& job, std::size_t workers) {
  if (workers >= job.stewards_wanted) return false;
  const bool all_told = search.active ? settled() : searched && now < *searched + kKnowledgeFresh;
  if (all_told) return false;
  if (!search.active) begin_search();
  if (!job.timer) job.timer = now + kMoreStewards;
  return *job.timer > now;
}

// Those that are known may be gone, all of them, and others have come meanwhile.
void Submitter::Impl::ask_doors_again(OpenJob& job) {
  if (search.active || (searched && now < *searched + kKnowledgeFresh)) return;
  begin_search();
  // Once: where nobody answers at all, somebody waits to be told so.
  if (!std::exchange(job.doors_asked_again, true)) {
    job.give_up = std::max(job.give_up, now + config.search);
  }
}

StewardCandidate Submitter::Impl::candidate(const NodeId& node) const {
  StewardCandidate found{node, node, {}, 1, false};
  const auto it = contacts.find(node);
  if (it == contacts.end()) return found;
  const Contact& c = it->second;
  found.host = c.address;
  if (found.host.empty() && c.record && !c.record->endpoints.empty()) {
    found.host = host_of(c.record->endpoints.front());
  } else if (found.host.empty() && !c.endpoints.empty()) {
    found.host = host_of(c.endpoints.front());
  }
  if (c.record) {
    found.owner = c.owner;
    found.threads = c.record->threads;
  }
  const auto led = std::count_if(jobs.begin(), jobs.end(), [&](const auto& entry) {
    const OpenJob& job = entry.second;
    return !job.stewards.empty() && job.stewards.front() == node;
  });
  // A link that stands saves a handshake; it must not make one worker the leader of everything.
  found.warm = c.linked && static_cast<std::size_t>(led) < kJobsPerSteward;
  return found;
}

void Submitter::Impl::fill_seats(OpenJob& job) {
  std::vector<StewardCandidate> seated, candidates;
  for (const Seat& seat : job.seats) seated.push_back(candidate(seat.node));
  for (const NodeId& node : eligible(job)) {
    if (job.tried.count(node) == 0 && reachable(contacts.at(node))) {
      candidates.push_back(candidate(node));
    }
  }
  // Over a relay goes no content, and not much else: who can be dialled comes first.
  const auto relayed = [this](const StewardCandidate& c) {
    const auto& record = contacts.at(c.node).record;
    return record && !record->via.empty();
  };
  if (!std::all_of(candidates.begin(), candidates.end(), relayed)) {
    std::erase_if(candidates, relayed);
  }
  // A record outlives its worker by minutes. Not every job should have to find that out again.
  const auto missing = [this](const StewardCandidate& c) {
    const auto& missed = contacts.at(c.node).missed;
    return missed && now < *missed + kMissedFor;
  };
  if (!std::all_of(candidates.begin(), candidates.end(), missing)) {
    std::erase_if(candidates, missing);
  } else if (!job.seats.empty()) {
    candidates.clear();
  }
  while (job.seats.size() < job.stewards_wanted) {
    const auto next = next_steward(seated, candidates, rng);
    if (!next) break;
    job.tried.insert(*next);
    Seat& seat = job.seats.emplace_back();
    seat.node = *next;
    seat.heard = now;
    seated.push_back(candidate(*next));
    std::erase_if(candidates, [&](const StewardCandidate& c) { return c.node == *next; });
  }
  // The one that has the job already is the better leader.
  std::stable_partition(job.seats.begin(), job.seats.end(),
                        [](const Seat& seat) { return seat.durable; });
}

void Submitter::Impl::issue_term(const JobId& id, OpenJob& job) {
  Term term{id, ++job.epoch, {}};
  for (const Seat& seat : job.seats) term.stewards.push_back(seat.node);
  job.offered = {SignedTerm{sign_fact(signer, Purpose::kTerm, encode(term)), {}}};
  set_stewards(job, term.stewards);
  for (Seat& seat : job.seats) {
    seat.acknowledged = false;
    if (contacts.at(seat.node).linked) {
      seat.heard = now;
      send(seat.node, Submit{*job.signed_manifest, job.offered});
    } else {
      dial(seat.node);
    }
  }
}

// `node` is copied: it may stand in the seat that is given away.
bool Submitter::Impl::vacate(const JobId& id, OpenJob& job, NodeId node, const std::string& why) {
  if (!why.empty()) job.lost_why = why;
  if (const auto it = contacts.find(node); it != contacts.end() && it->second.missed) {
    ask_doors_again(job);
  }
  std::erase_if(job.seats, [&](const Seat& seat) { return seat.node == node; });
  const std::size_t left = job.seats.size();
  if (!job.some_durable || job.tried.size() < kTriedMost) fill_seats(job);
  if (!why.empty()) {
    tell("The worker " + short_hex(node) + " did not take the job (" + why + ")" +
         (job.seats.size() > left ? "; trying another one." : "."));
  }
  if (job.seats.empty()) {
    job.stage = JobStage::kSeeking;
    job.some_durable = false;
    job.timer.reset();
    set_stewards(job, {});
    return place(id, job);
  }
  issue_term(id, job);
  check_seats(id, job);
  return true;
}

void Submitter::Impl::seat_lost(const JobId& id, OpenJob& job, const NodeId& node,
                                const std::string& why, bool was_linked) {
  const auto seat = std::find_if(job.seats.begin(), job.seats.end(),
                                 [&](const Seat& s) { return s.node == node; });
  if (seat == job.seats.end()) return;
  job.keepers[node] = Keeper{};
  if (job.reader == node) job.reader.reset();
  if (seat->acknowledged) return;  // what it has on its disk it has without a link, too
  // It was there a moment ago: as like as not another process with this key took the link.
  if (was_linked && ++seat->breaks <= kBreaksMost) {
    seat->heard = now;
    seat->redial_at = now + jittered(kRedialSeat);
    check_seats(id, job);
    return;
  }
  vacate(id, job, node, why);
}

void Submitter::Impl::check_seats(const JobId& id, OpenJob& job) {
  if (std::all_of(job.seats.begin(), job.seats.end(),
                  [](const Seat& seat) { return seat.acknowledged; })) {
    // From before a crash others may know stewards that this session did not choose. Those in the
    // seats have said that they keep the job: it is they who are to be believed.
    if (!job.chain.empty() && outranks(job.chain, job.offered)) return issue_term(id, job);
    hold(id, job);
    return;
  }
  // The leader may have results before the last of the others has the job.
  const NodeId& leader = job.seats.front().node;
  if (job.wanted && job.seats.front().durable && job.reader != leader) {
    job.reader = leader;
    ask_receipts(id, job);
  }
  job.timer.reset();
  for (const Seat& seat : job.seats) {
    if (seat.acknowledged) continue;
    Instant ends = patience_ends(job, seat);
    if (seat.redial_at) ends = std::min(ends, *seat.redial_at);
    if (!job.timer || ends < *job.timer) job.timer = ends;
  }
}

Instant Submitter::Impl::patience_ends(const OpenJob& job, const Seat& seat) const {
  if (!job.some_durable) return seat.heard + kOfferPatience;
  const bool last = std::all_of(job.seats.begin(), job.seats.end(), [&](const Seat& other) {
    return other.durable || other.node == seat.node;
  });
  const auto it = contacts.find(seat.node);
  const bool linked = it != contacts.end() && it->second.linked;
  const Duration patience = !last ? kSlowPatience : linked ? kLastPatience : kLastDialPatience;
  // Nobody is late before another one is done.
  return std::max(seat.heard, job.last_durable) + patience;
}

void Submitter::Impl::seats_deadline(const JobId& id, OpenJob& job) {
  for (Seat& seat : job.seats) {
    if (!seat.redial_at || *seat.redial_at > now) continue;
    seat.redial_at.reset();
    dial(seat.node);
  }
  const auto late = std::find_if(job.seats.begin(), job.seats.end(), [&](const Seat& seat) {
    return !seat.acknowledged && patience_ends(job, seat) <= now;
  });
  if (late == job.seats.end()) {
    check_seats(id, job);
    return;
  }
  vacate(id, job, late->node, "no answer to the job");
}

void Submitter::Impl::heard(const NodeId& from, SubmitReply& reply) {
  const auto it = jobs.find(reply.job);
  if (it == jobs.end() || it->second.stage != JobStage::kPlacing) return;
  OpenJob& job = it->second;
  const auto seat = std::find_if(job.seats.begin(), job.seats.end(),
                                 [&](const Seat& s) { return s.node == from; });
  if (seat == job.seats.end()) return;
  if (reply.outcome == SubmitOutcome::kAccepted) {
    // Where a newer term is on its way, this may be the answer to the one before. It will be read
    // all the same: what counts is that the job is on the disk.
    seat->durable = seat->acknowledged = true;
    seat->heard = job.last_durable = now;
    job.some_durable = true;
    check_seats(reply.job, job);
    return;
  }
  // A lack of trust is what the submitter can do something about: it is told rather than others.
  if (!job.refusal || *job.refusal != SubmitOutcome::kNotTrusted) {
    job.refusal = reply.outcome;
    job.refusal_detail = reply.detail;
  }
  if (reply.outcome == SubmitOutcome::kInvalid && ++job.called_invalid >= kInvalidMost &&
      !job.some_durable) {  // it is so everywhere
    refuse_exhausted(reply.job, job, 1);
    return;
  }
  vacate(reply.job, job, from, {});  // refusals are told of where nobody took it
}

void Submitter::Impl::refuse_unknown_kernel(const JobId& id, const OpenJob& job) {
  std::set<std::string> offered;
  for (const auto& [node, c] : contacts) {
    if (valid_worker(c) && c.record)
      offered.insert(c.record->kernels.begin(), c.record->kernels.end());
  }
  if (job.manifest.kernel_kind == KernelKind::kWasm) {
    refuse(id, JobRefused::Why::kUnknownKernel,
           "No worker of the pool takes WebAssembly: either shoal-wasm-executor cannot be started "
           "there, or their sandbox lacks a layer (their logs say so, and 'shoal doctor' on those "
           "machines), or their owners decline it (--kinds).");
    return;
  }
  std::string what = "No worker of the pool knows the kernel '" + job.manifest.kernel + "'.";
  if (offered.empty()) {
    what +=
        " They offer none: either shoal-executor is not installed beside shoal-worker there, or "
        "their sandbox lacks a layer (their logs say so, and 'shoal doctor' on those machines), or "
        "their owners decline such kernels (--kinds).";
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
                 to_hex(signer.id()) +
                 "'. Kernels that ship with Shoal need no trust, nor do WebAssembly modules "
                 "('shoal kernel build').");
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

}  // namespace shoal
