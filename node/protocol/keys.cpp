#include "node/protocol/keys.h"

#include <sodium.h>

#include "node/protocol/result.h"

namespace shoal {
namespace {

static_assert(crypto_sign_SEEDBYTES == KeyPair::kSeedBytes);
static_assert(crypto_sign_PUBLICKEYBYTES == 32 && crypto_sign_SECRETKEYBYTES == 64);
static_assert(crypto_sign_BYTES == 64 && crypto_scalarmult_curve25519_BYTES == 32);
static_assert(crypto_auth_hmacsha256_BYTES == 32);

// libsodium picks its fast code and opens its random source here, once for the process; calls from
// several threads are safe.
void prepare_sodium() {
  static const bool ready = sodium_init() >= 0;
  check(ready, "libsodium cannot start on this system");
}

// Ed25519 reads its message twice, so it must lie in one piece.
Bytes signed_bytes(Purpose purpose, ByteView body) {
  static constexpr std::string_view kDomain = "shoal1";
  Bytes message;
  message.reserve(kDomain.size() + 1 + body.size());
  message.insert(message.end(), kDomain.begin(), kDomain.end());
  message.push_back(static_cast<std::uint8_t>(purpose));
  message.insert(message.end(), body.begin(), body.end());
  return message;
}

}  // namespace

KeyPair::KeyPair(const std::array<std::uint8_t, kSeedBytes>& seed) : seed_(seed) {
  prepare_sodium();
  check(crypto_sign_seed_keypair(id_.bytes.data(), secret_.data(), seed_.data()) == 0,
        "an Ed25519 key follows from every seed");
}

KeyPair::~KeyPair() {
  sodium_memzero(seed_.data(), seed_.size());
  sodium_memzero(secret_.data(), secret_.size());
}

Signature KeyPair::sign(Purpose purpose, ByteView body) const {
  const Bytes message = signed_bytes(purpose, body);
  Signature signature;
  check(crypto_sign_detached(signature.bytes.data(), nullptr, message.data(), message.size(),
                             secret_.data()) == 0,
        "an Ed25519 signature can always be made");
  return signature;
}

Hash256 KeyPair::secret_hash(ByteView input) const {
  // HMAC-SHA256 under the seed. Its outputs are shown as salts; the prefix keeps them apart from
  // whatever else may one day be derived from the seed.
  static constexpr std::string_view kDomain = "shoal1 secret hash";
  crypto_auth_hmacsha256_state state;
  Hash256 hash;
  crypto_auth_hmacsha256_init(&state, seed_.data(), seed_.size());
  crypto_auth_hmacsha256_update(&state, as_bytes(kDomain).data(), kDomain.size());
  crypto_auth_hmacsha256_update(&state, input.data(), input.size());
  crypto_auth_hmacsha256_final(&state, hash.bytes.data());
  sodium_memzero(&state, sizeof state);
  return hash;
}

std::optional<Hash256> KeyPair::shared_secret(const NodeId& other) const {
  const auto theirs = curve_key_of(other);
  if (!theirs) return std::nullopt;
  std::array<std::uint8_t, 32> mine = curve_secret();
  Hash256 shared;
  // Refuses keys of small order, under which everybody would have the same secret.
  const bool sound = crypto_scalarmult(shared.bytes.data(), mine.data(), theirs->bytes.data()) == 0;
  sodium_memzero(mine.data(), mine.size());
  if (!sound) return std::nullopt;
  return shared;
}

std::array<std::uint8_t, 32> KeyPair::curve_secret() const {
  std::array<std::uint8_t, 32> secret;
  check(crypto_sign_ed25519_sk_to_curve25519(secret.data(), secret_.data()) == 0,
        "a Curve25519 secret follows from every Ed25519 secret");
  return secret;
}

bool Ed25519Checker::holds(const NodeId& signer, Purpose purpose, ByteView body,
                           const Signature& signature) const {
  prepare_sodium();
  const Bytes message = signed_bytes(purpose, body);
  return crypto_sign_verify_detached(signature.bytes.data(), message.data(), message.size(),
                                     signer.bytes.data()) == 0;
}

std::optional<CurveKey> curve_key_of(const NodeId& id) {
  prepare_sodium();
  CurveKey key;
  if (crypto_sign_ed25519_pk_to_curve25519(key.bytes.data(), id.bytes.data()) != 0) {
    return std::nullopt;
  }
  return key;
}

}  // namespace shoal
