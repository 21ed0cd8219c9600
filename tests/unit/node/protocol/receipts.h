#pragma once

#include <array>
#include <string>
#include <vector>

#include "node/protocol/hash.h"
#include "node/protocol/keys.h"
#include "node/protocol/messages.h"

// Keys from numbers, and receipts as honest workers make them.
namespace shoal {

inline KeyPair key_of(std::uint8_t n) {
  std::array<std::uint8_t, KeyPair::kSeedBytes> seed{};
  seed.fill(n);
  return KeyPair(seed);
}

inline PackedOutputs pack(const std::vector<std::string>& outputs) {
  PackedOutputs packed;
  for (const std::string& output : outputs) {
    packed.sizes.push_back(output.size());
    packed.inline_bytes.insert(packed.inline_bytes.end(), output.begin(), output.end());
  }
  return packed;
}

// What an honest worker signs and shows for `part` of its batch over `range`.
inline Support support_of(const KeyPair& worker, const JobId& job, Range range,
                          const PackedOutputs& outputs, Range part) {
  const auto digests = *digests_of(outputs);
  Support support;
  support.salt = commitment_salt(worker, job, range);
  support.root = merkle_root(digests);
  const Commitment commitment{job, worker.id(), range,
                              commitment_seal(job, worker.id(), range, support.salt, support.root)};
  support.commitment = sign_fact(worker, Purpose::kCommitment, encode(commitment));
  if (part != range) {
    support.proof = merkle_range_proof(digests, part.first - range.first, part.last - range.first);
  }
  return support;
}

inline Receipt receipt_of(std::uint64_t sequence, const JobId& job, Range range,
                          const std::vector<std::string>& outputs,
                          const std::vector<const KeyPair*>& workers) {
  Receipt receipt;
  receipt.sequence = sequence;
  receipt.range = range;
  receipt.outputs = pack(outputs);
  for (const KeyPair* worker : workers) {
    receipt.supports.push_back(support_of(*worker, job, range, receipt.outputs, range));
  }
  return receipt;
}

}  // namespace shoal
