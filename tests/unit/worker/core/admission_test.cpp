#include "worker/core/admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal {
namespace {

using ::testing::HasSubstr;

// What it would say of a job of its own kernel whose units take so much memory.
std::string said(std::uint64_t lent, std::uint64_t unit) {
  PeerConfig config;
  config.record.kernels = {"plain"};
  config.record.memory_bytes = lent;
  Manifest manifest;
  manifest.kernel = "plain";
  manifest.quorum = 1;
  manifest.max_attempts = 1;
  manifest.unit_memory_bytes = unit;
  EXPECT_FALSE(objection_to_keeping(config, {}, manifest)) << "a steward needs no memory for it";
  const auto objection = objection_to_computing(config, {}, manifest);
  return objection ? objection->why : "";
}

TEST(AdmissionTest, UnitsThatTakeMoreMemoryThanIsLentAreNotTakenAndSpendNoAttempts) {
  constexpr std::uint64_t kGib = 1ULL << 30;
  EXPECT_THAT(said(kGib, 2 * kGib),
              HasSubstr("2048 MiB of memory, and this worker lends 1024 MiB"));
  EXPECT_EQ(said(kGib, kGib), "");
  EXPECT_EQ(said(kGib, 0), "") << "what is lent is enough where nothing is said";
  EXPECT_EQ(said(0, kGib), "") << "no limit is known";
}

// It would be fetched whole only to be refused, and may be named as large as a content can be.
TEST(AdmissionTest, AModuleThatIsTooLargeIsRefusedBeforeItIsFetched) {
  Manifest manifest;
  manifest.kernel_kind = KernelKind::kWasm;
  manifest.quorum = 1;
  manifest.max_attempts = 1;
  manifest.program.emplace();
  manifest.program_bytes = limits::kModuleBytes;
  EXPECT_FALSE(objection_to_keeping({}, {}, manifest));
  manifest.program_bytes += 1;
  const auto objection = objection_to_keeping({}, {}, manifest);
  ASSERT_TRUE(objection);
  EXPECT_EQ(objection->outcome, SubmitOutcome::kInvalid);
  EXPECT_EQ(objection->why, "its module has 8388609 bytes, and 8388608 are the most");
}

// One that runs none of the kernels that ship names none in its record either.
TEST(AdmissionTest, WhoTakesNoKernelsThatShipSaysWhyAndNotThatItsVersionHasNone) {
  PeerConfig config;
  config.cannot_run[KernelKind::kShipped] = "its owner takes none";
  Manifest manifest;
  manifest.kernel = "plain";
  manifest.quorum = 1;
  manifest.max_attempts = 1;
  const auto objection = objection_to_computing(config, {}, manifest);
  ASSERT_TRUE(objection);
  EXPECT_EQ(objection->why, "its owner takes none");
}

}  // namespace
}  // namespace shoal
