// Programs of Debian's, as they are: what comes back is what a direct run makes, and two workers
// agree on it.

#include <gmock/gmock.h>

#include <iterator>
#include <set>
#include <sstream>

#include "node/protocol/image_notes.h"
#include "tests/cluster/computed.h"
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
  // The lines that say nothing of when and where it ran.
  static std::string without_notes(const std::string& text) {
    std::istringstream lines(text);
    std::string kept;
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with('#')) kept += line + "\n";
    }
    return kept;
  }
  // So many units: nobody's word was taken for any of them.
  void expect_both_computed(std::uint64_t units) const {
    for (const char* name : {"ann", "ben"}) EXPECT_GE(computed_by(cluster_, name), units) << name;
  }
  // As a reader of the examples does, with `shoal` installed.
  Cluster::Ended example(const std::string& name, const Line& arguments = {}) const {
    Line command{"/usr/bin/env",
                 "PATH=" + program("shoal").parent_path().string() + ":/usr/bin:/bin",
                 SHOAL_SOURCE_DIR "/examples/" + name + "/run"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return here_runs(command);
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
                "--domZ",
                "45",
                "--tblout",
                query + ".tbl",
                "search/" + query + ".hmm",
                "search/globins45.fa"};
  };
  Line submit{"submit",      "--quorum",
              "2",           "--each-line",
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

  for (const std::string query : {"globins4", "fn3", "Pkinase"}) {
    const auto direct = here_runs(command(query));
    ASSERT_EQ(direct.exit_code, 0) << direct.err;
    EXPECT_EQ(without_notes(result(query + "/" + query + ".tbl")),
              without_notes(text_of(here() / (query + ".tbl"))));
    EXPECT_EQ(without_notes(result(query + "/stdout")), without_notes(direct.out));
    EXPECT_THAT(direct.out, ::testing::HasSubstr("Internal pipeline statistics summary"));
  }
  EXPECT_GT(count_lines(without_notes(result("globins4/globins4.tbl"))), 40U);
  expect_both_computed(3);
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
  Line submit{"submit",       "--quorum",  "2",           "--array",
              "0-90:30",      "--input",   "ambient.pov", "--output",
              "frame-{}.ppm", "--compare", "image",       "--"};
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
  expect_both_computed(4);
}

// A genome is one sequence: its windows are searched by themselves, and overlap by more than a hit
// is long.
TEST_F(RealPrograms, SearchASequenceWindowByWindow) {
  const std::string why = missing("/usr/bin/nhmmer", kHmmer, "hmmer, hmmer-examples");
  if (!why.empty()) GTEST_SKIP() << why;
  for (const char* name : {"MADE1.hmm", "dna_target.fa"}) {
    fs::copy_file(fs::path(kHmmer) / name, here() / name);
  }
  constexpr int kLength = 330'000;
  constexpr int kStep = 100'000;
  constexpr int kOverlap = 5'000;
  nlohmann::json windows = nlohmann::json::array();
  for (int from = 1; from <= kLength; from += kStep) {
    windows.push_back({{"name", "from-" + std::to_string(from)},
                       {"from", from},
                       {"to", from + kStep + kOverlap - 1}});
  }
  write("windows.json", windows.dump());
  // -Z is the length of all of it, of both strands, in millions.
  const std::string search = "nhmmer --cpu 0 -Z 0.66 -o /dev/null --tblout hits.tbl MADE1.hmm ";
  const auto ended = shoal(
      {"submit", "--quorum", "2", "--from-json", "windows.json", "--input", "MADE1.hmm", "--input",
       "dna_target.fa", "--needs", "nhmmer", "--output", "hits.tbl", "--drop", "^#", "--", "sh",
       "-c",
       "(echo '>window'; sed 1d dna_target.fa | tr -d '\\n' | cut -c {from}-{to}) >window.fa && " +
           search + "window.fa"});
  ASSERT_EQ(ended.exit_code, 0) << ended.err;

  // What was found and how well, by where it begins in the whole sequence.
  using Hits = std::multiset<std::string>;
  const auto hits_of = [](const std::string& table, int offset) {
    std::istringstream lines(without_notes(table));
    Hits hits;
    for (std::string line; std::getline(lines, line);) {
      std::istringstream stream(line);
      const Line words{std::istream_iterator<std::string>(stream), {}};
      if (words.size() < 15) {
        ADD_FAILURE() << line;
        continue;
      }
      std::string hit;
      for (const std::size_t field : {2, 4, 5, 11, 12, 13, 14}) hit += words[field] + " ";
      for (const std::size_t field : {6, 7, 8, 9}) {
        hit += std::to_string(std::stoi(words[field]) + offset) + " ";
      }
      hits.insert(hit);
    }
    return hits;
  };
  Hits found;
  std::size_t twice = 0;
  for (const auto& window : windows) {
    const std::string table = result(window["name"].get<std::string>() + "/hits.tbl");
    for (const std::string& hit : hits_of(table, window["from"].get<int>() - 1)) {
      if (found.contains(hit)) {
        ++twice;
      } else {
        found.insert(hit);
      }
    }
  }
  const auto direct = here_runs({"sh", "-c", search + "dna_target.fa"});
  ASSERT_EQ(direct.exit_code, 0) << direct.err;
  const Hits all = hits_of(text_of(here() / "hits.tbl"), 0);
  EXPECT_EQ(found, all);
  EXPECT_GE(all.size(), 4U);
  EXPECT_GT(twice, 0U) << "no hit lies where two windows overlap";
  expect_both_computed(windows.size());
}

TEST_F(RealPrograms, RunAsTheExamplesShow) {
  std::string why = missing("/usr/bin/hmmsearch", kHmmer, "hmmer, hmmer-examples");
  if (why.empty()) {
    why = missing("/usr/bin/povray", fs::path(kScenes) / "ambient/ambient.pov",
                  "povray, povray-examples");
  }
  if (!why.empty()) GTEST_SKIP() << why;
  const auto search = example("hmmsearch");
  EXPECT_EQ(search.exit_code, 0) << search.err;
  EXPECT_THAT(search.out, ::testing::HasSubstr("globins4: 45 of 45 sequences\n"));
  EXPECT_EQ(count_lines(search.out), 3U) << search.out;

  const std::string scene = std::string(kScenes) + "/ambient/ambient.pov";
  const auto rendered = example("povray", {scene, "2"});
  EXPECT_EQ(rendered.exit_code, 0) << rendered.err;
  EXPECT_EQ(rendered.out, "results-povray/000/frame-000.png\nresults-povray/001/frame-001.png\n");
  const std::string frame = text_of(here() / "results-povray/001/frame-001.png");
  EXPECT_TRUE(frame.starts_with("\x89PNG")) << frame.size();
  expect_both_computed(5);
}

}  // namespace
}  // namespace shoal::cluster
