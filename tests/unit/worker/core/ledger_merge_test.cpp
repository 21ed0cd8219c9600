#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/worker/core/pool.h"
#include "worker/core/job_led.h"

// Ledgers merge by union: in whatever order, however often, by whatever detours.
namespace shoal {
namespace {

constexpr std::uint64_t kUnits = 400;

class LedgerMerge : public ::testing::Test {
 protected:
  // A steward's ledger of the one job, and what it has put on its disk.
  struct Ledger {
    explicit Ledger(const StewardContext& context, const Manifest& manifest)
        : job(context, sign_fact(context.signer, Purpose::kManifest, encode(manifest)), manifest,
              Rng(1)),
          out(context.self) {
      job.start(out);
    }
    void merge(const Receipt& receipt) {
      job.merge(receipt, out);
      for (StoredFact& fact : out.take_facts()) disk.push_back(std::move(fact));
    }
    void merge(const Ledger& other) {
      for (const StoredFact& fact : other.disk) merge(*decode_receipt(fact.bytes));
    }
    JobLed job;
    Outbox out;
    std::vector<StoredFact> disk;
  };

  LedgerMerge() { manifest.units = kUnits; }

  Ledger ledger() { return Ledger(context, manifest); }

  // Of one leader: runs that do not overlap and leave gaps. Units end the same way for all leaders,
  // as they do where fewer lie than the quorum.
  std::vector<Receipt> ledger_of_a_leader(Rng& rng) const {
    std::vector<Receipt> receipts;
    for (UnitIndex at = 0; at < kUnits;) {
      const UnitIndex last = std::min<UnitIndex>(kUnits, at + 1 + rng.below(20));
      const UnitIndex bound = (at / 50 + 1) * 50;  // units [50k, 50k + 50) end alike
      Receipt receipt;
      receipt.sequence = receipts.size() + 1;
      receipt.range = {at, std::min(last, bound)};
      receipt.end = (at / 50) % 4 == 3 ? UnitEnd::kFailed : UnitEnd::kVerified;
      if (receipt.end == UnitEnd::kVerified) {
        receipt.outputs.sizes.assign(receipt.range.size(), 0);
      }
      at = receipt.range.last;
      if (rng.chance(0.7)) receipts.push_back(std::move(receipt));
    }
    return receipts;
  }

  static void expect_same(const Ledger& a, const Ledger& b) {
    EXPECT_EQ(a.job.ended(), b.job.ended());
    EXPECT_EQ(a.job.status(Instant{}).verified, b.job.status(Instant{}).verified);
    EXPECT_EQ(a.job.status(Instant{}).failed, b.job.status(Instant{}).failed);
    EXPECT_EQ(a.job.status(Instant{}).phase, b.job.status(Instant{}).phase);
  }
  static void shuffle(std::vector<Receipt>& receipts, Rng& rng) {
    for (std::size_t i = receipts.size(); i > 1; --i) {
      std::swap(receipts[i - 1], receipts[rng.below(i)]);
    }
  }

  PeerConfig config;
  test::PlainSigner signer{7};
  test::PlainChecker checker;
  StewardContext context{
      .self = signer.id(), .config = config, .signer = signer, .checker = checker};
  Manifest manifest;
};

TEST_F(LedgerMerge, TheOrderDoesNotMatter) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    std::vector<Receipt> all = ledger_of_a_leader(rng);
    for (const Receipt& receipt : ledger_of_a_leader(rng)) all.push_back(receipt);
    Ledger a = ledger(), b = ledger();
    for (const Receipt& receipt : all) a.merge(receipt);
    shuffle(all, rng);
    for (const Receipt& receipt : all) b.merge(receipt);
    expect_same(a, b);
  }
}

TEST_F(LedgerMerge, NeitherDoDetours) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    Ledger a = ledger(), b = ledger(), c = ledger();
    for (const Receipt& receipt : ledger_of_a_leader(rng)) a.merge(receipt);
    for (const Receipt& receipt : ledger_of_a_leader(rng)) b.merge(receipt);
    for (const Receipt& receipt : ledger_of_a_leader(rng)) c.merge(receipt);
    Ledger ab_c = ledger(), a_bc = ledger(), bc = ledger();
    ab_c.merge(a);
    ab_c.merge(b);
    ab_c.merge(c);
    bc.merge(b);
    bc.merge(c);
    a_bc.merge(bc);
    a_bc.merge(a);
    expect_same(ab_c, a_bc);
  }
}

TEST_F(LedgerMerge, TwiceIsOnce) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    Ledger a = ledger(), b = ledger();
    for (const Receipt& receipt : ledger_of_a_leader(rng)) a.merge(receipt);
    b.merge(a);
    const std::size_t kept = b.disk.size();
    b.merge(a);
    b.merge(b);
    EXPECT_EQ(b.disk.size(), kept) << "nothing is kept twice";
    expect_same(a, b);
  }
}

TEST_F(LedgerMerge, EachStewardCountsItsOwnReceipts) {
  Rng rng(5);
  Ledger a = ledger(), b = ledger();
  for (const Receipt& receipt : ledger_of_a_leader(rng)) a.merge(receipt);
  for (const Receipt& receipt : ledger_of_a_leader(rng)) b.merge(receipt);
  b.merge(a);
  for (std::size_t i = 0; i < b.disk.size(); ++i) EXPECT_EQ(b.disk[i].sequence, i + 1);
}

// As two leaders that are apart may end a unit. Which of them is right nobody knows: both end it
// for good, and in each ledger it stays what it was first, since somebody may have been told so.
TEST_F(LedgerMerge, WhereTwoEndAUnitInTwoWaysEachKeepsItsFirstEndAndAllHaveEnded) {
  const auto receipt = [](std::uint64_t sequence, Range range, UnitEnd end) {
    Receipt r;
    r.sequence = sequence;
    r.range = range;
    r.end = end;
    if (end == UnitEnd::kVerified) r.outputs.sizes.assign(range.size(), 0);
    return r;
  };
  Ledger a = ledger(), b = ledger();
  a.merge(receipt(1, {0, 200}, UnitEnd::kVerified));
  b.merge(receipt(1, {100, 200}, UnitEnd::kFailed));
  b.merge(receipt(2, {200, 400}, UnitEnd::kFailed));
  Ledger a_b = ledger(), b_a = ledger();
  a_b.merge(a);
  a_b.merge(b);
  b_a.merge(b);
  b_a.merge(a);
  for (const Ledger* both : {&a_b, &b_a}) {
    EXPECT_EQ(both->job.ended(), RangeSet(Range{0, kUnits}));
    EXPECT_EQ(both->job.status(Instant{}).phase, JobPhase::kDone);
    EXPECT_EQ(both->job.status(Instant{}).verified + both->job.status(Instant{}).failed, kUnits)
        << "each once";
  }
  EXPECT_EQ(a_b.job.status(Instant{}).verified, 200U);
  EXPECT_EQ(b_a.job.status(Instant{}).verified, 100U);
  // However often they hear of each other.
  const std::size_t kept = a_b.disk.size();
  a_b.merge(b_a);
  EXPECT_EQ(a_b.job.status(Instant{}).verified, 200U);
  EXPECT_EQ(a_b.disk.size(), kept);
  // And so it is read from the disk.
  Ledger again = ledger();
  for (const StoredFact& fact : a_b.disk) again.job.recover(*decode_receipt(fact.bytes));
  EXPECT_EQ(again.job.ended(), a_b.job.ended());
  EXPECT_EQ(again.job.status(Instant{}).verified, 200U);
  EXPECT_EQ(again.job.status(Instant{}).failed, 200U);
}

TEST_F(LedgerMerge, WhatIsReadFromADiskIsTheSameLedger) {
  Rng rng(6);
  Ledger a = ledger(), b = ledger(), again = ledger();
  for (const Receipt& receipt : ledger_of_a_leader(rng)) a.merge(receipt);
  for (const Receipt& receipt : ledger_of_a_leader(rng)) b.merge(receipt);
  a.merge(b);
  for (const StoredFact& fact : a.disk) again.job.recover(*decode_receipt(fact.bytes));
  expect_same(a, again);
}

}  // namespace
}  // namespace shoal
