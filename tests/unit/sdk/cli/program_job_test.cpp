#include "sdk/cli/program_job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "node/protocol/input_pack.h"
#include "node/protocol/program_output.h"
#include "sdk/cli/quantities.h"
#include "sdk/cli/results_folder.h"

namespace shoal::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ProgramJobTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "shoal-wish-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    place_ = name;
    auto store = ContentStore::open(place_ / "store");
    ASSERT_TRUE(store);
    store_ = std::move(*store);
    wish_.command = {"sort", "{}"};
  }
  void TearDown() override { fs::remove_all(place_); }

  std::string file(const std::string& name, const std::string& text) {
    fs::create_directories((place_ / name).parent_path());
    std::ofstream(place_ / name, std::ios::binary) << text;
    return (place_ / name).string();
  }
  std::vector<std::string> entries() {
    std::vector<std::string> all;
    const auto units = units_of(wish_);
    EXPECT_TRUE(units) << units.error().what;
    for (const ProgramUnit& unit : units.value_or(std::vector<ProgramUnit>{})) {
      all.push_back(unit.entry);
    }
    return all;
  }
  std::string refusal() {
    const auto job = plan_program(wish_);
    return job ? std::string() : job.error().what;
  }
  ProgramJob planned() {
    auto job = plan_program(wish_);
    EXPECT_TRUE(job) << job.error().what;
    if (!job) return {};
    EXPECT_TRUE(put_contents(wish_, *store_, *job));
    return std::move(*job);
  }

  fs::path place_;
  std::unique_ptr<ContentStore> store_;
  ProgramWish wish_;
};

TEST_F(ProgramJobTest, UnitsAreNumbersLinesOrJson) {
  EXPECT_THAT(entries(), ElementsAre("1"));
  wish_.array = "8-12:2,1";
  EXPECT_THAT(entries(), ElementsAre("8", "10", "12", "1"));
  for (const char* wrong : {"", "5-", "-5", "9-1", "1-9:0", "a", "1-3,", "99999999999999999999"}) {
    wish_.array = *wrong == '\0' ? "," : wrong;
    EXPECT_FALSE(units_of(wish_)) << wrong;
  }
  wish_.array.clear();
  wish_.lines_file = file("lines", "a b\r\n\nc\td\n");
  EXPECT_THAT(entries(), ElementsAre("a b", "c\td"));
  file("lines",
       "\xEF\xBB\xBF"
       "a b\r\n\nc\td\n");
  EXPECT_THAT(entries(), ElementsAre("a b", "c\td")) << "as an editor of Windows writes it";
  wish_.column_separator = "\\t";
  EXPECT_EQ((*units_of(wish_))[1].fields, (std::vector<ProgramVariable>{{"1", "c"}, {"2", "d"}}));
  wish_.column_separator.clear();
  wish_.lines_file.clear();
  wish_.json_file = file("list.json", R"([{"beta": 0.5, "name": "x"}, "text", 7])");
  EXPECT_THAT(entries(), ElementsAre(R"({"beta":0.5,"name":"x"})", "text", "7"));
  EXPECT_EQ((*units_of(wish_))[0].fields,
            (std::vector<ProgramVariable>{{"beta", "0.5"}, {"name", "x"}}));
  wish_.json_file = file("lines.json", "{\"n\": 1}\n{\"n\": 2}\n");
  EXPECT_EQ(entries().size(), 2U);
  wish_.json_file = file("broken.json", "{\"n\": 1}\nnonsense\n");
  EXPECT_THAT(units_of(wish_).error().what, HasSubstr("line 2"));
  wish_.array = "1-2";
  EXPECT_THAT(units_of(wish_).error().what, HasSubstr("in one way"));
}

TEST_F(ProgramJobTest, NumbersThatFollowEachOtherNeedNoInputs) {
  wish_.array = "10-30:10";
  const ProgramJob job = planned();
  const auto all = manifest_of(job, job.units, wish_, *store_);
  ASSERT_TRUE(all) << all.error().what;
  EXPECT_FALSE(all->inputs);
  EXPECT_EQ(all->units, 3U);
  EXPECT_THAT(all->needs, ElementsAre("sort"));
  EXPECT_EQ(numbered_unit(job.spec, 2), job.units[2]);
  // A part of them keeps its numbers.
  const auto part = manifest_of(job, {job.units[2]}, wish_, *store_);
  ASSERT_TRUE(part && part->inputs);
  const Bytes packed = *store_->read(*part->inputs);
  const auto pack = InputPack::open(packed);
  ASSERT_TRUE(pack);
  EXPECT_EQ(decode_program_unit(pack->input(0)).value_or(ProgramUnit{}), job.units[2]);
}

TEST_F(ProgramJobTest, SaysWhatIsWrongBeforeAnythingRuns) {
  wish_.inputs = {(place_ / "nowhere").string()};
  EXPECT_THAT(refusal(), HasSubstr("there is no such file"));
  const std::string data = file("data", "x");
  wish_.inputs = {data, data + "=data"};
  EXPECT_THAT(refusal(), HasSubstr("Two inputs"));
  wish_.inputs = {data + "=../x"};
  EXPECT_THAT(refusal(), HasSubstr("PATH=NAME"));
  wish_.inputs = {data};
  wish_.command = {"sort", "{colour}"};
  EXPECT_THAT(refusal(), HasSubstr("nothing for {colour}"));
  wish_.command = {data};
  EXPECT_THAT(refusal(), HasSubstr("--ship"));
  wish_.command = {"sort"};
  wish_.outputs = {"../{}"};
  EXPECT_THAT(refusal(), HasSubstr("below the folder"));
  wish_.outputs.clear();
  wish_.compare = "numeric:much";
  EXPECT_THAT(refusal(), HasSubstr("is not understood"));
  wish_.compare = "text,drop=(";
  EXPECT_THAT(refusal(), HasSubstr("is no pattern"));
  wish_.compare = "bytes";
  wish_.time_limit = "soon";
  EXPECT_THAT(refusal(), HasSubstr("is no time"));
  wish_.time_limit = "0";
  EXPECT_THAT(refusal(), HasSubstr("is no time"));
  wish_.time_limit.clear();
  wish_.memory = "512";
  EXPECT_THAT(refusal(), HasSubstr("512 bytes"));
  wish_.memory = "512M";
  EXPECT_EQ(refusal(), "");
}

TEST_F(ProgramJobTest, ALineWithoutAColumnThatOthersHaveIsSaid) {
  wish_.lines_file = file("table", "a,b,c\nd\ne,,\n");
  wish_.column_separator = ",";
  wish_.command = {"echo", "{1}", "x{2}"};
  EXPECT_THAT(refusal(), HasSubstr("Unit 2 has nothing for {2} in 'x{2}'"));
  wish_.command = {"echo", "{1}"};
  wish_.outputs = {"{3}.txt"};
  EXPECT_THAT(refusal(), HasSubstr("Unit 2 has nothing for {3} in '{3}.txt'"));
  // What no line has may be meant as it stands.
  wish_.outputs.clear();
  wish_.command = {"grep", "-E", "x{4}", "{1}", "{{2}}"};
  EXPECT_EQ(refusal(), "");
}

TEST_F(ProgramJobTest, SaysWhatIsTooLongByTheNameOfItsFlag) {
  wish_.environment = {"LONG=" + std::string(100'000, 'x')};
  EXPECT_THAT(refusal(), HasSubstr("--env LONG has 100000 bytes, and at most 65536"));
  wish_.environment.assign(65, "A=b");
  EXPECT_THAT(refusal(), HasSubstr("65 variables, and at most 64"));
  wish_.environment.clear();
  wish_.command.push_back(std::string(120'000, 'x'));
  EXPECT_THAT(refusal(), HasSubstr("An argument of a command has 120000 bytes"));
  wish_.command.back() = "short";
  EXPECT_EQ(refusal(), "");
}

TEST_F(ProgramJobTest, AKeyIsWhatAResultIsComputedFrom) {
  const std::string data = file("data", "x");
  wish_.inputs = {data};
  wish_.lines_file = file("lines", "a\nb\n");
  const ProgramJob first = planned();
  const Hash256 of_b = unit_key(first, first.units[1]);
  EXPECT_NE(unit_key(first, first.units[0]), of_b);

  wish_.lines_file = file("lines", "new\nb\n");
  wish_.time_limit = "2h";
  wish_.compare = "numeric:1e-3";
  ProgramJob job = planned();
  EXPECT_EQ(unit_key(job, job.units[1]), of_b);
  wish_.lines_file = file("lines", "b\n");
  job = planned();
  EXPECT_EQ(unit_key(job, job.units[0]), of_b) << "where it stands does not matter";
  file("data", "y");
  job = planned();
  EXPECT_NE(unit_key(job, job.units[0]), of_b);
  file("data", "x");
  wish_.command.emplace_back("-r");
  job = planned();
  EXPECT_NE(unit_key(job, job.units[0]), of_b);
}

TEST_F(ProgramJobTest, ReadsRulesOfComparison) {
  wish_.compare = "numeric:1e-6,abs=1e-9,drop=^a,b";
  wish_.dropped = {"z"};
  EXPECT_EQ(comparison_of(wish_).value_or(ProgramComparison{}),
            (ProgramComparison{true, {"z", "^a,b"}, 1e-6, 1e-9}));
  for (const char* wrong : {"numeric", "numeric:", "numeric:-1", "numeric:1x", "byte", ""}) {
    wish_.compare = wrong;
    EXPECT_FALSE(comparison_of(wish_)) << wrong;
  }
}

TEST_F(ProgramJobTest, ReadsJobFiles) {
  file("job/data", "x");
  const std::string job = file("job/job.toml", R"(
name = "mine"
command = ["sort", "data"]
array = "1-3"
input = ["data"]
time_limit = "5m"
quorum = 3
ok_exit = [0, 1]
env = { MODE = "fast" }
)");
  ProgramWish given;
  given.time_limit = "1m";
  given.exit_statuses = {0, 7};
  given.column_separator = ",";
  const auto read = read_job_file(job, given);
  ASSERT_TRUE(read) << read.error().what;
  EXPECT_EQ(read->name, "mine");
  EXPECT_EQ(read->quorum, 3U);
  EXPECT_EQ(read->wish.time_limit, "1m");
  EXPECT_THAT(read->wish.exit_statuses, ElementsAre(0U, 7U));
  EXPECT_EQ(read->wish.column_separator, ",");
  EXPECT_THAT(read->wish.environment, ElementsAre("MODE=fast"));
  ProgramWish whole = read_job_file(job, {})->wish;
  EXPECT_THAT(whole.exit_statuses, ElementsAre(0U, 1U));
  const auto plan = plan_program(whole);
  ASSERT_TRUE(plan) << plan.error().what;
  EXPECT_EQ(plan->spec.files.at(0).path, "data");
  EXPECT_EQ(plan->spec.wall_ms, 300'000U);
  EXPECT_THAT(read_job_file(file("bad.toml", "command = ['a']\ncolour = 'red'\n"), {}).error().what,
              HasSubstr("'colour' is no setting"));
  EXPECT_FALSE(read_job_file(file("none.toml", "name = 'x'\n"), {}));
  EXPECT_THAT(read_job_file(file("text.toml", "command = 'echo {}'\n"), {}).error().what,
              HasSubstr("'command' is to be a list"));
  EXPECT_THAT(read_job_file(file("with.toml", "command = ['a']\ncompare_with = 'sh b.sh'\n"), {})
                  .error()
                  .what,
              HasSubstr("'compare_with' is to be a list"));
  EXPECT_THAT(read_job_file(file("word.toml", "command = 'date'\n"), {})->wish.command,
              ElementsAre("date"));
  EXPECT_FALSE(read_job_file(file("broken.toml", "= 3\n"), {}));
}

// What is empty is a mistake, most likely of the program that wrote the file: one unit instead of
// none, or of a thousand.
TEST_F(ProgramJobTest, AJobFileSaysNothingThatIsEmptyOrOfTheWrongKind) {
  const auto fault_of = [&](const std::string& lines) {
    const auto read = read_job_file(file("odd.toml", "command = ['a']\n" + lines), {});
    return read ? std::string("none") : read.error().what;
  };
  for (const char* name : {"array", "each_line", "from_json", "colsep", "name", "compare", "memory",
                           "time_limit", "output_limit", "results", "keep_for"}) {
    EXPECT_THAT(fault_of(std::string(name) + " = ''\n"),
                HasSubstr("'" + std::string(name) + "' is empty"));
  }
  EXPECT_THAT(fault_of("compare_with = []\n"), HasSubstr("'compare_with' is to be the program"));
  EXPECT_THAT(fault_of("quorum = '2'\n"), HasSubstr("'quorum' is to be a number from 1 to 16"));
  EXPECT_THAT(fault_of("array = 0.5\n"), HasSubstr("'array' is to be text, in quotes"));
  EXPECT_THAT(fault_of("env = ['A=1']\n"), HasSubstr("{ NAME = \"VALUE\" }"));
  EXPECT_THAT(fault_of("array = '1'\narray = '2'\n"), HasSubstr("line 3"));
  EXPECT_EQ(fault_of("input = []\nenv = {}\n"), "none");
  const auto windows = read_job_file(file("bom.toml",
                                          "\xef\xbb\xbf"
                                          "command = ['a', '']\r\narray = '1-3'\r\n"),
                                     {});
  ASSERT_TRUE(windows) << windows.error().what;
  EXPECT_EQ(windows->wish.array, "1-3");
  EXPECT_THAT(windows->wish.command, ElementsAre("a", ""));
}

TEST_F(ProgramJobTest, NamesOfInputsMayHaveEqualsSignsInThem) {
  const std::string input = file("beta=0.5.txt", "x");
  wish_.command = {"sort"};
  const auto name_of = [this](const std::string& text) {
    wish_.inputs = {text};
    return planned().spec.files.at(0).path;
  };
  EXPECT_EQ(name_of(input), "beta=0.5.txt");
  EXPECT_EQ(name_of(input + "=b.txt"), "b.txt");
  EXPECT_EQ(name_of(input + "=b=1.txt"), "b=1.txt");
  const std::string job = file("job.toml", "command = ['sort']\ninput = ['beta=0.5.txt']\n");
  EXPECT_EQ(plan_program(read_job_file(job, {})->wish)->spec.files.at(0).path, "beta=0.5.txt");
}

TEST_F(ProgramJobTest, AFolderKnowsItsResultsByTheirBytes) {
  const Hash256 key = sha256(as_bytes("key"));
  ProgramOutput output;
  output.name = "one";
  output.standard_output = as_bytes("hello\n");
  output.files = {{"d/x", true, as_bytes("bytes")}};
  const Bytes encoded = encode(output);
  {
    auto folder = ResultsFolder::open(place_ / "results");
    ASSERT_TRUE(folder) << folder.error().what;
    EXPECT_FALSE(ResultsFolder::open(place_ / "results")) << "two may not write there at once";
    EXPECT_EQ(folder->put(0, to_hex(key), encoded, UnitUsage{12, 10, 2048, 0, 0}).value_or(""),
              "one");
    EXPECT_EQ(folder->put(6, "another", encoded, std::nullopt).value_or(""), "one-7");
    const UnitError error{FailureReason::kThrew, "exit status 3", 2, "why\n"};
    EXPECT_EQ(folder->put_failure(8, to_hex(sha256(as_bytes("bad"))), "bad", error).value_or(""),
              "bad");
  }
  const auto folder = ResultsFolder::open(place_ / "results");
  ASSERT_TRUE(folder);
  EXPECT_TRUE(folder->holds(key));
  EXPECT_FALSE(folder->failed(key));
  EXPECT_TRUE(folder->failed(sha256(as_bytes("bad"))));
  EXPECT_TRUE(fs::exists(place_ / "results/bad/error.txt"));
  std::ofstream(place_ / "results/one/d/x") << "other";
  EXPECT_FALSE(folder->holds(key));
}

TEST_F(ProgramJobTest, TheFileOfAFailureEndsWithWhatWasWrittenOrSaysThatThereIsNothing) {
  auto folder = ResultsFolder::open(place_ / "results");
  ASSERT_TRUE(folder) << folder.error().what;
  const auto words_of = [&](const std::string& name, const std::string& stderr_end) {
    const UnitError error{FailureReason::kThrew, "exit status 3", 1, stderr_end};
    EXPECT_EQ(folder->put_failure(1, to_hex(sha256(as_bytes(name))), name, error).value_or(""),
              name);
    std::ifstream file(place_ / "results" / name / "error.txt");
    const std::string text(std::istreambuf_iterator<char>(file), {});
    EXPECT_TRUE(text.starts_with("threw: exit status 3\nattempts: 1\n")) << text;
    return text.substr(std::min(text.find("\n\n"), text.size()));
  };
  EXPECT_EQ(words_of("some", "first\n\n  second\n"), "\n\nIt wrote, at last:\nfirst\n\n  second\n");
  EXPECT_EQ(words_of("unended", "first"), "\n\nIt wrote, at last:\nfirst\n");
  EXPECT_EQ(words_of("blank", " \n\n"), "\n\nIt wrote, at last:\n(it wrote nothing)\n");
  EXPECT_EQ(words_of("untold", ""), "") << "a dispute, say, whose workers ended well";
}

TEST(QuantitiesTest, ATimeIsWrittenWithoutAFraction) {
  using std::chrono::hours;
  using std::chrono::seconds;
  EXPECT_EQ(duration_text(hours(24 * 30)), "30d");
  EXPECT_EQ(duration_text(hours(36)), "36h");
  EXPECT_EQ(duration_text(seconds(5400)), "90m");
  EXPECT_EQ(duration_text(seconds(61)), "61s");
  EXPECT_EQ(duration_text(seconds(0)), "0s");
}

TEST(QuantitiesTest, AreReadAsPeopleWriteThem) {
  EXPECT_EQ(parse_duration("90"), std::chrono::seconds(90));
  EXPECT_EQ(parse_duration("1.5m"), std::chrono::seconds(90));
  EXPECT_EQ(parse_duration("2h"), std::chrono::hours(2));
  EXPECT_EQ(parse_bytes("512M"), 512ULL << 20);
  EXPECT_EQ(parse_bytes("1GiB"), 1ULL << 30);
  for (const char* wrong : {"", "x", "0", "-1s", "1y", "nan", "inf", "1 h"}) {
    EXPECT_FALSE(parse_duration(wrong)) << wrong;
  }
  for (const char* wrong : {"", "0", "-1", "1X", "1.5G", "99999999999T"}) {
    EXPECT_FALSE(parse_bytes(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace shoal::cli
