// Programs of Debian's, as they are: what comes back is what a direct run makes, and two workers
// agree on it.

#include <gmock/gmock.h>

#include <sstream>

#include "node/protocol/image_notes.h"
#include "tests/cluster/program_jobs.h"

namespace shoal::cluster {
namespace {

namespace fs = std::filesystem;

constexpr char kHmmer[] = "/usr/share/doc/hmmer/examples/tutorial";
constexpr char kScenes[] = "/usr/share/doc/povray/examples/animations";

class RealPrograms : public ProgramJobs {
 protected:
  // Why the story cannot be told here; nothing: it can.
  static std::string missing(const fs::path& program, const fs::path& data, const char* package) {
    for (const fs::path& path : {program, data}) {
      if (!fs::exists(path)) return path.string() + " is not there (Debian: " + package + ")";
    }
    return {};
  }
};

TEST_F(RealPrograms, SearchAFamilyOfProteinsQueryByQuery) {
  const std::string why = missing("/usr/bin/hmmsearch", kHmmer, "hmmer, hmmer-examples");
  if (!why.empty()) GTEST_SKIP() << why;
  // Each profile against the same sequences, whose number is fixed: E-values depend on it.
  write("queries.txt", "globins4\nfn3\nPkinase\n");
  for (const char* name : {"globins4.hmm", "fn3.hmm", "Pkinase.hmm", "globins45.fa"}) {
    fs::create_directories(here() / "search");
    fs::copy_file(fs::path(kHmmer) / name, here() / "search" / name);
  }
  const auto command = [](const std::string& query) {
    return Line{"hmmsearch",
                "--cpu",
                "0",
                "-Z",
                "45",
                "--tblout",
                query + ".tbl",
                "search/" + query + ".hmm",
                "search/globins45.fa"};
  };
  Line submit{"submit",      "--each-line",
              "queries.txt", "--input",
              "search",      "--output",
              "{}.tbl",      "--stdout",
              "--drop",      "^# (Date|Current dir|CPU|Mc/sec)",
              "--drop",      "^# Option settings",
              "--drop",      "Elapsed:|^# Mc/sec",
              "--"};
  const Line program = command("{}");
  submit.insert(submit.end(), program.begin(), program.end());
  const auto ended = shoal(submit);
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_THAT(ended.err, ::testing::HasSubstr("3 of 3"));

  const auto hits = [](const std::string& table) {
    std::istringstream lines(table);
    std::string kept;
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with('#')) kept += line + "\n";
    }
    return kept;
  };
  for (const std::string query : {"globins4", "fn3", "Pkinase"}) {
    const auto direct = here_runs(command(query));
    ASSERT_EQ(direct.exit_code, 0) << direct.err;
    EXPECT_EQ(hits(result(query + "/" + query + ".tbl")), hits(text_of(here() / (query + ".tbl"))));
  }
  EXPECT_GT(count_lines(hits(result("globins4/globins4.tbl"))), 40U);
}

TEST_F(RealPrograms, RenderAnAnimationFrameByFrame) {
  const std::string why = missing("/usr/bin/povray", fs::path(kScenes) / "ambient/ambient.pov",
                                  "povray, povray-examples");
  if (!why.empty()) GTEST_SKIP() << why;
  fs::copy_file(fs::path(kScenes) / "ambient/ambient.pov", here() / "ambient.pov");
  const auto command = [](const std::string& clock, const std::string& frame) {
    return Line{"povray", "+Iambient.pov", "+W64", "+H48", "+K" + clock,
                "+FP",    "+O" + frame,    "-D",   "+WT1"};
  };
  Line submit{"submit",   "--array",      "0-90:30",   "--input", "ambient.pov",
              "--output", "frame-{}.ppm", "--compare", "image",   "--"};
  const Line program = command("0.{}", "frame-{}.ppm");
  submit.insert(submit.end(), program.begin(), program.end());
  const auto ended = shoal(submit);
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  for (const std::string frame : {"0", "30", "60", "90"}) {
    const auto direct = here_runs(command("0." + frame, "frame.ppm"));
    ASSERT_EQ(direct.exit_code, 0) << direct.err;
    // All but the comments at its head, which say when it was made.
    const std::string made = text_of(here() / "frame.ppm");
    const auto pixels = without_image_notes(as_bytes(made));
    ASSERT_TRUE(pixels) << "POV-Ray writes no date any more: compare bytes";
    EXPECT_TRUE(result(frame + "/frame-" + frame + ".ppm") == as_text(*pixels))
        << "frame " << frame << " is not what a direct run renders";
  }
  EXPECT_FALSE(result("0/frame-0.ppm") == result("90/frame-90.ppm"));
}

}  // namespace
}  // namespace shoal::cluster
