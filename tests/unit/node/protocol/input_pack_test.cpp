#include "node/protocol/input_pack.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "node/protocol/limits.h"
#include "node/protocol/rng.h"

namespace shoal {
namespace {

Bytes bytes_of(std::string_view text) { return to_bytes(as_bytes(text)); }

void put_u64(Bytes& bytes, std::size_t at, std::uint64_t value) {
  for (std::size_t i = 0; i < 8; ++i) bytes[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
}

// Three inputs of 2, 0 and 3 bytes: the table begins at 16 and ends at 48.
Bytes sample() { return pack_inputs({bytes_of("ab"), {}, bytes_of("cde")}); }

DecodeFault fault_of(ByteView bytes) {
  const auto pack = InputPack::open(bytes);
  EXPECT_FALSE(pack);
  if (pack) return DecodeFault::kUnknown;
  EXPECT_NE(pack.error().what.find("input pack"), std::string::npos);
  return pack.error().fault;
}

TEST(InputPack, HasTheFormThatTheHeaderSays) {
  Bytes expected = bytes_of("shoalin1");
  for (std::uint8_t number : {3, 0, 2, 2, 5}) {
    expected.push_back(number);
    expected.insert(expected.end(), 7, 0);
  }
  for (char c : std::string("abcde")) expected.push_back(static_cast<std::uint8_t>(c));
  EXPECT_EQ(sample(), expected);
}

TEST(InputPack, GivesEveryInputBack) {
  Rng rng(21);
  for (int round = 0; round < 50; ++round) {
    std::vector<Bytes> inputs(rng.below(40));
    for (Bytes& input : inputs) {
      input.resize(rng.below(300));
      for (std::uint8_t& b : input) b = static_cast<std::uint8_t>(rng.next());
    }
    const Bytes bytes = pack_inputs(inputs);
    const auto pack = InputPack::open(bytes);
    ASSERT_TRUE(pack);
    ASSERT_EQ(pack->units(), inputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i) EXPECT_EQ(to_bytes(pack->input(i)), inputs[i]);
  }
}

TEST(InputPack, AUnitPastTheEndHasNoInput) {
  const Bytes bytes = sample();
  const auto pack = InputPack::open(bytes);
  ASSERT_TRUE(pack);
  EXPECT_EQ(pack->input(2).size(), 3U);
  EXPECT_TRUE(pack->input(3).empty());
  EXPECT_TRUE(pack->input(std::numeric_limits<UnitIndex>::max()).empty());
}

TEST(InputPack, OfNoUnitsIsATableOfOneOffset) {
  const Bytes bytes = pack_inputs({});
  EXPECT_EQ(bytes.size(), 24U);
  const auto pack = InputPack::open(bytes);
  ASSERT_TRUE(pack);
  EXPECT_EQ(pack->units(), 0U);
  EXPECT_TRUE(pack->input(0).empty());
}

TEST(InputPack, RefusesEveryTruncationAndEveryAddition) {
  const Bytes whole = sample();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(InputPack::open(ByteView(whole).first(size))) << size;
  }
  Bytes longer = whole;
  longer.push_back(0);
  EXPECT_EQ(fault_of(longer), DecodeFault::kBadValue);
}

TEST(InputPack, RefusesAnotherMagic) {
  Bytes bytes = sample();
  bytes[7] = '2';
  EXPECT_EQ(fault_of(bytes), DecodeFault::kMalformed);
}

TEST(InputPack, RefusesCountsThatAreNotThere) {
  Bytes bytes = sample();
  put_u64(bytes, 8, 100);
  EXPECT_EQ(fault_of(bytes), DecodeFault::kMalformed);
  put_u64(bytes, 8, limits::kUnitsPerJob);
  EXPECT_EQ(fault_of(bytes), DecodeFault::kMalformed);
  put_u64(bytes, 8, limits::kUnitsPerJob + 1);
  EXPECT_EQ(fault_of(bytes), DecodeFault::kTooLarge);
  // Eight times one of these, plus eight, wraps round to little or nothing.
  for (std::uint64_t count : {std::numeric_limits<std::uint64_t>::max(), std::uint64_t{1} << 61,
                              (std::uint64_t{1} << 61) - 1}) {
    put_u64(bytes, 8, count);
    EXPECT_EQ(fault_of(bytes), DecodeFault::kTooLarge);
  }
}

TEST(InputPack, RefusesOffsetsThatDoNotFit) {
  const auto with_offset = [](std::size_t entry, std::uint64_t value) {
    Bytes bytes = sample();
    put_u64(bytes, 16 + 8 * entry, value);
    return bytes;
  };
  EXPECT_EQ(fault_of(with_offset(0, 1)), DecodeFault::kBadValue);
  EXPECT_EQ(fault_of(with_offset(1, 3)), DecodeFault::kBadValue);  // above the next
  EXPECT_EQ(fault_of(with_offset(2, 1)), DecodeFault::kBadValue);  // below the one before
  EXPECT_EQ(fault_of(with_offset(3, 4)), DecodeFault::kBadValue);  // a byte left over
  EXPECT_EQ(fault_of(with_offset(3, 6)), DecodeFault::kBadValue);  // past the end
  EXPECT_EQ(fault_of(with_offset(3, std::numeric_limits<std::uint64_t>::max())),
            DecodeFault::kBadValue);
}

// Whatever opens has inputs that lie inside of it and fill it to the end, one after another.
TEST(InputPack, AnyBytesGiveAPackOrAnError) {
  Rng rng(22);
  int opened = 0;
  for (int round = 0; round < 50'000; ++round) {
    Bytes bytes = sample();
    for (std::uint64_t n = 1 + rng.below(2); n > 0; --n) {
      bytes[8 + rng.below(bytes.size() - 8)] = static_cast<std::uint8_t>(rng.below(6));
    }
    const auto pack = InputPack::open(bytes);
    if (!pack) continue;
    ++opened;
    std::size_t inside = 16 + 8 * (pack->units() + 1);
    for (UnitIndex u = 0; u < pack->units(); ++u) {
      const ByteView input = pack->input(u);
      if (!input.empty()) {
        ASSERT_EQ(input.data(), bytes.data() + inside);
      }
      inside += input.size();
    }
    ASSERT_EQ(inside, bytes.size());
  }
  EXPECT_GT(opened, 0);
}

}  // namespace
}  // namespace shoal
