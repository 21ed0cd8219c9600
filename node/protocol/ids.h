#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "node/protocol/bytes.h"

namespace shoal {

// 32 bytes that name something. Ids of different things are different types, so that a job cannot
// be passed where a node is meant.
template <class Tag>
struct Id {
  std::array<std::uint8_t, 32> bytes{};

  friend auto operator<=>(const Id&, const Id&) = default;
  ByteView view() const { return bytes; }
  bool is_zero() const { return *this == Id{}; }

  static std::optional<Id> from_bytes(ByteView view) {
    if (view.size() != 32) return std::nullopt;
    Id id;
    std::memcpy(id.bytes.data(), view.data(), 32);
    return id;
  }
};

std::string to_hex(ByteView bytes);
// Nothing unless `hex` is exactly 2 * `size` hexadecimal digits.
std::optional<Bytes> from_hex(std::string_view hex, std::size_t size);

template <class Tag>
std::string to_hex(const Id<Tag>& id) {
  return to_hex(id.view());
}
// The first 8 hex digits: for people and logs, never for comparison.
template <class Tag>
std::string short_hex(const Id<Tag>& id) {
  return to_hex(id.view().subspan(0, 4));
}
template <class I>
std::optional<I> id_from_hex(std::string_view hex) {
  auto bytes = from_hex(hex, 32);
  if (!bytes) return std::nullopt;
  return I::from_bytes(*bytes);
}

using NodeId = Id<struct NodeIdTag>;        // an Ed25519 public key
using PoolId = Id<struct PoolIdTag>;        // the Ed25519 public key of the pool
using CurveKey = Id<struct CurveKeyTag>;    // a Curve25519 public key
using JobId = Id<struct JobIdTag>;          // SHA-256 of the manifest's bytes as sent
using ContentId = Id<struct ContentIdTag>;  // see content_id() in hash.h
using Hash256 = Id<struct HashTag>;

struct Signature {
  std::array<std::uint8_t, 64> bytes{};
  friend auto operator<=>(const Signature&, const Signature&) = default;
};

}  // namespace shoal

template <class Tag>
struct std::hash<shoal::Id<Tag>> {
  // Ids are keys and hashes: their first bytes are as good as random, and tables are bounded.
  std::size_t operator()(const shoal::Id<Tag>& id) const noexcept {
    std::size_t h;
    std::memcpy(&h, id.bytes.data(), sizeof h);
    return h;
  }
};
