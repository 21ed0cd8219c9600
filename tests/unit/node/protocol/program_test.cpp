// What is said of programs: specs, units, results, placeholders and comparisons.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "node/protocol/image_notes.h"
#include "node/protocol/limits.h"
#include "node/protocol/program_compare.h"
#include "node/protocol/program_output.h"
#include "node/protocol/program_spec.h"
#include "node/protocol/program_template.h"

namespace shoal {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

ProgramSpec sample_spec() {
  ProgramSpec spec;
  spec.arguments = {"dock", "--receptor", "receptor.pdbqt", "{}"};
  spec.files = {{"receptor.pdbqt", 0, false, false}, {"ligands", 1, true, false}};
  spec.outputs = {"{name}.out", "log/*"};
  spec.standard_output = true;
  spec.environment = {{"SEED", "7"}};
  spec.exit_statuses = {0, 4};
  spec.wall_ms = 60'000;
  spec.memory_bytes = 1 << 30;
  spec.output_bytes_max = 1 << 20;
  spec.first = -5;
  spec.step = 3;
  spec.comparison = {true, {"^Date:"}, 1e-6, 1e-9, true, {"./same", "--loosely"}};
  return spec;
}

std::string refusal(const ProgramSpec& spec) {
  const auto decoded = decode_program_spec(encode(spec));
  return decoded ? std::string() : decoded.error().what;
}

TEST(ProgramSpecTest, ComesBackAsItWas) {
  const auto decoded = decode_program_spec(encode(sample_spec()));
  ASSERT_TRUE(decoded) << decoded.error().what;
  EXPECT_EQ(*decoded, sample_spec());
  EXPECT_EQ(encode(*decoded), encode(sample_spec()));
}

TEST(ProgramSpecTest, LetsNoPathOutOfTheFolder) {
  for (const char* path : {"", "/etc/passwd", "../x", "a/../b", "a//b", ".", "a/.", "a/", "a\nb"}) {
    EXPECT_FALSE(is_path_below(path)) << path;
    ProgramSpec spec = sample_spec();
    spec.files[0].path = path;
    EXPECT_THAT(refusal(spec), HasSubstr("program.files.path")) << path;
    spec = sample_spec();
    spec.outputs[0] = path;
    EXPECT_THAT(refusal(spec), HasSubstr("program.outputs")) << path;
  }
  for (const char* path : {"a", "a/b.c", "..a", "a..b/...", "\xc3\xa4"}) {
    EXPECT_TRUE(is_path_below(path)) << path;
  }
}

TEST(ProgramSpecTest, RefusesWhatCannotRun) {
  ProgramSpec spec = sample_spec();
  spec.arguments.clear();
  EXPECT_THAT(refusal(spec), HasSubstr("program.arguments"));
  spec = sample_spec();
  spec.files.push_back({"ligands/one", 0, false, false});
  EXPECT_THAT(refusal(spec), HasSubstr("within another"));
  spec = sample_spec();
  spec.files.push_back(spec.files[0]);
  EXPECT_THAT(refusal(spec), HasSubstr("twice"));
  spec = sample_spec();
  spec.environment = {{"A=B", "c"}};
  EXPECT_THAT(refusal(spec), HasSubstr("program.environment"));
  spec = sample_spec();
  spec.comparison.relative = -1;
  EXPECT_THAT(refusal(spec), HasSubstr("program.comparison"));
  EXPECT_FALSE(decode_program_spec(as_bytes("nonsense")));
}

TEST(ProgramSpecTest, UnitsAreInputsOrNumbers) {
  const ProgramUnit unit{"a line", {{"name", "x"}, {"beta", "0.5"}}, 17};
  EXPECT_EQ(decode_program_unit(encode(unit)).value_or(ProgramUnit{}), unit);
  EXPECT_EQ(numbered_unit(sample_spec(), 4), (ProgramUnit{"7", {}, 4}));
}

TEST(ProgramTemplateTest, FillsPlaceholders) {
  const ProgramUnit line{"data/set one/x.tar.gz", {}, 41};
  const auto filled = [](std::string_view text, const ProgramUnit& unit) {
    return fill_template(text, unit).value_or("refused");
  };
  EXPECT_EQ(filled("{}|{.}|{/}|{//}|{/.}|{#}|{name}", line),
            "data/set one/x.tar.gz|data/set one/x.tar|x.tar.gz|data/set one|x.tar|42|x.tar");
  EXPECT_EQ(filled("awk '{print $1}' { } {2} a{3}", line), "awk '{print $1}' { } {2} a{3}");
  EXPECT_EQ(filled("{{beta}} {{}} {{1}} {", line), "{beta} {} {1} {");
  EXPECT_EQ(fill_template("--beta {beta}", line).error(), "{beta}");
  const ProgramUnit object{"{...}", {{"beta", "0.5"}, {"n", "{}"}}, 0};
  EXPECT_EQ(filled("{beta}{n}", object), "0.5{}") << "what was filled in is not looked at again";
  EXPECT_EQ(filled("{2}-{1}", {"a b", {{"1", "a"}, {"2", "b"}}, 0}), "b-a");
}

TEST(ProgramTemplateTest, NamesUnits) {
  EXPECT_EQ(name_of({"dir/mol 1.pdbqt", {}, 0}), "mol_1");
  EXPECT_EQ(name_of({"3.14", {}, 0}), "3.14");
  EXPECT_EQ(name_of({"a/b.c d", {{"1", "a/b.c"}, {"2", "d"}}, 0}), "b");
  EXPECT_EQ(name_of({"../..", {}, 6}), "_.");
  EXPECT_EQ(name_of({"", {}, 6}), "7");
  EXPECT_EQ(name_of({"{}", {{"name", "-x/y"}}, 6}), "_x_y");
  EXPECT_EQ(name_of({"{}", {{"beta", "1"}}, 6}), "7");
}

TEST(ProgramTemplateTest, PatternsStopAtFolders) {
  EXPECT_TRUE(matches_pattern("*.txt", "a.txt"));
  EXPECT_TRUE(matches_pattern("a*b*c", "aXbbYc"));
  EXPECT_TRUE(matches_pattern("o?t/*", "out/x"));
  EXPECT_TRUE(matches_pattern("*", ""));
  EXPECT_FALSE(matches_pattern("*.txt", "d/a.txt"));
  EXPECT_FALSE(matches_pattern("a?b", "a/b"));
  EXPECT_FALSE(matches_pattern("*.txt", "a.txt.gz"));
  EXPECT_FALSE(matches_pattern("a", "ab"));
}

ProgramOutput sample_output() {
  ProgramOutput output;
  output.name = "unit-1";
  output.exit_status = 4;
  output.standard_output = as_bytes("hello\n");
  output.files = {{"a", false, as_bytes("x 1.0\nDate: now\n")}, {"b/c", true, as_bytes("")}};
  return output;
}

TEST(ProgramOutputTest, HasOneEncoding) {
  const Bytes bytes = encode(sample_output());
  const auto decoded = decode_program_output(bytes);
  ASSERT_TRUE(decoded) << decoded.error().what;
  EXPECT_EQ(encode(*decoded), bytes);
  EXPECT_EQ(decoded->exit_status, 4);
  EXPECT_EQ(as_text(*decoded->standard_output), "hello\n");
  ASSERT_EQ(decoded->files.size(), 2U);
  EXPECT_TRUE(decoded->files[1].executable);
}

TEST(ProgramOutputTest, RefusesEverythingElse) {
  const Bytes bytes = encode(sample_output());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_program_output(ByteView(bytes).first(size))) << size;
  }
  Bytes longer = bytes;
  longer.push_back(0);
  EXPECT_FALSE(decode_program_output(longer));
  const auto refused = [](auto change) {
    ProgramOutput output = sample_output();
    change(output);
    return !decode_program_output(encode(output));
  };
  EXPECT_TRUE(refused([](ProgramOutput& o) { o.files[0].path = "../a"; }));
  EXPECT_TRUE(refused([](ProgramOutput& o) { std::swap(o.files[0], o.files[1]); }));
  EXPECT_TRUE(refused([](ProgramOutput& o) { o.files[0].path = "b"; }));
  EXPECT_TRUE(refused([](ProgramOutput& o) { o.name = ".hidden"; }));
  EXPECT_TRUE(refused([](ProgramOutput& o) { o.name = "a/b"; }));
}

std::string apart(const ProgramComparison& rules, std::string_view a, std::string_view b) {
  ProgramOutput one = sample_output();
  ProgramOutput other = sample_output();
  one.files[0].bytes = as_bytes(a);
  other.files[0].bytes = as_bytes(b);
  const auto comparer = ProgramComparer::make(rules);
  if (!comparer) return comparer.error();
  const bool there = comparer->difference(one, other).has_value();
  EXPECT_EQ(there, comparer->difference(other, one).has_value()) << "it must be symmetric";
  return comparer->difference(one, other).value_or("");
}

TEST(ProgramCompareTest, ComparesBytes) {
  EXPECT_EQ(apart({}, "x\ny\n", "x\ny\n"), "");
  EXPECT_THAT(apart({}, "x\ny 1\n", "x\ny 2\n"),
              AllOf(HasSubstr("'a' differs"), HasSubstr("line 2"), HasSubstr("'y 1' and 'y 2'")));
  EXPECT_NE(apart({}, "x", "x\n"), "");
  EXPECT_NE(apart({}, "", "x"), "");
}

TEST(ProgramCompareTest, ComparesNumbersWithinATolerance) {
  const ProgramComparison close{true, {}, 1e-6, 0};
  EXPECT_EQ(apart(close, "e 1.0000001  2", "e 1.0 2"), "");
  EXPECT_NE(apart(close, "e 1.00001", "e 1.0"), "");
  EXPECT_NE(apart(close, "1e-30", "1e-20"), "") << "what is small is not equal for that";
  EXPECT_EQ(apart({true, {}, 0, 1e-9}, "1e-30", "0"), "");
  EXPECT_NE(apart(close, "nan", "1"), "");
  EXPECT_EQ(apart(close, "nan", "nan"), "");
  EXPECT_NE(apart(close, "1.0 2", "1.0"), "");
  EXPECT_NE(apart(close, "word1", "word2"), "");
  EXPECT_NE(apart(close, "1\n2\n", "1\n"), "");
}

TEST(ProgramCompareTest, LeavesLinesOut) {
  const ProgramComparison rules{true, {"^Date", "seconds$"}, 0, 0};
  EXPECT_EQ(apart(rules, "Date: 1\nx\n3 seconds\n", "x\n"), "");
  EXPECT_THAT(apart(rules, "Date: 1\nx\n", "y\n"), HasSubstr("line 2: 'x' and 'y'"));
  EXPECT_THAT(apart({true, {"("}, 0, 0}, "", ""), HasSubstr("is no pattern"));
  const auto comparer = ProgramComparer::make(rules);
  ASSERT_TRUE(comparer);
  const auto kept = comparer->without_dropped(as_bytes("x\nDate: 1\n3 seconds\n\ny"));
  EXPECT_EQ(as_text(kept.value_or(Bytes{})), "x\n\ny");
  EXPECT_FALSE(comparer->without_dropped(as_bytes("x\ny\n")));
  EXPECT_FALSE(comparer->without_dropped(as_bytes(std::string_view("Date\0\n", 6))));
}

std::string kept_of(std::string_view file) {
  const auto kept = without_image_notes(as_bytes(file));
  return kept ? std::string(as_text(*kept)) : std::string("all of it");
}

TEST(ImageNotesTest, AreLeftOutAndNothingElseIs) {
  const std::string signature = "\x89PNG\r\n\x1a\n";
  const auto chunk = [](const std::string& type, const std::string& data) {
    return std::string(3, '\0') + static_cast<char>(data.size()) + type + data + "csum";
  };
  const std::string head = signature + chunk("IHDR", "size");
  const std::string pixels = chunk("IDAT", "tEXt") + chunk("IEND", "");
  EXPECT_EQ(kept_of(head + chunk("tIME", "now") + chunk("tEXt", "a") + pixels), head + pixels);
  EXPECT_EQ(kept_of(head + pixels), "all of it");
  EXPECT_EQ(kept_of(signature + std::string(3, '\0') + "\xfftEXtcut off"), "all of it");
  EXPECT_EQ(kept_of("P6\n# Date: now\n# x\n2 1\n255\n#abcde"), "P6\n2 1\n255\n#abcde");
  EXPECT_EQ(kept_of("P4 2 1 #x\n"), "all of it") << "pixels are no comment";
  EXPECT_EQ(kept_of("P6\n#"), "all of it");
  EXPECT_EQ(kept_of("P9\n# x\n"), "all of it");
  EXPECT_EQ(kept_of(""), "all of it");
}

TEST(ProgramCompareTest, NamesTheFileThatOneLacks) {
  ProgramOutput less = sample_output();
  less.files.pop_back();
  const auto comparer = ProgramComparer::make({});
  ASSERT_TRUE(comparer);
  EXPECT_THAT(comparer->difference(sample_output(), less).value_or(""), HasSubstr("'b/c'"));
  ProgramOutput other = sample_output();
  other.exit_status = 0;
  EXPECT_THAT(comparer->difference(sample_output(), other).value_or(""), HasSubstr("exit status"));
}

}  // namespace
}  // namespace shoal
