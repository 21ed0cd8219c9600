#include "node/protocol/receipt_check.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/unit/node/protocol/receipts.h"

namespace shoal {
namespace {

class ReceiptCheck : public ::testing::Test {
 protected:
  ReceiptCheck() {
    manifest.kernel = "align";
    manifest.units = 100;
    manifest.quorum = 2;
    job = job_id_of(encode(manifest));
    good = receipt_of(1, job, {4, 7}, {"a", "bb", "ccc"}, {&one, &two});
  }
  std::string fault(const Receipt& receipt) const {
    return receipt_fault(manifest, job, receipt, checker);
  }

  KeyPair one = key_of(21), two = key_of(22), three = key_of(23);
  Ed25519Checker checker;
  Manifest manifest;
  JobId job;
  Receipt good;
};

TEST_F(ReceiptCheck, AcceptsWhatHolds) {
  EXPECT_EQ(fault(good), "");
  EXPECT_EQ(examine_receipt(manifest, job, good, checker).root,
            merkle_root(*digests_of(good.outputs)));
}

TEST_F(ReceiptCheck, AcceptsAPartOfALargerBatchByItsProof) {
  const PackedOutputs batch = pack({"x", "a", "bb", "ccc", "y"});
  Receipt receipt = good;
  receipt.supports[1] = support_of(two, job, {3, 8}, batch, {4, 7});
  EXPECT_EQ(fault(receipt), "");
  receipt.supports[1].proof.back().bytes[0] ^= 1;
  EXPECT_NE(fault(receipt), "");
  receipt.supports[1].proof.clear();
  EXPECT_NE(fault(receipt), "");
}

TEST_F(ReceiptCheck, RefusesEveryForgery) {
  const std::vector<std::pair<const char*, std::function<void(Receipt&)>>> forgeries = {
      {"another output", [](Receipt& r) { r.outputs.inline_bytes[0] ^= 1; }},
      {"outputs of other sizes",
       [](Receipt& r) {
         r.outputs.sizes[0] = 2;
         r.outputs.sizes[1] = 1;
       }},
      {"fewer outputs than units",
       [](Receipt& r) {
         r.outputs = pack({"a", "bb"});
       }},
      {"another range",
       [](Receipt& r) {
         r.range = {5, 8};
       }},
      {"units past the job's",
       [&](Receipt& r) {
         r = receipt_of(1, job, {98, 101}, {"a", "b", "c"}, {&one, &two});
       }},
      {"no units", [](Receipt& r) { r.range.last = r.range.first; }},
      {"one worker", [](Receipt& r) { r.supports.pop_back(); }},
      {"one worker twice", [](Receipt& r) { r.supports[1] = r.supports[0]; }},
      {"another salt", [](Receipt& r) { r.supports[0].salt.bytes[0] ^= 1; }},
      {"another root", [](Receipt& r) { r.supports[0].root.bytes[0] ^= 1; }},
      {"another signature", [](Receipt& r) { r.supports[0].commitment.signature.bytes[0] ^= 1; }},
      {"another signer", [&](Receipt& r) { r.supports[0].commitment.signer = three.id(); }},
      {"a commitment for another job",
       [&](Receipt& r) {
         JobId other = job;
         other.bytes[0] ^= 1;
         r.supports[0] = support_of(one, other, r.range, r.outputs, r.range);
       }},
      {"a commitment for other units",
       [&](Receipt& r) {
         r.supports[0] = support_of(one, job, {14, 17}, r.outputs, {14, 17});
       }},
      {"a garbled commitment",
       [](Receipt& r) {
         auto& body = r.supports[0].commitment.body;
         body.resize(body.size() / 2);
       }},
      {"a proof that is not needed", [](Receipt& r) { r.supports[0].proof.push_back(Hash256{}); }},
      {"an ally who computed something else",
       [&](Receipt& r) {
         const PackedOutputs other = pack({"a", "bb", "xxx"});
         r.supports[1] = support_of(two, job, r.range, other, r.range);
         r.supports[1].digests = *digests_of(other);
       }},
      {"failed without a word of a worker's",
       [](Receipt& r) {
         r = Receipt{};
         r.range = {4, 5};
         r.end = UnitEnd::kFailed;
       }},
      {"disputed where all agree",
       [&](Receipt& r) {
         r.end = UnitEnd::kDisputed;
         for (Support& s : r.supports) s.digests = *digests_of(r.outputs);
         r.outputs = {};
       }},
      {"a comparison in a job without one",
       [&](Receipt& r) {
         r.comparisons.push_back(
             sign_fact(one, Purpose::kComparison,
                       encode(ComparisonVerdict{job, one.id(), 4, {Hash256{}}, true})));
       }},
  };
  for (const auto& [name, forge] : forgeries) {
    Receipt receipt = good;
    forge(receipt);
    EXPECT_NE(fault(receipt), "") << name;
  }
}

TEST_F(ReceiptCheck, RefusesTwoQuorumsForDifferentOutputs) {
  const KeyPair four = key_of(24);
  const PackedOutputs other = pack({"a", "bb", "xxx"});
  for (const KeyPair* worker : std::initializer_list<const KeyPair*>{&three, &four}) {
    EXPECT_EQ(fault(good), "");
    good.supports.push_back(support_of(*worker, job, good.range, other, good.range));
    good.supports.back().digests = *digests_of(other);
  }
  EXPECT_NE(fault(good), "");
}

TEST_F(ReceiptCheck, KeepsToTheLargestOutputOfTheJob) {
  manifest.output_bytes_max = 2;
  EXPECT_NE(fault(good), "");
}

TEST_F(ReceiptCheck, AcceptsADisputeWithItsEvidence) {
  Receipt receipt;
  receipt.range = {9, 10};
  receipt.end = UnitEnd::kDisputed;
  const std::vector<std::pair<const KeyPair*, std::string>> said = {
      {&one, "a"}, {&two, "b"}, {&three, "c"}};
  for (const auto& [worker, output] : said) {
    const PackedOutputs outputs = pack({output});
    receipt.supports.push_back(support_of(*worker, job, {9, 10}, outputs, {9, 10}));
    receipt.supports.back().digests = *digests_of(outputs);
  }
  EXPECT_EQ(fault(receipt), "");
  receipt.supports[2] = support_of(three, job, {9, 10}, pack({"a"}), {9, 10});
  receipt.supports[2].digests = *digests_of(pack({"a"}));
  EXPECT_NE(fault(receipt), "");  // "a" has a quorum
}

TEST_F(ReceiptCheck, AcceptsAFailureSignedByWhoSawIt) {
  Receipt receipt;
  receipt.range = {9, 10};
  receipt.end = UnitEnd::kFailed;
  const Failure failure{job, one.id(), 9, FailureKind::kCrashed, "signal 11", "stack"};
  receipt.failures = {sign_fact(one, Purpose::kFailure, encode(failure))};
  EXPECT_EQ(fault(receipt), "");
  Receipt forged = receipt;
  forged.failures[0].signature.bytes[3] ^= 1;
  EXPECT_NE(fault(forged), "");
  forged = receipt;
  forged.failures.push_back(forged.failures[0]);
  EXPECT_NE(fault(forged), "");
  forged = receipt;
  forged.range = {9, 11};
  EXPECT_NE(fault(forged), "");
}

TEST_F(ReceiptCheck, AcceptsOutputsThatAVerifierFoundEquivalent) {
  manifest.comparison = Comparison::kEquivalent;
  const PackedOutputs other = pack({"a", "bb", "ccC"});
  Receipt receipt = good;
  receipt.supports[1] = support_of(two, job, good.range, other, good.range);
  receipt.supports[1].digests = *digests_of(other);
  EXPECT_NE(fault(receipt), "");
  const auto verdict = [&](const KeyPair& by, bool all_match) {
    std::vector<Hash256> digests{digests_of(good.outputs)->back(), digests_of(other)->back()};
    if (digests[1] < digests[0]) std::swap(digests[0], digests[1]);
    const ComparisonVerdict v{job, by.id(), 6, digests, all_match};
    return sign_fact(by, Purpose::kComparison, encode(v));
  };
  receipt.comparisons = {verdict(one, true), verdict(two, true)};
  EXPECT_EQ(fault(receipt), "");
  // The word of one alone may be that of the one who is wrong.
  receipt.comparisons = {verdict(two, true)};
  EXPECT_NE(fault(receipt), "");
  receipt.comparisons = {verdict(one, false), verdict(two, true)};
  EXPECT_NE(fault(receipt), "");
  receipt.comparisons = {verdict(one, true), verdict(three, true)};
  EXPECT_NE(fault(receipt), "");
}

}  // namespace
}  // namespace shoal
