#include <algorithm>
#include <utility>

#include "sdk/core/submitter_impl.h"

namespace shoal {
namespace {

// The transport gives up first: to leave a slow peer while it still tries would be to begin again
// with it, and never to reach it.
constexpr Duration kDialPatience = limits::kHelloTimeout + 1s;
constexpr Duration kAskAgain = 400ms;
// After the first door has answered, the others get this long before a job is refused for want of
// what they might have told.
constexpr Duration kSlowDoors = 300ms;
constexpr Duration kSlowAnswer = 10s;
constexpr Duration kDoorsAlone = 1s;  // then workers that were met before are asked too
constexpr std::size_t kPeersAtOnce = 4;
constexpr std::uint32_t kSampleCount = limits::kSampleRecords;
constexpr std::size_t kStaleSamples = 3;     // in a row that tell of nobody new: that was all
constexpr std::size_t kWorkersEnough = 256;  // to ask about all jobs
constexpr std::size_t kFindersMost = 64;     // asked who keeps a job

}  // namespace

bool Submitter::Impl::is_door(const NodeId& node) const {
  return search.peers.count(node) > 0 ||
         std::any_of(config.doors.begin(), config.doors.end(),
                     [&](const Ticket::Door& door) { return door.node == node; });
}

Contact* Submitter::Impl::contact(const NodeId& node, const std::optional<NodeId>& told_by) {
  if (auto it = contacts.find(node); it != contacts.end()) return &it->second;
  if (contacts.size() >= limits::kKnownPeers && !make_room(told_by)) return nullptr;
  Contact& c = contacts[node];
  c.told_by = told_by.value_or(NodeId{});
  count_told(c.told_by, true);
  return &c;
}

// Of those that are of no use now; else of those that somebody told of who told of the most: keys
// cost nothing, and whoever filled the table with names would keep out the rest.
bool Submitter::Impl::make_room(const std::optional<NodeId>& told_by) {
  const auto told = [this](const NodeId& node) {
    const auto it = told_of.find(node);
    return it == told_of.end() ? std::size_t{0} : it->second;
  };
  std::optional<NodeId> one;
  std::pair<std::size_t, bool> most;
  for (const auto& [node, c] : contacts) {
    if (c.linked || c.dial_ends || keeps_a_job(node)) continue;
    if (!c.of_content && !valid_worker(c)) {
      one = node;
      most = {SIZE_MAX, true};
      break;
    }
    const std::pair of_how_many{told(c.told_by), c.missed.has_value()};
    if (one && of_how_many <= most) continue;
    one = node;
    most = of_how_many;
  }
  if (!one || (told_by && told(*told_by) >= most.first)) return false;
  count_told(contacts.at(*one).told_by, false);
  contacts.erase(*one);
  for (auto& [content, what] : loose) what.candidates.erase(*one);
  return true;
}

void Submitter::Impl::count_told(const NodeId& by, bool one_more) {
  std::size_t& count = told_of[by];
  if (one_more) {
    ++count;
  } else if (count <= 1) {
    told_of.erase(by);
  } else {
    --count;
  }
}

// It counts for whoever tells of fewer: one who tells of all would take them with it else.
void Submitter::Impl::note_teller(Contact& c, const NodeId& told_by) {
  const auto of = told_of.find(c.told_by);
  const auto others = told_of.find(told_by);
  if (of == told_of.end() || (others != told_of.end() && others->second >= of->second)) return;
  count_told(c.told_by, false);
  count_told(told_by, true);
  c.told_by = told_by;
}

bool Submitter::Impl::reachable(const Contact& c) const {
  return c.linked || !c.endpoints.empty() ||
         (c.record && (!c.record->endpoints.empty() || !c.record->via.empty()));
}

bool Submitter::Impl::valid_worker(const Contact& c) const {
  if (!c.record) return c.linked && c.worker;
  return c.record->role == Role::kWorker && (c.linked || !expired(*c.record, unix_now()));
}

bool Submitter::Impl::absorb(const Signed& fact, const NodeId& told_by) {
  if (fact.signer == signer.id()) return false;
  auto record = decode_record(fact.body);
  if (!record || record->node != fact.signer || record->pool != config.pool ||
      record->role != Role::kWorker || expired(*record, unix_now())) {
    return false;
  }
  if (auto it = contacts.find(fact.signer); it != contacts.end() && it->second.record &&
                                            it->second.record->sequence >= record->sequence) {
    note_teller(it->second, told_by);
    return true;
  }
  if (!signature_holds(checker, Purpose::kRecord, fact)) return false;
  Contact* c = contact(fact.signer, told_by);
  if (!c) return false;
  note_teller(*c, told_by);
  c->owner = owner_of(*record, checker);
  c->record = std::move(*record);
  c->signed_record = fact;
  c->worker = true;
  return true;
}

// The record is newer than what was remembered; but both are tried, in turn.
std::vector<std::string> Submitter::Impl::endpoints_of(const Contact& c) {
  std::vector<std::string> endpoints;
  if (c.record) endpoints = c.record->endpoints;
  for (const std::string& e : c.endpoints) {
    if (std::find(endpoints.begin(), endpoints.end(), e) == endpoints.end()) endpoints.push_back(e);
  }
  return endpoints;
}

std::size_t Submitter::Impl::ways_to(const Contact& c) {
  return endpoints_of(c).size() + (c.record && !c.record->via.empty() ? 1 : 0);
}

void Submitter::Impl::dial(const NodeId& node) {
  Contact* c = contact(node);
  if (!c || c->linked || c->dial_ends) return;
  const std::vector<std::string> endpoints = endpoints_of(*c);
  // Who names relays has found that it cannot be dialled.
  const bool relays = c->record && !c->record->via.empty();
  const std::size_t ways = ways_to(*c);
  if (ways == 0) return;
  const std::size_t way = c->dials++ % ways;
  if (relays && way == 0) {
    out.push_back(Dial{node, "", c->record->via});
  } else {
    c->dialled = endpoints[relays ? way - 1 : way];
    out.push_back(Dial{node, c->dialled, {}});
  }
  c->dial_ends = now + kDialPatience;
}

void Submitter::Impl::link_gone(const NodeId& node, const std::string& why) {
  if (leaving) announced.erase(node);
  const auto it = contacts.find(node);
  if (it == contacts.end() || (!it->second.linked && !it->second.dial_ends)) return;
  Contact& c = it->second;
  const bool was_linked = std::exchange(c.linked, false);
  if (!was_linked) c.missed = now;
  c.dial_ends.reset();
  c.status_asked.clear();
  if (search.active && is_door(node) && search.answered.find(node) == search.answered.end()) {
    search.failed.insert(node);
    search.last_failure = why;
    if (!search.ask_again) search.ask_again = now + jittered(kAskAgain);
  }
  pass(exchange.link_lost(now, node));
  end_passing_on();
  job_link_lost(node, why, was_linked);
  census_link_lost(node);
  review();
}

bool Submitter::Impl::nobody_to_ask() const {
  return config.doors.empty() && config.remembered.empty() &&
         std::none_of(contacts.begin(), contacts.end(),
                      [](const auto& entry) { return entry.second.linked && entry.second.worker; });
}

void Submitter::Impl::begin_search() {
  // Without anybody to ask there is nothing to wait for.
  const Instant ends = nobody_to_ask() ? now : now + config.search;
  if (search.active) {
    search.ends = ends;
    return;
  }
  search = Search{};
  search.active = true;
  search.began = now;
  search.ends = ends;
  coordinators_up.clear();
  nodes_known = 0;
  ask_doors();
}

void Submitter::Impl::ask_for_peers(const Ticket::Door& door) {
  Contact* c = contact(door.node);
  if (!c) return;
  if (c->endpoints.empty() && !door.endpoint.empty()) c->endpoints.push_back(door.endpoint);
  if (c->linked) {
    send(door.node, SampleRequest{kSampleCount, 0});
  } else {
    dial(door.node);
  }
}

void Submitter::Impl::ask_doors() {
  search.ask_again.reset();
  for (const Ticket::Door& door : config.doors) ask_for_peers(door);
  const bool all_failed =
      std::all_of(config.doors.begin(), config.doors.end(),
                  [this](const Ticket::Door& door) { return search.failed.count(door.node) > 0; });
  if (search.answered.empty() && (all_failed || now >= search.began + kDoorsAlone)) {
    ask_remembered();
  }
  if (search.answered.empty() && !search.ask_again) search.ask_again = now + jittered(kAskAgain);
}

// A few at a time: those that are here, then those that were met before.
void Submitter::Impl::ask_remembered() {
  std::size_t more = kPeersAtOnce;
  for (const auto& [node, c] : contacts) {
    if (more == 0) return;
    if (!c.linked || !c.worker || is_door(node)) continue;
    search.peers.insert(node);
    send(node, SampleRequest{kSampleCount, 0});
    --more;
  }
  for (const Ticket::Door& peer : config.remembered) {
    if (more == 0) return;
    if (is_door(peer.node) || peer.node == signer.id()) continue;
    search.peers.insert(peer.node);
    ask_for_peers(peer);
    --more;
  }
}

// `goes_on`: the next one begins at once, and a door that is still being dialled stays so.
void Submitter::Impl::end_search(bool goes_on) {
  search.active = false;
  searched = now;
  // Coordinators serve very many: connect, learn, leave.
  for (const Ticket::Door& door : config.doors) {
    const auto it = contacts.find(door.node);
    if (it == contacts.end() || it->second.worker) continue;
    if (!it->second.linked && (goes_on || !it->second.dial_ends)) continue;
    it->second.linked = false;
    it->second.dial_ends.reset();
    out.push_back(Drop{door.node, "learned enough"});
  }
}

bool Submitter::Impl::door_on_its_way() const {
  return std::any_of(config.doors.begin(), config.doors.end(), [this](const Ticket::Door& door) {
    const auto it = contacts.find(door.node);
    if (it == contacts.end()) return false;
    return it->second.linked || (it->second.dial_ends && search.failed.count(door.node) == 0);
  });
}

bool Submitter::Impl::settled() const {
  if (!search.active) return true;
  if (search.answered.empty()) return false;
  if (search.first_answer && now >= *search.first_answer + kSlowDoors) return true;
  const auto heard_of = [this](const NodeId& node) {
    return search.answered.count(node) > 0 || search.failed.count(node) > 0;
  };
  return std::all_of(config.doors.begin(), config.doors.end(),
                     [&](const Ticket::Door& door) { return heard_of(door.node); }) &&
         std::all_of(search.peers.begin(), search.peers.end(), heard_of);
}

bool Submitter::Impl::sampled_enough() const {
  if (!search.active || search.stale_samples >= kStaleSamples) return true;
  const auto known = std::count_if(contacts.begin(), contacts.end(), [this](const auto& entry) {
    return valid_worker(entry.second);
  });
  return static_cast<std::uint64_t>(known) >= std::min<std::uint64_t>(nodes_known, kWorkersEnough);
}

void Submitter::Impl::heard(const NodeId& from, Sample& sample) {
  if (!is_door(from)) return;  // it was not asked
  const std::size_t before = contacts.size();
  const bool fetches = std::any_of(loose.begin(), loose.end(),
                                   [](const auto& entry) { return entry.second.fetching; });
  for (const Signed& record : sample.records) {
    static_cast<void>(fetches ? absorb_holder(record, from) : absorb(record, from));
  }
  nodes_known = std::max(nodes_known, sample.nodes_known);
  search.stale_samples = contacts.size() > before ? 0 : search.stale_samples + 1;
  if (search.active) {
    if (!contacts[from].worker) coordinators_up.insert(from);
    door_answered = true;
    search.answered.insert(from);
    search.failed.erase(from);
    if (!search.first_answer) search.first_answer = now;
    // A coordinator that was restarted a moment ago knows nobody yet.
    if (sample.nodes_known == 0 && search.peers.empty()) ask_remembered();
  }
  review();
  // A sample is a few at random. Whoever looks through the whole pool needs many.
  const bool thorough = std::any_of(censuses.begin(), censuses.end(), [](const Census& census) {
    return !census.begun && census.of_all_jobs();
  });
  if (thorough && !sampled_enough()) send(from, SampleRequest{kSampleCount, 0});
}

bool Submitter::Impl::somebody_waits() const {
  return std::any_of(jobs.begin(), jobs.end(),
                     [](const auto& entry) {
                       const OpenJob& job = entry.second;
                       return job.stage == JobStage::kSeeking ||
                              (job.stage == JobStage::kLocating && job.asking_all);
                     }) ||
         std::any_of(censuses.begin(), censuses.end(),
                     [](const Census& census) { return !census.begun; }) ||
         fetch_waits();
}

void Submitter::Impl::review() {
  std::vector<JobId> seeking;
  for (const auto& [id, job] : jobs) {
    if (job.stage == JobStage::kSeeking && !job.retrying) seeking.push_back(id);
  }
  for (const JobId& id : seeking) {
    // Refusing one job, or offering it, may end or change the others.
    if (auto it = jobs.find(id); it != jobs.end() && it->second.stage == JobStage::kSeeking) {
      place(id, it->second);
    }
  }
  for (auto& [id, job] : jobs) {
    if (job.stage != JobStage::kLocating || !job.asking_all) continue;
    for (auto& [node, c] : contacts) {
      if (job.keepers.count(node) > 0) continue;  // they are asked more than this
      if (valid_worker(c) && job.tried.size() < kFindersMost && job.tried.insert(node).second) {
        if (c.linked) {
          send(node, JobFind{id, !job.signed_manifest});
        } else {
          dial(node);
        }
      }
    }
  }
  for (Census& census : censuses) {
    if (!census.begun) begin_census(census);
  }
  dial_holders();
  dial_for_contents();
  if (!search.active) return;
  if (settled() && !somebody_waits()) {
    end_search(false);
  } else if (!search.ask_again) {
    search.ask_again = now + (settled() ? jittered(kAskAgain) : kSlowDoors);
  }
}

void Submitter::Impl::search_deadline() {
  if (!search.active) return;
  if (search.ask_again && *search.ask_again <= now) {
    search.ask_again.reset();
    ask_doors();
    review();
  }
  if (!search.active || search.ends > now) return;
  // A door that was reached may be slow to answer; to leave it now would be to begin again with it.
  if (!search.extended && search.answered.empty() && door_on_its_way()) {
    search.extended = true;
    search.ends = now + kSlowAnswer;
    return;
  }

  const auto [why, what] = nobody_found();
  std::vector<JobId> refused;
  bool waiting = false;
  for (auto& [id, job] : jobs) {
    if (job.stage != JobStage::kSeeking) continue;
    if (job.wait_for_quorum && !nobody_to_ask()) {
      waiting = true;
    } else if (!job.timer) {
      refused.push_back(id);
    }
  }
  end_search(waiting);
  for (const JobId& id : refused) refuse(id, why, what);
  review();  // those that had hoped for more stewards do with those that are known
  for (Census& census : censuses) {
    if (!census.begun) begin_census(census);
  }
  if (waiting) begin_search();
}

std::pair<JobRefused::Why, std::string> Submitter::Impl::nobody_found() const {
  if (config.doors.empty()) {
    return {JobRefused::Why::kNoCoordinator,
            "The ticket names no coordinator. Ask whoever runs the pool for a new ticket."};
  }
  const std::string seconds =
      std::to_string(std::chrono::duration_cast<std::chrono::seconds>(config.search).count());
  if (!search.answered.empty()) {
    return {JobRefused::Why::kNoPeers,
            "A coordinator of the pool answered, but no worker is known to it. Start one with "
            "'shoal worker', then submit again."};
  }
  if (search.last_failure.find("other pool") != std::string::npos ||
      search.last_failure.find("another pool") != std::string::npos) {
    return {JobRefused::Why::kOtherPool,
            "The coordinator belongs to another pool than the ticket says (" + search.last_failure +
                "). Get the ticket of the pool that runs there."};
  }
  std::string what = "No coordinator of the pool answered within " + seconds + " s: asked";
  for (std::size_t i = 0; i < config.doors.size() && i < 3; ++i) {
    what += (i == 0 ? " " : ", ") + config.doors[i].endpoint;
  }
  if (!search.last_failure.empty()) what += " (" + search.last_failure + ")";
  return {JobRefused::Why::kNoCoordinator,
          what + ". See that 'shoal coordinator' runs there and that this machine can reach it."};
}

}  // namespace shoal
