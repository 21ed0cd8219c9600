#include "node/protocol/sealed_channel.h"

#include <sodium.h>

#include <array>

#include "node/protocol/hash.h"
#include "node/protocol/result.h"

namespace shoal {
namespace {

static_assert(SealedChannel::kOverheadBytes == crypto_aead_chacha20poly1305_ietf_ABYTES);
static_assert(crypto_aead_chacha20poly1305_ietf_KEYBYTES == 32);

using Nonce = std::array<std::uint8_t, crypto_aead_chacha20poly1305_ietf_NPUBBYTES>;

Nonce nonce_of(std::uint64_t number) {
  Nonce nonce{};
  for (std::size_t i = 0; i < 8; ++i) nonce[4 + i] = static_cast<std::uint8_t>(number >> (8 * i));
  return nonce;
}

}  // namespace

std::optional<SealedChannel> SealedChannel::between(const Signer& signer, const End& opener,
                                                    const End& answerer) {
  const bool opens = signer.id() == opener.node;
  check(opens || signer.id() == answerer.node, "a channel between two others");
  const auto secret = signer.shared_secret(opens ? answerer.node : opener.node);
  if (!secret) return std::nullopt;
  const auto key = [&](std::string_view direction) {
    return sha256({as_bytes("shoal1 circuit "), as_bytes(direction), secret->view(),
                   opener.node.view(), answerer.node.view(), opener.random.view(),
                   answerer.random.view()});
  };
  SealedChannel channel;
  channel.key_out_ = key(opens ? "opener " : "answer ");
  channel.key_in_ = key(opens ? "answer " : "opener ");
  return channel;
}

Bytes SealedChannel::seal(ByteView plain) {
  const Nonce nonce = nonce_of(sealed_++);
  Bytes sealed(plain.size() + kOverheadBytes);
  unsigned long long size = 0;
  check(crypto_aead_chacha20poly1305_ietf_encrypt(sealed.data(), &size, plain.data(), plain.size(),
                                                  nullptr, 0, nullptr, nonce.data(),
                                                  key_out_.bytes.data()) == 0 &&
            size == sealed.size(),
        "a message can always be sealed");
  return sealed;
}

std::optional<Bytes> SealedChannel::open(ByteView sealed) {
  if (sealed.size() < kOverheadBytes) return std::nullopt;
  const Nonce nonce = nonce_of(opened_++);
  Bytes plain(sealed.size() - kOverheadBytes);
  unsigned long long size = 0;
  if (crypto_aead_chacha20poly1305_ietf_decrypt(plain.data(), &size, nullptr, sealed.data(),
                                                sealed.size(), nullptr, 0, nonce.data(),
                                                key_in_.bytes.data()) != 0) {
    return std::nullopt;
  }
  return plain;
}

}  // namespace shoal
