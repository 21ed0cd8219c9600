#include "node/protocol/executor_messages.h"

#include <gtest/gtest.h>

#include <memory>

#include "node/protocol/limits.h"
#include "node/protocol/rng.h"

namespace shoal {
namespace {

// The body of a frame: what follows its length.
Bytes body_of(const ExecutorMessage& message) {
  const Bytes frame = encode_executor_frame(message);
  return {frame.begin() + 4, frame.end()};
}

template <class T>
T round_trip(const T& message, const Bytes& body) {
  auto decoded = decode_executor_body(body);
  EXPECT_TRUE(decoded) << decoded.error().what;
  if (!decoded) return message;
  const T* same = std::get_if<T>(&*decoded);
  EXPECT_NE(same, nullptr);
  return same != nullptr ? *same : message;
}

ChunkPart a_part(ByteView outputs) {
  ChunkPart part;
  part.chunk = 7;
  part.runs = {{10, 12}, {13, 14}};
  part.sizes = {1, 0, 2};
  part.outputs = outputs;
  part.failures = {{12, FailureKind::kOutOfMemory, "out of memory"}};
  part.last = true;
  part.compute_ns = 12345;
  return part;
}

TEST(ExecutorMessages, KeepTheirFields) {
  const ExecutorHello hello{{"a", "b"}};
  EXPECT_EQ(round_trip(hello, body_of(hello)).kernels, hello.kernels);

  const ExecutorSetup setup{3, "align", {1, 2}, 4, 99, 17};
  const ExecutorSetup setup2 = round_trip(setup, body_of(setup));
  EXPECT_EQ(setup2.setup, 3U);
  EXPECT_EQ(setup2.kernel, "align");
  EXPECT_EQ(setup2.parameters, (Bytes{1, 2}));
  EXPECT_EQ(setup2.threads, 4U);
  EXPECT_EQ(setup2.output_bytes_max, 99U);
  EXPECT_EQ(setup2.checkpoint_ms, 17U);

  EXPECT_EQ(round_trip(ExecutorDrop{5}, body_of(ExecutorDrop{5})).setup, 5U);
  EXPECT_EQ(round_trip(ExecutorCancel{6}, body_of(ExecutorCancel{6})).chunk, 6U);

  const ExecutorCompared compared{8, true, "why"};
  const ExecutorCompared compared2 = round_trip(compared, body_of(compared));
  EXPECT_EQ(compared2.compare, 8U);
  EXPECT_TRUE(compared2.all_match);
  EXPECT_EQ(compared2.error, "why");
}

// The reader gives up on who looks at the same bytes again and again.
TEST(ExecutorMessages, MayBeLarge) {
  const ExecutorSetup setup{3, "align", Bytes(limits::kManifestBytes, 7), 4, 99, 17};
  EXPECT_EQ(round_trip(setup, body_of(setup)).parameters, setup.parameters);

  constexpr std::uint32_t kUnits = 2000;
  ChunkPart part;
  part.runs = {{0, kUnits}};
  part.sizes.assign(kUnits, 0);
  for (std::uint32_t i = 0; i < kUnits; ++i) {
    part.costs.push_back({i, i + 1, i + 2, 0, 9});
    part.failures.push_back({kUnits + i, FailureKind::kThrew, std::string(300, 'x'),
                             std::string(300, 'y'), UnitCost{1, 2, 3, 4, 5}});
  }
  const ChunkPart part2 = round_trip(part, body_of(part));
  EXPECT_EQ(part2.costs, part.costs);
  EXPECT_EQ(part2.failures, part.failures);
}

TEST(ExecutorMessages, CarryBytesInTheTail) {
  const Bytes bytes = {1, 2, 3};
  RunChunk run;
  run.chunk = 1;
  run.setup = 2;
  run.range = {5, 7};
  run.has_inputs = true;
  run.input_sizes = {1, 2};
  run.inputs = bytes;
  const Bytes run_body = body_of(run);
  const RunChunk run2 = round_trip(run, run_body);
  EXPECT_EQ(run2.range, run.range);
  EXPECT_EQ(run2.input_sizes, run.input_sizes);
  EXPECT_EQ(to_bytes(run2.inputs), bytes);

  const Bytes part_body = body_of(a_part(bytes));
  const ChunkPart part = round_trip(a_part(bytes), part_body);
  EXPECT_EQ(part.runs, a_part(bytes).runs);
  EXPECT_EQ(part.sizes, a_part(bytes).sizes);
  EXPECT_EQ(part.failures, a_part(bytes).failures);
  EXPECT_TRUE(part.last);
  EXPECT_EQ(part.compute_ns, 12345U);
  EXPECT_EQ(to_bytes(part.outputs), bytes);

  const ExecutorCheckpoint checkpoint{4, 1'000'000'000'000, bytes};
  const Bytes checkpoint_body = body_of(checkpoint);
  const ExecutorCheckpoint checkpoint2 = round_trip(checkpoint, checkpoint_body);
  EXPECT_EQ(checkpoint2.chunk, 4U);
  EXPECT_EQ(checkpoint2.unit, 1'000'000'000'000U);
  EXPECT_EQ(to_bytes(checkpoint2.state), to_bytes(ByteView(bytes)));

  const ExecutorCompare compare{1, 2, 3, {2, 1}, bytes};
  const Bytes compare_body = body_of(compare);
  const ExecutorCompare compare2 = round_trip(compare, compare_body);
  EXPECT_EQ(compare2.sizes, compare.sizes);
  EXPECT_EQ(to_bytes(compare2.candidates), bytes);
}

TEST(ExecutorMessages, PartsThatDoNotFitTogetherAreRefused) {
  const Bytes bytes = {1, 2, 3};
  ChunkPart part = a_part(bytes);
  part.sizes = {1, 0, 1};
  EXPECT_FALSE(decode_executor_body(body_of(part)));
  part = a_part(bytes);
  part.sizes = {1, 2};
  EXPECT_FALSE(decode_executor_body(body_of(part)));
  part = a_part(bytes);
  part.runs[0] = {12, 10};
  EXPECT_FALSE(decode_executor_body(body_of(part)));
  part = a_part(bytes);
  part.runs[0] = {0, UINT64_MAX};
  EXPECT_FALSE(decode_executor_body(body_of(part)));
  part = a_part(bytes);
  part.failures[0].kind = static_cast<FailureKind>(200);
  EXPECT_FALSE(decode_executor_body(body_of(part)));
  part = a_part(bytes);
  part.failures[0].message = std::string(limits::kFailureTextBytes + 1, 'x');
  EXPECT_FALSE(decode_executor_body(body_of(part)));
  RunChunk run;
  run.range = {0, limits::kUnitsPerRunChunk + 1};
  EXPECT_FALSE(decode_executor_body(body_of(run)));
  EXPECT_FALSE(decode_executor_body(body_of(ExecutorSetup{1, "k", {}, 0, 1})));
}

TEST(ExecutorMessages, AnyBytesDecodeToAValueOrAnError) {
  const Bytes bytes = {1, 2, 3};
  const Bytes good = body_of(a_part(bytes));
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(decode_executor_body(ByteView(good).first(size))) << size;
  }
  Rng rng(20'240'601);
  std::size_t refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    Bytes mutated = good;
    for (int k = 0; k < 3; ++k) {
      mutated[rng.below(mutated.size())] = static_cast<std::uint8_t>(rng.below(256));
    }
    if (!decode_executor_body(mutated)) ++refused;
  }
  EXPECT_GT(refused, 0U);
  EXPECT_LT(refused, 20'000U);
}

TEST(FrameSplitterTest, FindsFramesWhereverTheyAreCut) {
  Bytes stream;
  for (std::uint64_t i = 0; i < 5; ++i) {
    const Bytes frame = encode_executor_frame(ExecutorCancel{i});
    stream.insert(stream.end(), frame.begin(), frame.end());
  }
  for (std::size_t piece : {1U, 3U, 17U, 1000U}) {
    FrameSplitter splitter;
    std::uint64_t found = 0;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      const std::size_t size = std::min<std::size_t>(piece, stream.size() - at);
      const auto room = splitter.room(size);
      ASSERT_GE(room.size(), size);
      std::copy_n(stream.begin() + static_cast<std::ptrdiff_t>(at), size, room.begin());
      splitter.filled(size);
      for (;;) {
        const auto body = splitter.next();
        ASSERT_TRUE(body);
        if (!*body) break;
        const auto message = decode_executor_body(**body);
        ASSERT_TRUE(message);
        EXPECT_EQ(std::get<ExecutorCancel>(*message).chunk, found++);
      }
    }
    EXPECT_EQ(found, 5U);
  }
}

TEST(FrameSplitterTest, RefusesALengthPastTheLimit) {
  FrameSplitter splitter;
  const auto room = splitter.room(4);
  std::fill_n(room.begin(), 4, std::uint8_t{0xff});
  splitter.filled(4);
  EXPECT_FALSE(splitter.next());
}

TEST(FrameSplitterTest, TakesWhatTheJobAllowsAndNoMore) {
  const std::size_t small = executor_frame_bytes_max(1000);
  EXPECT_LT(small, 96U << 20);
  EXPECT_EQ(executor_frame_bytes_max(1001), small + 1);
  EXPECT_LE(executor_frame_bytes_max(UINT64_MAX), limits::kExecutorFrameBytes);
  FrameSplitter splitter(small);
  const std::size_t length = small + 1;
  const auto room = splitter.room(4);
  for (int i = 0; i < 4; ++i) room[i] = static_cast<std::uint8_t>(length >> (8 * i));
  splitter.filled(4);
  EXPECT_FALSE(splitter.next());
  splitter.allow(length);
  EXPECT_TRUE(splitter.next());
}

TEST(FrameSplitterTest, TakesLittleMoreMemoryThanAFrameHas) {
  FrameSplitter splitter;
  const std::size_t length = (4 << 20) + 1000;  // doubling would end at 8 MiB
  auto room = splitter.room(1 << 20);
  for (int i = 0; i < 4; ++i) room[i] = static_cast<std::uint8_t>(length >> (8 * i));
  splitter.filled(1 << 20);
  for (std::size_t have = 1 << 20; have < 4 + length;) {
    room = splitter.room(1000);
    EXPECT_LE(have + room.size(), 4 + length + 1000);
    splitter.filled(room.size());
    have += room.size();
  }
  const auto body = splitter.next();
  ASSERT_TRUE(body && *body);
  EXPECT_EQ((*body)->size(), length);
}

TEST(RunningPageTest, ASlotIsReadWhileAUnitRuns) {
  const auto page = std::make_unique<RunningPage>();
  RunningSlot& slot = page->slots[0];
  EXPECT_EQ(read_slot(slot), std::nullopt);
  slot.chunk = 3;
  slot.unit = 9;
  slot.signal = 11;
  slot.started_ns = 100;
  EXPECT_EQ(read_slot(slot), (RunningUnit{3, 9, 100, 11}));
}

}  // namespace
}  // namespace shoal
