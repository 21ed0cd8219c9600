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
    EXPECT_EQ(a.job.status().verified, b.job.status().verified);
    EXPECT_EQ(a.job.status().failed, b.job.status().failed);
    EXPECT_EQ(a.job.status().phase, b.job.status().phase);
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
