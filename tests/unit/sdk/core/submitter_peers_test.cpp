#include <algorithm>
#include <optional>
#include <set>

#include "tests/unit/sdk/core/submitter_world.h"

namespace shoal {
namespace {

class SubmitterPeers : public World {
 protected:
  Ticket::Door door(const KeyPair& key) const {
    return {key.id(), "tcp://10.0.0.8:" + std::to_string(9000 + key.id().bytes[0])};
  }
  // Every dial fails until `wanted` is dialled; whether it was.
  bool dialled_in_the_end(const NodeId& wanted) {
    const Instant end = now + 3s;
    while (now < end) {
      for (const NodeId& node : dialled()) {
        if (node == wanted) return true;
        step(LinkLost{node, "connection refused"});
      }
      if (!submitter->next_deadline()) return false;
      pass();
    }
    return false;
  }
  // Workers that nobody here is the voice of.
  std::vector<Signed> strangers(std::uint8_t n) {
    std::vector<Signed> records;
    for (std::uint8_t i = 0; i < n; ++i) {
      records.push_back(record(key_of(static_cast<std::uint8_t>(20 + i))));
    }
    return records;
  }
  void await_dial_in_silence(const NodeId& wanted) {
    const Instant end = now + 60s;
    while (now < end) {
      const auto nodes = dialled();
      if (std::count(nodes.begin(), nodes.end(), wanted) > 0) return;
      pass();
    }
    FAIL() << "it is not dialled";
  }
};

TEST_F(SubmitterPeers, WorkersThatWereMetAreToBeRemembered) {
  kept(manifest(4), 3);
  ASSERT_EQ(met.size(), 3u);
  for (const Ticket::Door& peer : met) {
    EXPECT_EQ(peer.endpoint, decode_record(record(worker_with(peer.node)).body)->endpoints.front());
  }
}

TEST_F(SubmitterPeers, WorkersMetBeforeLeadInWhereNoCoordinatorAnswers) {
  start_with({door(coordinator)}, {door(workers[0])});
  const JobId job = submit(manifest(4));
  ASSERT_TRUE(dialled_in_the_end(workers[0].id()));
  step(LinkUp{workers[0].id(), Role::kWorker, "10.0.0.8", record(workers[0])});
  EXPECT_EQ(sent<SampleRequest>(workers[0].id()).size(), 1u);
  hear(workers[0].id(), Sample{{record(workers[1]), record(workers[2])}, 0, 0});
  link(workers[1]);
  link(workers[2]);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(offered(workers[i].id()).stewards.size(), 3u);
    accept(workers[i].id(), job);
  }
  EXPECT_EQ(only<JobAccepted>().job, job);
}

TEST_F(SubmitterPeers, WorkersMetBeforeAreLeftAloneWhereACoordinatorAnswers) {
  start_with({door(coordinator)}, {door(workers[0])});
  introduce({record(workers[1])});
  pass_until(now + 5s);
  const auto nodes = dialled();
  EXPECT_EQ(std::count(nodes.begin(), nodes.end(), workers[0].id()), 0);
}

// It was restarted a moment ago, and no worker has come by since.
TEST_F(SubmitterPeers, WorkersMetBeforeAreAskedWhereACoordinatorKnowsNobody) {
  start_with({door(coordinator)}, {door(workers[0])});
  step(WantWorkers{});
  introduce({});
  const auto nodes = dialled();
  ASSERT_EQ(std::count(nodes.begin(), nodes.end(), workers[0].id()), 1);
  step(LinkUp{workers[0].id(), Role::kWorker, "10.0.0.8", record(workers[0])});
  EXPECT_EQ(sent<SampleRequest>(workers[0].id()).size(), 1u);
  hear(workers[0].id(), Sample{{record(workers[1])}, 0, 2});
  EXPECT_EQ(dialled(), std::vector{workers[1].id()});
  link(workers[1]);
  hear(workers[0].id(), WorkerStatus{});
  hear(workers[1].id(), WorkerStatus{});
  EXPECT_EQ(only<WorkersReady>().workers.size(), 2u);
}

TEST_F(SubmitterPeers, SilentCoordinatorsAreNotWaitedForLong) {
  start_with({door(coordinator)}, {door(workers[0])});
  submit(manifest(4));
  const Instant asked = now;
  bool tried = false;
  while (!tried && now < asked + 3s) {
    pass();
    const auto nodes = dialled();
    tried = std::count(nodes.begin(), nodes.end(), workers[0].id()) > 0;
  }
  EXPECT_TRUE(tried);
  EXPECT_LE(now - asked, Duration(1500ms));
}

TEST_F(SubmitterPeers, AllWhoWereMetBeforeAreTriedInTheirOrder) {
  start_with({door(coordinator)}, {door(workers[0]), door(workers[1]), door(workers[2]),
                                   door(workers[3]), door(workers[4])});
  submit(manifest(4));
  std::vector<NodeId> tried;
  const Instant end = now + 3s;
  while (now < end && tried.size() < 5) {
    for (const NodeId& node : dialled()) {
      if (node != coordinator.id()) tried.push_back(node);
      step(LinkLost{node, "connection refused"});
    }
    pass();
  }
  ASSERT_GE(tried.size(), 5u);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(tried[i], workers[i].id());
}

TEST_F(SubmitterPeers, AWorkerMayBeTheDoorOfATicket) {
  start_with({door(workers[0])}, {});
  EXPECT_EQ(only<Dial>().peer, workers[0].id());
  step(LinkUp{workers[0].id(), Role::kWorker, "10.0.0.8", record(workers[0])});
  EXPECT_EQ(sent<SampleRequest>(workers[0].id()).size(), 1u);
  hear(workers[0].id(), Sample{{record(workers[1]), record(workers[2])}, 0, 0});
  EXPECT_TRUE(take<Drop>().empty());
  take<PeerMet>();
  const JobId job = submit(manifest(4));
  EXPECT_EQ(dialled().size(), 2u);
  EXPECT_EQ(offered(workers[0].id()).job, job);
}

TEST_F(SubmitterPeers, OfSeveralCoordinatorsThoseThatAnswerAreUsed) {
  const KeyPair other = key_of(4);
  start_with({door(coordinator), door(other)}, {});
  const JobId job = submit(manifest(4));
  take<Dial>();
  step(LinkLost{coordinator.id(), "connection refused"});
  step(LinkUp{other.id(), Role::kCoordinator, "10.0.0.2", std::nullopt});
  hear(other.id(), Sample{{record(workers[0]), record(workers[1]), record(workers[2])}, 0, 3});
  EXPECT_EQ(dialled().size(), 3u);
  static_cast<void>(job);
}

// Its links outlive the coordinator.
TEST_F(SubmitterPeers, WorkersThatAreLinkedAreAskedWhereNoCoordinatorAnswers) {
  const Kept job = kept(manifest(4), 3);
  actions.clear();
  pass_until(now + 20s);
  step(WantWorkers{});
  EXPECT_EQ(dialled(), std::vector{coordinator.id()});
  step(LinkLost{coordinator.id(), "connection refused"});
  pass();
  std::size_t asked = 0;
  for (const NodeId& node : job.stewards) asked += sent<SampleRequest>(node).size();
  EXPECT_EQ(asked, 3u);
}

// A record outlives its worker by minutes, and a session knows many of them.
TEST_F(SubmitterPeers, ACoordinatorIsAskedAgainWhereThoseThatAreKnownDoNotAnswer) {
  start();
  introduce(strangers(12));
  pass_until(now + 20s);
  actions.clear();
  const JobId job = submit(manifest(4, 1));
  const KeyPair fresh = key_of(16);
  const Instant submitted = now;
  std::optional<Instant> introduced;
  while (!introduced && now < submitted + 60s) {
    const auto nodes = dialled();
    if (std::count(nodes.begin(), nodes.end(), coordinator.id()) > 0) {
      introduce({record(fresh)});
      introduced = now;
    } else {
      pass();
    }
  }
  ASSERT_TRUE(introduced);
  EXPECT_LE(*introduced - submitted, Duration(10s));
  // Nor is the job given up while one of them has not been tried.
  await_dial_in_silence(fresh.id());
  link(fresh);
  EXPECT_EQ(offered(fresh.id()).job, job);
  EXPECT_TRUE(take<JobRefused>().empty());
}

// Those who took a job over from stewards that left may be any of the pool.
TEST_F(SubmitterPeers, StrangersThatAreGoneDoNotHideThoseThatAreHere) {
  const Kept job = kept(manifest(4), 3);
  const std::vector<Signed> records = strangers(12);
  std::set<NodeId> untried;
  for (const Signed& one : records) untried.insert(one.signer);
  for (const NodeId& steward : job.stewards) step(LinkLost{steward, "the peer left"});
  const Instant lost = now;
  while (!untried.empty() && now < lost + 60s) {
    for (const NodeId& node : dialled()) {
      if (node == coordinator.id()) {
        introduce(records);
        continue;
      }
      untried.erase(node);
      step(LinkLost{node, "connection refused"});
    }
    pass();
  }
  EXPECT_TRUE(untried.empty());
}

TEST_F(SubmitterPeers, WhereThereIsNobodyToAskAJobIsRefusedRatherThanWaits) {
  start(false);
  const JobId job = submit(manifest(4), true);
  for (int i = 0; i < 100 && submitter->next_deadline(); ++i) pass();
  const JobRefused refused = only<JobRefused>();
  EXPECT_EQ(refused.job, job);
  EXPECT_EQ(refused.why, JobRefused::Why::kNoCoordinator);
  EXPECT_FALSE(submitter->next_deadline());
}

}  // namespace
}  // namespace shoal
