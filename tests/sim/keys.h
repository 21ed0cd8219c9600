#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "node/protocol/keys.h"

// Signatures that cost nanoseconds, so that a simulation of thousands of nodes does not pay for
// Ed25519. Within the simulation they cannot be forged: a node, hostile or not, is handed its own
// signer and no other.
namespace shoal::sim {

// Knows every node's secret: makes signers, and checks what they signed.
class KeyRing final : public SignatureChecker {
 public:
  explicit KeyRing(std::uint64_t seed) : seed_(seed) {}

  // The signer of the next node. Valid on its own; the ring keeps only the secret.
  std::unique_ptr<Signer> make_signer();
  bool holds(const NodeId& signer, Purpose, ByteView body, const Signature&) const override;

 private:
  std::uint64_t seed_;
  std::uint64_t made_ = 0;
  std::unordered_map<NodeId, std::uint64_t> secrets_;
};

// 32 bytes that follow from a word: ids of nodes and pools.
std::array<std::uint8_t, 32> spread_to_32(std::uint64_t word);

}  // namespace shoal::sim
