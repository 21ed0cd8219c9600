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
  ASSERT_EQ(asked_of_third, std::vector{RevealDetail::kOutputs});

  ComparisonVerdict no{.job = job,
                       .worker = pool.id(holders[0]),
                       .unit = 0,
                       .digests = {digest_of(holders[0]), digest_of(holders[1])},
                       .all_match = false};
  std::sort(no.digests.begin(), no.digests.end());
  const PlainSigner judge(static_cast<std::uint8_t>(holders[0]));
  pool.say_as(holders[0], 1, CompareReply{sign_fact(judge, Purpose::kComparison, encode(no))});
  ASSERT_EQ(pool.to_judge(third), 0U);
  pool.say_as(third, 1, *held_up);
  EXPECT_EQ(pool.to_judge(third), 1U) << "all three are judged";
}

// All outputs differ, and are as good as each other.
struct Judged : testing::Test {
  JobId submit(const std::vector<std::size_t>& stewards = {1}) {
    Manifest manifest = pool.manifest(kUnits, 2);
    manifest.comparison = Comparison::kEquivalent;
    return pool.submit(stewards, manifest);
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

// A root says only that outputs differ, and of these all do: it would be asked for in vain each
// time.
TEST_F(Judged, OnceOutputsHaveDifferedTheyAreAskedForAtOnce) {
  submit({1, 2});
  std::size_t outputs = 0, less = 0;
  pool.meddle = [&](std::size_t, std::size_t, Message& message) {
    if (const auto* request = std::get_if<RevealRequest>(&message)) {
      (request->detail == RevealDetail::kOutputs ? outputs : less) += 1;
    }
    return true;
  };
  pool.unit_takes = 50ms;
  const auto compute_some = [&](std::size_t rounds) {
    for (std::size_t round = 0; round < rounds; ++round) {
      for (std::size_t n = 1; n <= 3; ++n) pool.compute(n, own_output);
      for (std::size_t n = 1; n <= 3; ++n) {
        while (pool.to_judge(n) > 0) pool.judge(n);
      }
    }
  };
  compute_some(20);
  EXPECT_GT(less, 0U) << "nobody knew yet that they differ";
  less = outputs = 0;
  compute_some(100);
  EXPECT_EQ(less, 0U);
  EXPECT_GT(outputs, 20U);
  // Its ledger says so to whoever leads next.
  less = outputs = 0;
  pool.kill(1);
  pool.wait(5s);
  ASSERT_EQ(pool.peer(2).jobs_led().size(), 1U);
  compute_some(30);
  EXPECT_EQ(less, 0U);
  EXPECT_GT(outputs, 20U);
}

// Whoever commits to much at once, as to a new leader, shows it bit by bit: all of it would be lost
// with the link.
TEST(Evidence, NobodyIsAskedToShowAllThatItHasAtOnce) {
  constexpr std::uint64_t kUnits = 300;
  constexpr std::size_t kShownAtOnce = 16;
  Pool pool(3);
  pool.unit_takes = 1s;  // so each unit is a batch
  pool.want_receipts(1, pool.submit(1, pool.manifest(kUnits, 2)));
  std::vector<Message> commits, reveals;
  std::size_t asked = 0;
  bool held_up = false, told = false;
  pool.meddle = [&](std::size_t from, std::size_t to, Message& message) {
    asked += to == 3 && std::holds_alternative<RevealRequest>(message);
    if (!held_up || from != 3) return true;
    if (std::holds_alternative<CommitNotice>(message))
      commits.push_back(message);
    else if (told && std::holds_alternative<Reveal>(message))
      reveals.push_back(message);
    else
      return true;
    return false;
  };
  const auto both_compute = [&] {
    bool any = false;
    for (std::size_t n = 2; n <= 3; ++n) any |= pool.compute(n, test::honest);
    pool.pass(1s);
    return any;
  };
  // Whoever has committed something is given as much as is to be held up.
  while (pool.computed[3].size() < kShownAtOnce && both_compute()) continue;
  held_up = true;
  while (commits.size() < 100 && both_compute()) continue;
  ASSERT_GE(commits.size(), 3 * kShownAtOnce);
  const std::size_t before = asked;
  told = true;
  for (const Message& commit : commits) pool.say_as(3, 1, commit);
  EXPECT_EQ(asked - before, kShownAtOnce);
  held_up = false;
  for (const Message& reveal : reveals) pool.say_as(3, 1, reveal);
  for (int turn = 0; turn < 20; ++turn) pool.pass(1ms);
  std::set<UnitIndex> of_both;
  for (UnitIndex unit : pool.computed[2]) {
    const auto& by_third = pool.computed[3];
    if (std::find(by_third.begin(), by_third.end(), unit) != by_third.end()) of_both.insert(unit);
  }
  ASSERT_GT(of_both.size(), 2 * kShownAtOnce);
  EXPECT_EQ(asked, of_both.size()) << "the others have their turn";
}

// A link breaks with a question, or its answer, under way, and is back before its worker is missed.
struct LostWithTheLink : testing::TestWithParam<std::string_view> {
  LostWithTheLink() {
    pool.meddle = [&](std::size_t from, std::size_t to, Message& message) {
      if (name_of(message) != GetParam() || (from != 3 && to != 3)) return true;
      return std::exchange(lost, true);
    };
  }
  // All that can be done before anybody has waited for long.
  void compute(const Pool::Kernel& kernel) {
    for (int turn = 0; turn < 10; ++turn) {
      for (std::size_t n = 1; n <= 3; ++n) {
        while (pool.compute(n, kernel)) continue;
        while (pool.to_judge(n) > 0) pool.judge(n);
      }
      pool.pass(100ms);
    }
  }
  void expect_it_is_asked_again(const JobId& job, const Pool::Kernel& kernel) {
    pool.want_receipts(1, job);
    compute(kernel);
    ASSERT_TRUE(lost);
    ASSERT_LT(verified(), kUnits);
    pool.cut(1, 3);
    pool.link(1, 3);
    pool.settle();
    compute(kernel);
    EXPECT_EQ(verified(), kUnits);
    EXPECT_EQ(pool.computed[1].size() + pool.computed[2].size() + pool.computed[3].size(),
              2 * kUnits);
  }
  std::uint64_t verified() const {
    std::uint64_t units = 0;
    for (const Receipt& receipt : pool.receipts()) units += receipt.range.size();
    return units;
  }
  static constexpr std::uint64_t kUnits = 4;
  Pool pool{3};
  bool lost = false;
};

struct Shown : LostWithTheLink {};
TEST_P(Shown, IsAskedForAgain) {
  expect_it_is_asked_again(pool.submit(1, pool.manifest(kUnits, 2)), test::honest);
}
INSTANTIATE_TEST_SUITE_P(Evidence, Shown, testing::Values("RevealRequest", "Reveal"),
                         [](const auto& named) { return std::string(named.param); });

struct Verdict : LostWithTheLink {};
TEST_P(Verdict, IsAskedForAgain) {
  Manifest manifest = pool.manifest(kUnits, 2);
  manifest.comparison = Comparison::kEquivalent;
  expect_it_is_asked_again(pool.submit(1, manifest), own_output);
}
INSTANTIATE_TEST_SUITE_P(Evidence, Verdict, testing::Values("CompareRequest", "CompareReply"),
                         [](const auto& named) { return std::string(named.param); });

// Whatever it is asked, and however often its link breaks and it commits anew.
TEST(Evidence, WhoNeverShowsWhatItCommittedKeepsNoUnitFromTheOthers) {
  constexpr std::uint64_t kUnits = 12;
  Pool pool(4);
  pool.want_receipts(1, pool.submit(1, pool.manifest(kUnits, 2)));
  std::size_t hidden = 0;
  pool.meddle = [&](std::size_t from, std::size_t, Message& message) {
    const bool hides = from == 3 && std::holds_alternative<Reveal>(message);
    hidden += hides;
    return !hides;
  };
  for (int turn = 0; turn < 30; ++turn) {
    for (std::size_t n = 2; n <= 4; ++n) {
      while (pool.compute(n, test::honest)) continue;
    }
    pool.pass(1s);
    pool.cut(1, 3);
    pool.link(1, 3);
    pool.settle();
  }
  EXPECT_GT(hidden, 1U);
  std::uint64_t verified = 0;
  for (const Receipt& receipt : pool.receipts()) verified += receipt.range.size();
  EXPECT_EQ(verified, kUnits);
}

// But where nobody else is left it is given them again, and need not ask for that.
TEST(Evidence, WhoOnceShowedNothingIsAskedAgainWhereNobodyElseIsLeft) {
  Pool pool(2);
  pool.want_receipts(1, pool.submit(1, pool.manifest(4, 2)));
  bool lost = false;
  pool.meddle = [&](std::size_t from, std::size_t, Message& message) {
    return from != 2 || !std::holds_alternative<Reveal>(message) || std::exchange(lost, true);
  };
  pool.run(test::honest, 15);
  EXPECT_TRUE(lost);
  std::uint64_t verified = 0;
  for (const Receipt& receipt : pool.receipts()) verified += receipt.range.size();
  EXPECT_EQ(verified, 4U);
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
