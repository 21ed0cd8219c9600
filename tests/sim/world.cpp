#include "tests/sim/world.h"

#include <algorithm>
#include <cstdio>
#include <set>
#include <utility>

#include "node/protocol/input_pack.h"
#include "node/protocol/result.h"
#include "node/protocol/terms.h"

namespace shoal::sim {
namespace {

constexpr UnixMs kUnixStart = 1'800'000'000'000;  // the world's first moment
constexpr std::uint32_t kStepsAtOnce = 200'000;   // more at one moment is a machine that spins

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

}  // namespace

World::World(WorldOptions options)
    : options_(options),
      rng_(options.seed),
      keys_(options.seed),
      network_(options.network, *this, rng_.fork(), options.seed),
      hash_(options.seed) {
  pool_.bytes = spread_to_32(splitmix(options.seed ^ 0x9001));
  queue_.push(options_.check_every.count(), Tick{});
}

World::~World() = default;

Node& World::add_node(NodeKind kind, bool dialable, bool has_endpoint) {
  auto node = std::make_unique<Node>();
  node->index = static_cast<NodeIndex>(nodes_.size());
  node->kind = kind;
  node->signer = keys_.make_signer();
  node->id = node->signer->id();
  node->address = "10." + std::to_string(node->index >> 16) + "." +
                  std::to_string(node->index >> 8 & 255) + "." + std::to_string(node->index & 255);
  if (has_endpoint) node->endpoint = "tcp://" + node->address + ":5555";
  const std::int64_t span = options_.drift_ppm;
  if (span > 0) {
    node->clock.drift_ppm = static_cast<std::int64_t>(rng_.below(2 * span + 1)) - span;
  }
  node->clock.offset_ns = static_cast<std::int64_t>(rng_.below(1'000'000'000'000));
  node->unix_ms_at_zero = kUnixStart - node->clock.offset_ns / 1'000'000;
  if (const auto skew = static_cast<std::uint64_t>(options_.wall_skew / 1ms); skew > 0) {
    node->unix_ms_at_zero +=
        static_cast<UnixMs>(rng_.below(2 * skew + 1)) - static_cast<UnixMs>(skew);
  }
  network_.add_node(node->index, dialable ? node->endpoint : "");
  if (kind == NodeKind::kSubmitter) {
    node->session = 1 + node->index;
    node->id = peer_name(Role::kSubmitter, node->signer->id(), node->session);
  }
  by_id_[node->id] = node->index;
  nodes_.push_back(std::move(node));
  return *nodes_.back();
}

NodeIndex World::add_coordinator() {
  Node& node = add_node(NodeKind::kCoordinator, true, true);
  doors_.push_back({node.id, node.endpoint});
  start(node);
  return node.index;
}

NodeIndex World::add_worker(WorkerSpec spec) {
  Node& node = add_node(NodeKind::kWorker, spec.dialable, spec.dialable || !spec.knows);
  if (!spec.factory) spec.factory = worker_factory<PlainWorker>();
  node.executor = std::make_unique<Executor>(spec.speed, spec.threads);
  const Duration after = spec.start_after;
  node.worker = std::move(spec);
  if (after == Duration{}) {
    start(node);
  } else {
    at(now_ + after.count(), [this, index = node.index] { restart(index); });
  }
  return node.index;
}

NodeIndex World::add_submitter(SubmitterFactory factory) {
  Node& node = add_node(NodeKind::kSubmitter, false, false);
  node.submitter_factory = factory ? std::move(factory) : submitter_factory<PlainSubmitter>();
  start(node);
  return node.index;
}

UnixMs World::unix_now() const { return kUnixStart + now_ / 1'000'000; }

void World::start(Node& node) {
  node.alive = true;
  node.lives.push_back({now_, std::nullopt});
  ++node.incarnation;
  node.wake_at.reset();
  node.record.reset();
  node.disk.answer();
  network_.set_alive(node.index, true);
  switch (node.kind) {
    case NodeKind::kCoordinator: {
      RendezvousConfig config;
      config.pool = pool_;
      config.unix_ms_at_zero = node.unix_ms_at_zero;
      node.rendezvous = std::make_unique<Rendezvous>(config, keys_, rng_.fork());
      return;
    }
    case NodeKind::kWorker:
      return start_worker(node);
    case NodeKind::kSubmitter:
      return start_submitter(node);
  }
}

void World::start_worker(Node& node) {
  PeerConfig config;
  config.pool = pool_;
  config.doors = doors_;
  config.record.role = Role::kWorker;
  if (!node.endpoint.empty()) config.record.endpoints = {node.endpoint};
  config.record.threads = node.worker.threads;
  config.record.memory_bytes = 1ULL << 30;
  config.record.kernels = {SimKernel::kName};
  config.record.runs_native_from_anyone = true;
  config.record.agent = "shoal-sim";
  config.record.ttl_s = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::seconds>(limits::kRecordTtl).count());
  config.native_from_anyone = true;
  config.unix_ms_at_zero = node.unix_ms_at_zero;
  config.lease = node.worker.lease;
  auto accuse = [this, index = node.index](const std::string& what) {
    violated("told_by_a_hostile_node", name_of_node(index) + ": " + what);
  };
  node.peer = node.worker.factory(WorkerParts{std::move(config), *node.signer, keys_, rng_.fork(),
                                              node.disk.recovered(), std::move(accuse)});
  step(node, PeerEvent(Started{}));
}

void World::start_submitter(Node& node) {
  SubmitterConfig config;
  config.session = node.session;
  config.pool = pool_;
  config.doors = doors_;
  config.unix_ms_at_zero = node.unix_ms_at_zero;
  node.submitter =
      node.submitter_factory(SubmitterParts{std::move(config), *node.signer, keys_, rng_.fork()});
  step(node, SubmitterEvent(SubmitterStarted{}));
  for (const auto& job : jobs_) {
    if (job->submitter != node.index || job->snapshot) continue;
    if (job->accepted) {
      step(node, SubmitterEvent(
                     AttachJob{job->id, job->signed_manifest, job->steward_doors, job->terms}));
    } else {
      step(node, SubmitterEvent(SubmitJob{job->signed_manifest, job->spec.wait_for_quorum}));
    }
    for (const auto& [id, want] : job->fetching) step(node, SubmitterEvent(want));
  }
}

JobRun& World::submit(NodeIndex submitter, const JobSpec& spec) {
  Node& node = *nodes_[submitter];
  check(node.kind == NodeKind::kSubmitter, "only submitters submit");
  auto job = std::make_unique<JobRun>();
  job->number = jobs_.size();
  job->spec = spec;
  job->submitter = submitter;
  job->submitted = now_;
  Manifest& manifest = job->manifest;
  for (std::uint8_t& byte : manifest.nonce) byte = static_cast<std::uint8_t>(rng_.next());
  manifest.name = "job " + std::to_string(job->number);
  manifest.kernel = SimKernel::kName;
  manifest.parameters = encode_kernel(spec.kernel);
  manifest.units = spec.units;
  manifest.quorum = spec.quorum;
  manifest.unit_wall_ms = 600'000;
  manifest.max_attempts = spec.max_attempts;
  manifest.priority = spec.priority;
  manifest.keep_s = spec.keep_s;
  manifest.created = unix_now();
  if (spec.kernel.noisy) manifest.comparison = Comparison::kEquivalent;
  const auto provide = [&](Bytes bytes) {
    const ContentId id = library_.put(std::move(bytes));
    node.contents.hold_whole(id);
    return id;
  };
  if (spec.program_bytes != 0) {
    Bytes program(spec.program_bytes);
    for (std::uint8_t& byte : program) byte = static_cast<std::uint8_t>(rng_.next());
    manifest.kernel_kind = KernelKind::kNative;
    manifest.program_bytes = program.size();
    manifest.program = provide(std::move(program));
  }
  if (spec.input_bytes != 0) {
    Bytes pack = pack_inputs(std::vector<Bytes>(spec.units, Bytes(spec.input_bytes, 7)));
    manifest.inputs_bytes = pack.size();
    manifest.inputs = provide(std::move(pack));
  }
  manifest.submitter = node.signer->id();
  job->signed_manifest = sign_fact(*node.signer, Purpose::kManifest, encode(manifest));
  job->id = job_id_of(job->signed_manifest.body);
  jobs_by_id_[job->id] = job.get();
  jobs_.push_back(std::move(job));
  ++unfinished_;
  JobRun& run = *jobs_.back();
  ask(submitter, SubmitJob{run.signed_manifest, spec.wait_for_quorum});
  return run;
}

void World::ask(NodeIndex submitter, SubmitterEvent event) {
  inject(*nodes_[submitter], Duration{}, std::move(event));
}

void World::cancel(JobRun& job) {
  Control control;
  control.job = job.id;
  control.sequence = ++job.control_sequence;
  control.command = ControlCommand::kCancel;
  if (!job.cancelled && !job.done()) --unfinished_;
  job.cancelled = true;
  ask(job.submitter,
      ControlJob{sign_fact(*nodes_[job.submitter]->signer, Purpose::kControl, encode(control))});
}

void World::ask_status(JobRun& job) {
  ask(job.submitter, WantStatus{job.id, nodes_[job.submitter]->signer->id()});
}

void World::crash(NodeIndex index, Crash how) {
  Node& node = *nodes_[index];
  if (!node.alive) return;
  say(index, "crashes");
  node.alive = false;
  node.lives.back().until = now_;
  ++node.incarnation;
  if (node.peer) {
    const WorkerStatus status = node.peer->status();
    node.units_computed_before += status.units_computed;
    node.units_stolen_before += status.units_stolen;
  }
  node.peer.reset();
  node.submitter.reset();
  node.rendezvous.reset();
  node.wake_at.reset();
  node.disk.crash(rng_);
  if (node.executor) node.executor->crash(now_);
  network_.crash(index, how == Crash::kMachine);
}

void World::restart(NodeIndex index) {
  Node& node = *nodes_[index];
  if (node.alive || node.left) return;
  say(index, "starts");
  start(node);
  for (const auto& checker : checkers_) checker->on_restart(*this, index);
}

void World::leave(NodeIndex index) {
  crash(index, Crash::kMachine);
  nodes_[index]->left = true;
}

void World::fill_disk(NodeIndex index) {
  say(index, "has a full disk");
  nodes_[index]->disk.fill_up();
  nodes_[index]->contents.fill_up();
}

void World::make_room(NodeIndex index) {
  nodes_[index]->disk.make_room();
  nodes_[index]->contents.make_room();
}

void World::hang_disk(NodeIndex index) {
  say(index, "has a disk that hangs");
  nodes_[index]->disk.hang();
}

void World::free_disk(NodeIndex index) {
  Node& node = *nodes_[index];
  if (!node.disk.hangs()) return;
  node.disk.answer();
  if (node.disk.unsynced_groups() == 0) return;
  queue_.push(now_ + options_.disk_sync.count(), DiskSynced{index, node.incarnation});
}

void World::at(Time when, std::function<void()> what) {
  queue_.push(std::max(when, now_), std::move(what));
}

bool World::advance(Time end, const std::function<bool()>& holds) {
  if (holds && holds()) return true;
  while (!stopped_ && !queue_.empty() && queue_.next_time() <= end) {
    now_ = queue_.next_time();
    Payload payload = queue_.pop();
    handle(payload);
    if (++events_ >= options_.events_max) {
      violated("world", "too many events: something goes round in circles");
      stopped_ = true;
    }
    if (holds && holds()) return true;
  }
  if (!stopped_) now_ = std::max(now_, end);
  return false;
}

void World::run_for(Duration span) { advance(now_ + span.count(), {}); }

bool World::run_until(const std::function<bool()>& holds, Duration limit) {
  return advance(now_ + limit.count(), holds);
}

bool World::run_until_finished(Duration limit) {
  return advance(now_ + limit.count(), [this] { return unfinished_ == 0; });
}

void World::finish_checks() {
  for (const auto& checker : checkers_) {
    checker->on_tick(*this);
    checker->at_the_end(*this);
  }
}

void World::tick() {
  for (const auto& checker : checkers_) checker->on_tick(*this);
  queue_.push(now_ + options_.check_every.count(), Tick{});
}

void World::handle(Payload& payload) {
  std::visit(Overloaded{
                 [&](Wake& wake) {
                   Node& node = *nodes_[wake.node];
                   if (!node.alive || node.wake_at != wake.at) return;
                   node.wake_at.reset();
                   const auto deadline =
                       node.peer ? node.peer->next_deadline() : node.submitter->next_deadline();
                   if (deadline && node.clock.world(*deadline) > now_) return arm(node, deadline);
                   if (!deadline) return;
                   if (node.peer) return step(node, PeerEvent(DeadlineReached{}));
                   step(node, SubmitterEvent(SubmitterDeadline{}));
                 },
                 [&](DiskSynced& synced) {
                   Node& node = *nodes_[synced.node];
                   if (node.incarnation != synced.incarnation || node.disk.hangs()) return;
                   bool more = false;
                   std::vector<StoreDone> answers = node.disk.synced(more);
                   if (more) {
                     queue_.push(now_ + options_.disk_sync.count(),
                                 DiskSynced{node.index, node.incarnation});
                   }
                   for (StoreDone& done : answers) {
                     if (node.incarnation == synced.incarnation)
                       step(node, PeerEvent(std::move(done)));
                   }
                 },
                 [&](ChunkDue& due) {
                   Node& node = *nodes_[due.node];
                   if (node.incarnation != due.incarnation) return;
                   const auto finished = node.executor->finish(due.chunk, due.version);
                   if (finished) step(node, PeerEvent(compute(node, *finished)));
                 },
                 [&](Inject& inject) {
                   Node& node = *nodes_[inject.node];
                   if (node.incarnation != inject.incarnation || !node.alive) return;
                   std::visit([&](auto& event) { step(node, std::move(event)); }, inject.event);
                 },
                 [&](NetEvent& event) { network_.handle(std::move(event)); },
                 [&](Call& call) { call(); },
                 [&](Tick&) { tick(); },
             },
             payload);
}

Hello World::hello_of(NodeIndex index) {
  Node& node = *nodes_[index];
  Hello hello;
  hello.pool = pool_;
  hello.node = node.signer->id();
  hello.session = node.session;
  switch (node.kind) {
    case NodeKind::kCoordinator:
      hello.role = Role::kCoordinator;
      return hello;
    case NodeKind::kSubmitter:
      hello.role = Role::kSubmitter;
      return hello;
    case NodeKind::kWorker:
      break;
  }
  if (!node.peer) return hello;
  const std::vector<Via> via = node.peer->via();
  if (!node.record || node.via != via ||
      now_ - node.record_signed > std::chrono::nanoseconds(120s).count()) {
    node.record = node.peer->sign_record(node.clock.local(now_));
    node.via = via;
    node.record_signed = now_;
  }
  hello.record = node.record;
  return hello;
}

std::optional<NodeIndex> World::index_of(const NodeId& id) const {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return std::nullopt;
  return found->second;
}

std::vector<NodeIndex> World::of_kind(NodeKind kind) const {
  std::vector<NodeIndex> result;
  for (const auto& node : nodes_) {
    if (node->kind == kind) result.push_back(node->index);
  }
  return result;
}

bool World::keeps_a_job(NodeIndex index) const {
  return std::any_of(jobs_.begin(), jobs_.end(), [&](const auto& job) {
    return std::find(job->stewards.begin(), job->stewards.end(), index) != job->stewards.end() &&
           !job->cancelled && !(job->done() && job->snapshot);
  });
}

bool World::can_be_spared(NodeIndex index) const {
  if (nodes_[index]->left || !nodes_[index]->honest()) return false;
  bool keeps = false;
  for (const auto& job : jobs_) {
    if (!job->accepted || job->cancelled || (job->done() && job->snapshot)) continue;
    // As the latest term has it that is on any disk.
    std::optional<Term> latest;
    std::set<NodeId> holders;
    for (const auto& node : nodes_) {
      if (node->kind != NodeKind::kWorker || node->left || !node->honest()) continue;
      if (!node->disk.holds(FactKind::kManifest, job->id, 0)) continue;
      holders.insert(node->id);
      for (const StoredFact& fact : node->disk.recovered().facts) {
        if (fact.kind != FactKind::kTerms || fact.job != job->id) continue;
        const auto terms = decode_chain(fact.bytes);
        const auto term = terms ? last_term(*terms) : std::nullopt;
        if (term && (!latest || term->epoch > latest->epoch)) latest = term;
      }
    }
    if (!latest) return false;
    if (!is_steward(*latest, nodes_[index]->id)) continue;
    keeps = true;
    holders.erase(nodes_[index]->id);
    const bool another = std::any_of(holders.begin(), holders.end(), [&](const NodeId& holder) {
      return is_steward(*latest, holder);
    });
    if (!another) return false;
  }
  return keeps;
}

std::string World::name_of_node(NodeIndex index) const {
  const char* letter = "w";
  if (nodes_[index]->kind == NodeKind::kCoordinator) letter = "c";
  if (nodes_[index]->kind == NodeKind::kSubmitter) letter = "s";
  return letter + std::to_string(index);
}

JobRun* World::job_of(const JobId& id) {
  const auto found = jobs_by_id_.find(id);
  return found == jobs_by_id_.end() ? nullptr : found->second;
}

void World::violated(std::string_view checker, std::string what) {
  if (violations_.size() >= 100) return;  // the first ones tell the story
  if (options_.log) say(0, std::string(checker) + " violated: " + what);
  violations_.push_back({std::string(checker), now_, std::move(what)});
}

Traffic World::job_traffic() const {
  Traffic traffic = network_.total();
  for (const auto& node : nodes_) {
    if (node->kind != NodeKind::kCoordinator) continue;
    const Traffic& sent = network_.sent_by(node->index);
    const Traffic& received = network_.received_by(node->index);
    traffic.messages -= sent.messages + received.messages;
    traffic.bytes -= sent.bytes + received.bytes;
  }
  return traffic;
}

void World::say(NodeIndex index, const std::string& text) const {
  if (!options_.log && !options_.trace) return;
  std::fprintf(stderr, "%12.6f %-5s %s\n", static_cast<double>(now_) / 1e9,
               name_of_node(index).c_str(), text.c_str());
}

bool World::spins(Node& node) {
  if (node.last_step != now_) {
    node.last_step = now_;
    node.steps_at_once = 0;
  }
  if (++node.steps_at_once < kStepsAtOnce) return false;
  violated("world", name_of_node(node.index) + " is called again and again at one moment");
  stopped_ = true;
  return true;
}

void World::arm(Node& node, std::optional<Instant> deadline) {
  if (!deadline) return;
  const Time when = std::max(now_, node.clock.world(*deadline));
  if (node.wake_at && *node.wake_at <= when) return;
  node.wake_at = when;
  queue_.push(when, Wake{node.index, when});
}

void World::inject(const Node& node, Duration after,
                   std::variant<PeerEvent, SubmitterEvent> event) {
  queue_.push(now_ + after.count(), Inject{node.index, node.incarnation, std::move(event)});
}

}  // namespace shoal::sim
