#include "node/protocol/ids.h"

#include <gtest/gtest.h>

#include <limits>
#include <type_traits>
#include <unordered_set>

namespace shoal {
namespace {

NodeId counted() {
  NodeId id;
  for (std::size_t i = 0; i < 32; ++i) id.bytes[i] = static_cast<std::uint8_t>(i * 8 + 7);
  return id;
}

constexpr char kCountedHex[] = "070f171f272f373f474f575f676f777f878f979fa7afb7bfc7cfd7dfe7eff7ff";

TEST(Hex, PrintsEveryByteAsTwoLowerCaseDigits) {
  EXPECT_EQ(to_hex(ByteView{}), "");
  EXPECT_EQ(to_hex(Bytes{0x00, 0x0f, 0xa0, 0xff}), "000fa0ff");
  EXPECT_EQ(to_hex(counted()), kCountedHex);
  EXPECT_EQ(short_hex(counted()), "070f171f");
}

TEST(Hex, ReadsBothCases) {
  EXPECT_EQ(from_hex("000fA0fF", 4), (Bytes{0x00, 0x0f, 0xa0, 0xff}));
  EXPECT_EQ(from_hex("", 0), Bytes{});
}

TEST(Hex, EveryByteComesBack) {
  Bytes all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<std::uint8_t>(i));
  EXPECT_EQ(from_hex(to_hex(all), 256), all);
}

TEST(Hex, RefusesWrongLengths) {
  EXPECT_FALSE(from_hex("0", 0));
  EXPECT_FALSE(from_hex("000", 1));
  EXPECT_FALSE(from_hex("00", 2));
  EXPECT_FALSE(from_hex("0000", 1));
  EXPECT_FALSE(from_hex("", std::numeric_limits<std::size_t>::max()));
  // Doubled, this size would wrap round to zero.
  EXPECT_FALSE(from_hex("", std::numeric_limits<std::size_t>::max() / 2 + 1));
}

TEST(Hex, RefusesEveryOtherCharacter) {
  const std::string_view digits = "0123456789abcdefABCDEF";
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    const bool is_digit = digits.find(c) != std::string_view::npos;
    EXPECT_EQ(from_hex(std::string{c, '0'}, 1).has_value(), is_digit) << i;
    EXPECT_EQ(from_hex(std::string{'0', c}, 1).has_value(), is_digit) << i;
  }
  EXPECT_FALSE(from_hex("0x12", 2));
  EXPECT_FALSE(from_hex(" 12 ", 2));
}

TEST(Ids, ComeBackFromBytesAndHex) {
  EXPECT_EQ(NodeId::from_bytes(counted().view()), counted());
  EXPECT_EQ(id_from_hex<NodeId>(kCountedHex), counted());
  EXPECT_FALSE(id_from_hex<NodeId>(std::string_view(kCountedHex).substr(2)));
  EXPECT_FALSE(NodeId::from_bytes(counted().view().subspan(1)));
  EXPECT_FALSE(NodeId::from_bytes(Bytes(33)));
}

TEST(Ids, OnlyAllZerosIsZero) {
  EXPECT_TRUE(JobId{}.is_zero());
  for (std::size_t i = 0; i < 32; ++i) {
    JobId id;
    id.bytes[i] = 1;
    EXPECT_FALSE(id.is_zero()) << i;
  }
}

TEST(Ids, OfDifferentThingsAreDifferentTypes) {
  EXPECT_FALSE((std::is_convertible_v<JobId, NodeId>));
  EXPECT_FALSE((std::is_convertible_v<NodeId, PoolId>));
  EXPECT_FALSE((std::is_convertible_v<Hash256, ContentId>));
}

TEST(Ids, OrderAndHashFollowTheBytes) {
  NodeId low = counted();
  NodeId high = counted();
  high.bytes[0] = 0x80;  // as a signed char it would sort below
  EXPECT_LT(low, high);
  const std::unordered_set<NodeId> set{low, high, counted()};
  EXPECT_EQ(set.size(), 2U);
}

}  // namespace
}  // namespace shoal
