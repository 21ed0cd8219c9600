#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "node/protocol/bytes.h"
#include "node/protocol/ids.h"

namespace shoal {

// What a signature is for. It enters the signed bytes, so that a signature given for one purpose
// cannot be shown for another.
enum class Purpose : std::uint8_t {
  kRecord = 1,      // a node's own record
  kManifest = 2,    // a job, by its submitter
  kCommitment = 3,  // a batch of results, by its worker
  kFailure = 4,     // a unit that failed, by its worker
  kTransfer = 5,    // a theft, by both sides
  kControl = 6,     // cancel, pause, priority, by the submitter
  kSnapshot = 7,    // the end of a job, by the submitter
  kTicket = 8,      // a ticket, by the pool's key
  kComparison = 9,  // outputs judged equivalent, by a verifier
  kTerm = 10,       // who keeps a job, by its submitter or its stewards
  kGrant = 11,      // a lease, by the leader that granted it
  kOwner = 12,      // whose a node is, by its owner
};

// Signs in the name of one node. Real nodes use Ed25519; the simulator injects a cheap stand-in.
// Implementations are immutable and safe to use from many threads.
class Signer {
 public:
  virtual ~Signer() = default;
  virtual NodeId id() const = 0;
  virtual Signature sign(Purpose, ByteView body) const = 0;
  // A secret function of the node's key: the salts of its commitments. The same input gives the
  // same salt after a restart, so that a restart does not look like equivocation.
  virtual Hash256 secret_hash(ByteView input) const = 0;
  // What this node and `other` can both derive from their keys, and nobody else. Nothing where
  // `other` is not a valid key.
  virtual std::optional<Hash256> shared_secret(const NodeId& other) const = 0;
};

class SignatureChecker {
 public:
  virtual ~SignatureChecker() = default;
  virtual bool holds(const NodeId& signer, Purpose, ByteView body, const Signature&) const = 0;
};

// An Ed25519 key pair (libsodium). The secret half is wiped when it is destroyed.
class KeyPair final : public Signer {
 public:
  static constexpr std::size_t kSeedBytes = 32;
  // The pair that follows from a 32-byte seed; the caller supplies the randomness and keeps it
  // safe.
  explicit KeyPair(const std::array<std::uint8_t, kSeedBytes>& seed);
  ~KeyPair() override;
  KeyPair(const KeyPair&) = default;
  KeyPair& operator=(const KeyPair&) = default;

  NodeId id() const override { return id_; }
  Signature sign(Purpose, ByteView body) const override;
  Hash256 secret_hash(ByteView input) const override;
  std::optional<Hash256> shared_secret(const NodeId& other) const override;
  const std::array<std::uint8_t, kSeedBytes>& seed() const { return seed_; }
  // The Curve25519 secret that belongs to curve_key_of(id()); 32 bytes, for CURVE sockets alone.
  std::array<std::uint8_t, 32> curve_secret() const;

 private:
  std::array<std::uint8_t, kSeedBytes> seed_;
  std::array<std::uint8_t, 64> secret_{};
  NodeId id_;
};

// The real thing. 36 us a check: sign batches, never single units.
class Ed25519Checker final : public SignatureChecker {
 public:
  bool holds(const NodeId& signer, Purpose, ByteView body, const Signature&) const override;
};

// The CURVE key of a node. Nothing where `id` is not a valid point. The map drops a sign bit, so
// two ids may share a CURVE key: the first message on a link therefore names the id itself.
std::optional<CurveKey> curve_key_of(const NodeId& id);

}  // namespace shoal
