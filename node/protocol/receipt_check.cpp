#include "node/protocol/receipt_check.h"

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <utility>

#include "node/protocol/hash.h"
#include "node/protocol/limits.h"

namespace shoal {
namespace {

// One support whose seal, proof and signature hold: who, and which digests it stands for.
struct Opened {
  NodeId worker;
  std::span<const Hash256> digests;
};

struct Examination {
  const Manifest& manifest;
  const JobId& job;
  const Receipt& receipt;
  const SignatureChecker& checker;
  std::vector<Hash256> digests;  // of the receipt's outputs; empty unless it is kVerified
  Hash256 root;
  std::vector<Opened> opened;
  std::map<UnitIndex, std::set<NodeId>> failed_on;
  std::vector<ComparisonVerdict> verdicts;

  std::string outputs_fault();
  std::string support_fault(const Support& support);
  std::string failure_fault(const Signed& fact);
  std::string comparison_fault(const Signed& fact);
  std::string evidence_fault();
  bool judged_equal(UnitIndex unit, const Hash256& reference, const Hash256& other) const;
  bool agrees(const Opened& support) const;
  std::string verified_fault() const;
  std::string disputed_fault() const;
  std::string failed_fault() const;
};

std::string Examination::outputs_fault() {
  if (receipt.end != UnitEnd::kVerified) {
    if (!receipt.outputs.sizes.empty() || !receipt.outputs.inline_bytes.empty() ||
        !receipt.outputs.large.empty()) {
      return "it carries outputs of units that were not verified";
    }
    return {};
  }
  auto found = digests_of(receipt.outputs);
  if (!found || found->size() != receipt.range.size()) {
    return "its outputs do not fit its range of units";
  }
  for (std::uint64_t size : receipt.outputs.sizes) {
    if (size > manifest.output_bytes_max) return "an output is larger than the job allows";
  }
  digests = std::move(*found);
  root = merkle_root(digests);
  return {};
}

std::string Examination::support_fault(const Support& support) {
  auto commitment = decode_commitment(support.commitment.body);
  if (!commitment) return "a commitment in it is unreadable: " + commitment.error().what;
  const Commitment& c = *commitment;
  const std::string who = "the commitment of " + short_hex(c.worker);
  if (c.job != job) return who + " is for another job";
  if (c.worker != support.commitment.signer) return who + " was signed by somebody else";
  if (c.range.empty() || c.range.last > manifest.units || c.range.size() > limits::kUnitsPerBatch ||
      !c.range.contains(receipt.range)) {
    return who + " does not cover these units";
  }
  for (const Opened& other : opened) {
    if (other.worker == c.worker) return "it counts the worker " + short_hex(c.worker) + " twice";
  }

  const bool same_as_outputs = support.digests.empty();
  const std::span<const Hash256> shown = same_as_outputs ? digests : support.digests;
  if (shown.size() != receipt.range.size()) return who + " does not show a digest for each unit";

  Hash256 expected;
  if (c.range == receipt.range) {
    if (!support.proof.empty()) return who + " has a proof that it cannot need";
    expected = same_as_outputs ? root : merkle_root(shown);
  } else {
    const auto reached = merkle_root_of_range(c.range.size(), receipt.range.first - c.range.first,
                                              shown, support.proof);
    if (!reached) return who + " has a proof of the wrong shape";
    expected = *reached;
  }
  if (expected != support.root) return who + " is for other outputs";
  if (commitment_seal(job, c.worker, c.range, support.salt, support.root) != c.sealed) {
    return who + " does not open with the salt and root given";
  }
  if (!signature_holds(checker, Purpose::kCommitment, support.commitment)) {
    return who + " has a signature that does not hold";
  }
  opened.push_back({c.worker, shown});
  return {};
}

std::string Examination::failure_fault(const Signed& fact) {
  auto failure = decode_failure(fact.body);
  if (!failure) return "a failure in it is unreadable: " + failure.error().what;
  const std::string who = "the failure reported by " + short_hex(failure->worker);
  if (failure->job != job) return who + " is for another job";
  if (failure->worker != fact.signer) return who + " was signed by somebody else";
  if (!receipt.range.contains(failure->unit)) return who + " is for another unit";
  if (!failed_on[failure->unit].insert(failure->worker).second) {
    return who + " is counted twice";
  }
  if (!signature_holds(checker, Purpose::kFailure, fact)) {
    return who + " has a signature that does not hold";
  }
  return {};
}

std::string Examination::comparison_fault(const Signed& fact) {
  if (manifest.comparison != Comparison::kEquivalent) {
    return "it brings a comparison, but the job's outputs are compared as bytes";
  }
  auto verdict = decode_comparison_verdict(fact.body);
  if (!verdict) return "a comparison in it is unreadable: " + verdict.error().what;
  const std::string who = "the comparison by " + short_hex(verdict->worker);
  if (verdict->job != job) return who + " is for another job";
  if (verdict->worker != fact.signer) return who + " was signed by somebody else";
  if (!receipt.range.contains(verdict->unit)) return who + " is for another unit";
  const bool verifier = std::any_of(opened.begin(), opened.end(), [&](const Opened& support) {
    return support.worker == verdict->worker;
  });
  // Anybody with a key could judge otherwise, and a key costs nothing.
  if (!verifier) return who + " is by somebody who did not compute the unit";
  if (!signature_holds(checker, Purpose::kComparison, fact)) {
    return who + " has a signature that does not hold";
  }
  verdicts.push_back(std::move(*verdict));
  return {};
}

std::string Examination::evidence_fault() {
  for (const Support& support : receipt.supports) {
    if (auto fault = support_fault(support); !fault.empty()) return fault;
  }
  for (const Signed& fact : receipt.failures) {
    if (auto fault = failure_fault(fact); !fault.empty()) return fault;
  }
  for (const Signed& fact : receipt.comparisons) {
    if (auto fault = comparison_fault(fact); !fault.empty()) return fault;
  }
  return {};
}

bool Examination::judged_equal(UnitIndex unit, const Hash256& reference,
                               const Hash256& other) const {
  // By one judge alone it would be the word of one who may be wrong himself.
  std::set<NodeId> judges;
  for (const ComparisonVerdict& v : verdicts) {
    if (v.unit == unit && v.all_match && !v.digests.empty() && v.digests.front() == reference &&
        std::is_sorted(v.digests.begin(), v.digests.end()) &&
        std::find(v.digests.begin(), v.digests.end(), other) != v.digests.end()) {
      judges.insert(v.worker);
    }
  }
  return judges.size() >= manifest.quorum;
}

bool Examination::agrees(const Opened& support) const {
  for (std::size_t i = 0; i < digests.size(); ++i) {
    if (support.digests[i] == digests[i]) continue;
    if (!judged_equal(receipt.range.first + i, digests[i], support.digests[i])) return false;
  }
  return true;
}

std::string Examination::verified_fault() const {
  std::size_t agreeing = 0;
  std::map<std::vector<Hash256>, std::size_t> others;
  for (const Opened& support : opened) {
    if (agrees(support)) {
      ++agreeing;
    } else {
      ++others[{support.digests.begin(), support.digests.end()}];
    }
  }
  if (agreeing < manifest.quorum) {
    return "only " + std::to_string(agreeing) + " of the " + std::to_string(manifest.quorum) +
           " workers that the job demands agree";
  }
  for (const auto& [shown, supporters] : others) {
    if (supporters >= manifest.quorum) return "two different outputs have a quorum each";
  }
  return {};
}

std::string Examination::disputed_fault() const {
  for (const PackedOutputs& outputs : receipt.differing) {
    const auto shown = digests_of(outputs);
    const bool known =
        shown && std::any_of(opened.begin(), opened.end(), [&](const Opened& support) {
          return std::equal(shown->begin(), shown->end(), support.digests.begin(),
                            support.digests.end());
        });
    if (!known) return "it shows an output that none of its workers stands for";
  }
  for (std::uint64_t i = 0; i < receipt.range.size(); ++i) {
    std::map<Hash256, std::size_t> ends;
    for (const Opened& support : opened) ++ends[support.digests[i]];
    const auto failed = failed_on.find(receipt.range.first + i);
    const std::size_t kinds = ends.size() + (failed != failed_on.end() ? 1 : 0);
    if (kinds < 2) return "it calls a unit disputed on which no two workers differ";
    const auto with_quorum = std::count_if(ends.begin(), ends.end(), [&](const auto& entry) {
      return entry.second >= manifest.quorum;
    });
    if (with_quorum == 1) return "it calls a unit disputed that has a quorum";
  }
  return {};
}

std::string Examination::failed_fault() const {
  for (UnitIndex unit = receipt.range.first; unit < receipt.range.last; ++unit) {
    if (failed_on.find(unit) == failed_on.end()) {
      return "it calls a unit failed without a worker's signed word";
    }
  }
  return {};
}

}  // namespace

ReceiptFinding examine_receipt(const Manifest& manifest, const JobId& job, const Receipt& receipt,
                               const SignatureChecker& checker) {
  const Range range = receipt.range;
  if (range.empty() || range.last > manifest.units) return {"its units are not the job's", {}};
  if (range.size() > limits::kUnitsPerBatch) return {"it covers more units than one may", {}};

  Examination exam{manifest, job, receipt, checker, {}, {}, {}, {}, {}};
  if (auto fault = exam.outputs_fault(); !fault.empty()) return {std::move(fault), {}};
  if (auto fault = exam.evidence_fault(); !fault.empty()) return {std::move(fault), {}};
  switch (receipt.end) {
    case UnitEnd::kVerified:
      return {exam.verified_fault(), exam.root};
    case UnitEnd::kDisputed:
      return {exam.disputed_fault(), {}};
    case UnitEnd::kFailed:
      return {exam.failed_fault(), {}};
  }
  return {"its end is of an unknown kind", {}};
}

std::string receipt_fault(const Manifest& manifest, const JobId& job, const Receipt& receipt,
                          const SignatureChecker& checker) {
  return examine_receipt(manifest, job, receipt, checker).fault;
}

}  // namespace shoal
