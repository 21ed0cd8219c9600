#include "tasks/align/fasta.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace shoal::align {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

std::string fault(std::string_view text, Alphabet alphabet = Alphabet::kProtein) {
  const auto result = parse_fasta(text, "x.fa", alphabet);
  return result ? "no fault" : result.error();
}

TEST(Fasta, ReadsNamesAndJoinsLines) {
  const auto result = parse_fasta(">a first one\nMKV\nLAE\n\n>b\nWW\n", "x.fa", Alphabet::kProtein);
  ASSERT_TRUE(result) << result.error();
  ASSERT_EQ(result->size(), 2u);
  EXPECT_EQ((*result)[0].name, "a");
  EXPECT_EQ((*result)[0].residues, "MKVLAE");
  EXPECT_EQ((*result)[1].name, "b");
  EXPECT_EQ((*result)[1].residues, "WW");
}

TEST(Fasta, TakesCarriageReturnsLowerCaseBlanksAndAMissingLastNewline) {
  const auto result = parse_fasta("\xef\xbb\xbf> a\r\nmkv lae\r\n", "x.fa", Alphabet::kProtein);
  ASSERT_TRUE(result) << result.error();
  EXPECT_EQ((*result)[0].name, "a");
  EXPECT_EQ((*result)[0].residues, "MKVLAE");
  const auto unended = parse_fasta(">a\nMK", "x.fa", Alphabet::kProtein);
  ASSERT_TRUE(unended) << unended.error();
  EXPECT_EQ((*unended)[0].residues, "MK");
}

TEST(Fasta, DropsAStopAtTheEndAndRefusesOneInside) {
  const auto result = parse_fasta(">a\nMKV*\n>b\nWW\n", "x.fa", Alphabet::kProtein);
  ASSERT_TRUE(result) << result.error();
  EXPECT_EQ((*result)[0].residues, "MKV");
  EXPECT_THAT(fault(">a\nMK*V\n"), AllOf(StartsWith("x.fa:2:"), HasSubstr("column 4")));
}

TEST(Fasta, ReadsUAsTAndAmbiguousBasesAsN) {
  const auto result = parse_fasta(">a\nACGUryn\n", "x.fa", Alphabet::kDna);
  ASSERT_TRUE(result) << result.error();
  EXPECT_EQ((*result)[0].residues, "ACGTNNN");
}

TEST(Fasta, NamesTheLineOfEachFault) {
  EXPECT_THAT(fault("MKV\n"), AllOf(StartsWith("x.fa:1:"), HasSubstr("starts with '>'")));
  EXPECT_THAT(fault(">a\nMK\n>\nMK\n"), AllOf(StartsWith("x.fa:3:"), HasSubstr("no name")));
  EXPECT_THAT(fault(">a\n>b\nMK\n"), AllOf(StartsWith("x.fa:1:"), HasSubstr("'a'")));
  EXPECT_THAT(fault(">a\nMK\n>b\n"), AllOf(StartsWith("x.fa:3:"), HasSubstr("no residues")));
  EXPECT_THAT(fault(">a\nMK\n>a\nMK\n"), AllOf(StartsWith("x.fa:3:"), HasSubstr("line 1")));
  EXPECT_THAT(fault(">a\nMK1\n"),
              AllOf(StartsWith("x.fa:2:"), HasSubstr("'1'"), HasSubstr("column 3")));
  EXPECT_THAT(fault(">a\nMK-V\n"), AllOf(StartsWith("x.fa:2:"), HasSubstr("gap")));
  EXPECT_THAT(fault(std::string_view(">a\nM\0V\n", 7)), HasSubstr("0x00"));
  EXPECT_THAT(fault(">a\nACGTE\n", Alphabet::kDna), HasSubstr("'E' is no letter of DNA"));
  EXPECT_THAT(fault(""), HasSubstr("holds no sequence"));
  EXPECT_THAT(fault("\n\n"), HasSubstr("holds no sequence"));
}

TEST(Fasta, SaysWhatAFileIsThatIsNotFasta) {
  EXPECT_THAT(fault("\x1f\x8b\x08"), HasSubstr("gunzip"));
  EXPECT_THAT(fault("# STOCKHOLM 1.0\n"), HasSubstr("Stockholm"));
  EXPECT_THAT(fault("@read1\nACGT\n+\n!!!!\n"), HasSubstr("FASTQ"));
  EXPECT_THAT(fault("ID   7LESS_DROME  Reviewed;\n"), HasSubstr("UniProt"));
}

TEST(Fasta, SaysWhyAFileCannotBeRead) {
  const auto missing = read_fasta("/nonexistent/x.fa", Alphabet::kProtein);
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error(), AllOf(HasSubstr("/nonexistent/x.fa"), HasSubstr("No such file")));
  const auto folder = read_fasta("/", Alphabet::kProtein);
  ASSERT_FALSE(folder);
  EXPECT_THAT(folder.error(), HasSubstr("directory"));
}

TEST(Fasta, ReadsAFile) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("shoal-fasta-test-" + std::to_string(::getpid()) + ".fa");
  std::ofstream(path) << ">a\nMKV\n";
  const auto result = read_fasta(path, Alphabet::kProtein);
  std::filesystem::remove(path);
  ASSERT_TRUE(result) << result.error();
  EXPECT_EQ((*result)[0].residues, "MKV");
}

TEST(Fasta, GuessesTheAlphabetFromTheResiduesAlone) {
  EXPECT_EQ(guess_alphabet(">protein EFIL\nacgtnACGU\n"), Alphabet::kDna);
  EXPECT_EQ(guess_alphabet(">dna\nACGTE\n"), Alphabet::kProtein);
}

}  // namespace
}  // namespace shoal::align
