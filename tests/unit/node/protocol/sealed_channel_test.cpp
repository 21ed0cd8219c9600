#include "node/protocol/sealed_channel.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

KeyPair key_of(std::uint8_t n) {
  std::array<std::uint8_t, KeyPair::kSeedBytes> seed{};
  seed.fill(n);
  return KeyPair(seed);
}

Hash256 random_of(std::uint8_t n) {
  Hash256 random;
  random.bytes.fill(n);
  return random;
}

struct Ends {
  explicit Ends(std::uint8_t mine = 1, std::uint8_t theirs = 2)
      : opener(*SealedChannel::between(a, {a.id(), random_of(mine)}, {b.id(), random_of(theirs)})),
        answerer(
            *SealedChannel::between(b, {a.id(), random_of(mine)}, {b.id(), random_of(theirs)})) {}
  KeyPair a = key_of(11), b = key_of(12);
  SealedChannel opener, answerer;
};

const Bytes kWords = {1, 2, 3, 4, 5};

TEST(SealedChannel, CarriesBothWaysInOrder) {
  Ends ends;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ends.answerer.open(ends.opener.seal(kWords)), kWords);
    EXPECT_EQ(ends.opener.open(ends.answerer.seal(kWords)), kWords);
  }
  EXPECT_EQ(ends.answerer.open(ends.opener.seal({})), Bytes{});
}

TEST(SealedChannel, TheSameWordsNeverLookTheSame) {
  Ends ends;
  Ends later(1, 3);
  const Bytes first = ends.opener.seal(kWords);
  EXPECT_EQ(first.size(), kWords.size() + SealedChannel::kOverheadBytes);
  EXPECT_NE(first, ends.opener.seal(kWords));
  EXPECT_NE(first, ends.answerer.seal(kWords)) << "each direction has a key of its own";
  EXPECT_NE(first, later.opener.seal(kWords)) << "and so has each channel";
}

TEST(SealedChannel, WhatIsChangedRepeatedLeftOutOrTurnedRoundDoesNotOpen) {
  {
    Ends ends;
    Bytes sealed = ends.opener.seal(kWords);
    sealed[2] ^= 1;
    EXPECT_FALSE(ends.answerer.open(sealed));
  }
  {
    Ends ends;
    const Bytes sealed = ends.opener.seal(kWords);
    EXPECT_TRUE(ends.answerer.open(sealed));
    EXPECT_FALSE(ends.answerer.open(sealed));
  }
  {
    Ends ends;
    static_cast<void>(ends.opener.seal(kWords));
    EXPECT_FALSE(ends.answerer.open(ends.opener.seal(kWords)));
  }
  {
    Ends ends;
    EXPECT_FALSE(ends.opener.open(ends.opener.seal(kWords)));
  }
  Ends ends;
  EXPECT_FALSE(ends.answerer.open({}));
  EXPECT_FALSE(ends.answerer.open(Bytes(SealedChannel::kOverheadBytes - 1, 0)));
}

TEST(SealedChannel, AThirdNodeHasNoPartInIt) {
  Ends ends;
  const KeyPair c = key_of(13);
  EXPECT_NE(c.shared_secret(ends.a.id()), ends.b.shared_secret(ends.a.id()));
  EXPECT_EQ(ends.a.shared_secret(ends.b.id()), ends.b.shared_secret(ends.a.id()));
  auto third = SealedChannel::between(c, {ends.a.id(), random_of(1)}, {c.id(), random_of(2)});
  ASSERT_TRUE(third);
  EXPECT_FALSE(third->open(ends.opener.seal(kWords)));
}

TEST(SealedChannel, AnIdThatIsNoKeyHasNone) {
  const KeyPair a = key_of(11);
  NodeId nonsense;
  nonsense.bytes.fill(0xff);
  EXPECT_FALSE(a.shared_secret(nonsense));
  EXPECT_FALSE(SealedChannel::between(a, {a.id(), {}}, {nonsense, {}}));
  EXPECT_FALSE(a.shared_secret(NodeId{})) << "a point of small order";
}

}  // namespace
}  // namespace shoal
