#include <gtest/gtest.h>

#include "node/protocol/terms.h"
#include "tests/unit/worker/core/pool.h"

// A job's manifest is no secret: anybody can put a signature of his own under it, and name
// stewards. Under one that names its submitter nobody else's counts. One that does not, as of early
// programs, stays its submitter's to those who have the job.
namespace shoal {
namespace {

using test::honest;
using test::PlainSigner;
using test::Pool;
using test::status_at;

struct Impostors : testing::Test {
  Impostors() : fact(sign_fact(stranger, Purpose::kManifest, encode(manifest))) {}
  TermChain terms(const Signer& by, std::uint64_t epoch, std::vector<std::size_t> stewards) const {
    return {pool.term(by, job, epoch, stewards)};
  }
  // As a worker that says that it leads.
  void grant_as(std::size_t from, std::size_t to, std::uint64_t lease, Range range) {
    pool.meddle = [from](std::size_t by, std::size_t, Message&) { return by != from; };
    const TermChain own = terms(stranger, 1, {from});
    pool.say_as(from, to, WorkAvailable{.job = job, .leader = pool.record(from), .terms = own});
    pool.say_as(from, to,
                LeaseGrant{.job = job,
                           .epoch = 1,
                           .lease = lease,
                           .ranges = {range},
                           .duration_ms = 60'000,
                           .manifest = fact,
                           .terms = own});
  }
  Pool pool{5};
  const PlainSigner stranger{201};
  const Manifest manifest = pool.manifest(400, 2);
  const Signed fact;  // the same job, signed by the stranger
  const JobId job = job_id_of(fact.body);
};

TEST_F(Impostors, GiveNobodysJobToOtherStewards) {
  ASSERT_EQ(pool.submit({1, 2, 3}, manifest), job);
  pool.heard.clear();
  pool.be_session(7);
  for (std::size_t n = 1; n <= 3; ++n) {
    pool.connect_stranger(n);
    pool.say(n, Submit{fact, terms(stranger, 1'000, {4})});
  }
  for (const SubmitReply& reply : pool.all_heard<SubmitReply>()) {
    EXPECT_EQ(reply.outcome, SubmitOutcome::kInvalid);
  }
  EXPECT_EQ(pool.all_heard<SubmitReply>().size(), 3U);
  EXPECT_TRUE(status_at(pool, 1).leads);
  for (std::size_t n = 1; n <= 3; ++n) EXPECT_EQ(status_at(pool, n).stewards[0], pool.id(1)) << n;
  pool.run(honest);
  EXPECT_EQ(status_at(pool, 1).verified, 400U);
}

// Who has taken it from a stranger first cannot keep it for its submitter as well, and says so.
TEST_F(Impostors, WhoKeepsWhatTheySignedIsNoStewardOfTheOther) {
  pool.be_session(7);
  pool.connect_stranger(4);
  pool.say(4, Submit{fact, terms(stranger, 1, {4})});
  const Signed own = sign_fact(pool.submitter(), Purpose::kManifest, encode(manifest));
  std::vector<EnlistReply> replies;
  pool.meddle = [&](std::size_t, std::size_t, Message& message) {
    if (const auto* reply = std::get_if<EnlistReply>(&message)) replies.push_back(*reply);
    return true;
  };
  pool.say_as(1, 4, Enlist{.manifest = own, .terms = terms(pool.submitter(), 1, {1, 2})});
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_FALSE(replies[0].accepted);
}

TEST_F(Impostors, NobodyElseCanHandInWhatNamesItsSubmitter) {
  Manifest named = manifest;
  named.submitter = pool.submitter().id();
  const Signed copied = sign_fact(stranger, Purpose::kManifest, encode(named));
  const JobId theirs = job_id_of(copied.body);
  pool.be_session(7);
  pool.connect_stranger(4);
  pool.say(4, Submit{copied, {pool.term(stranger, theirs, 1, {4})}});
  const auto replies = pool.all_heard<SubmitReply>();
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_EQ(replies[0].outcome, SubmitOutcome::kInvalid);
  // Nor be given units of it, nor enlist others.
  std::vector<EnlistReply> answers;
  pool.meddle = [&](std::size_t, std::size_t, Message& message) {
    if (const auto* reply = std::get_if<EnlistReply>(&message)) answers.push_back(*reply);
    return true;
  };
  pool.say_as(1, 4, Enlist{.manifest = copied, .terms = {pool.term(stranger, theirs, 1, {1, 2})}});
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_FALSE(answers[0].accepted);
  // So the one whom they asked can be its steward.
  pool.be_session(0);
  EXPECT_EQ(pool.submit({4, 1, 2}, named), theirs);
  pool.run(honest);
  EXPECT_EQ(status_at(pool, 4).verified, 400U);
}

// Nor does an answer that its leader waits for go to somebody else.
TEST_F(Impostors, WhoDoesNotLeadAJobEnlistsNobody) {
  ASSERT_EQ(pool.submit({1, 2, 3}, manifest), job);
  std::vector<EnlistReply> replies;
  pool.meddle = [&](std::size_t, std::size_t to, Message& message) {
    const auto* reply = std::get_if<EnlistReply>(&message);
    if (reply != nullptr && to == 5) replies.push_back(*reply);
    return true;
  };
  const Signed own = sign_fact(pool.submitter(), Purpose::kManifest, encode(manifest));
  pool.say_as(5, 3, Enlist{.manifest = own, .terms = terms(pool.submitter(), 1, {1, 2, 3})});
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_FALSE(replies[0].accepted);
}

TEST_F(Impostors, WhoHeardOfTheirsFirstWorksForTheSubmitterAllTheSame) {
  pool.paused = {1, 2, 3, 5};
  grant_as(5, 4, 1, {0, 1});
  ASSERT_TRUE(pool.computes(4));
  ASSERT_EQ(pool.submit({1, 2, 3}, manifest), job);
  pool.paused = {5};
  pool.wait(30s);
  pool.run(honest);
  EXPECT_EQ(status_at(pool, 1).verified, 400U);
  EXPECT_GT(pool.computed[4].size(), 1U);
}

// A term of theirs that names the submitter's leader does not put their job in the place of his.
TEST_F(Impostors, DoNotTakeThePlaceOfTheJobThatALeaderHas) {
  ASSERT_EQ(pool.submit({1, 2, 3}, manifest), job);
  ASSERT_TRUE(pool.compute(4, honest));
  ASSERT_TRUE(pool.computes(4));
  grant_as(5, 4, 1, {0, 1});
  pool.say_as(5, 4, TermNotice{.job = job, .terms = terms(stranger, 2, {1}), .records = {}});
  pool.run(honest);
  EXPECT_EQ(status_at(pool, 1).verified, 400U);
}

}  // namespace
}  // namespace shoal
