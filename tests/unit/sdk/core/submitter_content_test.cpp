#include <gmock/gmock.h>

#include "tests/unit/sdk/core/submitter_content_world.h"

namespace shoal {
namespace {

using ::testing::HasSubstr;

TEST_F(SubmitterContent, WhatIsSharedIsToldToWorkersAndServed) {
  start();
  step(ShareContent{content, kLength});
  pool_knows(3);
  EXPECT_EQ(dialled().size(), 3u);
  link(workers[0]);
  const auto told = sent<Holdings>(workers[0].id());
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0], holdings_for(workers[0].id(), content, kLength));
  EXPECT_EQ(told[0].bits.size(), 1u) << "one block is named: who fetches hears which to ask for";
  hear(workers[0].id(), BlockRequest{content, kLength, 16});
  EXPECT_EQ(take<ReadBlock>().size(), 1u);
  const ContentId secret = content_id(as_bytes("a diary"));
  hear(workers[0].id(), BlockRequest{secret, 7, 0});
  EXPECT_TRUE(take<ReadBlock>().empty());
  hear(workers[0].id(), Holdings{secret, kLength, 0, {}, true});
  EXPECT_TRUE(take<OpenContent>().empty());
  const auto nothing = sent<Holdings>(workers[0].id());
  ASSERT_EQ(nothing.size(), 1u);
  EXPECT_TRUE(nothing[0].bits.empty());
}

TEST_F(SubmitterContent, AFetchAsksWorkersWhoNameAHolderWhichIsDialledAndAsked) {
  start();
  fetch();
  pool_knows(2);
  EXPECT_EQ(dialled().size(), 2u);
  link(workers[0]);
  EXPECT_EQ(sent<Holdings>(workers[0].id()).size(), 1u);
  EXPECT_EQ(sent<HoldersRequest>(workers[0].id()).size(), 1u);
  EXPECT_TRUE(sent<BlockRequest>(workers[0].id()).empty()) << "it has not said that it has any";
  hear(workers[0].id(), holdings(0));
  hear(workers[0].id(), Holders{content, {record_of_friend()}});
  const auto dials = take<Dial>();
  ASSERT_EQ(dials.size(), 1u);
  EXPECT_EQ(dials[0].peer, friend_key.id());
  EXPECT_EQ(dials[0].endpoint, "tcp://10.0.0.50:9050");
  step(LinkUp{friend_key.id(), Role::kSubmitter, "10.0.0.50", record_of_friend()});
  for (const Drop& drop : take<Drop>()) {
    EXPECT_EQ(drop.peer, coordinator.id()) << "it is left once somebody who has it is here";
  }
  EXPECT_EQ(sent<Holdings>(friend_key.id()).size(), 1u);
  hear(friend_key.id(), holdings(0x07));
  EXPECT_EQ(sent<BlockRequest>(friend_key.id()).size(), 3u);
}

TEST_F(SubmitterContent, ARecordThatIsForgedOrOfAnotherPoolIsNotDialled) {
  start();
  fetch();
  pool_knows(1);
  dialled();
  link(workers[0]);
  Signed forged = record_of_friend();
  forged.body[forged.body.size() / 2] ^= 1;
  hear(workers[0].id(), Holders{content, {forged}});
  EXPECT_TRUE(dialled().empty());
}

TEST_F(SubmitterContent, ThatNobodyHasItIsSaidWithinSeconds) {
  start();
  const Instant began = now;
  fetch();
  pool_knows(2);
  dialled();
  for (std::size_t i : {0, 1}) {
    link(workers[i]);
    hear(workers[i].id(), holdings(0));
    hear(workers[i].id(), Holders{content, {}});
  }
  std::vector<ContentReady> ready;
  while (ready.empty()) {
    ASSERT_TRUE(submitter->next_deadline().has_value());
    pass();
    ready = take<ContentReady>();
  }
  EXPECT_THAT(ready[0].error, HasSubstr(short_hex(workers[0].id()) + " does not have it"));
  EXPECT_LE(now - began, Duration(10s));
}

// The seed and the fetcher may have been started together.
TEST_F(SubmitterContent, WhoIsAnnouncedAfterTheFirstAnswerIsFoundAllTheSame) {
  start();
  fetch();
  pool_knows(0);
  pass_until(now + 2s);
  EXPECT_GE(sent<SampleRequest>(coordinator.id()).size(), 2u);
  hear(coordinator.id(), Sample{{record(workers[0])}, 2, 1});
  EXPECT_EQ(dialled(), std::vector<NodeId>{workers[0].id()});
  link(workers[0]);
  hear(workers[0].id(), holdings(0x07));
  EXPECT_EQ(sent<BlockRequest>(workers[0].id()).size(), 3u);
  EXPECT_THAT(take<Drop>(), ::testing::SizeIs(1)) << "there is nothing more to learn at the door";
}

TEST_F(SubmitterContent, TheOnlySeedIsDialledAgainWhenItsLinkIsLost) {
  start();
  fetch();
  pool_knows(1);
  dialled();
  link(workers[0]);
  hear(workers[0].id(), holdings(0x07));
  step(LinkLost{workers[0].id(), "connection reset"});
  const Instant lost = now;
  await_dial(workers[0].id());
  EXPECT_LE(now - lost, Duration(2s));
  // In vain; and then not.
  step(LinkLost{workers[0].id(), "connection refused"});
  await_dial(workers[0].id());
  link(workers[0]);
  hear(workers[0].id(), holdings(0x07));
  EXPECT_FALSE(sent<BlockRequest>(workers[0].id()).empty());
  EXPECT_TRUE(take<ContentReady>().empty());
}

TEST_F(SubmitterContent, AHolderThatIsSlowToSendIsWaitedForLongerThanOneThatIsSlowToAppear) {
  start();
  const Instant began = now;
  fetch();
  pool_knows(1);
  link(workers[0]);
  hear(workers[0].id(), holdings(0x03));
  EXPECT_THAT(end_of_fetch(), HasSubstr("did not answer"));
  EXPECT_GE(now - began, Duration(30s));
  EXPECT_LE(now - began, Duration(40s));
}

TEST_F(SubmitterContent, WhoSharesIsAnnouncedToTheCoordinatorAndWhoFetchesIsNot) {
  start_sharing();
  fetch();
  EXPECT_EQ(dialled(), std::vector<NodeId>{coordinator.id()});
  introduce({});
  EXPECT_TRUE(sent<Announce>(coordinator.id()).empty());
  step(ShareContent{content_id(as_bytes("another")), kLength});
  const auto told = sent<Announce>(coordinator.id());
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].record.signer, me.id());
  const auto told_record = decode_record(told[0].record.body);
  ASSERT_TRUE(told_record);
  EXPECT_EQ(told_record->endpoints, (std::vector<std::string>{"tcp://192.168.7.1:5000"}));
  EXPECT_LT(told_record->ttl_s, 600u) << "it is gone when this session is";
  EXPECT_TRUE(signature_holds(checker, Purpose::kRecord, told[0].record));
}

// A worker that is the first one of its pool hears of nobody else who shares.
TEST_F(SubmitterContent, WhoSharesLooksForWorkersMoreOftenWhereThereAreNone) {
  const auto looks_again_after = [&](const std::vector<Signed>& known) {
    start_sharing();
    step(ShareContent{content_id(as_bytes("another")), kLength});
    EXPECT_EQ(dialled(), std::vector<NodeId>{coordinator.id()});
    introduce(known);
    while (take<Drop>().empty()) pass();
    step(LinkLost{coordinator.id(), "dropped"});
    if (!known.empty()) link(workers[0]);
    take<Dial>();
    const Instant left = now;
    while (now < left + 60s) {
      pass();
      for (const Dial& dial : take<Dial>()) {
        if (dial.peer == coordinator.id()) return now - left;
      }
    }
    return Duration(60s);
  };
  EXPECT_LE(looks_again_after({}), Duration(6s));
  EXPECT_GE(looks_again_after({record(workers[0])}), Duration(20s));
}

TEST_F(SubmitterContent, WhoHasSharedTakesItsRecordBackWhenItLeaves) {
  start_sharing();
  step(ShareContent{content_id(as_bytes("another")), kLength});
  EXPECT_EQ(dialled(), std::vector<NodeId>{coordinator.id()});
  introduce({});
  ASSERT_EQ(sent<Announce>(coordinator.id()).size(), 1u);
  while (take<Drop>().empty()) pass();  // it has learnt enough
  step(LinkLost{coordinator.id(), "dropped"});
  step(LeavePool{});
  EXPECT_FALSE(submitter->has_left()) << "the coordinator knows it still";
  EXPECT_EQ(dialled(), std::vector<NodeId>{coordinator.id()});
  step(LinkUp{coordinator.id(), Role::kCoordinator, "10.0.0.1", std::nullopt});
  EXPECT_EQ(sent<Leave>(coordinator.id()).size(), 1u);
  EXPECT_TRUE(sent<Announce>(coordinator.id()).empty());
  step(LinkLost{coordinator.id(), "it has left"});
  EXPECT_TRUE(submitter->has_left());
}

TEST_F(SubmitterContent, WhoHasSharedNothingLeavesWithoutAWord) {
  start_sharing();
  fetch();
  introduce({});
  step(LeavePool{});
  EXPECT_TRUE(submitter->has_left());
  EXPECT_TRUE(sent<Leave>(coordinator.id()).empty());
}

TEST_F(SubmitterContent, NoContentIsSpokenOfWithACoordinator) {
  start();
  step(LinkUp{coordinator.id(), Role::kCoordinator, "10.0.0.1", std::nullopt});
  step(ShareContent{content_id(as_bytes("another")), kLength});
  fetch();
  EXPECT_TRUE(sent<Holdings>(coordinator.id()).empty());
  EXPECT_TRUE(sent<HoldersRequest>(coordinator.id()).empty());
}

TEST_F(SubmitterContent, ThatNoCoordinatorAnswersIsSaidToo) {
  start();
  fetch();
  EXPECT_THAT(end_of_fetch(), HasSubstr("No coordinator of the pool answered"));
}

TEST_F(SubmitterContent, InAPoolWithoutWorkersTheCoordinatorNamesWhoShares) {
  start_sharing();
  fetch();
  EXPECT_EQ(dialled(), std::vector<NodeId>{coordinator.id()});
  introduce({record_of_friend()});
  EXPECT_EQ(dialled(), std::vector<NodeId>{friend_key.id()});
  step(LinkUp{friend_key.id(), Role::kSubmitter, "10.0.0.50", record_of_friend()});
  hear(friend_key.id(), holdings(0x07));
  EXPECT_EQ(sent<BlockRequest>(friend_key.id()).size(), 3u);
}

// Who dials a submitter is known to it by the name of a session, and not by its key.
LinkUp visit(const KeyPair& key, std::uint64_t session, const Signed& record) {
  LinkUp up{peer_name(Role::kSubmitter, key.id(), session), Role::kSubmitter, "10.0.0.51", record};
  up.session_of = key.id();
  return up;
}

TEST_F(SubmitterContent, FetchersLearnOfEachOtherFromWhoShares) {
  start_sharing();
  step(ShareContent{content, kLength});
  const KeyPair other = key_of(51);
  const LinkUp first = visit(friend_key, 7, record_of_friend());
  step(first);
  hear(first.peer, holdings(0, true));
  const LinkUp second = visit(other, 8, sharer(other, "tcp://10.0.0.51:9051"));
  step(second);
  hear(second.peer, holdings(0, true));
  hear(second.peer, HoldersRequest{content, kLength});
  const auto told = sent<Holders>(second.peer);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].records, std::vector<Signed>{record_of_friend()});
}

TEST_F(SubmitterContent, AFetcherThatHasDialledThisOneIsNotDialled) {
  start_sharing();
  fetch();
  pool_knows(1);
  dialled();
  link(workers[0]);
  const LinkUp up = visit(friend_key, 7, record_of_friend());
  step(up);
  hear(workers[0].id(), Holders{content, {record_of_friend()}});
  EXPECT_TRUE(dialled().empty()) << "there is a link with it";
  step(LinkLost{up.peer, "it has left"});
  hear(workers[0].id(), Holders{content, {record_of_friend()}});
  EXPECT_EQ(dialled(), std::vector<NodeId>{friend_key.id()});
}

// Has a part already, and all of it with the next block; another fetcher is there.
class SubmitterContentPassedOn : public SubmitterContent {
 protected:
  const LinkUp other = visit(friend_key, 7, record_of_friend());

  void have_all_but_the_last() {
    start_sharing();
    fetch();
    pool_knows(1);
    dialled();
    step(other);
    hear(other.peer, holdings(0x01, true));
  }
  void have_all() {
    now = now + 10ms;
    step(BlockStored{.id = content, .first_leaf = 0, .complete = true, .error = {}});
  }
};

TEST_F(SubmitterContentPassedOn, WhoHasAllStaysWhileAFetcherAsksWhomNobodyElseServes) {
  have_all_but_the_last();
  have_all();
  EXPECT_TRUE(take<ContentReady>().empty()) << "it would leave";
  for (std::uint64_t block = 1; block <= 3; ++block) {
    now = now + 600ms;
    step(SubmitterDeadline{});
    hear(other.peer, BlockRequest{content, kLength, block * limits::kBlockLeaves});
    EXPECT_EQ(take<ReadBlock>().size(), 1u);
    EXPECT_TRUE(take<ContentReady>().empty());
  }
  hear(other.peer, holdings(0x01));
  EXPECT_EQ(only<ContentReady>().error, "");
}

TEST_F(SubmitterContentPassedOn, WhoAsksForNothingIsNotStayedFor) {
  have_all_but_the_last();
  have_all();
  pass_until(now + 1s);
  EXPECT_EQ(only<ContentReady>().error, "");
}

TEST_F(SubmitterContentPassedOn, WhoAsksForEverIsStayedForForAWhile) {
  have_all_but_the_last();
  have_all();
  const Instant began = now;
  for (int i = 0; i < 100 && take<ContentReady>().empty(); ++i) {
    pass_until(now + 100ms);
    hear(other.peer, BlockRequest{content, kLength, 0});
  }
  EXPECT_LE(now - began, 6s);
  EXPECT_GE(now - began, 4s);
}

TEST_F(SubmitterContentPassedOn, ASeedThatStaysServesTheOthers) {
  have_all_but_the_last();
  link(workers[0]);
  hear(workers[0].id(), holdings(0xff));
  have_all();
  EXPECT_EQ(only<ContentReady>().error, "");
}

TEST_F(SubmitterContentPassedOn, WhoHasLeftIsNotStayedFor) {
  have_all_but_the_last();
  have_all();
  EXPECT_TRUE(take<ContentReady>().empty());
  step(LinkLost{other.peer, "it has left"});
  EXPECT_EQ(only<ContentReady>().error, "");
}

// Thirty who share something: those of this network first, ten at a time.
class SubmitterContentCrowd : public SubmitterContent {
 protected:
  static constexpr std::uint8_t kNear = 4, kAll = 30;
  std::vector<KeyPair> crowd;

  void meet_crowd() {
    start_sharing();
    fetch();
    EXPECT_EQ(dialled(), std::vector<NodeId>{coordinator.id()});
    std::vector<Signed> records;
    for (std::uint8_t i = 0; i < kAll; ++i) {
      crowd.push_back(key_of(static_cast<std::uint8_t>(100 + i)));
      const std::string host = i < kNear ? "192.168.7." : "203.0.113.";
      records.push_back(sharer(crowd.back(), "tcp://" + host + std::to_string(10 + i) + ":9000"));
    }
    introduce(records);
  }
  void up(const NodeId& node) { step(LinkUp{node, Role::kSubmitter, "203.0.113.9", {}}); }
};

TEST_F(SubmitterContentCrowd, NeighboursAreDialledFirstAndTheRestAreInReserve) {
  meet_crowd();
  const auto first = dialled();
  ASSERT_EQ(first.size(), limits::kContentPeers);
  for (std::uint8_t i = 0; i < kNear; ++i) {
    EXPECT_EQ(std::count(first.begin(), first.end(), crowd[i].id()), 1);
  }
  for (const NodeId& node : first) {
    up(node);
    hear(node, holdings(0x07, true));
  }
  pass_until(now + 3s);
  EXPECT_TRUE(dialled().empty()) << "there are enough who have it";
  // One is lost, and another takes its place.
  step(LinkLost{first[0], "connection reset"});
  const auto next = dialled();
  ASSERT_EQ(next.size(), 1u);
}

// What they all lack, somebody else may have.
TEST_F(SubmitterContentCrowd, ACrowdOfFetchersIsNotEnough) {
  meet_crowd();
  const auto first = dialled();
  for (const NodeId& node : first) {
    up(node);
    hear(node, holdings(0, true));
  }
  std::size_t more = 0;
  for (int i = 0; i < 100 && more < 2; ++i) {
    pass();
    const auto dials = dialled();
    more += static_cast<std::size_t>(std::count_if(
        dials.begin(), dials.end(), [&](const NodeId& node) { return node != coordinator.id(); }));
  }
  EXPECT_EQ(more, 2u);
  EXPECT_TRUE(take<ContentReady>().empty());
}

TEST_F(SubmitterContentCrowd, WhoHasNothingIsLeftForSomebodyInReserve) {
  meet_crowd();
  const auto first = dialled();
  ASSERT_EQ(first.size(), limits::kContentPeers);
  for (const NodeId& node : first) {
    up(node);
    hear(node, holdings(0x07, true));
  }
  take<Drop>();
  step(LinkLost{first[3], "connection reset"});
  const auto second = dialled();
  ASSERT_EQ(second.size(), 1u);
  up(second[0]);
  hear(second[0], holdings(0));
  const auto third = dialled();
  ASSERT_EQ(third.size(), 1u) << "who holds nothing does not count";
  hear(second[0], Holders{content, {}});
  up(third[0]);
  EXPECT_TRUE(take<Drop>().empty()) << "it is left when its place is needed";
  hear(third[0], holdings(0));
  EXPECT_EQ(dialled().size(), 1u);
  EXPECT_EQ(only<Drop>().peer, second[0]);
}

}  // namespace
}  // namespace shoal
