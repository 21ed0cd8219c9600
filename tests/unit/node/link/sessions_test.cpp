// Processes that use one key at the same time, as of a submitter who watches a job that another of
// his programs runs.

#include <gtest/gtest.h>

#include "tests/unit/node/link/link_test_support.h"

namespace shoal {
namespace {

using namespace link_test;

LinkConfig config_of_session(std::uint64_t session, Role role = Role::kSubmitter) {
  LinkConfig config;
  config.pool = pool_of(1);
  config.role = role;
  config.listen = "tcp://127.0.0.1:0";
  config.session = session;
  return config;
}

NodeId name_of(const Node& node, std::uint64_t session) {
  return peer_name(Role::kSubmitter, node.id(), session);
}

bool connect_to(Node& worker, Node& session) {
  session.dial(worker);
  return run({&worker, &session}, [&] { return session.up(worker); });
}

TEST(Sessions, OneKeyHasALinkForEachOfItsProcesses) {
  Node worker(1), one(2, config_of_session(11)), two(2, config_of_session(12));
  ASSERT_TRUE(connect_to(worker, one) && connect_to(worker, two));
  const NodeId first = name_of(one, 11), second = name_of(two, 12);
  ASSERT_TRUE(run({&worker, &one, &two}, [&] {
    return worker.count<LinkUp>(first) == 1 && worker.count<LinkUp>(second) == 1;
  }));
  EXPECT_EQ(worker.all<LinkUp>(first).front().node(), one.id());
  EXPECT_EQ(worker.all<LinkUp>(second).front().node(), one.id());

  one.send(worker.id(), numbered(1));
  two.send(worker.id(), numbered(2));
  worker.send(first, numbered(3));
  worker.send(second, numbered(4));
  ASSERT_TRUE(run({&worker, &one, &two}, [&] {
    return worker.count<Received>(first) == 1 && worker.count<Received>(second) == 1 &&
           one.count<Received>(worker.id()) == 1 && two.count<Received>(worker.id()) == 1;
  }));
  EXPECT_EQ(number_of(worker.all<Received>(first).front().bytes), 1U);
  EXPECT_EQ(number_of(worker.all<Received>(second).front().bytes), 2U);
  EXPECT_EQ(number_of(one.all<Received>(worker.id()).front().bytes), 3U);
  EXPECT_EQ(number_of(two.all<Received>(worker.id()).front().bytes), 4U);

  two.link.reset();
  ASSERT_TRUE(run({&worker, &one}, [&] { return worker.count<LinkLost>(second) == 1; }));
  EXPECT_EQ(worker.count<LinkLost>(first), 0U);
  worker.send(first, numbered(5));
  EXPECT_TRUE(run({&worker, &one}, [&] { return one.count<Received>(worker.id()) == 2; }));
}

TEST(Sessions, AWorkersNewProcessTakesThePlaceOfTheOldOne) {
  Node peer(1), old(2, config_of_session(11, Role::kWorker)),
      fresh(2, config_of_session(12, Role::kWorker));
  ASSERT_TRUE(connect(old, peer));
  fresh.dial(peer);
  ASSERT_TRUE(run({&peer, &old, &fresh}, [&] { return peer.count<LinkUp>(old.id()) == 2; }));
  EXPECT_EQ(peer.count<LinkLost>(old.id()), 1U);
}

TEST(Sessions, AllOfAKeyTogetherHaveAsManyLinksAsAKeyMayHave) {
  LinkConfig config = config_of_session(0, Role::kWorker);
  config.links_per_key = 2;
  Node worker(1, config), one(2, config_of_session(11)), two(2, config_of_session(12)),
      three(2, config_of_session(13));
  ASSERT_TRUE(connect_to(worker, one) && connect_to(worker, two));
  three.dial(worker);
  ASSERT_TRUE(run({&worker, &one, &two, &three}, [&] { return three.lost(worker); }));
  EXPECT_EQ(three.all<LinkLost>(worker.id()).front().why, "it has no room for another connection");
  EXPECT_FALSE(one.lost(worker) || two.lost(worker));
}

TEST(Sessions, WhoIsAskedToDialOneGetsThatOneOrNone) {
  Node worker(1), one(2, config_of_session(11));
  const NodeId right = name_of(one, 11), wrong = name_of(one, 12);
  worker.link->perform(Dial{wrong, one.endpoint(), {}, 0, one.id()});
  ASSERT_TRUE(run({&worker, &one}, [&] { return worker.count<LinkLost>(wrong) == 1; }));
  EXPECT_EQ(worker.count<LinkUp>(wrong), 0U);
  worker.link->perform(Dial{right, one.endpoint(), {}, 0, one.id()});
  ASSERT_TRUE(run({&worker, &one}, [&] { return worker.count<LinkUp>(right) == 1; }));
  EXPECT_EQ(worker.all<LinkUp>(right).front().node(), one.id());
}

TEST(Sessions, WhoDialsAKeyKnowsTheProcessThatAnswersByThatName) {
  Node worker(1), one(2, config_of_session(11));
  ASSERT_TRUE(connect(worker, one));
  EXPECT_FALSE(worker.all<LinkUp>(one.id()).front().session_of);
}

}  // namespace
}  // namespace shoal
