#include "worker/runtime/sandbox_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

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

TEST(SandboxChoice, FoldersThatExecutorsCannotReachAreLeftOut) {
  namespace fs = std::filesystem;
  std::string name = (fs::temp_directory_path() / "shoal-choice-XXXXXX").string();
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  const fs::path top = name;
  for (const char* folder : {"open/data", "closed/data", "open/bare"}) {
    fs::create_directories(top / folder);
  }
  std::ofstream(top / "closed/file") << "copied";
  fs::permissions(top, static_cast<fs::perms>(0755));
  WorkerOptions options;
  options.readable = {top / "open/data", top / "closed/data", top / "closed/file",
                      top / "open/bare"};
  auto choice = choose_sandbox(options, all_works());
  // To root they are open all the same.
  for (const char* folder : {"closed", "open/bare"}) fs::permissions(top / folder, fs::perms::none);
  leave_out_closed_folders(choice);
  for (const char* folder : {"closed", "open/bare"}) {
    fs::permissions(top / folder, fs::perms::owner_all);
  }
  EXPECT_THAT(choice.settings.read_only, ElementsAre(top / "open/data", top / "closed/file"));
  EXPECT_THAT(
      choice.warnings,
      ElementsAre(AllOf(HasSubstr("--readable " + (top / "closed/data").string() + " is left out"),
                        HasSubstr("(chmod o+x " + (top / "closed").string() + ")")),
                  HasSubstr("(chmod -R o+rX " + (top / "open/bare").string() + ")")));
  fs::remove_all(top);
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
