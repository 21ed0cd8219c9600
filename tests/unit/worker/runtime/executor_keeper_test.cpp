#include "worker/runtime/executor_keeper.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <fstream>
#include <set>

#include "node/protocol/hash.h"
#include "node/protocol/input_pack.h"
#include "node/protocol/limits.h"
#include "node/protocol/sanitized.h"
#include "shoal/values.h"
#include "tests/unit/node/wasm/modules.h"
#include "tests/unit/worker/runtime/keeper_fixture.h"
#include "worker/runtime/launch.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;

struct Counted {
  std::uint64_t steps = 0;
  std::uint64_t begun = 0;
  SHOAL_FIELDS(steps, begun)
};

TEST_F(Keeper, ComputesARangeAsOneRun) {
  const ComputeDone done = run(compute("square", {100, 20'100}));
  expect_squares_except(done, {100, 20'100}, {});
  ASSERT_EQ(done.done.size(), 1U);
  EXPECT_EQ(done.done[0].range, (Range{100, 20'100}));
  EXPECT_GT(done.compute_ns, 0U);
}

TEST_F(Keeper, KeepsSeveralChunksInFlight) {
  std::vector<StartCompute> starts;
  for (UnitIndex i = 0; i < 20; ++i) {
    starts.push_back(compute("square", {1000 * i, 1000 * i + 1000}));
    keeper_->perform(starts.back());
  }
  ASSERT_TRUE(turn_until([&] { return done_.size() == starts.size(); }));
  for (const auto& start : starts) expect_squares_except(done_[start.chunk], start.range, {});
}

TEST_F(Keeper, LetsUnitsUseTbb) {
  const ComputeDone done = run(compute("sums_in_parallel", {0, 50}));
  ASSERT_EQ(done.done.size(), 1U);
  ASSERT_TRUE(done.failed.empty());
  const auto first =
      decode<std::uint64_t>(ByteView(done.done[0].outputs.inline_bytes)
                                .first(static_cast<std::size_t>(done.done[0].outputs.sizes[0])));
  ASSERT_TRUE(first);
  EXPECT_EQ(*first, 9999U * 10'000U / 2);
}

TEST_F(Keeper, AUnitGoesOnWhereItWasAfterARestart) {
  config_.checkpoints = folder_ / "checkpoints";
  config_.checkpoint_every = std::chrono::milliseconds(0);
  start_keeper();
  const StartCompute start = compute("counts", {2, 3}, {2, ""});
  const fs::path file = config_.checkpoints / to_hex(start.job) / "2";
  keeper_->perform(start);
  ASSERT_TRUE(turn_until([&] { return fs::exists(file); }));
  keeper_.reset();  // and the executor with it, while the unit runs

  start_keeper();
  const ComputeDone done = run(start);
  ASSERT_EQ(done.done.size(), 1U);
  const auto counted = decode<Counted>(done.done[0].outputs.inline_bytes);
  ASSERT_TRUE(counted);
  EXPECT_EQ(counted->begun, 2U);
  EXPECT_GT(counted->steps, 10U);
  EXPECT_LE(counted->steps, 20U);
  EXPECT_FALSE(fs::exists(file));  // of no use once the unit is done
}

TEST_F(Keeper, AUnitGoesOnWhereItWasAfterItsExecutorDied) {
  config_.checkpoints = folder_ / "checkpoints";
  config_.checkpoint_every = std::chrono::milliseconds(0);
  start_keeper();
  const StartCompute start = compute("counts", {2, 3}, {2, ""});
  keeper_->perform(start);
  ASSERT_TRUE(
      turn_until([&] { return fs::exists(config_.checkpoints / to_hex(start.job) / "2"); }));
  for (pid_t child : children_of_this_process()) kill(child, SIGKILL);
  ASSERT_TRUE(turn_until([&] { return done_.contains(start.chunk); }));
  ASSERT_TRUE(done_[start.chunk].failed.empty());
  const auto counted = decode<Counted>(done_[start.chunk].done[0].outputs.inline_bytes);
  ASSERT_TRUE(counted);
  EXPECT_EQ(counted->begun, 2U);
}

TEST_F(Keeper, StatesOfAForgottenJobGo) {
  config_.checkpoints = folder_ / "checkpoints";
  config_.checkpoint_every = std::chrono::milliseconds(0);
  start_keeper();
  const StartCompute start = compute("counts", {2, 3}, {2, ""});
  const fs::path of_job = config_.checkpoints / to_hex(start.job);
  keeper_->perform(start);
  ASSERT_TRUE(turn_until([&] { return fs::exists(of_job / "2"); }));
  keeper_->perform(ForgetJob{start.job});
  EXPECT_FALSE(fs::exists(of_job));
}

TEST_F(Keeper, AThrowFailsItsUnitAndSplitsTheRun) {
  const ComputeDone done = run(compute("throws", {0, 40}, {7, ""}));
  expect_squares_except(done, {0, 40}, {7});
  ASSERT_EQ(done.done.size(), 2U);
  EXPECT_EQ(done.done[0].range, (Range{0, 7}));
  EXPECT_EQ(done.done[1].range, (Range{8, 40}));
  ASSERT_EQ(done.failed.size(), 1U);
  EXPECT_EQ(done.failed[0].kind, FailureKind::kThrew);
  EXPECT_EQ(done.failed[0].message, "no luck with this one");
  EXPECT_NE(done.failed[0].stderr_end.find("unit 7: about to fail"), std::string::npos);
}

TEST_F(Keeper, ASegfaultCostsItsUnitAlone) {
  const ComputeDone done = run(compute("segfaults", {0, 200}, {5, ""}));
  expect_squares_except(done, {0, 200}, {5});
  ASSERT_EQ(done.failed.size(), 1U);
  EXPECT_EQ(done.failed[0].kind, FailureKind::kCrashed);
  EXPECT_NE(done.failed[0].stderr_end.find("here it comes"), std::string::npos);
  if (!kSanitized) {
    EXPECT_NE(done.failed[0].message.find("SIGSEGV"), std::string::npos);
  }
}

TEST_F(Keeper, AStackOverflowCostsItsUnitAlone) {
  expect_one_failure("overflows_stack", FailureKind::kCrashed, "running this unit alone");
}

TEST_F(Keeper, AnExitCostsItsUnitAlone) {
  expect_one_failure("exits", FailureKind::kCrashed, "ended with status 3");
}

TEST_F(Keeper, ACallOfExitCostsItsUnitAloneAndIsCalledSo) {
  const ComputeDone done = run(compute("calls_exit", {0, 40}, {7, ""}));
  expect_squares_except(done, {0, 40}, {7});
  ASSERT_EQ(done.failed.size(), 1U);
  EXPECT_EQ(done.failed[0].kind, FailureKind::kCrashed);
  EXPECT_NE(done.failed[0].message.find("ended with status 3"), std::string::npos)
      << done.failed[0].message;
  EXPECT_NE(done.failed[0].stderr_end.find("so long"), std::string::npos);
  EXPECT_NE(done.failed[0].stderr_end.find("called exit(3)"), std::string::npos)
      << done.failed[0].stderr_end;
}

// It lives on, and answers nothing: nobody would get its place on the worker any more.
TEST_F(Keeper, AKernelThatClosesTheExecutorsDescriptorsCostsItsUnitAlone) {
  expect_one_failure("closes_descriptors", FailureKind::kCrashed, "has closed the descriptors");
}

TEST_F(Keeper, GarbageFromAnExecutorCostsItsUnitAlone) {
  expect_one_failure("writes_garbage", FailureKind::kBadAnswer, "makes no sense");
}

// Its worker holds an answer until all of it is there.
TEST_F(Keeper, AnAnswerIsTakenNoFurtherThanItsJobAllows) {
  expect_one_failure("claims_half_a_gigabyte", FailureKind::kBadAnswer, "at most");
}

TEST_F(Keeper, AnswersOutOfTurnCostTheirUnitAlone) {
  expect_one_failure("greets_again", FailureKind::kBadAnswer, "out of turn");
  expect_one_failure("answers_unasked", FailureKind::kBadAnswer, "no question");
}

TEST_F(Keeper, AUnitPastItsTimeIsEndedWhateverItDoes) {
  for (const char* kernel : {"spins", "sleeps", "prints_without_end"}) {
    auto made = manifest(kernel, encode(Where{7, ""}));
    made->unit_wall_ms = 300;
    const ComputeDone done = run(compute(made, {0, 40}));
    expect_squares_except(done, {0, 40}, {7});
    ASSERT_EQ(done.failed.size(), 1U);
    EXPECT_EQ(done.failed[0].kind, FailureKind::kTimedOut);
    EXPECT_NE(done.failed[0].message.find("300 ms"), std::string::npos);
    EXPECT_LE(done.failed[0].stderr_end.size(), limits::kFailureTextBytes);
  }
}

// Units of 7 never end; the others answer with nothing.
TEST_F(Keeper, AnEndlessModuleIsEndedWithoutItsExecutor) {
  const fs::path executor = SHOAL_PROGRAM_DIR "/shoal-wasm-executor";
  if (!fs::exists(executor)) GTEST_SKIP() << "there is no WebAssembly in this build";
  const auto engine = run_and_read(executor, "--engine", 60'000);
  ASSERT_TRUE(engine) << engine.error();
  config_.wasm_executor = executor;
  const std::string library = engine->substr(engine->find('\n') + 1);
  if (!library.starts_with("/usr/")) config_.wasm_libraries = fs::path(library).parent_path();
  start_keeper();
  // local.get 0; i32.load8_u; i32.const 7; i32.eq; if; loop; br 0; end; end; i32.const 0
  const Module module = with_unit(
      {0x20, 0, 0x2d, 0, 0, 0x41, 7, 0x46, 0x04, 0x40, 0x03, 0x40, 0x0c, 0, 0x0b, 0x0b, 0x41, 0});
  auto made = manifest("kernel", {});
  made->kernel_kind = KernelKind::kWasm;
  made->program = contents_->put(module.bytes()).value();
  made->unit_wall_ms = 2000;
  ASSERT_EQ(run(compute(made, {0, 1})).failed.size(), 0U);
  ASSERT_EQ(keeper_->view().size(), 1U);
  const int pid = keeper_->view()[0].pid;

  // Those beside it are done whether they were asked for along with it or not.
  const StartCompute other = compute(made, {100, 140});
  keeper_->perform(other);
  const ComputeDone done = run(compute(made, {0, 40}));
  ASSERT_EQ(done.failed.size(), 1U);
  EXPECT_EQ(done.failed[0].unit, 7U);
  EXPECT_EQ(done.failed[0].kind, FailureKind::kTimedOut);
  EXPECT_NE(done.failed[0].message.find("2000 ms"), std::string::npos);
  ASSERT_TRUE(turn_until([&] { return done_.contains(other.chunk) && !keeper_->busy(); }));
  EXPECT_EQ(done_[other.chunk].failed.size(), 0U);
  ASSERT_EQ(keeper_->view().size(), 1U);
  EXPECT_EQ(keeper_->view()[0].pid, pid) << "its executor was ended";
}

TEST_F(Keeper, AUnitThatTakesTooMuchMemoryFails) {
  if (kSanitized) GTEST_SKIP() << "sanitizers need the address space that the limit takes away";
  config_.memory_bytes = 1ULL << 30;
  start_keeper();
  expect_one_failure("allocates", FailureKind::kOutOfMemory, "out of memory");
}

TEST_F(Keeper, AKillFromOutsideCostsNoUnitAnAttempt) {
  // A sandbox of root's is another user's.
  fs::permissions(folder_, fs::perms::others_read | fs::perms::others_exec, fs::perm_options::add);
  const fs::path running = folder_ / "running";
  std::ofstream(running) << "held while a unit waits";
  config_.sandbox.read_only = {folder_};
  start_keeper();
  const auto start = compute("waits", {0, 8}, {0, folder_.string()});
  keeper_->perform(start);
  ASSERT_TRUE(turn_until([&] { return is_locked(running); }));
  const std::vector<pid_t> children = children_of_this_process();
  ASSERT_EQ(children.size(), 1U);
  ASSERT_EQ(kill(children.front(), SIGKILL), 0);
  std::ofstream(folder_ / "go") << "go";
  ASSERT_TRUE(turn_until([&] { return done_.contains(start.chunk); }));
  expect_squares_except(done_[start.chunk], {0, 8}, {});
}

TEST_F(Keeper, InputsComeFromTheJobsPack) {
  std::vector<Bytes> inputs;
  for (std::uint8_t i = 0; i < 10; ++i) inputs.push_back(Bytes(i, i));
  const auto pack = contents_->put(pack_inputs(inputs));
  ASSERT_TRUE(pack);
  auto made = manifest("repeats", encode(Where{2, ""}));
  made->units = inputs.size();
  made->inputs = *pack;
  const ComputeDone done = run(compute(made, {2, 9}));
  ASSERT_TRUE(done.failed.empty()) << done.failed[0].message;
  ASSERT_EQ(done.done.size(), 1U);
  Bytes expected;
  for (std::uint8_t i = 2; i < 9; ++i) expected.insert(expected.end(), 2U * i, i);
  EXPECT_EQ(done.done[0].outputs.inline_bytes, expected);
}

TEST_F(Keeper, LargeOutputsBecomeContent) {
  const Bytes input(1000, 42);
  const auto pack = contents_->put(pack_inputs({input, {}, input}));
  ASSERT_TRUE(pack);
  auto made = manifest("repeats", encode(Where{3, ""}));
  made->units = 3;
  made->inputs = *pack;
  const ComputeDone done = run(compute(made, {0, 3}));
  ASSERT_EQ(done.done.size(), 1U);
  EXPECT_EQ(done.done[0].outputs.sizes, (std::vector<std::uint64_t>{3000, 0, 3000}));
  EXPECT_TRUE(done.done[0].outputs.inline_bytes.empty());
  ASSERT_EQ(done.done[0].outputs.large.size(), 2U);
  const Bytes output(3000, 42);
  EXPECT_EQ(done.done[0].outputs.large[0], content_id(output));
  EXPECT_EQ(*contents_->read(done.done[0].outputs.large[0]), output);
}

TEST_F(Keeper, AnOutputLargerThanTheJobAllowsIsABadAnswer) {
  const auto pack = contents_->put(pack_inputs({Bytes(10, 1), Bytes(60, 1), Bytes(10, 1)}));
  ASSERT_TRUE(pack);
  auto made = manifest("repeats", encode(Where{2, ""}));
  made->units = 3;
  made->inputs = *pack;
  made->output_bytes_max = 100;
  const ComputeDone done = run(compute(made, {0, 3}));
  ASSERT_EQ(done.failed.size(), 1U);
  EXPECT_EQ(done.failed[0].unit, 1U);
  EXPECT_EQ(done.failed[0].kind, FailureKind::kBadAnswer);
  EXPECT_NE(done.failed[0].message.find("120 bytes"), std::string::npos);
}

TEST_F(Keeper, RefusesAKernelThatNobodyKnows) {
  const ComputeDone done = run(compute("no_such_kernel", {0, 3}));
  ASSERT_EQ(done.failed.size(), 3U);
  EXPECT_TRUE(done.done.empty());
  for (const auto& unit : done.failed) {
    EXPECT_EQ(unit.kind, FailureKind::kRefused);
    EXPECT_NE(unit.message.find("no_such_kernel"), std::string::npos);
  }
}

TEST_F(Keeper, RefusesParametersThatDoNotFit) {
  const ComputeDone done = run(compute(manifest("throws", encode(std::string("what?"))), {0, 2}));
  ASSERT_EQ(done.failed.size(), 2U);
  EXPECT_EQ(done.failed[0].kind, FailureKind::kRefused);
  EXPECT_NE(done.failed[0].message.find("parameters"), std::string::npos);
}

TEST_F(Keeper, RefusesInputsThatAreNotHere) {
  auto made = manifest("repeats", encode(Where{1, ""}));
  made->inputs = content_id(as_bytes("never stored"));
  const ComputeDone done = run(compute(made, {0, 2}));
  ASSERT_EQ(done.failed.size(), 2U);
  EXPECT_EQ(done.failed[0].kind, FailureKind::kRefused);
}

TEST_F(Keeper, AProgramThatDoesNotServeIsRefused) {
  config_.shipped_executor = "/bin/false";
  start_keeper();
  const ComputeDone done = run(compute("square", {0, 2}));
  ASSERT_EQ(done.failed.size(), 2U);
  EXPECT_EQ(done.failed[0].kind, FailureKind::kRefused);
  EXPECT_NE(done.failed[0].message.find("ended with status 1"), std::string::npos);
}

TEST_F(Keeper, AProgramThatNeverSaysAnythingIsEndedAndRefused) {
  config_.greeting_patience = std::chrono::milliseconds(100);
  start_keeper();
  auto made = manifest("square", {});
  made->kernel_kind = KernelKind::kNative;
  made->program = contents_->put(as_bytes("#!/bin/sh\nexec sleep 1000\n")).value();
  const ComputeDone done = run(compute(made, {0, 2}));
  ASSERT_EQ(done.failed.size(), 2U);
  EXPECT_EQ(done.failed[0].kind, FailureKind::kRefused);
  EXPECT_NE(done.failed[0].message.find("instead of asking for units"), std::string::npos);
  EXPECT_TRUE(children_of_this_process().empty());
}

TEST_F(Keeper, AProgramThatIsNotThereIsRefused) {
  config_.shipped_executor = folder_ / "nothing";
  start_keeper();
  const ComputeDone done = run(compute("square", {0, 1}));
  ASSERT_EQ(done.failed.size(), 1U);
  EXPECT_EQ(done.failed[0].kind, FailureKind::kRefused);
  EXPECT_NE(done.failed[0].stderr_end.find("No such file"), std::string::npos);
}

TEST_F(Keeper, RunsTheSubmittersOwnProgramByItsContent) {
  const auto program = contents_->put_file(SHOAL_HOSTILE_KERNELS);
  ASSERT_TRUE(program);
  ASSERT_TRUE(contents_->check(program->id));
  config_.shipped_executor = "/bin/false";
  start_keeper();
  auto made = manifest("square", encode(Nothing{}));
  made->kernel_kind = KernelKind::kNative;
  made->program = program->id;
  const auto start = compute(made, {0, 100});
  expect_squares_except(run(start), {0, 100}, {});
  keeper_->perform(ForgetJob{start.job});
  EXPECT_EQ(keeper_->next_timeout(), std::nullopt);
}

TEST_F(Keeper, ComparesOutputsAsTheKernelSays) {
  StartCompare compare;
  compare.job.bytes[0] = 200;
  compare.manifest = manifest("near", encode(Nothing{}));
  compare.unit = 3;
  for (std::uint64_t value : {9, 10}) {
    const Bytes output = encode(value);
    compare.candidates.sizes.push_back(output.size());
    compare.candidates.inline_bytes.insert(compare.candidates.inline_bytes.end(), output.begin(),
                                           output.end());
  }
  keeper_->perform(compare);
  ASSERT_TRUE(turn_until([&] { return compared_.size() == 1; }));
  EXPECT_EQ(compared_[0].error, "");
  EXPECT_TRUE(compared_[0].all_match);
  EXPECT_EQ(compared_[0].unit, 3U);
  EXPECT_EQ(compared_[0].digests, *digests_of(compare.candidates));

  compare.candidates.inline_bytes.back() = 12;
  keeper_->perform(compare);
  ASSERT_TRUE(turn_until([&] { return compared_.size() == 2; }));
  EXPECT_EQ(compared_[1].error, "");
  EXPECT_FALSE(compared_[1].all_match);
}

TEST_F(Keeper, AComparisonThatTheKernelDoesNotHaveIsAnError) {
  StartCompare compare;
  compare.job.bytes[0] = 201;
  compare.manifest = manifest("square", encode(Nothing{}));
  compare.candidates.sizes = {1, 1};
  compare.candidates.inline_bytes = {9, 10};
  keeper_->perform(compare);
  ASSERT_TRUE(turn_until([&] { return compared_.size() == 1; }));
  EXPECT_NE(compared_[0].error, "");
  EXPECT_FALSE(compared_[0].all_match);
}

// Landlock and seccomp alone; of root's, as nobody, who cannot get at this folder.
TEST_F(Keeper, ComputesWithoutNamespacesToo) {
  if (kSanitized) GTEST_SKIP() << "sanitizers read files that Landlock does not let them";
  config_.shipped_executor = folder_ / "kernels";
  fs::copy_file(SHOAL_HOSTILE_KERNELS, config_.shipped_executor);
  config_.sandbox.level = SandboxLevel::kWeak;
  start_keeper();
  expect_squares_except(run(compute("square", {0, 1000})), {0, 1000}, {});
  expect_one_failure("segfaults", FailureKind::kCrashed, "SIGSEGV");
  auto endless = manifest("spins", encode(Where{7, ""}));
  endless->unit_wall_ms = 300;
  expect_squares_except(run(compute(endless, {0, 40})), {0, 40}, {7});
  keeper_.reset();
  EXPECT_TRUE(fs::is_empty(config_.scratch));
  EXPECT_TRUE(children_of_this_process().empty());
}

TEST_F(Keeper, LeavesNoScratchBehind) {
  run(compute("square", {0, 10}));
  EXPECT_FALSE(fs::is_empty(config_.scratch));
  keeper_.reset();
  EXPECT_TRUE(fs::is_empty(config_.scratch));
}

TEST(ShippedKernels, AreAskedFromTheProgram) {
  const auto names = ExecutorKeeper::shipped_kernels(SHOAL_HOSTILE_KERNELS);
  ASSERT_TRUE(names) << names.error();
  EXPECT_TRUE(std::find(names->begin(), names->end(), "square") != names->end());
  EXPECT_FALSE(ExecutorKeeper::shipped_kernels("/bin/false"));
  EXPECT_FALSE(ExecutorKeeper::shipped_kernels("/nowhere/at/all"));
}

}  // namespace
}  // namespace shoal
