#include <gtest/gtest.h>

#include <algorithm>

#include "node/protocol/receipt_check.h"
#include "node/protocol/result.h"
#include "tests/unit/worker/core/pool.h"

// What a leader makes of commitments, reveals and verdicts that come in an awkward order.
namespace shoal {
namespace {

using test::PlainSigner;
using test::Pool;

// Each worker has a result of its own.
std::optional<Bytes> own_output(std::size_t n, UnitIndex) {
  return Bytes{1, 2, 3, std::uint8_t(n)};
}

Hash256 digest_of(std::size_t n) {
  PackedOutputs output;
  output.inline_bytes = *own_output(n, 0);
  output.sizes = {output.inline_bytes.size()};
  return digests_of(output)->front();
}

TEST(Evidence, WhoCommitsWhileTheOthersAreJudgedIsWeighedToo) {
  Pool pool(6);
  Manifest manifest = pool.manifest(1, 2);
  manifest.comparison = Comparison::kEquivalent;
  const JobId job = pool.submit(1, manifest);
  // Nobody finishes for so long that a third is given the unit beside the two.
  std::vector<std::size_t> holders;
  pool.wait(100s);
  std::optional<Message> held_up;
  std::vector<RevealDetail> asked_of_third;
  std::size_t third = 0;
  pool.meddle = [&](std::size_t from, std::size_t to, Message& message) {
    if (third == 0) return true;
    if (from == third && std::holds_alternative<Reveal>(message) && !held_up) {
      held_up = message;
      return false;
    }
    if (const auto* request = std::get_if<RevealRequest>(&message); request && to == third) {
      asked_of_third.push_back(request->detail);
    }
    return true;
  };
  for (std::size_t n = 2; n <= 6 && holders.size() < 3; ++n) {
    if (holders.size() == 2) third = n;
    if (pool.compute(n, own_output)) holders.push_back(n);
  }
  ASSERT_EQ(holders.size(), 3U);
  ASSERT_TRUE(held_up.has_value());
  ASSERT_EQ(asked_of_third, std::vector{RevealDetail::kRoot});

  ComparisonVerdict no{.job = job,
                       .worker = pool.id(holders[0]),
                       .unit = 0,
                       .digests = {digest_of(holders[0]), digest_of(holders[1])},
                       .all_match = false};
  std::sort(no.digests.begin(), no.digests.end());
  const PlainSigner judge(static_cast<std::uint8_t>(holders[0]));
  pool.say_as(holders[0], 1, CompareReply{sign_fact(judge, Purpose::kComparison, encode(no))});
  pool.say_as(third, 1, *held_up);
  EXPECT_EQ(asked_of_third, (std::vector{RevealDetail::kRoot, RevealDetail::kOutputs}));
}

// All outputs differ, and are as good as each other.
struct Judged : testing::Test {
  JobId submit() {
    Manifest manifest = pool.manifest(kUnits, 2);
    manifest.comparison = Comparison::kEquivalent;
    return pool.submit(1, manifest);
  }
  static constexpr std::uint64_t kUnits = 1500;
  Pool pool{3};
};

TEST_F(Judged, NobodyIsAskedMoreThanItJudgesAtOnceAndAllIsJudged) {
  pool.want_receipts(1, submit());
  std::size_t most = 0;
  for (int idle = 0; idle < 40; ++idle) {
    for (std::size_t n = 1; n <= 3; ++n) {
      while (pool.compute(n, own_output)) idle = 0;
    }
    for (std::size_t n = 1; n <= 3; ++n) {
      most = std::max(most, pool.to_judge(n));
      // The others wait.
      for (std::size_t left = pool.to_judge(n) / 2; pool.to_judge(n) > left; idle = 0)
        pool.judge(n);
    }
    pool.pass(100ms);
  }
  EXPECT_EQ(most, limits::kJudgedAtOnce);
  std::uint64_t verified = 0;
  for (const Receipt& receipt : pool.receipts()) {
    EXPECT_EQ(receipt.end, UnitEnd::kVerified);
    EXPECT_EQ(receipt.comparisons.size(), 2U);
    verified += receipt.range.size();
  }
  EXPECT_EQ(verified, kUnits);
}

// A "no" that is only a want of room would have honest outputs disputed.
TEST_F(Judged, WhoIsAskedTooMuchSaysNothing) {
  CompareRequest request{.job = submit(), .unit = 0, .candidates = {}, .holders = {}};
  for (std::uint8_t n = 1; n <= 2; ++n) {
    request.candidates.sizes.push_back(1);
    request.candidates.inline_bytes.push_back(n);
  }
  for (; request.unit < 2 * limits::kJudgedAtOnce; ++request.unit) pool.say_as(1, 2, request);
  EXPECT_EQ(pool.to_judge(2), limits::kJudgedAtOnce);
  EXPECT_EQ(pool.sent["CompareReply"], 0U);
}

TEST(Evidence, ADisputeShowsTwoOutputsThatDiffer) {
  Pool pool(6);
  const Manifest manifest = pool.manifest(1, 2);
  const JobId job = pool.submit(1, manifest);
  pool.want_receipts(1, job);
  pool.run(own_output);
  const std::vector<Receipt> receipts = pool.receipts();
  ASSERT_EQ(receipts.size(), 1U);
  Receipt disputed = receipts.front();
  ASSERT_EQ(disputed.end, UnitEnd::kDisputed);
  ASSERT_EQ(disputed.differing.size(), 2U);
  EXPECT_NE(disputed.differing[0].inline_bytes, disputed.differing[1].inline_bytes);
  for (const PackedOutputs& shown : disputed.differing) {
    ASSERT_EQ(shown.inline_bytes.size(), 4U);
    EXPECT_EQ(shown.inline_bytes, own_output(shown.inline_bytes[3], 0));
  }
  EXPECT_EQ(receipt_fault(manifest, job, disputed, pool.checker()), "");
  disputed.differing[1].inline_bytes[0] ^= 1;
  EXPECT_NE(receipt_fault(manifest, job, disputed, pool.checker()), "")
      << "nobody stands for such an output";
}

}  // namespace
}  // namespace shoal
