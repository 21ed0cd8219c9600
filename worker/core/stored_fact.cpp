#include <cstring>

#include "worker/core/peer.h"

// How facts are stored, and what they go with.
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

std::optional<Erase::What> goes_with(FactKind kind) {
  switch (kind) {
    case FactKind::kTask:
    case FactKind::kTaskTerms:
    case FactKind::kPaper:
    case FactKind::kBatch:
      return Erase::What::kWorked;
    case FactKind::kManifest:
    case FactKind::kReceipt:
    case FactKind::kControl:
    case FactKind::kSnapshot:
    case FactKind::kTerms:
    case FactKind::kEnded:
    case FactKind::kHolder:
      return Erase::What::kKept;
    case FactKind::kPart:
    case FactKind::kMade:
    case FactKind::kCopied:
    case FactKind::kPartEnds:
      return Erase::What::kHeld;
    case FactKind::kPeer:
      return std::nullopt;
  }
  return std::nullopt;
}

bool covers(const Erase& erase, const StoredFact& fact) {
  return fact.job == erase.job && goes_with(fact.kind) == erase.what;
}

}  // namespace shoal
