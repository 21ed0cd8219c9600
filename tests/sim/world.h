#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "tests/sim/checker.h"
#include "tests/sim/contents.h"
#include "tests/sim/disk.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/executor.h"
#include "tests/sim/job_run.h"
#include "tests/sim/keys.h"
#include "tests/sim/machines.h"
#include "tests/sim/mix.h"
#include "tests/sim/network.h"
#include "tests/sim/node_clock.h"

// A pool in one process on a virtual clock: coordinators, workers and submitters, each with a
// clock, a disk, an executor and a content store of its own, on a simulated network. One heap of
// events and one seed decide all that happens.
namespace shoal::sim {

enum class NodeKind : std::uint8_t { kCoordinator, kWorker, kSubmitter };

struct WorldOptions {
  std::uint64_t seed = 1;
  NetworkOptions network;
  std::int64_t drift_ppm = 50;  // clocks run up to so much fast or slow,
  Duration wall_skew{};         // and calendars are wrong by up to so much, either way
  Duration disk_sync = 500us;   // one sync, of all groups that wait
  Duration disk_read = 200us;
  Duration check_every = 5s;  // how often checkers look at all nodes
  bool log = false;           // what nodes tell people, and links, to stderr
  bool trace = false;         // and every message
  std::uint64_t events_max =
      400'000'000;  // a world that goes on for longer is stopped: a violation
};

struct WorkerSpec {
  unsigned threads = 1;
  double speed = 1;
  bool dialable = true;
  bool knows = true;       // of one that is not: its record names no endpoint; else one of no use
  WorkerFactory factory;   // empty: the real peer
  bool honest = true;      // false: no promise is made to it or about it
  std::uint8_t noise = 0;  // last byte of noisy kernels' outputs
  Duration lease = limits::kLease;
  std::string behaviour;   // for people
  Duration start_after{};  // it joins so much later
};

struct Node {
  NodeIndex index = 0;
  NodeKind kind = NodeKind::kWorker;
  NodeId id;                  // peer_name()
  std::uint64_t session = 0;  // submitters
  std::string address;
  std::string endpoint;
  std::unique_ptr<Signer> signer;
  NodeClock clock;
  UnixMs unix_ms_at_zero = 0;  // as the node believes
  bool alive = false;
  bool left = false;  // for good
  std::uint32_t incarnation = 0;
  struct Life {
    Time from = 0;
    std::optional<Time> until;
  };
  std::vector<Life> lives;  // when it was alive
  WorkerSpec worker;        // workers
  SubmitterFactory submitter_factory;
  std::unique_ptr<WorkerMachine> peer;
  std::unique_ptr<SubmitterMachine> submitter;
  std::unique_ptr<Rendezvous> rendezvous;
  Disk disk;
  std::unique_ptr<Executor> executor;
  NodeContents contents;
  std::optional<Signed> record;  // as its Hello carries it
  Time record_signed = 0;
  std::vector<Via> via;         // in it
  std::optional<Time> wake_at;  // of the earliest wake in the queue
  Time last_step = -1;
  std::uint32_t steps_at_once = 0;
  std::uint64_t units_computed = 0;
  std::uint64_t units_computed_before = 0;  // status().units_computed of earlier lives
  std::uint64_t units_stolen_before = 0;

  bool honest() const { return kind != NodeKind::kWorker || worker.honest; }
};

class World final : private NetworkHost {
 public:
  explicit World(WorldOptions);
  ~World() override;

  // --- who takes part ---
  NodeIndex add_coordinator();
  NodeIndex add_worker(WorkerSpec spec = {});
  NodeIndex add_submitter(SubmitterFactory factory = {});
  void add_checker(std::unique_ptr<Checker> checker) { checkers_.push_back(std::move(checker)); }

  // --- what happens to them ---
  JobRun& submit(NodeIndex submitter, const JobSpec& spec);
  // To a submitter's session, as its application would.
  void ask(NodeIndex submitter, SubmitterEvent);
  void cancel(JobRun&);
  void ask_status(JobRun&);
  enum class Crash : std::uint8_t { kProcess, kMachine };  // a machine's peers notice by silence
  void crash(NodeIndex, Crash how = Crash::kProcess);
  void restart(NodeIndex);  // with its disk
  // It crashes and never comes back, and neither does its disk.
  void leave(NodeIndex);
  // Nothing can be stored, until make_room().
  void fill_disk(NodeIndex);
  void make_room(NodeIndex);
  // Nothing that it stores is answered, until free_disk() or a restart.
  void hang_disk(NodeIndex);
  void free_disk(NodeIndex);
  void partition(const std::vector<NodeIndex>& apart) { network_.partition(apart); }
  void partition_one_way(const std::vector<NodeIndex>& mute) { network_.partition_one_way(mute); }
  void heal() { network_.heal(); }
  void at(Time when, std::function<void()> what);
  Network& network() { return network_; }

  // --- time ---
  void run_for(Duration);
  // False: `limit` has passed, or the world was stopped.
  bool run_until(const std::function<bool()>& holds, Duration limit);
  bool run_until_finished(Duration limit);
  // Tells the checkers that faults have stopped and there was time to finish.
  void finish_checks();
  Time now() const override { return now_; }

  // --- what is to be seen ---
  Node& node(NodeIndex index) { return *nodes_[index]; }
  const std::vector<std::unique_ptr<Node>>& nodes() const { return nodes_; }
  const std::vector<std::unique_ptr<JobRun>>& jobs() const { return jobs_; }
  std::vector<NodeIndex> of_kind(NodeKind) const;
  // It keeps a job that was accepted and is not over.
  bool keeps_a_job(NodeIndex) const;
  // It is a steward of a job that is not over, and of each such job another honest steward's disk
  // is still there, so that nothing is lost with its own.
  bool can_be_spared(NodeIndex) const;
  std::optional<NodeIndex> index_of(const NodeId&) const override;
  const KeyRing& keys() const { return keys_; }
  const WorldOptions& options() const { return options_; }
  ContentLibrary& library() { return library_; }
  std::uint64_t action_hash() const { return hash_.value(); }
  std::uint64_t events() const { return events_; }
  bool stopped() const { return stopped_; }
  std::string name_of_node(NodeIndex) const;  // "w3"

  void violated(std::string_view checker, std::string what);
  const std::vector<Violation>& violations() const { return violations_; }
  // Workers, and the submitters' own, without the coordinators' conversations.
  Traffic job_traffic() const;

 private:
  struct Wake {
    NodeIndex node = 0;
    Time at = 0;
  };
  struct DiskSynced {
    NodeIndex node = 0;
    std::uint32_t incarnation = 0;
  };
  struct ChunkDue {
    NodeIndex node = 0;
    std::uint32_t incarnation = 0;
    std::uint32_t version = 0;
    std::uint64_t chunk = 0;
  };
  struct Inject {
    NodeIndex node = 0;
    std::uint32_t incarnation = 0;
    std::variant<PeerEvent, SubmitterEvent> event;
  };
  using Call = std::function<void()>;
  struct Tick {};
  using Payload = std::variant<Wake, DiskSynced, ChunkDue, Inject, NetEvent, Call, Tick>;

  void schedule(Time at, NetEvent event) override { queue_.push(at, std::move(event)); }
  Hello hello_of(NodeIndex) override;
  NodeId id_of(NodeIndex index) const override { return nodes_[index]->id; }
  std::string address_of(NodeIndex index) const override { return nodes_[index]->address; }
  void deliver(NodeIndex, LinkUp) override;
  void deliver(NodeIndex, LinkLost) override;
  void deliver(NodeIndex, Received) override;
  void deliver(NodeIndex, BulkSent) override;
  void deliver(NodeIndex, Probed) override;

  Node& add_node(NodeKind, bool dialable, bool has_endpoint);
  void start(Node&);
  bool advance(Time end, const std::function<bool()>& holds);
  void handle(Payload&);
  void start_worker(Node&);
  void start_submitter(Node&);
  void tick();
  void step(Node&, PeerEvent);
  void step(Node&, SubmitterEvent);
  void step(Node&, RendezvousEvent);
  void arm(Node&, std::optional<Instant> deadline);
  bool spins(Node&);
  void inject(const Node&, Duration after, std::variant<PeerEvent, SubmitterEvent>);
  UnixMs unix_now() const;

  template <class Action>
  void note(const Node&, const Action&);
  void perform(Node&, Dial);
  void perform(Node&, Probe);
  void perform(Node&, Send);
  void perform(Node&, Drop);
  void perform(Node&, Tell);
  void perform(Node&, Store);
  void perform(Node&, Erase);
  void perform(Node&, LoadReceipts);
  void perform(Node&, StartCompute);
  void perform(Node&, CancelCompute);
  void perform(Node&, const KeepState&);
  void perform(Node&, StartCompare);
  void perform(Node&, ForgetJob);
  void perform(Node&, OpenContent);
  void perform(Node&, StoreBlock);
  void perform(Node&, ReadBlock);
  void perform(Node&, const DropContent&);
  void perform(Node&, JobAccepted);
  void perform(Node&, StewardsChanged);
  void remember_stewards(JobRun&, std::vector<Ticket::Door>, TermChain);
  void perform(Node&, JobRefused);
  void perform(Node&, ReceiptReady);
  void perform(Node&, ReceiptBad);
  void perform(Node&, StatusReady);
  void perform(Node&, WorkersReady);
  void perform(Node&, OutputReady);
  void perform(Node&, JobClosed);
  void perform(Node&, PeerMet) {}
  // Applications of this world fetch no contents by themselves.
  void perform(Node&, ContentReady) {}
  void perform(Node&, ContentUnderWay) {}
  void perform(Node&, Notice);
  ComputeDone compute(Node&, const Executor::Finished&);
  JobRun* job_of(const JobId&);
  void settle(JobRun&);
  void say(NodeIndex, const std::string& text) const;

  WorldOptions options_;
  Rng rng_;
  KeyRing keys_;
  PoolId pool_;
  Time now_ = 0;
  EventQueue<Payload> queue_;
  Network network_;
  ContentLibrary library_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<Ticket::Door> doors_;  // the coordinators'
  std::unordered_map<NodeId, NodeIndex> by_id_;
  std::vector<std::unique_ptr<JobRun>> jobs_;
  std::map<JobId, JobRun*> jobs_by_id_;
  std::vector<std::unique_ptr<Checker>> checkers_;
  std::vector<Violation> violations_;
  RunningHash hash_;
  std::uint64_t events_ = 0;
  std::size_t unfinished_ = 0;
  bool stopped_ = false;
};

}  // namespace shoal::sim
