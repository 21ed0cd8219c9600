#include <gtest/gtest.h>

#include "tests/unit/worker/core/pool.h"

// Who is given how much, by whom, and when without asking.
namespace shoal {
namespace {

using test::honest;
using test::Pool;

std::uint64_t units_of(const std::vector<Range>& ranges) {
  std::uint64_t units = 0;
  for (Range range : ranges) units += range.size();
  return units;
}

TEST(Leases, AreLargeFirstAndSmallerLater) {
  Pool pool(3);
  pool.unit_takes = 10ms;
  std::vector<std::uint64_t> sizes;
  pool.meddle = [&](std::size_t, std::size_t, Message& message) {
    const auto* grant = std::get_if<LeaseGrant>(&message);
    if (grant != nullptr && !grant->ranges.empty()) sizes.push_back(units_of(grant->ranges));
    return true;
  };
  const JobId job = pool.submit(1, pool.manifest(6000, 1));
  pool.want_receipts(1, job);
  pool.run(honest);
  // The first ones find out how long a unit takes, and who keeps his word.
  const auto largest = std::max_element(sizes.begin(), sizes.end());
  ASSERT_NE(largest, sizes.end());
  EXPECT_GE(*largest, 6000U / 3 / 3) << "near half of its share of all";
  EXPECT_TRUE(std::is_sorted(largest, sizes.end(), std::greater<>()));
  EXPECT_LE(sizes.back(), 10U) << "100 ms of work";
}

TEST(Leases, WhoWentAwayEmptyHandedIsServedWithoutAskingAgain) {
  Pool pool(3);
  bool empty_handed = false;
  int asked = 0, given = 0;
  pool.meddle = [&](std::size_t from, std::size_t to, Message& message) {
    if (from == 3 && empty_handed && given == 0)
      asked += std::holds_alternative<WorkRequest>(message);
    const auto* none = std::get_if<NoWork>(&message);
    if (to == 3 && none != nullptr && none->job && none->holders.empty()) empty_handed = true;
    const auto* grant = std::get_if<LeaseGrant>(&message);
    if (to == 3 && grant != nullptr && !grant->ranges.empty()) given += 1;
    return true;
  };
  pool.submit(1, pool.manifest(2, 2));
  ASSERT_TRUE(empty_handed) << "there is too little for three";
  ASSERT_EQ(given, 0);
  while (given == 0 && (pool.compute(1, honest) || pool.compute(2, honest))) continue;
  EXPECT_EQ(given, 1) << "what the others have committed is to be verified";
  EXPECT_EQ(asked, 0);
}

class Thefts : public testing::Test {
 protected:
  Thefts() {
    pool.meddle = [this](std::size_t from, std::size_t, Message& message) {
      const auto* reply = std::get_if<StealReply>(&message);
      if (reply != nullptr && !reply->transfer) in_vain += 1;
      if (reply != nullptr && reply->transfer) {
        loot.emplace_back(units_of(decode_transfer(reply->transfer->body)->ranges),
                          pool.peer(from).status().backlog_units);
      }
      return !deaf || !std::holds_alternative<WorkRequest>(message);
    };
  }
  // Nobody has any units of it but those that the test gives him.
  JobId submit_to_the_deaf(std::uint32_t quorum) {
    deaf = true;
    const Manifest manifest = pool.manifest(1000, quorum);
    const JobId job = pool.submit(1, manifest);
    LeaseGrant introduction;
    introduction.job = job;
    introduction.epoch = 1;
    introduction.manifest = sign_fact(pool.submitter(), Purpose::kManifest, encode(manifest));
    introduction.terms = TermChain{pool.term(pool.submitter(), job, 1, {1})};
    for (std::size_t n : {2, 3}) pool.say_as(1, n, introduction);
    return job;
  }
  void give(std::size_t n, const JobId& job, LeaseKind kind, Range range) {
    const std::uint64_t lease = 1000 + range.first;
    const Grant paper{.job = job,
                      .epoch = 1,
                      .lease = lease,
                      .kind = kind,
                      .ranges = {range},
                      .worker = pool.id(n)};
    LeaseGrant grant;
    grant.job = job;
    grant.epoch = 1;
    grant.lease = lease;
    grant.kind = kind;
    grant.ranges = {range};
    grant.duration_ms = 60'000;
    grant.grant = sign_fact(test::PlainSigner(1), Purpose::kGrant, encode(paper));
    pool.say_as(1, n, grant);
  }

  Pool pool{4};
  bool deaf = false;
  int in_vain = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> loot;  // units, and what was left there
};

TEST_F(Thefts, TakeHalfOfWhatIsNotBegun) {
  const JobId job = submit_to_the_deaf(1);
  give(2, job, LeaseKind::kPrimary, {0, 100});
  const std::uint64_t not_begun = pool.peer(2).status().backlog_units;
  ASSERT_GT(not_begun, 90U);
  pool.say_as(3, 2, StealRequest{.job = job, .threads = 1});
  ASSERT_EQ(loot.size(), 1U);
  EXPECT_EQ(loot[0], std::pair((not_begun + 1) / 2, not_begun / 2));
  // And half again of what that leaves.
  pool.say_as(4, 2, StealRequest{.job = job, .threads = 1});
  ASSERT_EQ(loot.size(), 2U);
  EXPECT_EQ(loot[1].first, (not_begun / 2 + 1) / 2);
}

TEST_F(Thefts, InVainAreMadeGoodWhenThereIsSomething) {
  const JobId job = submit_to_the_deaf(1);
  pool.say_as(3, 2, StealRequest{.job = job, .threads = 1});
  EXPECT_EQ(in_vain, 1);
  ASSERT_TRUE(loot.empty());
  give(2, job, LeaseKind::kPrimary, {0, 100});
  ASSERT_EQ(loot.size(), 1U) << "it was asked once";
  EXPECT_EQ(loot[0].first, 50U);
  EXPECT_GT(pool.peer(3).status().units_stolen, 0U);
}

TEST_F(Thefts, OfWhatIsToBeVerifiedAreNot) {
  const JobId job = submit_to_the_deaf(2);
  give(2, job, LeaseKind::kVerify, {0, 100});
  ASSERT_GT(pool.peer(2).status().backlog_units + pool.units_begun(2), 90U) << "it has them";
  pool.say_as(3, 2, StealRequest{.job = job, .threads = 1});
  EXPECT_EQ(in_vain, 1);
  // Of what it is the first to compute it gives.
  give(2, job, LeaseKind::kPrimary, {100, 200});
  ASSERT_EQ(loot.size(), 1U);
  EXPECT_LE(loot[0].first, 50U);
}

}  // namespace
}  // namespace shoal
