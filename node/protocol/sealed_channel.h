#pragma once

#include <cstdint>
#include <optional>

#include "node/protocol/keys.h"

// Messages between two nodes that a third one carries without being able to read, change, repeat,
// leave out or exchange any of them.
//
// The keys, one for each direction, follow from the two nodes' own keys (X25519) and from 32 fresh
// bytes of each side: as long as one of the two never uses the same bytes again, no key is used
// twice. Each message is sealed by ChaCha20-Poly1305 under the number of those before it. Who
// steals a node's key later can read what was recorded earlier: there is no forward secrecy.
namespace shoal {

class SealedChannel {
 public:
  static constexpr std::size_t kOverheadBytes = 16;

  struct End {
    NodeId node;
    Hash256 random;
  };
  // `opener` asked, `answerer` answered; `signer` is one of them. Nothing where the other's id is
  // no valid key.
  static std::optional<SealedChannel> between(const Signer& signer, const End& opener,
                                              const End& answerer);

  Bytes seal(ByteView plain);
  // Nothing: it is not the next message of the other side. The channel is then of no use any more.
  std::optional<Bytes> open(ByteView sealed);

 private:
  SealedChannel() = default;

  Hash256 key_out_;
  Hash256 key_in_;
  std::uint64_t sealed_ = 0;
  std::uint64_t opened_ = 0;
};

}  // namespace shoal
