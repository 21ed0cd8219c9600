#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "sdk/host/unit_ended.h"
#include "shoal/kernel.h"
#include "tests/unit/node/wasm/modules.h"
#include "tests/unit/worker/wasm/support.h"

// Modules that mean harm, each stopped as what it is, while the process goes on.
namespace shoal::wasm {
namespace {

using testing::HasSubstr;

struct Ending {
  FailureKind kind = FailureKind::kThrew;
  std::string what;
};

Ending ending_of(Loaded& loaded, const std::atomic<bool>* cancelled = nullptr,
                 StateKeeper* state = nullptr) {
  Bytes output;
  try {
    loaded.instances->run_unit({"kernel", {}, 0, {}, cancelled, state}, output);
  } catch (const UnitEnded& ended) {
    return {ended.kind(), ended.what()};
  } catch (const UnitRefused& refused) {
    return {FailureKind::kRefused, refused.what()};
  } catch (const UnitFailure& failed) {
    return {FailureKind::kThrew, failed.what()};
  }
  ADD_FAILURE() << "the unit has ended well";
  return {};
}

Ending ending_of(Bytes code) {
  Loaded loaded(with_unit(std::move(code)).bytes());
  EXPECT_EQ(loaded.refused, "");
  return loaded.refused.empty() ? ending_of(loaded) : Ending{};
}

Ending ending_when_started(Bytes code) {
  Module module;
  module.start = std::move(code);
  Loaded loaded(module.bytes());
  EXPECT_EQ(loaded.refused, "");
  return loaded.refused.empty() ? ending_of(loaded) : Ending{};
}

// One whose unit may call import 1, which takes so many numbers and gives nothing.
Module with_import(std::string_view name, std::uint8_t numbers, Bytes code) {
  Module module = with_unit(std::move(code));
  Bytes type(std::size_t{numbers} + 3, 0x7f);
  type[0] = 0x60;
  type[1] = numbers;
  type.back() = 0;
  module.types.push_back(std::move(type));
  module.further_imports = {text("shoal") + text(name) + Bytes{0, 3}};
  module.further_functions = 1;
  return module;
}

TEST(HostileModule, AKernelThatDoesNoHarmRuns) {
  Loaded loaded(Module{}.bytes());
  ASSERT_EQ(loaded.refused, "");
  const Bytes first = loaded.unit(0x0102030405060708);
  EXPECT_EQ(first.size(), 24U);
  EXPECT_EQ(Bytes(first.begin(), first.begin() + 8), (Bytes{8, 7, 6, 5, 4, 3, 2, 1}));
  EXPECT_EQ(loaded.unit(0x0102030405060708), first);
}

TEST(HostileModule, TrapsEndTheUnitAndNothingElse) {
  const Ending ended = ending_of(Bytes{0x00});
  EXPECT_EQ(ended.kind, FailureKind::kCrashed);
  EXPECT_THAT(ended.what, HasSubstr("unreachable"));
  // An address outside of the memory; a division by zero.
  EXPECT_EQ(ending_of(Bytes{0x41, 0x7c, 0x28, 2, 0}).kind, FailureKind::kCrashed);
  EXPECT_EQ(ending_of(Bytes{0x41, 1, 0x41, 0, 0x6d}).kind, FailureKind::kCrashed);
}

TEST(HostileModule, EndlessRecursionIsATrap) {
  const Ending ended = ending_of(Bytes{0x20, 0, 0x20, 1, 0x10, Module::kUnit});
  EXPECT_EQ(ended.kind, FailureKind::kCrashed);
  EXPECT_THAT(ended.what, HasSubstr("stack"));
}

TEST(HostileModule, AnEndlessLoopEndsWhenNobodyWantsItsOutput) {
  Loaded loaded(with_unit({0x03, 0x40, 0x0c, 0, 0x0b, 0x41, 0}).bytes());
  ASSERT_EQ(loaded.refused, "");
  std::atomic<bool> cancelled{false};
  std::thread canceller([&] { cancelled = true; });
  EXPECT_EQ(ending_of(loaded, &cancelled).kind, FailureKind::kTimedOut);
  canceller.join();
}

TEST(HostileModule, MemoryGrowsNoFurtherThanItsMaximum) {
  // Asks for 100,000 pages, and answers with what it gets: -1, at address 0.
  const Module greedy =
      with_unit({0x41, 0,    0x41, 0xa0, 0x8d, 0x06, 0x40, 0, 0x36, 2, 0, 0x41, 4, 0x41,
                 0,    0x36, 2,    0,    0x41, 8,    0x41, 4, 0x36, 2, 0, 0x41, 4});
  Loaded loaded(greedy.bytes());
  ASSERT_EQ(loaded.refused, "");
  EXPECT_EQ(loaded.unit(0), (Bytes{0xff, 0xff, 0xff, 0xff}));
}

TEST(HostileModule, AWorkerLendsLessMemoryThanAModuleStartsWith) {
  Module large;
  large.memory_limits = Bytes{1, 8, 16};
  Loaded loaded(large.bytes(), 4 * kWasmPageBytes);
  ASSERT_EQ(loaded.refused, "");
  EXPECT_EQ(ending_of(loaded).kind, FailureKind::kOutOfMemory);
}

TEST(HostileModule, NothingIsLeftForTheNextUnit) {
  // Answers with the word at 2000, which it then sets.
  const Module nosy =
      with_unit({0x41, 0x08, 0x41, 0xd0, 0x0f, 0x28, 2,    0,    0x36, 2,    0,    0x41,
                 0xd0, 0x0f, 0x41, 1,    0x36, 2,    0,    0x41, 0,    0x41, 0x08, 0x36,
                 2,    0,    0x41, 4,    0x41, 4,    0x36, 2,    0,    0x41, 0});
  Loaded loaded(nosy.bytes());
  ASSERT_EQ(loaded.refused, "");
  EXPECT_EQ(loaded.unit(0), (Bytes{0, 0, 0, 0}));
  EXPECT_EQ(loaded.unit(1), (Bytes{0, 0, 0, 0}));
}

TEST(HostileModule, AnswersOutsideOfItsMemoryAreBadAnswers) {
  EXPECT_EQ(ending_of(Bytes{0x41, 0x7f}).kind, FailureKind::kBadAnswer);
  // Four GiB of output, less one byte.
  EXPECT_EQ(ending_of(Bytes{0x41, 4, 0x41, 0x7f, 0x36, 2, 0, 0x41, 0}).kind,
            FailureKind::kBadAnswer);
}

TEST(HostileModule, WhatItSaysOfItsFailureIsKept) {
  // shoal.fail(1, 1048, 6): refused, with the kernel's name of its request as the text.
  const Ending ended = ending_of(Bytes{0x41, 1, 0x41, 0x98, 0x08, 0x41, 6, 0x10, 0, 0x00});
  EXPECT_EQ(ended.kind, FailureKind::kRefused);
  EXPECT_EQ(ended.what, "kernel");
}

TEST(HostileModule, WhatItSaysFromOutsideOfItsMemoryIsNothing) {
  // shoal.fail(0, -1, -1).
  const Ending ended = ending_of(Bytes{0x41, 0, 0x41, 0x7f, 0x41, 0x7f, 0x10, 0, 0x00});
  EXPECT_EQ(ended.kind, FailureKind::kThrew);
  EXPECT_EQ(ended.what, "");
}

TEST(HostileModule, AStateIsNotGivenToWhereItHasNoMemory) {
  // shoal.saved(-4).
  Loaded loaded(with_import("saved", 1, {0x41, 0x7c, 0x10, 1, 0x41, 0}).bytes());
  ASSERT_EQ(loaded.refused, "");
  class Keeper final : public StateKeeper {
   public:
    std::optional<ByteView> saved() const override { return ByteView(kept_); }
    bool due() override { return false; }
    void save(ByteView) override {}

   private:
    Bytes kept_ = Bytes(8, 1);
  } keeper;
  EXPECT_EQ(ending_of(loaded, nullptr, &keeper).kind, FailureKind::kBadAnswer);
}

TEST(HostileModule, AStartThatTakesArgumentsIsRefused) {
  Module module;
  module.after_exports = section(8, {Module::kUnit});
  EXPECT_THAT(Loaded(module.bytes()).refused, HasSubstr("not valid"));
}

TEST(HostileModule, AStartEndsAsWhatItDid) {
  const Ending trapped = ending_when_started({0x00});
  EXPECT_EQ(trapped.kind, FailureKind::kCrashed);
  EXPECT_THAT(trapped.what, HasSubstr("unreachable"));
  EXPECT_EQ(ending_when_started({0x10, Module::kUnit + 1}).kind, FailureKind::kCrashed);
  // Says that it refuses, in no words.
  EXPECT_EQ(ending_when_started({0x41, 1, 0x41, 0, 0x41, 0, 0x10, 0}).kind, FailureKind::kRefused);
  EXPECT_EQ(ending_when_started({0x41, 0, 0x41, 0, 0x41, 0, 0x10, 0}).kind, FailureKind::kThrew);

  Module endless;
  endless.start = {0x03, 0x40, 0x0c, 0, 0x0b};
  Loaded loaded(endless.bytes());
  ASSERT_EQ(loaded.refused, "");
  std::atomic<bool> cancelled{false};
  std::thread canceller([&] { cancelled = true; });
  EXPECT_EQ(ending_of(loaded, &cancelled).kind, FailureKind::kTimedOut);
  canceller.join();
}

TEST(HostileModule, NamesThatAreGarbageHarmNobody) {
  Module module;
  module.after_code = section(0, text("name") + Bytes{1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x80});
  Loaded loaded(module.bytes());
  ASSERT_EQ(loaded.refused, "");
  EXPECT_EQ(loaded.unit(7).size(), 24U);
}

TEST(HostileModule, AStateOutsideOfItsMemoryIsNotKept) {
  // shoal.save(-4, 8).
  Loaded loaded(with_import("save", 2, {0x41, 0x7c, 0x41, 8, 0x10, 1, 0x41, 0}).bytes());
  ASSERT_EQ(loaded.refused, "");
  class Keeper final : public StateKeeper {
   public:
    std::optional<ByteView> saved() const override { return std::nullopt; }
    bool due() override { return true; }
    void save(ByteView) override { ADD_FAILURE() << "was saved"; }
  } keeper;
  EXPECT_EQ(ending_of(loaded, nullptr, &keeper).kind, FailureKind::kBadAnswer);
}

TEST(HostileModule, DataOutsideOfTheMemoryIsRefused) {
  Module module;
  // One byte at an address of nearly 2 GiB.
  module.after_code = section(11, {1, 0, 0x41, 0xff, 0xff, 0xff, 0xff, 0x07, 0x0b, 1, 'x'});
  Loaded loaded(module.bytes());
  ASSERT_EQ(loaded.refused, "");
  EXPECT_EQ(ending_of(loaded).kind, FailureKind::kRefused);
}

TEST(HostileModule, WhatDoesNotAddUpIsRefusedByTheEngine) {
  Loaded loaded(with_unit({0x42, 0}).bytes());  // 64 bits where 32 are due
  EXPECT_THAT(loaded.refused, HasSubstr("not valid"));
}

TEST(HostileModule, UnknownImportsThreadsAndBombsAreRefusedBeforeTheEngineSeesThem) {
  Module importing;
  importing.further_imports = {text("wasi_snapshot_preview1") + text("path_open") + Bytes{0, 1}};
  EXPECT_THAT(Loaded(importing.bytes()).refused, HasSubstr("path_open"));
  Module shared;
  shared.memory_limits = {3, 1, 16};
  EXPECT_THAT(Loaded(shared.bytes()).refused, HasSubstr("shared memory"));
  const Bytes bomb = Bytes(limits::kFunctionBytes, 0x01) + Bytes{0x41, 0};
  EXPECT_THAT(Loaded(with_unit(bomb).bytes()).refused, HasSubstr("too long"));
  Module heavy;
  heavy.after_code = Bytes{11} + leb(1ULL << 30) + Bytes{1, 0, 0x41, 0, 0x0b};
  EXPECT_THAT(Loaded(heavy.bytes()).refused, HasSubstr("cut off"));
}

TEST(HostileModule, CompilingEndsAtItsDeadlineWhateverPassesTheGate) {
  engine_is_up();
  // As much as a module may have, in functions as large as they may be: additions without end.
  Bytes sums = {0x41, 0};
  while (sums.size() + 8 < limits::kFunctionBytes) sums = std::move(sums) + Bytes{0x20, 0, 0x6a};
  const Bytes one = body(sums);
  Module module;
  Bytes bytes = module.bytes();
  const Bytes old_code = section(10, items({body({0x41, 0x80, 0x08}), body(Module{}.unit)}));
  bytes.resize(bytes.size() - old_code.size());
  bytes = bytes + section(10, items({body({0x41, 0x80, 0x08}), one}));
  const auto late = CompiledModule::compile(bytes, std::chrono::milliseconds(1));
  ASSERT_FALSE(late);
  EXPECT_THAT(late.error(), HasSubstr("takes more than"));
  // The same bytes again: the engine knows that it is at them already. No module is left alone.
  const auto done = CompiledModule::compile(bytes, std::chrono::minutes(2));
  EXPECT_TRUE(done) << done.error();
}

}  // namespace
}  // namespace shoal::wasm
