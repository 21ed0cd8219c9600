#include <capnp/any.h>
#include <capnp/message.h>
#include <capnp/serialize.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "node/protocol/limits.h"
#include "node/protocol/messages.h"
#include "node/protocol/rng.h"
#include "tests/unit/node/protocol/specimens.h"

// Whatever bytes arrive, a decoder returns: a value that it can encode again, or an error.
namespace shoal {
namespace {

constexpr std::uint64_t kSeed = 20240229;
constexpr int kMutationsEach = 3000;

TEST(Totality, EveryTruncationIsAnError) {
  for (const specimens::Specimen& specimen : specimens::all()) {
    for (std::size_t size = 0; size < specimen.bytes.size(); ++size) {
      auto result = specimen.encoded_again(ByteView(specimen.bytes).subspan(0, size));
      ASSERT_FALSE(result.has_value()) << specimen.name << " cut to " << size << " bytes";
      ASSERT_EQ(result.error().fault, DecodeFault::kMalformed) << specimen.name;
    }
  }
}

// What decodes must survive another round unchanged: the decoder accepts nothing that the encoder
// cannot say.
void expect_total(const specimens::Specimen& specimen, ByteView bytes, const std::string& how) {
  auto once = specimen.encoded_again(bytes);
  if (!once) {
    ASSERT_FALSE(once.error().what.empty()) << specimen.name << " " << how;
    return;
  }
  auto twice = specimen.encoded_again(*once);
  ASSERT_TRUE(twice.has_value()) << specimen.name << " " << how << ": " << twice.error().what;
  ASSERT_EQ(*once, *twice) << specimen.name << " " << how;
}

TEST(Totality, EveryMutationIsAValueOrAnError) {
  Rng rng(kSeed);
  for (const specimens::Specimen& specimen : specimens::all()) {
    for (int i = 0; i < kMutationsEach; ++i) {
      Bytes bytes = specimen.bytes;
      // Mostly near the front, where the pointers are and not what they point to.
      const std::size_t reach =
          rng.chance(0.5) ? std::min<std::size_t>(bytes.size(), 160) : bytes.size();
      std::string how = "seed " + std::to_string(kSeed) + " round " + std::to_string(i);
      const std::uint64_t changes = 1 + rng.below(3);
      for (std::uint64_t change = 0; change < changes; ++change) {
        const std::size_t at = rng.below(reach);
        if (rng.chance(0.6)) {
          bytes[at] ^= static_cast<std::uint8_t>(1U << rng.below(8));
        } else {
          bytes[at] = static_cast<std::uint8_t>(rng.next());
        }
        how += " at " + std::to_string(at);
      }
      ASSERT_NO_FATAL_FAILURE(expect_total(specimen, bytes, how));
    }
  }
}

TEST(Totality, RandomBytesAreAValueOrAnError) {
  Rng rng(kSeed + 1);
  const auto specimens = specimens::all();
  for (int i = 0; i < 20'000; ++i) {
    Bytes bytes(8 * rng.below(40));
    // A table of one segment of the right size lets more of the garbage through to the pointers.
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(rng.next() & rng.next());
    if (bytes.size() >= 8) {
      std::memset(bytes.data(), 0, 8);
      bytes[4] = static_cast<std::uint8_t>(bytes.size() / 8 - 1);
    }
    const auto& specimen = specimens[rng.below(specimens.size())];
    ASSERT_NO_FATAL_FAILURE(expect_total(specimen, bytes, "random round " + std::to_string(i)));
  }
}

// Frames that our own encoder refuses to make, built by hand: the envelope has one word of data, in
// which the union's tag comes first, and one pointer.
constexpr unsigned kSampleTag = 5;
constexpr unsigned kJobStatusReplyTag = 10;
constexpr unsigned kRefusedTag = 1;

capnp::AnyStruct::Builder envelope(capnp::MessageBuilder& builder, unsigned tag) {
  auto root = builder.initRoot<capnp::AnyPointer>().initAsAnyStruct(1, 1);
  root.getDataSection()[0] = static_cast<capnp::byte>(tag);
  return root;
}
Bytes frame_of(capnp::MessageBuilder& builder) {
  auto words = capnp::messageToFlatArray(builder);
  auto bytes = words.asBytes();
  return {bytes.begin(), bytes.end()};
}
DecodeFault fault_of(const Bytes& bytes) {
  auto decoded = decode(bytes);
  EXPECT_FALSE(decoded.has_value());
  return decoded ? DecodeFault::kUnknown : decoded.error().fault;
}

TEST(Totality, RefusesListsPastTheirLimitWithoutReadingThem) {
  capnp::MallocMessageBuilder sample;
  auto body = envelope(sample, kSampleTag).getPointerSection()[0].initAsAnyStruct(2, 1);
  // Elements without any content: half a thousand million of them take no room on the wire.
  body.getPointerSection()[0].initAsListOfAnyStruct(0, 0, (1U << 29) - 1);
  EXPECT_EQ(fault_of(frame_of(sample)), DecodeFault::kMalformed);

  capnp::MallocMessageBuilder longer;
  body = envelope(longer, kSampleTag).getPointerSection()[0].initAsAnyStruct(2, 1);
  body.getPointerSection()[0].initAsListOfAnyStruct(1, 0, limits::kSampleRecords + 1);
  EXPECT_EQ(fault_of(frame_of(longer)), DecodeFault::kTooLarge);

  capnp::MallocMessageBuilder reply;
  body = envelope(reply, kJobStatusReplyTag).getPointerSection()[0].initAsAnyStruct(0, 1);
  body.getPointerSection()[0].initAsListOfAnyStruct(1, 0, limits::kJobsLed + 1);
  EXPECT_EQ(fault_of(frame_of(reply)), DecodeFault::kTooLarge);
}

TEST(Totality, RefusesTextsPastTheirLimitOrWithoutAnEnd) {
  const std::string words(limits::kTextBytes + 1, 'x');
  capnp::MallocMessageBuilder refused;
  auto body = envelope(refused, kRefusedTag).getPointerSection()[0].initAsAnyStruct(1, 1);
  body.getPointerSection()[0].setAs<capnp::Text>({words.c_str(), words.size()});
  EXPECT_EQ(fault_of(frame_of(refused)), DecodeFault::kTooLarge);

  capnp::MallocMessageBuilder endless;
  body = envelope(endless, kRefusedTag).getPointerSection()[0].initAsAnyStruct(1, 1);
  const std::uint8_t letters[4] = {'a', 'b', 'c', 'd'};
  body.getPointerSection()[0].setAs<capnp::Data>({letters, sizeof letters});
  EXPECT_EQ(fault_of(frame_of(endless)), DecodeFault::kMalformed);
}

TEST(Totality, ReadsFramesOfSeveralSegmentsAndOfNewerStructs) {
  capnp::MallocMessageBuilder builder(1, capnp::AllocationStrategy::FIXED_SIZE);
  auto body = envelope(builder, kRefusedTag).getPointerSection()[0].initAsAnyStruct(3, 4);
  body.getPointerSection()[0].setAs<capnp::Text>("later");
  body.getPointerSection()[3].setAs<capnp::Text>("a field of a later version");
  ASSERT_GT(builder.getSegmentsForOutput().size(), 1U);
  auto decoded = decode(frame_of(builder));
  ASSERT_TRUE(decoded.has_value()) << decoded.error().what;
  EXPECT_TRUE(*decoded == Message(Refused{RefusalReason::kOtherPool, "later"}));
}

}  // namespace
}  // namespace shoal
