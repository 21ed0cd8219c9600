#include <gtest/gtest.h>

#include "node/protocol/terms.h"
#include "tests/unit/worker/core/pool.h"

// Workers that show a leader their papers, more than once and in an awkward order.
namespace shoal {
namespace {

using test::honest;
using test::Pool;

// Two workers, of whom the first leads. What it answers to papers is held up until `deliver`.
class Rejoining : public ::testing::Test {
 protected:
  Rejoining() {
    pool_.meddle = [this](std::size_t from, std::size_t, Message& message) {
      if (from != 1 || !std::holds_alternative<RejoinReply>(message)) return true;
      held_up_.push_back(message);
      return false;
    };
    job_ = pool_.submit(1, pool_.manifest(200, 2));
    pool_.want_receipts(1, job_);
  }
  // The leader's word that makes a worker show its papers.
  void leader_says_its_terms() {
    pool_.say_as(
        1, 2,
        TermNotice{
            .job = job_, .terms = {pool_.term(pool_.submitter(), job_, 1, {1})}, .records = {}});
  }
  void deliver(std::size_t reply) { pool_.say_as(1, 2, held_up_.at(reply)); }
  std::uint64_t verified() const {
    RangeSet units;
    for (const Receipt& receipt : pool_.receipts()) {
      if (receipt.end == UnitEnd::kVerified) units.add(receipt.range);
    }
    return units.size();
  }

  Pool pool_{2};
  JobId job_;
  std::vector<Message> held_up_;
};

TEST_F(Rejoining, AnAnswerThatIsTakenForAnotherLosesNoUnit) {
  leader_says_its_terms();
  ASSERT_EQ(held_up_.size(), 1U);
  // It is given more before the answer comes, and shows that too.
  pool_.say_as(2, 1, WorkRequest{.job = job_, .threads = 1, .unit_ns = 0, .backlog_units = 0});
  pool_.wait(11s);
  ASSERT_EQ(held_up_.size(), 2U);
  deliver(0);
  leader_says_its_terms();
  ASSERT_EQ(held_up_.size(), 3U);
  deliver(1);
  deliver(2);
  pool_.run(honest, 100);
  EXPECT_EQ(verified(), 200U) << "a worker holds what it will not compute";
}

TEST_F(Rejoining, WhatIsCommittedMeanwhileIsNotHeldAgain) {
  leader_says_its_terms();
  ASSERT_EQ(held_up_.size(), 1U);
  while (pool_.compute(2, honest)) {
  }
  const std::vector<UnitIndex> before = pool_.computed[2];
  ASSERT_FALSE(before.empty());
  deliver(0);
  pool_.meddle = {};
  pool_.run(honest, 100);
  EXPECT_EQ(verified(), 200U);
  const std::set<UnitIndex> once(pool_.computed[2].begin(), pool_.computed[2].end());
  EXPECT_EQ(once.size(), pool_.computed[2].size()) << "a unit was computed twice here";
}

// What a leader says that nobody asked.
class Unasked : public ::testing::Test {
 protected:
  RejoinReply reply_of(std::size_t leader, const JobId& job, std::uint64_t epoch,
                       std::uint64_t first_lease) {
    RejoinReply reply{.job = job, .epoch = epoch, .leases = {}, .duration_ms = 60'000, .open = {}};
    const test::PlainSigner signer(static_cast<std::uint8_t>(leader));
    for (std::uint64_t i = 0; i < limits::kGrantsPerMessage; ++i) {
      const std::uint64_t lease = first_lease + i;
      const Grant grant{.job = job,
                        .epoch = epoch,
                        .lease = lease,
                        .kind = LeaseKind::kPrimary,
                        .ranges = {{lease, lease + 1}},
                        .worker = pool_.id(2)};
      reply.leases.push_back({.old_epoch = epoch,
                              .old_lease = lease,
                              .grant = sign_fact(signer, Purpose::kGrant, encode(grant))});
    }
    return reply;
  }
  Pool pool_{3};
};

TEST_F(Unasked, AJobOfWhichNothingIsKnownGivesNoLeases) {
  JobId job;
  job.bytes[0] = 7;
  // An honest node would answer that there is no such job.
  bool asked = false;
  pool_.meddle = [&](std::size_t from, std::size_t, Message& message) {
    const bool request = from == 2 && std::holds_alternative<WorkRequest>(message);
    asked |= request;
    return !request;
  };
  pool_.say_as(3, 2, WorkAvailable{.job = job, .leader = pool_.record(3), .hops = 0, .terms = {}});
  ASSERT_TRUE(asked);
  pool_.say_as(3, 2, reply_of(3, job, 0, 1));
  EXPECT_EQ(pool_.peer(2).status().backlog_units, 0U);
}

TEST_F(Unasked, LeasesStayWithinWhatAReportCanList) {
  const JobId job = pool_.submit(1, pool_.manifest(100'000, 2));
  pool_.run(honest, 0);
  ASSERT_TRUE(pool_.compute(2, honest));
  for (std::uint64_t first = 50'000; first < 60'000; first += limits::kGrantsPerMessage) {
    pool_.say_as(1, 2, reply_of(1, job, 1, first));
  }
  EXPECT_GT(pool_.peer(2).status().backlog_units, 100U) << "none was taken";
}

// Most of them were stolen, or revoked, and what it committed is all that it is sure of.
TEST(RejoiningFromDisk, AWorkerThatWasGivenThousandsOfLeasesStartsAgain) {
  Pool pool(2);
  const Manifest manifest = pool.manifest(10'000, 2);
  const JobId job = pool.submit(1, manifest);
  pool.want_receipts(1, job);
  const auto fact = [&](FactKind kind, std::uint64_t sequence, Bytes bytes) {
    return StoredFact{
        .kind = kind, .job = job, .sequence = sequence, .about = {}, .bytes = std::move(bytes)};
  };
  RecoveredState disk;
  disk.facts.push_back(
      fact(FactKind::kTask, 0,
           pack_signed(sign_fact(pool.submitter(), Purpose::kManifest, encode(manifest)))));
  disk.facts.push_back(
      fact(FactKind::kTaskTerms, 0, encode_chain(job, {pool.term(pool.submitter(), job, 1, {1})})));
  for (std::uint64_t n = 1; n <= 3000; ++n) {
    const Grant grant{.job = job,
                      .epoch = 1,
                      .lease = n,
                      .kind = LeaseKind::kPrimary,
                      .ranges = {{n, n + 1}, {n + 3000, n + 3001}},
                      .worker = pool.id(2)};
    disk.facts.push_back(
        fact(FactKind::kPaper, n,
             pack_signed(sign_fact(test::PlainSigner(1), Purpose::kGrant, encode(grant)))));
  }
  pool.kill(2);
  pool.add(2, std::move(disk));
  pool.peer(2).check_invariants();
  pool.hear(2, Started{});
  pool.link(1, 2);
  pool.settle();
  pool.run(honest, 100);
  std::uint64_t verified = 0;
  for (const Receipt& receipt : pool.receipts()) {
    if (receipt.end == UnitEnd::kVerified) verified += receipt.range.size();
  }
  EXPECT_EQ(verified, 10'000U);
}

}  // namespace
}  // namespace shoal
