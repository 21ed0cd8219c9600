#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/unit/tidy/rules.h"
#include "tests/unit/tidy/scan.h"
#include "tests/unit/tidy/source_tree.h"

namespace shoal::tidy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(TidyTest, TheTreeKeepsTheRulesOfTheHouse) {
  const std::vector<SourceFile> files = read_tree(SHOAL_SOURCE_DIR);
  ASSERT_GT(files.size(), 50u) << "read the wrong folder? " << SHOAL_SOURCE_DIR;
  for (const Finding& finding : check_tree(files)) ADD_FAILURE() << finding.to_string();
}

TEST(TidyTest, TheLinksOfTheDocumentsLeadSomewhere) {
  const std::filesystem::path top = SHOAL_SOURCE_DIR;
  const auto exists = [&](const std::string& path) { return std::filesystem::exists(top / path); };
  for (const Finding& finding : check_links(read_tree(top), exists)) {
    ADD_FAILURE() << finding.to_string();
  }
}

// Each rule below is shown a snippet that breaks it, or a rule that never fires would look kept.

std::vector<Finding> arrows_of(std::string path, std::string include) {
  return check_arrows({std::move(path), "#pragma once\n#include " + include + "\n"});
}

TEST(TidyRulesTest, AnIncludeAgainstTheArrowsIsFoundWithItsLine) {
  const auto findings = arrows_of("worker/core/peer.h", "\"node/link/link.h\"");
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].line, 2);
  EXPECT_THAT(findings[0].to_string(), HasSubstr("worker/core/peer.h:2: 'node/link/link.h'"));
  EXPECT_THAT(findings[0].sentence, HasSubstr("may include node/protocol/, node/content/core/"));
}

TEST(TidyRulesTest, WorkerAndCoordinatorDoNotKnowEachOther) {
  EXPECT_EQ(arrows_of("worker/runtime/main.cpp", "\"coordinator/core/rendezvous.h\"").size(), 1u);
  EXPECT_EQ(arrows_of("coordinator/runtime/main.cpp", "\"worker/core/peer.h\"").size(), 1u);
}

TEST(TidyRulesTest, TheProtocolIncludesNothingOfOursButItself) {
  EXPECT_EQ(arrows_of("node/protocol/ids.cpp", "\"node/link/link.h\"").size(), 1u);
  EXPECT_EQ(arrows_of("node/protocol/ids.cpp", "<shoal/shoal.h>").size(), 1u);
  EXPECT_THAT(arrows_of("node/protocol/ids.cpp", "\"node/protocol/ids.h\""), IsEmpty());
}

TEST(TidyRulesTest, ARelativePathDoesNotHideAnArrow) {
  EXPECT_EQ(arrows_of("worker/core/peer.cpp", "\"../runtime/executor_keeper.h\"").size(), 1u);
}

TEST(TidyRulesTest, TasksAndExamplesSeeThePublicHeadersOnly) {
  EXPECT_THAT(arrows_of("tasks/align.cpp", "<shoal/shoal.h>"), IsEmpty());
  EXPECT_EQ(arrows_of("tasks/align.cpp", "\"node/protocol/ids.h\"").size(), 1u);
  EXPECT_EQ(arrows_of("examples/first/main.cpp", "\"sdk/src/session.h\"").size(), 1u);
}

TEST(TidyRulesTest, OnlyTheExecutorsMainMayIncludeTheShippedKernels) {
  EXPECT_THAT(arrows_of("worker/executor/main.cpp", "\"tasks/all_kernels.h\""), IsEmpty());
  EXPECT_EQ(arrows_of("worker/executor/main.cpp", "\"tasks/align.h\"").size(), 1u);
  EXPECT_EQ(arrows_of("worker/executor/executor.cpp", "\"tasks/all_kernels.h\"").size(), 1u);
}

TEST(TidyRulesTest, TestsMayIncludeAll) {
  EXPECT_THAT(arrows_of("tests/sim/world.cpp", "\"worker/core/peer.h\""), IsEmpty());
}

TEST(TidyRulesTest, AnIncludeInACommentOrAStringIsNone) {
  EXPECT_THAT(check_arrows({"worker/core/a.cpp",
                            "// #include \"node/link/link.h\"\n"
                            "const char* s = R\"(\n#include \"node/link/link.h\"\n)\";\n"}),
              IsEmpty());
}

std::vector<Finding> core(std::string code, std::string_view header = "") {
  return check_core({"worker/core/a.cpp", std::move(code)}, header);
}

class BannedInCore : public testing::TestWithParam<const char*> {};

TEST_P(BannedInCore, IsFoundUnderACoreAndNowhereElse) {
  const std::string code = std::string(GetParam()) + "\n";
  EXPECT_EQ(core(code).size(), 1u) << code;
  EXPECT_THAT(check_core({"worker/runtime/a.cpp", code}, ""), IsEmpty()) << code;
}

INSTANTIATE_TEST_SUITE_P(
    ClocksThreadsSocketsFilesChance, BannedInCore,
    testing::Values("#include <thread>", "#include <sys/socket.h>", "#include <fstream>",
                    "#include <random>", "#include <zmq.hpp>", "#include <tbb/task_arena.h>",
                    "auto t = std::chrono::steady_clock::now();",
                    "auto t = std::chrono::system_clock::now();", "auto t = std::time(nullptr);",
                    "clock_gettime(CLOCK_BOOTTIME, &t);", "std::thread t(run);", "std::mutex lock;",
                    "auto f = std::async(run);", "int s = socket(AF_INET, SOCK_STREAM, 0);",
                    "int s = ::socket(2, 1, 0);", "std::ifstream in(path);",
                    "FILE* f = fopen(path, mode);", "std::random_device device;", "int x = rand();",
                    "std::uniform_int_distribution<int> d(0, 9);",
                    "std::shuffle(v.begin(), v.end(), rng);"));

TEST(TidyRulesTest, NamesOfOurOwnThatSoundAlikeAreAllowedInACore) {
  EXPECT_THAT(core("links.connect(peer);\nrng_.shuffle(v);\nInstant time(Instant now);\n"
                   "// std::thread in a comment\nconst char* s = \"std::thread\";\n"),
              IsEmpty());
}

TEST(TidyRulesTest, IterationOverAnUnorderedContainerIsFound) {
  EXPECT_EQ(core("std::unordered_map<int, std::vector<int>> table;\n"
                 "for (const auto& [k, v] : table) use(k);\n")
                .size(),
            1u);
  EXPECT_EQ(core("void f(const std::unordered_set<int>& seen) {\n"
                 "  auto first = seen.begin();\n}\n")
                .size(),
            1u);
}

TEST(TidyRulesTest, AnUnorderedMemberOfTheHeaderIsFoundInTheSource) {
  const auto findings = core("void A::f() {\n  for (auto& x : this->table_) use(x);\n}\n",
                             "class A { std::unordered_map<int, int> table_; };\n");
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].line, 2);
  EXPECT_THAT(findings[0].sentence, HasSubstr("std::map"));
}

TEST(TidyRulesTest, AnUnorderedContainerBehindAnAliasIsFound) {
  EXPECT_EQ(core("using Table = std::unordered_map<int, int>;\nTable table;\n"
                 "for (auto& x : table) use(x);\n")
                .size(),
            1u);
}

TEST(TidyRulesTest, LookupInAnUnorderedContainerIsAllowed) {
  EXPECT_THAT(core("std::unordered_map<int, int> table;\nstd::map<int, int> sorted;\n"
                   "if (table.contains(3)) use(table.at(3));\nfor (auto& x : sorted) use(x);\n"),
              IsEmpty());
}

TEST(TidyRulesTest, GeneratedHeadersAreSeenByTheDecodersOnly) {
  const std::string include = "#pragma once\n#include \"node/protocol/work.capnp.h\"\n";
  EXPECT_THAT(check_third_parties({"node/protocol/work_codec.cpp", include}), IsEmpty());
  EXPECT_EQ(check_third_parties({"node/protocol/work_codec.h", include}).size(), 1u);
  EXPECT_EQ(check_third_parties({"worker/core/peer.cpp", include}).size(), 1u);
}

TEST(TidyRulesTest, PublicHeadersShowNoTypeOfTheTransportTheMessagesOrTheArena) {
  const auto published = [](std::string code) {
    return check_third_parties({"sdk/include/shoal/a.h", std::move(code)}).size();
  };
  EXPECT_EQ(published("#include <zmq.hpp>\n"), 1u);
  EXPECT_EQ(published("#include <capnp/message.h>\n"), 1u);
  EXPECT_EQ(published("#include <oneapi/tbb.h>\n"), 1u);
  EXPECT_EQ(published("namespace tbb { class task_arena; }\ntbb::task_arena* arena();\n"), 1u);
  EXPECT_EQ(published("// tbb::task_arena is hidden\n#include <vector>\n"), 0u);
}

TEST(TidyRulesTest, LongFilesAreFound) {
  std::string text;
  for (int i = 0; i < 600; ++i) text += "int x;\n";
  EXPECT_THAT(check_text({"worker/core/a.cpp", text}), IsEmpty());
  text += "int x;\n";
  EXPECT_EQ(check_text({"worker/core/a.cpp", text}).size(), 1u);
}

TEST(TidyRulesTest, LongLinesAreFoundInColumnsNotBytes) {
  EXPECT_EQ(check_text({"worker/core/a.cpp", std::string(101, 'x')}).size(), 1u);
  EXPECT_THAT(check_text({"worker/core/a.cpp", std::string(100, 'x')}), IsEmpty());
  std::string accents;
  for (int i = 0; i < 100; ++i) accents += "\u00e9";
  EXPECT_THAT(check_text({"worker/core/a.cpp", accents}), IsEmpty());
}

TEST(TidyRulesTest, NotesToNobodyAreFound) {
  const std::string note = std::string("// TO") + "DO: later\n";
  EXPECT_EQ(check_text({"docs/a.md", note}).size(), 1u);
  EXPECT_EQ(check_text({"worker/core/a.cpp", note}).size(), 1u);
  EXPECT_THAT(check_text({"worker/core/a.cpp",
                          "int AUTO"
                          "DOCK = 1;\n"}),
              IsEmpty());
}

TEST(TidyRulesTest, AHeaderWithoutAGuardIsFound) {
  EXPECT_EQ(check_text({"worker/core/a.h", "int x;\n"}).size(), 1u);
  EXPECT_THAT(check_text({"worker/core/a.h", "#pragma once\nint x;\n"}), IsEmpty());
}

TEST(TidyRulesTest, ASourceThatIsNeverBuiltIsFound) {
  const std::vector<SourceFile> files = {
      {"worker/core/CMakeLists.txt", "shoal_library(a SOURCES a.cpp  # b.cpp is away\n)\n"},
      {"tests/unit/CMakeLists.txt", "x(worker/d.cpp \"${PROJECT_SOURCE_DIR}/tasks/c.cpp\")\n"},
      {"worker/core/a.cpp", ""},
      {"worker/core/b.cpp", ""},
      {"tasks/c.cpp", ""},
      {"tests/unit/worker/d.cpp", ""},
  };
  const auto findings = check_dead_files(files);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].path, "worker/core/b.cpp");
}

TEST(TidyRulesTest, ALinkThatLeadsNowhereIsFoundWithItsLine) {
  const std::vector<SourceFile> files = {
      {"README.md",
       "# Top\n[a](docs/a.md) [b](docs/a.md#the-way-in) [c](#top) [d](https://x.org/y) "
       "[e](LICENSE)\n"
       "```\n[](not prose)\n```\n[f](docs/b.md)\n[g](docs/a.md#the-way-out)\n"},
      {"docs/a.md", "## The *way* in\n[a](../README.md#top) [b](../LICENSE)\n[c](LICENSE)\n"},
  };
  const std::set<std::string> there = {"README.md", "docs/a.md", "LICENSE"};
  std::vector<std::string> found;
  for (const Finding& finding :
       check_links(files, [&](const std::string& path) { return there.contains(path); })) {
    found.push_back(finding.to_string());
  }
  EXPECT_THAT(found, ElementsAre(HasSubstr("README.md:6: 'docs/b.md' leads nowhere"),
                                 HasSubstr("README.md:7: 'docs/a.md#the-way-out' names no heading"),
                                 HasSubstr("docs/a.md:3: 'LICENSE' leads nowhere")));
}

TEST(TidyRulesTest, TheWholeTreeIsGivenToEveryRule) {
  const std::vector<SourceFile> files = {
      {"worker/core/a.h", "#pragma once\nclass A { std::unordered_set<int> seen_; };\n"},
      {"worker/core/a.cpp",
       "#include \"tasks/x.h\"\nvoid A::f() { for (int s : seen_) use(s); }\n"},
      {"worker/core/b.h", "#include \"node/protocol/work.capnp.h\"\n"},
  };
  // The arrow, the iteration, the dead file, the generated header, the missing guard.
  EXPECT_EQ(check_tree(files).size(), 5u);
}

}  // namespace
}  // namespace shoal::tidy
