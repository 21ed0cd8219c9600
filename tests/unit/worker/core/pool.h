#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>

#include "node/protocol/hash.h"
#include "worker/core/peer.h"

// A handful of peers and one submitter's hand, driven message by message: small enough that a test
// can say exactly what happens next, unlike the simulator, which lets everything happen.
namespace shoal::test {

class PlainSigner final : public Signer {
 public:
  explicit PlainSigner(std::uint8_t n) {
    id_.bytes[0] = n;
    id_.bytes[31] = 0x55;
  }
  NodeId id() const override { return id_; }
  Signature sign(Purpose purpose, ByteView body) const override {
    const std::uint8_t p = static_cast<std::uint8_t>(purpose);
    const Hash256 hash = sha256({id_.view(), ByteView(&p, 1), body});
    Signature signature;
    std::copy(hash.bytes.begin(), hash.bytes.end(), signature.bytes.begin());
    return signature;
  }
  Hash256 secret_hash(ByteView input) const override {
    return sha256({as_bytes("secret"), id_.view(), input});
  }
  std::optional<Hash256> shared_secret(const NodeId& other) const override {
    return sha256({as_bytes("shared"), std::min(id_, other).view(), std::max(id_, other).view()});
  }

 private:
  NodeId id_;
};

class PlainChecker final : public SignatureChecker {
 public:
  bool holds(const NodeId& signer, Purpose purpose, ByteView body,
             const Signature& signature) const override {
    const std::uint8_t p = static_cast<std::uint8_t>(purpose);
    const Hash256 hash = sha256({signer.view(), ByteView(&p, 1), body});
    return std::equal(hash.bytes.begin(), hash.bytes.end(), signature.bytes.begin());
  }
};

inline Bytes true_output(UnitIndex unit) {
  const std::string text = "unit " + std::to_string(unit);
  return to_bytes(as_bytes(text));
}
// As a kernel, at whatever worker.
inline std::optional<Bytes> honest(std::size_t, UnitIndex unit) { return true_output(unit); }

// Workers are numbered from 1. All are linked to each other from the start; the submitter is a node
// that only the test speaks for.
class Pool {
 public:
  struct Worker {
    std::unique_ptr<PlainSigner> signer;
    std::unique_ptr<Peer> peer;
    bool up = true;
    std::deque<StartCompute> computing;
    std::deque<StartCompare> judging;
    std::map<UnitIndex, Bytes> states;  // that it was told to keep
    std::map<UnitIndex, bool> went_on;  // of units that it began: whether it had their state then
    std::vector<StoredFact> disk;
    bool disk_hangs = false;
    std::vector<Store> hanging;
  };
  // What a worker's kernel gives for a unit; nothing: the unit fails.
  using Kernel = std::function<std::optional<Bytes>(std::size_t worker, UnitIndex unit)>;

  explicit Pool(std::size_t workers, std::map<std::size_t, std::uint8_t> whose = {})
      : owners(std::move(whose)) {
    for (std::size_t n = 1; n <= workers; ++n) add(n, {});
    for (std::size_t n = 1; n <= workers; ++n) step(n, Started{});
    for (std::size_t a = 1; a <= workers; ++a) {
      for (std::size_t b = a + 1; b <= workers; ++b) link(a, b);
    }
    settle();
  }

  NodeId id(std::size_t n) const { return workers_.at(n).signer->id(); }
  Peer& peer(std::size_t n) { return *workers_.at(n).peer; }

  void add(std::size_t n, RecoveredState recovered) {
    Worker& worker = workers_[n];
    if (!worker.signer) worker.signer = std::make_unique<PlainSigner>(static_cast<std::uint8_t>(n));
    PeerConfig what = config();
    what.refused = refused[n];
    what.record.memory_bytes = memory[n];
    what.record.owner = mark_of_owner(n);
    worker.peer = std::make_unique<Peer>(std::move(what), *worker.signer, checker_, Rng(n),
                                         std::move(recovered));
    worker.up = true;
    worker.computing.clear();
    worker.judging.clear();
    worker.hanging.clear();
  }
  PeerConfig config() const {
    PeerConfig config;
    config.pool.bytes[0] = 9;
    config.record.endpoints = {"tcp://127.0.0.1:1"};
    config.record.threads = 1;
    config.record.kernels = {"plain"};
    config.unix_ms_at_zero = 1'000'000;
    return config;
  }

  void link(std::size_t a, std::size_t b) {
    cut_.erase({std::min(a, b), std::max(a, b)});
    step(a,
         LinkUp{.peer = id(b), .role = Role::kWorker, .address = address(b), .record = record(b)});
    step(b,
         LinkUp{.peer = id(a), .role = Role::kWorker, .address = address(a), .record = record(a)});
  }
  // Where the others see it.
  std::string address(std::size_t n) const {
    const auto found = addresses.find(n);
    return found == addresses.end() ? "127.0.0.1" : found->second;
  }
  // Who is one of `owners` is marked as his.
  std::optional<OwnerMark> mark_of_owner(std::size_t n) const {
    const auto found = owners.find(n);
    if (found == owners.end()) return std::nullopt;
    const PlainSigner owner(found->second);
    return OwnerMark{owner.id(), owner.sign(Purpose::kOwner, owner_body(id(n), config().pool))};
  }
  Signed record(std::size_t n) {
    NodeRecord record = config().record;
    record.node = id(n);
    record.pool = config().pool;
    record.owner = mark_of_owner(n);
    record.sequence = 1'000'000;
    record.ttl_s = 600;
    return sign_fact(*workers_.at(n).signer, Purpose::kRecord, encode(record));
  }
  void cut(std::size_t a, std::size_t b) {
    std::erase_if(mail_, [&](const auto& mail) {
      return (mail.first == a && mail.second.peer == id(b)) ||
             (mail.first == b && mail.second.peer == id(a));
    });
    cut_.insert({std::min(a, b), std::max(a, b)});
    if (workers_.at(a).up) step(a, LinkLost{.peer = id(b), .why = "cut"});
    if (workers_.at(b).up) step(b, LinkLost{.peer = id(a), .why = "cut"});
  }
  // Its process stands still, and its mail waits.
  void freeze(std::size_t n) { frozen_ = n; }
  void thaw(std::size_t n) {
    frozen_ = 0;
    step(n, DeadlineReached{});
    settle();
  }
  // Stores are not answered, until they all are.
  void hang_disk(std::size_t n) { workers_.at(n).disk_hangs = true; }
  void free_disk(std::size_t n) {
    workers_.at(n).disk_hangs = false;
    for (const Store& store : std::exchange(workers_.at(n).hanging, {})) keep(n, store);
    settle();
  }
  void connect_submitter(std::size_t n) {
    LinkUp up{.peer = session(), .role = Role::kSubmitter, .address = "", .record = {}};
    if (session_ != 0) up.session_of = submitter_.id();
    step(n, std::move(up));
  }
  // The session that speaks now, as another key's.
  void connect_stranger(std::size_t n) {
    step(n, LinkUp{.peer = session(),
                   .role = Role::kSubmitter,
                   .address = "",
                   .record = {},
                   .session_of = PlainSigner(201).id()});
  }
  // From now on it is that process of the submitter's key that speaks.
  void be_session(std::uint64_t number) { session_ = number; }
  NodeId session() const { return peer_name(Role::kSubmitter, submitter_.id(), session_); }
  void lose_session(std::size_t n) { step(n, LinkLost{.peer = session(), .why = "it has ended"}); }
  // What worker `from` would not say of its own accord.
  void say_as(std::size_t from, std::size_t to, const Message& message) {
    step(to, Received{.peer = id(from), .bytes = encode(message)});
    settle();
  }
  // Of somebody who is no worker of this pool.
  void hear(std::size_t n, PeerEvent event) {
    step(n, std::move(event));
    settle();
  }
  // Of jobs: what is remembered of peers is not counted.
  std::size_t facts_on_disk(std::size_t n) const {
    const auto& disk = workers_.at(n).disk;
    return static_cast<std::size_t>(std::count_if(
        disk.begin(), disk.end(), [](const auto& f) { return f.kind != FactKind::kPeer; }));
  }
  // Its owner takes back, or lends again.
  void lend(std::size_t n, Lend::What what) {
    step(n, Lend{what});
    settle();
  }
  // Its owner refuses that from now on, also after a restart.
  void refuse(std::size_t n, const Refusals& refusals) {
    refused[n] = refusals;
    step(n, Refuse{refusals});
    settle();
  }
  // The process is gone: its links are lost, what it was computing with it.
  void kill(std::size_t n) {
    workers_.at(n).up = false;
    for (auto& [other, worker] : workers_) {
      if (other != n && worker.up) step(other, LinkLost{.peer = id(n), .why = "killed"});
    }
  }
  // Its machine is there: whoever dials the dead process hears so at once.
  void refuse_dials(std::size_t n) {
    for (auto& [other, worker] : workers_) {
      if (other == n || !worker.up) continue;
      step(other, LinkLost{.peer = id(n), .why = "nobody listens", .nobody_listens = true});
    }
  }
  void restart(std::size_t n) {
    add(n, RecoveredState{workers_.at(n).disk});
    step(n, Started{});
    for (auto& [other, worker] : workers_) {
      if (other != n && worker.up) link(n, other);
    }
    connect_submitter(n);
    settle();
  }

  // As somebody does who puts a copy of its state folder back.
  std::vector<StoredFact> copy_of_disk(std::size_t n) const { return workers_.at(n).disk; }
  void restart(std::size_t n, std::vector<StoredFact> copy) {
    workers_.at(n).disk = std::move(copy);
    restart(n);
  }

  Manifest manifest(std::uint64_t units, std::uint32_t quorum) const {
    Manifest manifest;
    manifest.kernel = "plain";
    manifest.units = units;
    manifest.quorum = quorum;
    return manifest;
  }
  JobId submit(std::size_t steward, const Manifest& manifest) {
    return submit(std::vector<std::size_t>{steward}, manifest);
  }
  // The first leads.
  JobId submit(const std::vector<std::size_t>& stewards, const Manifest& manifest) {
    const Signed fact = sign_fact(submitter_, Purpose::kManifest, encode(manifest));
    const JobId job = job_id_of(fact.body);
    const TermChain terms{term(submitter_, job, 1, stewards)};
    for (std::size_t n : stewards) {
      connect_submitter(n);
      say(n, Submit{fact, terms});
    }
    return job;
  }
  SignedTerm term(const Signer& by, const JobId& job, std::uint64_t epoch,
                  const std::vector<std::size_t>& stewards) const {
    Term what{.job = job, .epoch = epoch, .stewards = {}};
    for (std::size_t n : stewards) what.stewards.push_back(id(n));
    return {sign_fact(by, Purpose::kTerm, encode(what)), {}};
  }
  // The submitter speaks; what it hears is in `heard`.
  void say(std::size_t to, const Message& message) {
    step(to, Received{.peer = session(), .bytes = encode(message)});
    settle();
  }
  void want_receipts(std::size_t steward, const JobId& job) {
    say(steward, ResultsRequest{.job = job, .cursor = 0, .credit_bytes = 1 << 30});
  }
  const PlainSigner& submitter() const { return submitter_; }
  const PlainChecker& checker() const { return checker_; }

  // Delivers messages until nobody has anything more to say. Nothing is computed meanwhile.
  void settle() {
    std::deque<std::pair<std::size_t, Received>> waiting;
    for (std::size_t messages = 0; !mail_.empty(); ++messages) {
      if (messages > 1'000'000) {
        std::string kinds;
        for (const auto& [kind, count] : sent) kinds += kind + " " + std::to_string(count) + ", ";
        throw std::logic_error("they will not stop talking: " + kinds);
      }
      auto [to, received] = std::move(mail_.front());
      mail_.pop_front();
      if (to == frozen_) {
        waiting.emplace_back(to, std::move(received));
      } else if (workers_.at(to).up) {
        step(to, std::move(received));
      }
    }
    mail_ = std::move(waiting);
    for (auto& [n, worker] : workers_) {
      if (worker.up) worker.peer->check_invariants();
    }
  }
  // The first unit that worker n is computing, and its kernel saves `state`. Nothing: it computes
  // none.
  std::optional<UnitIndex> save_state(std::size_t n, Bytes state) {
    const auto& computing = workers_.at(n).computing;
    if (computing.empty()) return std::nullopt;
    const StartCompute& chunk = computing.front();
    const UnitIndex unit = chunk.range.first;
    step(n, StateSaved{.chunk = chunk.chunk, .unit = unit, .state = std::move(state)});
    settle();
    return unit;
  }
  const std::map<UnitIndex, Bytes>& states_at(std::size_t n) const { return workers_.at(n).states; }
  // Whether worker n, when it last began the unit, had its state.
  bool goes_on(std::size_t n, UnitIndex unit) const { return workers_.at(n).went_on.at(unit); }
  bool computes(std::size_t n) const { return !workers_.at(n).computing.empty(); }
  std::size_t chunks_begun(std::size_t n) const { return workers_.at(n).computing.size(); }
  std::uint64_t units_begun(std::size_t n) const {
    std::uint64_t units = 0;
    for (const StartCompute& chunk : workers_.at(n).computing) units += chunk.range.size();
    return units;
  }
  // What worker n computes next; it computes something.
  const StartCompute& computing(std::size_t n) const { return workers_.at(n).computing.front(); }
  // Finishes one chunk at worker n. False: it has none.
  bool compute(std::size_t n, const Kernel& kernel) {
    if (!workers_.contains(n)) return false;
    Worker& worker = workers_.at(n);
    if (!worker.up || n == frozen_ || paused.contains(n) || worker.computing.empty()) return false;
    const StartCompute chunk = worker.computing.front();
    worker.computing.pop_front();
    ComputeDone done{.chunk = chunk.chunk, .done = {}, .failed = {}, .compute_ns = 0};
    for (UnitIndex unit = chunk.range.first; unit < chunk.range.last; ++unit) {
      auto output = kernel(n, unit);
      computed[n].push_back(unit);
      done.compute_ns += static_cast<std::uint64_t>(unit_takes.count());
      if (!output) {
        done.failed.push_back({unit, FailureKind::kThrew, "no", ""});
        continue;
      }
      if (done.done.empty() || done.done.back().range.last != unit) {
        done.done.push_back({{unit, unit}, {}});
      }
      auto& run = done.done.back();
      run.range.last = unit + 1;
      run.outputs.sizes.push_back(output->size());
      run.outputs.inline_bytes.insert(run.outputs.inline_bytes.end(), output->begin(),
                                      output->end());
    }
    // Meanwhile the others compute as well.
    pass(Duration(done.compute_ns / workers_.size()));
    step(n, std::move(done));
    settle();
    return true;
  }
  // What worker n has to judge, and has not.
  std::size_t to_judge(std::size_t n) const { return workers_.at(n).judging.size(); }
  // Worker n finds that the oldest of it matches.
  void judge(std::size_t n) {
    Worker& worker = workers_.at(n);
    const StartCompare compare = std::move(worker.judging.front());
    worker.judging.pop_front();
    step(n, CompareDone{.job = compare.job,
                        .unit = compare.unit,
                        .digests = *digests_of(compare.candidates),
                        .all_match = true,
                        .error = ""});
    settle();
  }
  // Everybody computes, turn by turn, until nobody has anything left; time passes where needed.
  void run(const Kernel& kernel, int idle_rounds = 40) {
    for (int idle = 0; idle < idle_rounds;) {
      bool any = false;
      for (auto& [n, worker] : workers_) any |= compute(n, kernel);
      if (any) continue;
      ++idle;
      pass(1s);
    }
  }
  Instant now() const { return now_; }
  void pass(Duration time) {
    now_ = now_ + time;
    for (auto& [n, worker] : workers_) {
      if (worker.up && n != frozen_) step(n, DeadlineReached{});
    }
    settle();
  }

  // As time passes for those who are awake.
  void wait(Duration time) {
    for (; time > Duration(0); time -= 500ms) pass(std::min<Duration>(time, 500ms));
  }

  std::vector<Receipt> receipts() const {
    std::vector<Receipt> receipts;
    for (const Message& message : heard) {
      const auto* results = std::get_if<Results>(&message);
      if (results == nullptr) continue;
      for (const Bytes& bytes : results->receipts) receipts.push_back(*decode_receipt(bytes));
    }
    return receipts;
  }
  template <class M>
  std::vector<M> all_heard() const {
    std::vector<M> found;
    for (const Message& message : heard) {
      if (const M* m = std::get_if<M>(&message)) found.push_back(*m);
    }
    return found;
  }

  std::vector<Message> heard;                             // by the submitter, as who speaks now
  std::map<NodeId, std::vector<Message>> elsewhere = {};  // by other sessions that are named here
  std::map<std::size_t, std::vector<UnitIndex>> computed;
  std::map<std::string, std::size_t> sent;  // between workers, by kind
  std::function<bool(std::size_t from, std::size_t to, Message&)> meddle;  // false: lost
  Duration unit_takes = 1ms;                                               // to compute
  std::map<std::size_t, Refusals> refused = {};                            // by its owner, of each
  std::map<std::size_t, std::uint64_t> memory;        // that they lend, from their next start
  const std::map<std::size_t, std::uint8_t> owners;   // as PlainSigner names them
  std::map<std::size_t, std::string> addresses = {};  // from the next link on
  std::set<std::size_t> paused = {};                  // these compute nothing, but talk

 private:
  void step(std::size_t n, PeerEvent event) {
    Worker& worker = workers_.at(n);
    for (PeerAction& action : worker.peer->step(now_, std::move(event))) perform(n, action);
  }
  void perform(std::size_t n, PeerAction& action) {
    Worker& worker = workers_.at(n);
    if (auto* send = std::get_if<Send>(&action)) {
      auto message = decode(send->bytes);
      ASSERT_TRUE(message) << message.error().what;
      if (send->peer == session()) {
        heard.push_back(std::move(*message));
        return;
      }
      if (elsewhere.contains(send->peer)) return elsewhere[send->peer].push_back(*message);
      for (auto& [to, other] : workers_) {
        if (id(to) != send->peer || !other.up) continue;
        if (cut_.contains({std::min(n, to), std::max(n, to)})) continue;
        sent[std::string(name_of(*message))] += 1;
        if (meddle && !meddle(n, to, *message)) return;
        mail_.emplace_back(to, Received{.peer = id(n), .bytes = encode(*message)});
      }
    } else if (auto* start = std::get_if<StartCompute>(&action)) {
      const Range range = start->range;
      for (UnitIndex unit = range.first; unit < range.last; ++unit) {
        worker.went_on[unit] = worker.states.contains(unit);
      }
      worker.computing.push_back(std::move(*start));
    } else if (auto* compare = std::get_if<StartCompare>(&action)) {
      worker.judging.push_back(std::move(*compare));
    } else if (auto* state = std::get_if<KeepState>(&action)) {
      worker.states.emplace(state->unit, std::move(state->state));
    } else if (auto* cancel = std::get_if<CancelCompute>(&action)) {
      std::erase_if(worker.computing, [&](const auto& c) { return c.chunk == cancel->chunk; });
    } else if (auto* store = std::get_if<Store>(&action)) {
      if (worker.disk_hangs) {
        worker.hanging.push_back(std::move(*store));
      } else {
        keep(n, *store);
      }
    } else if (auto* erase = std::get_if<Erase>(&action)) {
      std::erase_if(worker.disk, [&](const StoredFact& old) { return covers(*erase, old); });
    } else if (auto* load = std::get_if<LoadReceipts>(&action)) {
      ReceiptsLoaded loaded{.job = load->job, .reader = load->reader, .receipts = {}};
      std::map<std::uint64_t, Bytes> found;
      for (const StoredFact& fact : worker.disk) {
        if (fact.kind == FactKind::kReceipt && fact.job == load->job &&
            fact.sequence > load->after) {
          found[fact.sequence] = fact.bytes;
        }
      }
      for (auto& [_, bytes] : found) loaded.receipts.push_back(bytes);
      step(n, std::move(loaded));
    }
  }

  void keep(std::size_t n, const Store& store) {
    auto& disk = workers_.at(n).disk;
    for (const StoredFact& fact : store.facts) {
      std::erase_if(disk, [&](const StoredFact& old) {
        return old.kind == fact.kind && old.job == fact.job && old.about == fact.about &&
               old.sequence == fact.sequence;
      });
      disk.push_back(fact);
    }
    step(n, StoreDone{.token = store.token, .error = ""});
  }

  PlainChecker checker_;
  PlainSigner submitter_{200};
  std::uint64_t session_ = 0;
  std::map<std::size_t, Worker> workers_;
  std::deque<std::pair<std::size_t, Received>> mail_;
  std::set<std::pair<std::size_t, std::size_t>> cut_;
  std::size_t frozen_ = 0;
  Instant now_{1'000'000'000};
};

// Of the first job that worker n keeps.
inline JobStatus status_at(Pool& pool, std::size_t n) {
  const auto statuses = pool.peer(n).jobs_led();
  return statuses.empty() ? JobStatus{} : statuses.front();
}

}  // namespace shoal::test
