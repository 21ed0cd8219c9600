#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>

#include "node/protocol/hash.h"
#include "node/protocol/limits.h"
#include "node/protocol/messages.h"
#include "tests/unit/node/protocol/specimens.h"

namespace shoal {
namespace {

using specimens::id;
using specimens::signed_bytes;

DecodeFault fault_of(const Message& message) {
  auto decoded = decode(encode(message));
  EXPECT_FALSE(decoded.has_value()) << name_of(message);
  return decoded ? DecodeFault::kUnknown : decoded.error().fault;
}

template <class T, class Change>
DecodeFault fault_after(T message, Change change) {
  change(message);
  return fault_of(message);
}

template <class T>
T specimen() {
  for (const Message& message : specimens::messages()) {
    if (const T* found = std::get_if<T>(&message)) return *found;
  }
  ADD_FAILURE() << "no specimen of this message";
  return {};
}

TEST(MessageCodec, HasASpecimenOfEveryMessageInOrder) {
  const auto messages = specimens::messages();
  ASSERT_EQ(messages.size(), std::variant_size_v<Message>);
  for (std::size_t i = 0; i < messages.size(); ++i) EXPECT_EQ(messages[i].index(), i);
}

TEST(MessageCodec, GivesBackEveryFieldOfEveryMessage) {
  for (const Message& message : specimens::messages()) {
    auto decoded = decode(encode(message));
    ASSERT_TRUE(decoded.has_value()) << name_of(message) << ": " << decoded.error().what;
    EXPECT_TRUE(*decoded == message) << name_of(message);
  }
}

TEST(MessageCodec, GivesBackWhatIsAbsentAsAbsent) {
  for (const Message& message : specimens::bare_messages()) {
    auto decoded = decode(encode(message));
    ASSERT_TRUE(decoded.has_value()) << name_of(message) << ": " << decoded.error().what;
    EXPECT_TRUE(*decoded == message) << name_of(message);
  }
}

TEST(MessageCodec, ReadsMisalignedBytes) {
  for (const Message& message : specimens::messages()) {
    const Bytes bytes = encode(message);
    for (std::size_t shift = 1; shift < 8; ++shift) {
      Bytes shifted(bytes.size() + shift);
      std::memcpy(shifted.data() + shift, bytes.data(), bytes.size());
      auto decoded = decode(ByteView(shifted).subspan(shift));
      ASSERT_TRUE(decoded.has_value()) << name_of(message) << " at offset " << shift;
      EXPECT_TRUE(*decoded == message) << name_of(message);
    }
  }
}

// A low guess of a message's size costs a copy and a heap allocation more.
TEST(MessageCodec, BuildsEveryMessageInOneSegment) {
  for (const Message& message : specimens::messages()) {
    const Bytes bytes = encode(message);
    ASSERT_GE(bytes.size(), 8U);
    const Bytes one_segment(4, 0);
    EXPECT_EQ(Bytes(bytes.begin(), bytes.begin() + 4), one_segment) << name_of(message);
  }
}

TEST(MessageCodec, NamesEveryMessageDifferently) {
  std::set<std::string_view> names;
  for (const Message& message : specimens::messages()) names.insert(name_of(message));
  EXPECT_EQ(names.size(), std::variant_size_v<Message>);
  EXPECT_EQ(name_of(LeaseGrant{}), "LeaseGrant");
  EXPECT_EQ(name_of(WorkerStatusRequest{}), "WorkerStatusRequest");
}

TEST(MessageCodec, ReportsANewerKindOfMessageAsUnknown) {
  Bytes bytes = encode(Message(SampleRequest{3, 4}));
  // The envelope follows the frame's table and the root pointer, and begins with the union's tag.
  ASSERT_EQ(bytes[16], 4) << "the tag of sampleRequest is not where this test looks for it";
  bytes[16] = 0xFF;
  bytes[17] = 0x7F;
  auto decoded = decode(bytes);
  ASSERT_FALSE(decoded.has_value());
  EXPECT_EQ(decoded.error().fault, DecodeFault::kUnknown);
}

TEST(MessageCodec, RefusesNothingAndTails) {
  for (std::size_t size = 0; size < 64; ++size) {
    auto decoded = decode(Bytes(size, 0));
    ASSERT_FALSE(decoded.has_value()) << size << " zero bytes";
    if (size < 8) {
      EXPECT_EQ(decoded.error().fault, DecodeFault::kMalformed);
    }
  }
  for (std::size_t tail : {1U, 7U, 8U, 4096U}) {
    Bytes bytes = encode(Message(SampleRequest{3, 4}));
    bytes.resize(bytes.size() + tail);
    auto decoded = decode(bytes);
    ASSERT_FALSE(decoded.has_value()) << "a tail of " << tail;
    EXPECT_EQ(decoded.error().fault, DecodeFault::kMalformed);
  }
}

TEST(MessageCodec, RefusesAMessagePastTheLimitUnread) {
  auto decoded = decode(Bytes(limits::kMessageBytes + 8, 0));
  ASSERT_FALSE(decoded.has_value());
  EXPECT_EQ(decoded.error().fault, DecodeFault::kTooLarge);
}

TEST(MessageCodec, RefusesFactsPastTheirLimit) {
  const Signed record = signed_bytes(1, limits::kRecordBytes + 1);
  const Signed manifest = signed_bytes(1, limits::kManifestBytes + 1);
  EXPECT_EQ(fault_of(Hello{1, {}, {}, Role::kWorker, record}), DecodeFault::kTooLarge);
  EXPECT_EQ(fault_of(Announce{record}), DecodeFault::kTooLarge);
  EXPECT_EQ(fault_of(Sample{{signed_bytes(1, 1), record}, 0, 0}), DecodeFault::kTooLarge);
  EXPECT_EQ(fault_of(JobFound{{}, record}), DecodeFault::kTooLarge);
  EXPECT_EQ(fault_of(WorkAvailable{{}, record, 0}), DecodeFault::kTooLarge);
  EXPECT_EQ(fault_of(NoWork{{}, {record}, {}}), DecodeFault::kTooLarge);
  EXPECT_EQ(fault_of(NoWork{{}, {}, {{{}, record, 0}}}), DecodeFault::kTooLarge);
  EXPECT_EQ(fault_of(Submit{manifest}), DecodeFault::kTooLarge);
  EXPECT_EQ(fault_of(LeaseGrant{{}, 0, 0, LeaseKind::kPrimary, {}, 0, manifest}),
            DecodeFault::kTooLarge);
}

TEST(MessageCodec, RefusesValuesThatNoEnumHas) {
  EXPECT_EQ(fault_after(specimen<Hello>(), [](auto& m) { m.role = static_cast<Role>(3); }),
            DecodeFault::kBadValue);
  EXPECT_EQ(fault_of(Refused{static_cast<RefusalReason>(6), ""}), DecodeFault::kBadValue);
  EXPECT_EQ(fault_of(SubmitReply{{}, static_cast<SubmitOutcome>(6), ""}), DecodeFault::kBadValue);
  EXPECT_EQ(fault_after(specimen<JobStatusReply>(),
                        [](auto& m) { m.jobs[1].phase = static_cast<JobPhase>(5); }),
            DecodeFault::kBadValue);
  EXPECT_EQ(
      fault_after(specimen<LeaseGrant>(), [](auto& m) { m.kind = static_cast<LeaseKind>(3); }),
      DecodeFault::kBadValue);
  EXPECT_EQ(fault_after(specimen<RevealRequest>(),
                        [](auto& m) { m.detail = static_cast<RevealDetail>(3); }),
            DecodeFault::kBadValue);
  EXPECT_EQ(fault_after(specimen<WorkerStatus>(),
                        [](auto& m) { m.reachability = static_cast<Reachability>(3); }),
            DecodeFault::kBadValue);
}

TEST(MessageCodec, RefusesWhatIsNoRange) {
  for (Range range : {Range{0, 0}, Range{5, 5}, Range{6, 5}, Range{0, limits::kUnitsPerJob + 1},
                      Range{UINT64_MAX - 1, UINT64_MAX}}) {
    EXPECT_EQ(fault_of(LeaseGrant{{}, 0, 0, LeaseKind::kPrimary, {{1, 2}, range}, 0, {}}),
              DecodeFault::kBadValue);
    EXPECT_EQ(fault_of(LeaseRevoke{{}, {range}, false}), DecodeFault::kBadValue);
    EXPECT_EQ(fault_of(TransferReply{{}, 0, 0, {range}, 0}), DecodeFault::kBadValue);
    EXPECT_EQ(fault_of(LeaseReport{{}, 0, {{1, {range}}}, 0, ""}), DecodeFault::kBadValue);
    EXPECT_EQ(fault_of(RevealRequest{{}, range, range, RevealDetail::kRoot}),
              DecodeFault::kBadValue);
  }
}

TEST(MessageCodec, RefusesAPartThatIsNotWithinItsBatch) {
  for (Range part : {Range{99, 101}, Range{199, 201}, Range{300, 301}}) {
    EXPECT_EQ(fault_of(RevealRequest{{}, {100, 200}, part, RevealDetail::kRoot}),
              DecodeFault::kBadValue);
    EXPECT_EQ(fault_of(Reveal{{}, {100, 200}, part, {}, {}, {}, {}, {}, true}),
              DecodeFault::kBadValue);
  }
  const Range too_long{0, limits::kUnitsPerBatch + 1};
  EXPECT_EQ(fault_of(RevealRequest{{}, too_long, {0, 1}, RevealDetail::kRoot}),
            DecodeFault::kTooLarge);
}

TEST(MessageCodec, RefusesRevealsThatAreNotOneAUnit) {
  EXPECT_EQ(fault_after(specimen<Reveal>(), [](auto& m) { m.digests.pop_back(); }),
            DecodeFault::kBadValue);
  EXPECT_EQ(fault_after(specimen<Reveal>(), [](auto& m) { m.outputs = slice(*m.outputs, 0, 4); }),
            DecodeFault::kBadValue);
}

TEST(MessageCodec, RefusesOutputsThatDoNotFitTogether) {
  const auto faulty = [](auto change) {
    return fault_after(specimen<CompareRequest>(), [&](auto& m) { change(m.candidates); });
  };
  EXPECT_EQ(faulty([](auto& o) { o.inline_bytes.push_back(0); }), DecodeFault::kBadValue);
  EXPECT_EQ(faulty([](auto& o) { o.inline_bytes.clear(); }), DecodeFault::kBadValue);
  EXPECT_EQ(faulty([](auto& o) { o.large.pop_back(); }), DecodeFault::kBadValue);
  EXPECT_EQ(faulty([](auto& o) { o.large.push_back({}); }), DecodeFault::kBadValue);
  EXPECT_EQ(faulty([](auto& o) { o.sizes.pop_back(); }), DecodeFault::kBadValue);
  EXPECT_EQ(faulty([](auto& o) { o.sizes[1] = 1024; }), DecodeFault::kBadValue);
  EXPECT_EQ(faulty([](auto& o) { o = {}; }), DecodeFault::kBadValue) << "nothing to compare";
  EXPECT_EQ(faulty([](auto& o) {
              o.sizes.assign(limits::kBatchInlineBytes / 1024 + 1, 1024);
              o.inline_bytes.assign(limits::kBatchInlineBytes + 1024, 0);
              o.large.clear();
            }),
            DecodeFault::kTooLarge);
}

TEST(MessageCodec, RefusesNumbersThatWouldOverflowElsewhere) {
  EXPECT_EQ(fault_after(specimen<LeaseGrant>(), [](auto& m) { m.duration_ms = UINT64_MAX; }),
            DecodeFault::kBadValue);
  EXPECT_EQ(fault_after(specimen<StealReply>(), [](auto& m) { m.duration_ms = UINT64_MAX; }),
            DecodeFault::kBadValue);
  EXPECT_EQ(fault_after(specimen<TransferReply>(), [](auto& m) { m.duration_ms = UINT64_MAX; }),
            DecodeFault::kBadValue);
  EXPECT_EQ(fault_after(specimen<WorkRequest>(), [](auto& m) { m.unit_ns = UINT64_MAX; }),
            DecodeFault::kBadValue);
  EXPECT_EQ(fault_after(specimen<LeaseReport>(), [](auto& m) { m.unit_ns = UINT64_MAX; }),
            DecodeFault::kBadValue);
  EXPECT_EQ(fault_after(specimen<CommitNotice>(), [](auto& m) { m.compute_ns = UINT64_MAX; }),
            DecodeFault::kBadValue);
  EXPECT_EQ(fault_after(specimen<JobStatusReply>(), [](auto& m) { m.jobs[0].created = -1; }),
            DecodeFault::kBadValue);
}

TEST(MessageCodec, RefusesBlocksThatAreNotThere) {
  const std::uint64_t block = limits::kBlockLeaves * kContentLeafBytes;
  const auto length = limits::kContentBytes;
  EXPECT_TRUE(decode(encode(Message(BlockRequest{{}, 0, 0}))).has_value());
  EXPECT_TRUE(decode(encode(Message(BlockRequest{{}, block + 1, 16}))).has_value());
  EXPECT_EQ(fault_of(BlockRequest{{}, block, 16}), DecodeFault::kBadValue);
  EXPECT_EQ(fault_of(BlockRequest{{}, length, 1}), DecodeFault::kBadValue);
  EXPECT_EQ(fault_of(BlockRequest{{}, length + 1, 0}), DecodeFault::kBadValue);
  EXPECT_EQ(fault_of(BlockRequest{{}, length, UINT64_MAX - 15}), DecodeFault::kBadValue);
}

TEST(MessageCodec, RefusesHoldingsOfWhatIsNotThere) {
  const std::uint64_t block = limits::kBlockLeaves * kContentLeafBytes;
  EXPECT_TRUE(decode(encode(Message(Holdings{{}, 9 * block, 8, {1}, false}))).has_value());
  EXPECT_EQ(fault_of(Holdings{{}, 8 * block, 8, {1}, false}), DecodeFault::kBadValue);
  EXPECT_EQ(fault_of(Holdings{{}, 9 * block, 0, {1, 1, 1}, false}), DecodeFault::kBadValue);
  EXPECT_EQ(fault_of(Holdings{{}, 9 * block, 4, {1}, false}), DecodeFault::kBadValue);
  EXPECT_EQ(fault_of(Holdings{{}, 0, 0, {1}, false}), DecodeFault::kBadValue);
  EXPECT_EQ(fault_of(Holdings{{}, 9 * block, UINT64_MAX - 7, {}, false}), DecodeFault::kBadValue);
  EXPECT_EQ(fault_of(BlockCancel{{}, 3}), DecodeFault::kBadValue);
  EXPECT_EQ(fault_of(HoldersRequest{{}, limits::kContentBytes + 1}), DecodeFault::kBadValue);
}

TEST(MessageCodec, CarriesAFullBatch) {
  const Range range{0, limits::kUnitsPerBatch};
  Reveal reveal{id<JobId>(1), range, range, id<Hash256>(2), id<Hash256>(3), {}, {}, {}, false};
  PackedOutputs& outputs = reveal.outputs.emplace();
  outputs.sizes.assign(limits::kUnitsPerBatch, 16);
  outputs.inline_bytes.assign(16 * limits::kUnitsPerBatch, 0xAB);
  const Bytes same_size = encode(Message(reveal));
  EXPECT_LT(same_size.size(), outputs.inline_bytes.size() + 512) << "sizes are sent one by one";
  EXPECT_TRUE(decode(same_size).value() == Message(reveal));

  outputs.sizes[100] = 17;
  outputs.sizes[101] = 15;
  const Bytes other_sizes = encode(Message(reveal));
  EXPECT_TRUE(decode(other_sizes).value() == Message(reveal));
  EXPECT_EQ(Bytes(other_sizes.begin(), other_sizes.begin() + 4), Bytes(4, 0)) << "not one segment";

  outputs = {};
  outputs.sizes.assign(limits::kUnitsPerBatch, limits::kOutputBytes);
  outputs.large.assign(limits::kUnitsPerBatch, id<ContentId>(9));
  EXPECT_TRUE(decode(encode(Message(reveal))).value() == Message(reveal));
}

TEST(MessageCodec, CarriesTheStatusOfAsManyJobsAsAPeerLeads) {
  JobStatus job = specimen<JobStatusReply>().jobs[0];
  job.name.assign(limits::kTextBytes, 'n');
  job.waiting_for.assign(limits::kTextBytes, 'w');
  auto decoded = decode(encode(Message(JobStatusReply{{limits::kJobsLed, job}})));
  ASSERT_TRUE(decoded.has_value()) << decoded.error().what;
  EXPECT_EQ(std::get<JobStatusReply>(*decoded).jobs.size(), limits::kJobsLed);
}

TEST(MessageCodec, CutsTextsForPeopleBetweenCharacters) {
  std::string words(limits::kTextBytes - 1, 'x');
  words += "\xC3\xA4 and more";
  auto decoded = decode(encode(Message(Refused{RefusalReason::kTooBusy, words})));
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(std::get<Refused>(*decoded).detail, std::string(limits::kTextBytes - 1, 'x'));
}

TEST(MessageCodecDeathTest, DoesNotSendListsPastTheirLimit) {
  const std::vector<Range> ranges(limits::kRangesPerMessage + 1, Range{0, 1});
  EXPECT_DEATH(encode(Message(LeaseRevoke{{}, ranges, false})), "past its limit");
  const std::vector<Signed> records(limits::kSampleRecords + 1);
  EXPECT_DEATH(encode(Message(Sample{records, 0, 0})), "past its limit");
  const Signed huge = signed_bytes(0, limits::kMessageBytes);
  EXPECT_DEATH(encode(Message(JobOver{huge})), "past its limit");
  NodeRecord record = specimens::record();
  record.via.resize(limits::kVia + 1);
  EXPECT_DEATH(encode(record), "past its limit");
}

TEST(MessageCodecDeathTest, DoesNotSendMoreThanACircuitCarries) {
  const CircuitData full{{}, {}, Bytes(limits::kCircuitBytes, 1)};
  EXPECT_TRUE(decode(encode(Message(full))).has_value());
  const CircuitData more{{}, {}, Bytes(limits::kCircuitBytes + 1, 1)};
  EXPECT_DEATH(encode(Message(more)), "more was to be sent than a circuit carries");
}

}  // namespace
}  // namespace shoal
