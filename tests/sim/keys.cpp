#include "tests/sim/keys.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "tests/sim/mix.h"

namespace shoal::sim {
namespace {

Signature signature_of(std::uint64_t secret, Purpose purpose, ByteView body) {
  RunningHash hash(secret);
  hash.add(static_cast<std::uint64_t>(purpose));
  hash.add(body);
  Signature signature;
  for (std::size_t i = 0; i < signature.bytes.size() / 8; ++i) {
    const std::uint64_t word = splitmix(hash.value() + i);
    std::memcpy(signature.bytes.data() + 8 * i, &word, sizeof word);
  }
  return signature;
}

class FakeSigner final : public Signer {
 public:
  FakeSigner(NodeId id, std::uint64_t secret) : id_(id), secret_(secret) {}

  NodeId id() const override { return id_; }
  Signature sign(Purpose purpose, ByteView body) const override {
    return signature_of(secret_, purpose, body);
  }
  Hash256 secret_hash(ByteView input) const override {
    RunningHash hash(~secret_);
    hash.add(input);
    Hash256 result;
    result.bytes = spread_to_32(hash.value());
    return result;
  }
  // As good as a secret here: no hostile node of the simulation computes it for others.
  std::optional<Hash256> shared_secret(const NodeId& other) const override {
    RunningHash hash(0x5ea1);
    hash.add(std::min(id_, other).view());
    hash.add(std::max(id_, other).view());
    Hash256 result;
    result.bytes = spread_to_32(hash.value());
    return result;
  }

 private:
  NodeId id_;
  std::uint64_t secret_;
};

}  // namespace

std::array<std::uint8_t, 32> spread_to_32(std::uint64_t word) {
  std::array<std::uint8_t, 32> bytes;
  for (std::size_t i = 0; i < 4; ++i) {
    const std::uint64_t part = splitmix(word ^ (0xa5a5ULL << (8 * i)));
    std::memcpy(bytes.data() + 8 * i, &part, sizeof part);
  }
  return bytes;
}

std::unique_ptr<Signer> KeyRing::make_signer() {
  const std::uint64_t number = made_++;
  NodeId id;
  id.bytes = spread_to_32(splitmix(seed_) + number);
  const std::uint64_t secret = splitmix(splitmix(seed_ ^ 0x5ec2e7) + number);
  secrets_.emplace(id, secret);
  return std::make_unique<FakeSigner>(id, secret);
}

bool KeyRing::holds(const NodeId& signer, Purpose purpose, ByteView body,
                    const Signature& signature) const {
  const auto found = secrets_.find(signer);
  return found != secrets_.end() && signature_of(found->second, purpose, body) == signature;
}

}  // namespace shoal::sim
