#include "node/link/parts.h"

#include <gtest/gtest.h>

#include "node/protocol/messages.h"
#include "tests/unit/node/link/link_test_support.h"

namespace shoal {
namespace {

using link_test::make_part;

constexpr std::size_t kBytesMax = 1000;

Bytes numbers(std::size_t size) {
  Bytes bytes;
  for (std::size_t i = 0; i < size; ++i) bytes.push_back(static_cast<std::uint8_t>(i));
  return bytes;
}

TEST(Parts, AreTheMessageAgain) {
  const Bytes whole = numbers(700);
  PartReader reader;
  for (std::size_t at = 0; at < whole.size(); at += 300) {
    EXPECT_EQ(reader.take_message(), std::nullopt);
    const ByteView bytes = ByteView(whole).subspan(at, std::min<std::size_t>(300, 700 - at));
    const Bytes part = make_part(bytes, whole.size() - at - bytes.size());
    ASSERT_TRUE(PartReader::is_part(part));
    ASSERT_TRUE(reader.take(part, kBytesMax));
  }
  EXPECT_EQ(reader.take_message(), whole);
  EXPECT_EQ(reader.held_bytes(), 0U);
}

TEST(Parts, AreNeverTakenForMessagesNorMessagesForThem) {
  const Bytes message = encode(Message(Holdings{}));
  EXPECT_FALSE(PartReader::is_part(message));
  EXPECT_FALSE(decode(make_part(message, 0)));
  EXPECT_FALSE(PartReader::is_part(make_part({}, 7))) << "a part of nothing would never end";
}

TEST(Parts, ThatDoNotFollowEachOtherAreRefused) {
  PartReader reader;
  ASSERT_TRUE(reader.take(make_part(numbers(10), 20), kBytesMax));
  EXPECT_FALSE(reader.take(make_part(numbers(10), 20), kBytesMax));
  EXPECT_FALSE(reader.take(make_part(numbers(30), 0), kBytesMax));
  EXPECT_FALSE(PartReader().take(make_part(numbers(10), kBytesMax), kBytesMax));
  EXPECT_FALSE(PartReader().take(make_part(numbers(10), 0xffffffff), kBytesMax));
}

}  // namespace
}  // namespace shoal
