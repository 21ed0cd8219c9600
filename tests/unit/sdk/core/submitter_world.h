#pragma once

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "node/protocol/terms.h"
#include "sdk/core/submitter.h"
#include "tests/unit/node/protocol/receipts.h"

// A submitter, and a script that plays everybody else: coordinator, workers, time.
namespace shoal {

class World : public ::testing::Test {
 protected:
  static constexpr UnixMs kUnixZero = 1'700'000'000'000;

  KeyPair me = key_of(1), pool = key_of(2), coordinator = key_of(3);
  std::vector<KeyPair> workers{key_of(11), key_of(12), key_of(13), key_of(14), key_of(15)};
  Ed25519Checker checker;
  Instant now{1'000'000'000};
  SubmitterActions actions;       // not yet looked at
  std::vector<Ticket::Door> met;  // workers that are to be remembered
  std::unique_ptr<Submitter> submitter;

  PoolId pool_id() const { return {pool.id().bytes}; }

  void start(bool with_door = true) {
    std::vector<Ticket::Door> doors;
    if (with_door) doors = {{coordinator.id(), "tcp://10.0.0.1:7000"}};
    start_with(std::move(doors), {});
  }
  void start_with(std::vector<Ticket::Door> doors, std::vector<Ticket::Door> remembered) {
    SubmitterConfig config;
    config.pool = pool_id();
    config.doors = std::move(doors);
    config.remembered = std::move(remembered);
    config.unix_ms_at_zero = kUnixZero;
    submitter = std::make_unique<Submitter>(config, me, checker, Rng(7));
    step(SubmitterStarted{});
  }

  void step(SubmitterEvent event) {
    auto more = submitter->step(now, std::move(event));
    for (auto& action : more) actions.push_back(std::move(action));
  }

  // Goes on to the next deadline, which must be there.
  void pass() {
    const auto next = submitter->next_deadline();
    ASSERT_TRUE(next.has_value());
    if (*next > now) now = *next;
    step(SubmitterDeadline{});
  }
  void pass_until(Instant end) {
    for (int i = 0; i < 10'000; ++i) {
      const auto next = submitter->next_deadline();
      if (!next || *next > end) break;
      pass();
    }
    now = end;
  }

  // The actions of one kind; they are looked at then.
  template <class A>
  std::vector<A> take() {
    std::vector<A> found;
    SubmitterActions rest;
    for (auto& action : actions) {
      if (auto* a = std::get_if<A>(&action)) {
        found.push_back(std::move(*a));
      } else {
        rest.push_back(std::move(action));
      }
    }
    actions = std::move(rest);
    return found;
  }
  template <class A>
  A only() {
    auto found = take<A>();
    EXPECT_EQ(found.size(), 1u);
    return found.empty() ? A{} : std::move(found.front());
  }
  // Messages of one kind that were sent to `node`.
  template <class M>
  std::vector<M> sent(const NodeId& node) {
    std::vector<M> found;
    SubmitterActions rest;
    for (auto& action : actions) {
      if (auto* s = std::get_if<Send>(&action); s && s->peer == node) {
        auto message = decode(s->bytes);
        EXPECT_TRUE(message.has_value());
        if (message) {
          if (auto* m = std::get_if<M>(&*message)) {
            found.push_back(std::move(*m));
            continue;
          }
        }
      }
      rest.push_back(std::move(action));
    }
    actions = std::move(rest);
    return found;
  }

  Signed record(const KeyPair& worker, std::uint32_t threads = 4,
                std::vector<std::string> kernels = {"align", "ising"},
                const std::string& host = "10.0.0.9", const KeyPair* owner = nullptr) {
    NodeRecord r;
    r.node = worker.id();
    r.pool = pool_id();
    r.endpoints = {"tcp://" + host + ":" + std::to_string(9000 + worker.id().bytes[0])};
    r.threads = threads;
    r.kernels = std::move(kernels);
    r.agent = "test";
    r.sequence = kUnixZero;
    r.ttl_s = 600;
    if (owner != nullptr) {
      r.owner = OwnerMark{owner->id(), owner->sign(Purpose::kOwner, owner_body(r.node, r.pool))};
    }
    return sign_fact(worker, Purpose::kRecord, encode(r));
  }

  void hear(const NodeId& from, const Message& message) { step(Received{from, encode(message)}); }
  void link(const KeyPair& worker) {
    step(LinkUp{worker.id(), Role::kWorker, "10.0.0.9", std::nullopt});
    for (const PeerMet& one : take<PeerMet>()) met.push_back(one.peer);
  }
  // The coordinator comes up and knows these.
  void introduce(const std::vector<Signed>& records) {
    step(LinkUp{coordinator.id(), Role::kCoordinator, "10.0.0.1", std::nullopt});
    EXPECT_EQ(sent<SampleRequest>(coordinator.id()).size(), 1u);
    hear(coordinator.id(), Sample{records, 1, records.size()});
  }

  Manifest manifest(std::uint64_t units, std::uint32_t quorum = 2) const {
    Manifest m;
    m.name = "test";
    m.kernel = "align";
    m.units = units;
    m.quorum = quorum;
    return m;
  }
  JobId submit(const Manifest& m, bool wait = false, std::size_t stewards = limits::kStewards) {
    const Signed fact = sign_fact(me, Purpose::kManifest, encode(m));
    step(SubmitJob{fact, wait, stewards});
    return job_id_of(fact.body);
  }
  const KeyPair& worker_with(const NodeId& id) const {
    for (const KeyPair& worker : workers) {
      if (worker.id() == id) return worker;
    }
    ADD_FAILURE() << "not a worker of this test";
    return workers.front();
  }
  // Those who were dialled since the last look.
  std::vector<NodeId> dialled() {
    std::vector<NodeId> nodes;
    for (const Dial& dial : take<Dial>()) nodes.push_back(dial.peer);
    return nodes;
  }
  // Time passes until it is dialled; all other dials are in vain.
  void await_dial(const NodeId& node) {
    for (int i = 0; i < 1000; ++i) {
      for (const NodeId& other : dialled()) {
        if (other == node) return;
        step(LinkLost{other, "connection refused"});
      }
      pass();
    }
    FAIL() << "it is not dialled";
  }
  // The coordinator comes up and knows the first `n` workers; nothing is left to be looked at.
  void introduce_workers(std::size_t n) {
    std::vector<Signed> records;
    for (std::size_t i = 0; i < n; ++i) records.push_back(record(workers[i]));
    introduce(records);
    take<Drop>();
    take<Dial>();
  }
  // What `node` was offered, which must be one Submit under one term of the submitter's.
  Term offered(const NodeId& node) {
    const auto offers = sent<Submit>(node);
    EXPECT_EQ(offers.size(), 1u);
    if (offers.empty()) return {};
    EXPECT_EQ(offers[0].terms.size(), 1u);
    const auto term =
        term_in_force(offers[0].terms, job_id_of(offers[0].manifest.body), me.id(), checker);
    EXPECT_TRUE(term.has_value());
    return term.value_or(Term{});
  }
  void accept(const NodeId& node, const JobId& job) {
    hear(node, SubmitReply{job, SubmitOutcome::kAccepted, ""});
  }
  JobStatus status(const JobId& job) const {
    JobStatus status;
    status.job = job;
    status.submitter = me.id();
    return status;
  }

  // A job, and those who keep it: the leader first.
  struct Kept {
    JobId job;
    std::vector<NodeId> stewards;
    TermChain terms;
  };
  // Submits to the pool of the first `n` workers; whoever is chosen accepts.
  Kept kept(const Manifest& m, std::size_t n = 3) {
    start();
    introduce_workers(n);
    const JobId job = submit(m);
    Term term;
    for (const NodeId& node : dialled()) {
      link(worker_with(node));
      term = offered(node);
    }
    for (const NodeId& node : term.stewards) accept(node, job);
    const auto accepted = only<JobAccepted>();
    EXPECT_EQ(accepted.stewards.size(), term.stewards.size());
    take<Notice>();
    now = now + 6s;  // links that break at once are another story
    return {job, term.stewards, accepted.terms};
  }
  // The same with one steward.
  std::pair<JobId, NodeId> held(Manifest m) {
    m.quorum = 1;
    const Kept one = kept(m, 1);
    EXPECT_EQ(one.stewards.size(), 1u);
    return {one.job, one.stewards.front()};
  }
  // The chain after an election that `steward` won.
  TermChain elected(const Kept& job, const KeyPair& steward, std::uint64_t epoch) const {
    Term next{job.job, epoch, {steward.id()}};
    for (const NodeId& other : job.stewards) {
      if (other == steward.id() || next.stewards.size() == limits::kStewards) continue;
      next.stewards.push_back(other);
    }
    return *extended(job.terms, {sign_fact(steward, Purpose::kTerm, encode(next)), {}});
  }
};

}  // namespace shoal
