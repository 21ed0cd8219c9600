#include "worker/runtime/sandbox_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shoal {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

SandboxReport all_works() {
  SandboxReport report;
  report.landlock_version = 4;
  return report;
}

TEST(SandboxChoice, WhereAllLayersAreAllKindsAreTaken) {
  const auto choice = choose_sandbox({}, all_works());
  EXPECT_EQ(choice.settings.level, SandboxLevel::kFull);
  EXPECT_THAT(choice.cannot_run, IsEmpty());
  EXPECT_THAT(choice.warnings, IsEmpty());
  EXPECT_TRUE(choice.native_from_anyone);
}

TEST(SandboxChoice, WithoutNamespacesNoStrangersProgramIsTaken) {
  SandboxReport report = all_works();
  report.namespaces = "no namespaces: Operation not permitted";
  const auto choice = choose_sandbox({}, report);
  EXPECT_EQ(choice.settings.level, SandboxLevel::kWeak);
  ASSERT_EQ(choice.cannot_run.size(), 2U);
  EXPECT_THAT(choice.cannot_run.at(KernelKind::kNative), HasSubstr("Operation not permitted"));
  EXPECT_THAT(choice.cannot_run.at(KernelKind::kProgram), HasSubstr("Operation not permitted"));
  EXPECT_THAT(choice.warnings, Contains(HasSubstr("takes no native programs")));
}

TEST(SandboxChoice, WithNeitherNamespacesNorLandlockNothingIsTaken) {
  SandboxReport report;
  report.namespaces = "no";
  EXPECT_EQ(choose_sandbox({}, report).cannot_run.size(), 4U);
}

TEST(SandboxChoice, WithoutSeccompNothingIsTaken) {
  SandboxReport report = all_works();
  report.seccomp = "seccomp: Function not implemented";
  EXPECT_EQ(choose_sandbox({}, report).cannot_run.size(), 4U);
}

TEST(SandboxChoice, WhereExecutorsWouldBeRootNothingIsTaken) {
  SandboxReport report = all_works();
  report.nobody = "root cannot become nobody here";
  EXPECT_EQ(choose_sandbox({}, report).cannot_run.size(), 4U);
}

TEST(SandboxChoice, WhatTheOwnerDeclinesNeedsNoLayer) {
  WorkerOptions options;
  options.kinds = {KernelKind::kShipped, KernelKind::kWasm};
  SandboxReport report = all_works();
  report.namespaces = "no namespaces: Operation not permitted";
  const auto choice = choose_sandbox(options, report);
  ASSERT_EQ(choice.cannot_run.size(), 2U);
  EXPECT_EQ(choice.cannot_run.at(KernelKind::kNative),
            "its owner takes no native programs (--kinds)");
  EXPECT_EQ(choice.cannot_run.at(KernelKind::kProgram), "its owner takes no programs (--kinds)");
  EXPECT_THAT(choice.warnings, IsEmpty());
  EXPECT_THAT(choice.summary, HasSubstr("declined by the owner (--kinds): native, program"));
}

TEST(SandboxChoice, WhatTheOwnerTakesNeedsItsLayersAllTheSame) {
  WorkerOptions options;
  options.kinds = {KernelKind::kProgram};
  SandboxReport report = all_works();
  report.namespaces = "no namespaces: Operation not permitted";
  const auto choice = choose_sandbox(options, report);
  EXPECT_EQ(choice.cannot_run.size(), 4U);
  EXPECT_THAT(choice.cannot_run.at(KernelKind::kProgram), HasSubstr("Operation not permitted"));
  EXPECT_THAT(choice.cannot_run.at(KernelKind::kWasm), HasSubstr("(--kinds)"));
}

TEST(SandboxChoice, SwitchedOffItWarnsOfWhatTheOwnerTakesAlone) {
  WorkerOptions options;
  options.sandbox = false;
  options.kinds = {KernelKind::kShipped};
  EXPECT_THAT(choose_sandbox(options, all_works()).warnings,
              ElementsAre(AllOf(HasSubstr("THE SANDBOX IS OFF: kernels that ship"),
                                Not(HasSubstr("program")))));
  options.kinds = {KernelKind::kWasm};
  EXPECT_THAT(choose_sandbox(options, all_works()).warnings, IsEmpty());
}

TEST(SandboxChoice, SwitchedOffItIsLoudAndTrustsNobodyInGeneral) {
  WorkerOptions options;
  options.sandbox = false;
  const auto choice = choose_sandbox(options, all_works());
  EXPECT_EQ(choice.settings.level, SandboxLevel::kNone);
  EXPECT_FALSE(choice.native_from_anyone);
  EXPECT_THAT(choice.warnings, Contains(HasSubstr("THE SANDBOX IS OFF")));
  EXPECT_FALSE(choice.cannot_run.contains(KernelKind::kNative));
}

TEST(SandboxReport, IsTheSameAfterItsText) {
  SandboxReport report = all_works();
  report.proc = "it may not be mounted here";
  report.cgroup = "not delegated here";
  report.nobody = "root cannot become nobody here";
  const auto read = parse_report(to_text(report));
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(to_text(*read), to_text(report));
  EXPECT_EQ(read->cgroup, report.cgroup);
  EXPECT_FALSE(parse_report("nonsense"));
  EXPECT_FALSE(parse_report(""));
}

}  // namespace
}  // namespace shoal
