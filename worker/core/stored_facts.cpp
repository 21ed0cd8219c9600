#include <cstring>

#include "worker/core/peer.h"

namespace shoal {

Bytes pack_signed(const Signed& fact) {
  Bytes bytes;
  bytes.reserve(32 + 64 + fact.body.size());
  bytes.insert(bytes.end(), fact.signer.bytes.begin(), fact.signer.bytes.end());
  bytes.insert(bytes.end(), fact.signature.bytes.begin(), fact.signature.bytes.end());
  bytes.insert(bytes.end(), fact.body.begin(), fact.body.end());
  return bytes;
}

std::optional<Signed> unpack_signed(ByteView bytes) {
  if (bytes.size() < 96) return std::nullopt;
  Signed fact;
  std::memcpy(fact.signer.bytes.data(), bytes.data(), 32);
  std::memcpy(fact.signature.bytes.data(), bytes.data() + 32, 64);
  fact.body = to_bytes(bytes.subspan(96));
  return fact;
}

bool is_worker_fact(FactKind kind) {
  switch (kind) {
    case FactKind::kTask:
    case FactKind::kTaskTerms:
    case FactKind::kPaper:
    case FactKind::kBatch:
      return true;
    case FactKind::kManifest:
    case FactKind::kReceipt:
    case FactKind::kControl:
    case FactKind::kSnapshot:
    case FactKind::kPeer:
    case FactKind::kTerms:
    case FactKind::kEnded:
      return false;
  }
  return false;
}

bool covers(const Erase& erase, const StoredFact& fact) {
  return fact.kind != FactKind::kPeer && fact.job == erase.job &&
         is_worker_fact(fact.kind) == (erase.what == Erase::What::kWorked);
}

}  // namespace shoal
