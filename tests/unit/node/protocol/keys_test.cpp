#include "node/protocol/keys.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <algorithm>
#include <vector>

namespace shoal {
namespace {

constexpr Purpose kPurposes[] = {Purpose::kRecord,   Purpose::kManifest, Purpose::kCommitment,
                                 Purpose::kFailure,  Purpose::kTransfer, Purpose::kControl,
                                 Purpose::kSnapshot, Purpose::kTicket,   Purpose::kComparison,
                                 Purpose::kTerm,     Purpose::kGrant,    Purpose::kOwner};

// The seed 00 01 02 … 1f, each byte raised by `shift`.
KeyPair key(std::uint8_t shift = 0) {
  std::array<std::uint8_t, KeyPair::kSeedBytes> seed;
  for (std::size_t i = 0; i < seed.size(); ++i) seed[i] = static_cast<std::uint8_t>(i + shift);
  return KeyPair(seed);
}

template <std::size_t N>
std::string hex(const std::array<std::uint8_t, N>& bytes) {
  return to_hex(ByteView(bytes));
}

// These four are from an independent implementation of Ed25519, X25519 and HMAC.
TEST(KeyPair, FollowsFromItsSeed) {
  EXPECT_EQ(to_hex(key().id()), "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8");
  EXPECT_EQ(key().seed()[31], 31);
  EXPECT_NE(key().id(), key(1).id());
}

TEST(KeyPair, SignsDomainPurposeAndBody) {
  EXPECT_EQ(hex(key().sign(Purpose::kManifest, as_bytes("a body")).bytes),
            "97fa56c8272aeaca268033da74e5244a9cc43e93dbc0dd64c905aa0d33247ecd"
            "1333e46763c895f10cbcac5b5c5edd32fbeb8803f36fedd3d8e505c82d59570e");
}

TEST(KeyPair, SecretHashIsAnHmacOfItsSeed) {
  EXPECT_EQ(to_hex(key().secret_hash(as_bytes("input"))),
            "c00929517f58f2d6087fd31e8e97b4f2136b8c55e77456cb3252612a0137e8a2");
}

TEST(KeyPair, CurveKeysMatchTheNodesKey) {
  EXPECT_EQ(hex(key().curve_secret()),
            "3894eea49c580aef816935762be049559d6d1440dede12e6a125f1841fff8e6f");
  const auto curve_key = curve_key_of(key().id());
  ASSERT_TRUE(curve_key);
  EXPECT_EQ(to_hex(*curve_key), "4701d08488451f545a409fb58ae3e58581ca40ac3f7f114698cd71deac73ca01");
  for (std::uint8_t shift = 0; shift < 20; ++shift) {
    CurveKey from_secret;
    ASSERT_EQ(crypto_scalarmult_curve25519_base(from_secret.bytes.data(),
                                                key(shift).curve_secret().data()),
              0);
    EXPECT_EQ(curve_key_of(key(shift).id()), from_secret);
  }
}

TEST(KeyPair, SecretHashIsSteadyAndDependsOnKeyAndInput) {
  const Hash256 hash = key().secret_hash(as_bytes("job 1"));
  EXPECT_EQ(key().secret_hash(as_bytes("job 1")), hash);
  EXPECT_NE(key().secret_hash(as_bytes("job 2")), hash);
  EXPECT_NE(key(1).secret_hash(as_bytes("job 1")), hash);
  EXPECT_NE(key().secret_hash({}), hash);
}

TEST(KeyPair, ACopySignsAfterTheOriginalIsGone) {
  std::vector<KeyPair> copies;
  {
    const KeyPair original = key();
    copies.push_back(original);
  }
  EXPECT_EQ(copies[0].sign(Purpose::kRecord, as_bytes("x")),
            key().sign(Purpose::kRecord, as_bytes("x")));
}

TEST(Ed25519Checker, AcceptsWhatWasSigned) {
  const Ed25519Checker checker;
  const Bytes large(200'000, 0x5a);
  for (Purpose purpose : kPurposes) {
    for (ByteView body : {ByteView{}, as_bytes("a body"), ByteView(large)}) {
      EXPECT_TRUE(checker.holds(key().id(), purpose, body, key().sign(purpose, body)));
    }
  }
}

TEST(Ed25519Checker, ASignatureHoldsForItsPurposeAlone) {
  const Ed25519Checker checker;
  for (Purpose signed_for : kPurposes) {
    const Signature signature = key().sign(signed_for, as_bytes("a body"));
    for (Purpose shown_for : kPurposes) {
      EXPECT_EQ(checker.holds(key().id(), shown_for, as_bytes("a body"), signature),
                signed_for == shown_for);
    }
  }
}

TEST(Ed25519Checker, RefusesAnotherSignerAnotherBodyAndAnyChangedBit) {
  const Ed25519Checker checker;
  const ByteView body = as_bytes("a body");
  const Signature signature = key().sign(Purpose::kRecord, body);
  EXPECT_FALSE(checker.holds(key(1).id(), Purpose::kRecord, body, signature));
  EXPECT_FALSE(checker.holds(key().id(), Purpose::kRecord, as_bytes("a bodz"), signature));
  EXPECT_FALSE(checker.holds(key().id(), Purpose::kRecord, as_bytes("a body "), signature));
  EXPECT_FALSE(checker.holds(key().id(), Purpose::kRecord, body, Signature{}));
  for (std::size_t bit = 0; bit < 512; ++bit) {
    Signature changed = signature;
    changed.bytes[bit / 8] = static_cast<std::uint8_t>(changed.bytes[bit / 8] ^ (1U << bit % 8));
    EXPECT_FALSE(checker.holds(key().id(), Purpose::kRecord, body, changed)) << bit;
  }
}

// Under a key of small order one signature could hold for many bodies.
TEST(Ed25519Checker, RefusesKeysThatAreNoGoodPoints) {
  const Ed25519Checker checker;
  NodeId neutral;
  neutral.bytes[0] = 1;
  NodeId none;
  none.bytes.fill(0xff);
  for (const NodeId& id : {NodeId{}, neutral, none}) {
    EXPECT_FALSE(checker.holds(id, Purpose::kRecord, as_bytes("x"), Signature{}));
    EXPECT_FALSE(curve_key_of(id));
  }
}

}  // namespace
}  // namespace shoal
