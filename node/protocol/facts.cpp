#include "node/protocol/facts.h"

#include <algorithm>
#include <array>

#include "node/protocol/hash.h"

namespace shoal {
namespace {

// A range as both ends of a hash must see it, whatever their byte order.
std::array<std::uint8_t, 16> range_bytes(Range range) {
  std::array<std::uint8_t, 16> bytes;
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<std::uint8_t>(range.first >> (8 * i));
    bytes[8 + i] = static_cast<std::uint8_t>(range.last >> (8 * i));
  }
  return bytes;
}

}  // namespace

Hash256 commitment_seal(const JobId& job, const NodeId& worker, Range range, const Hash256& salt,
                        const Hash256& root) {
  return sha256({as_bytes("shoal-commit"), job.view(), worker.view(), range_bytes(range),
                 salt.view(), root.view()});
}

Hash256 commitment_salt(const Signer& signer, const JobId& job, Range range) {
  Bytes input = to_bytes(job.view());
  const auto tail = range_bytes(range);
  input.insert(input.end(), tail.begin(), tail.end());
  return signer.secret_hash(input);
}

Bytes owner_body(const NodeId& node, const PoolId& pool) {
  Bytes body(node.bytes.size() + pool.bytes.size());
  std::copy(pool.bytes.begin(), pool.bytes.end(),
            std::copy(node.bytes.begin(), node.bytes.end(), body.begin()));
  return body;
}

NodeId owner_of(const NodeRecord& record, const SignatureChecker& checker) {
  if (!record.owner) return record.node;
  const bool holds = checker.holds(record.owner->owner, Purpose::kOwner,
                                   owner_body(record.node, record.pool), record.owner->signature);
  return holds ? record.owner->owner : record.node;
}

bool signed_by_submitter(const SignatureChecker& checker, const Signed& fact,
                         const Manifest& decoded) {
  return may_submit(fact.signer, decoded) && signature_holds(checker, Purpose::kManifest, fact);
}

std::vector<ContentName> contents_of(const Manifest& manifest) {
  std::vector<ContentName> contents;
  if (manifest.program) contents.push_back({*manifest.program, manifest.program_bytes});
  if (manifest.inputs) contents.push_back({*manifest.inputs, manifest.inputs_bytes});
  contents.insert(contents.end(), manifest.contents.begin(), manifest.contents.end());
  return contents;
}

bool offers_to_compute(const NodeRecord& record, const Manifest& manifest) {
  switch (manifest.kernel_kind) {
    case KernelKind::kShipped:
      return std::find(record.kernels.begin(), record.kernels.end(), manifest.kernel) !=
             record.kernels.end();
    case KernelKind::kWasm:
      return record.runs_wasm;
    case KernelKind::kNative:
    case KernelKind::kProgram:
      break;
  }
  return true;
}

JobId job_id_of(ByteView manifest_body) { return JobId{sha256(manifest_body).bytes}; }

}  // namespace shoal
