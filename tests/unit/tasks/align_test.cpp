#include "tasks/align/align.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tasks/align/fasta.h"
#include "tasks/align/kernel.h"
#include "tasks/random/random.h"

namespace shoal::align {
namespace {

using Pairs = std::map<std::pair<std::string, std::string>, int>;

constexpr const char* kTutorial = "/usr/share/doc/hmmer/examples/tutorial";

constexpr const char* kHbbHuman =
    "VHLTPEEKSAVTALWGKVNVDEVGGEALGRLLVVYPWTQRFFESFGDLSTPDAVMGNPKVKAHGKKVLGAFSDGLAHLDNLKGTFATLSELHC"
    "DKLHVDPENFRLLGNVLVCVLAHHFGKEFTPPVQAAYQKVVAGVANALAHKYH";
constexpr const char* kMygEscgi =
    "VLSDAEWQLVLNIWAKVEADVAGHGQDILIRLFKGHPETLEKFDKFKHLKTEAEMKASEDLKKHGNTVLTALGGILKKKGHHEAELKPLAQSH"
    "ATKHKIPIKYLEFISDAIIHVLHSRHPGDFGADAQAAMNKALELFRKDIAAKYKELGFQG";

int score(std::string_view a, std::string_view b, const Scheme& scheme) {
  return local_score(a, b, scheme, Matrix(scheme));
}

class Folder {
 public:
  Folder()
      : path_(std::filesystem::temp_directory_path() /
              ("shoal-align-test-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string file(const std::string& name, const std::vector<Sequence>& sequences) const {
    const std::string path = path_ / name;
    std::ofstream out(path);
    for (const Sequence& sequence : sequences) {
      out << '>' << sequence.name << '\n' << sequence.residues << '\n';
    }
    return path;
  }

 private:
  std::filesystem::path path_;
};

// What ssearch36 makes of all pairs: it prints a block for each query, with a line for each target.
Pairs ssearch(const std::string& flags, const std::string& queries, const std::string& targets) {
  const std::string command = "ssearch36 -q -z -1 -d 0 -b 100000 -E 1e9 -C 60 " + flags + " " +
                              queries + " " + targets + " 2>&1";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  std::string text;
  std::array<char, 4096> piece;
  while (const std::size_t size = std::fread(piece.data(), 1, piece.size(), pipe)) {
    text.append(piece.data(), size);
  }
  EXPECT_EQ(::pclose(pipe), 0) << command << '\n' << text;
  Pairs pairs;
  std::istringstream lines(text);
  std::string line, query;
  bool in_table = false;
  while (std::getline(lines, line)) {
    if (const auto mark = line.find(">>>"); mark != std::string::npos) {
      query = line.substr(mark + 3, line.find(' ', mark + 3) - mark - 3);
      in_table = false;
    } else if (line.starts_with("The best scores are:")) {
      in_table = true;
    } else if (line.empty()) {
      in_table = false;
    } else if (in_table) {
      const std::string target = line.substr(0, line.find(' '));
      pairs[{query, target}] = std::atoi(line.substr(line.rfind(' ')).c_str());
    }
  }
  return pairs;
}

bool has_ssearch() { return std::system("command -v ssearch36 >/dev/null 2>&1") == 0; }

void expect_same_scores(const std::vector<Sequence>& sequences, const Scheme& scheme,
                        const Pairs& theirs) {
  ASSERT_EQ(theirs.size(), sequences.size() * sequences.size());
  const Matrix matrix(scheme);
  for (const Sequence& query : sequences) {
    for (const Sequence& target : sequences) {
      const auto their = theirs.find({query.name, target.name});
      ASSERT_NE(their, theirs.end()) << query.name << ' ' << target.name;
      EXPECT_EQ(local_score(query.residues, target.residues, scheme, matrix), their->second)
          << query.name << ' ' << target.name;
    }
  }
}

TEST(Align, ScoresKnownPairs) {
  // The worked example that is in every textbook: TGTTACGG, GGTTGACTA, 3 and -3, gaps of 2 a base.
  Scheme linear = dna_scheme();
  linear.match = 3;
  linear.mismatch = -3;
  linear.gap_open = 0;
  linear.gap_extend = 2;
  EXPECT_EQ(score("TGTTACGG", "GGTTGACTA", linear), 13);
  // ssearch36 -s BL62 -f -11 -g -1, and water with -gapopen 12 -gapextend 1.
  EXPECT_EQ(score(kHbbHuman, kMygEscgi, protein_scheme()), 111);
  EXPECT_EQ(score(kHbbHuman, kHbbHuman, protein_scheme()), 775);
  EXPECT_EQ(score("WWWW", "KKKK", protein_scheme()), 0);
}

TEST(Align, ChargesAGapOnceForOpeningAndForEachResidue) {
  const std::string left = "WWWWWWWW", right = "HHHHHHHH";
  const int whole = 8 * 11 + 8 * 8;
  EXPECT_EQ(score(left + right, left + "GG" + right, protein_scheme()), whole - 13);
  EXPECT_EQ(score(left + right, left + "GGG" + right, protein_scheme()), whole - 14);
  EXPECT_EQ(score(left + "GGG" + right, left + right, protein_scheme()), whole - 14);
}

TEST(Align, EqualsSsearchOnAllPairsOfRealGlobins) {
  if (!has_ssearch()) GTEST_SKIP() << "ssearch36 is not installed (Debian: fasta3)";
  const std::string file = std::string(kTutorial) + "/globins45.fa";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is missing (hmmer-examples)";
  const auto sequences = read_fasta(file, Alphabet::kProtein);
  ASSERT_TRUE(sequences) << sequences.error();
  ASSERT_EQ(sequences->size(), 45u);
  expect_same_scores(*sequences, protein_scheme(), ssearch("-p -s BL62 -f -11 -g -1", file, file));
  Scheme cheap = protein_scheme();
  cheap.gap_open = 5;
  cheap.gap_extend = 2;
  expect_same_scores(*sequences, cheap, ssearch("-p -s BL62 -f -5 -g -2", file, file));
}

TEST(Align, EqualsSsearchOnRareLetters) {
  if (!has_ssearch()) GTEST_SKIP() << "ssearch36 is not installed (Debian: fasta3)";
  tasks::Random random(7);
  std::vector<Sequence> sequences;
  for (int i = 0; i < 12; ++i) {
    Sequence sequence{"s" + std::to_string(i), {}};
    for (int k = 0; k < 120; ++k) sequence.residues += static_cast<char>('A' + random.below(26));
    sequences.push_back(std::move(sequence));
  }
  const Folder folder;
  const std::string file = folder.file("rare.fa", sequences);
  expect_same_scores(sequences, protein_scheme(), ssearch("-p -s BL62 -f -11 -g -1", file, file));
}

TEST(Align, EqualsSsearchOnPiecesOfAHumanChromosome) {
  if (!has_ssearch()) GTEST_SKIP() << "ssearch36 is not installed (Debian: fasta3)";
  const std::string file = std::string(kTutorial) + "/dna_target.fa";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is missing (hmmer-examples)";
  const auto chromosome = read_fasta(file, Alphabet::kDna);
  ASSERT_TRUE(chromosome) << chromosome.error();
  std::vector<Sequence> pieces;
  for (std::size_t i = 0; i < 20; ++i) {
    pieces.push_back({"p" + std::to_string(i), (*chromosome)[0].residues.substr(i * 9'000, 700)});
  }
  pieces[3].residues.replace(100, 5, "NNNNN");
  const Folder folder;
  const std::string cut = folder.file("pieces.fa", pieces);
  expect_same_scores(pieces, dna_scheme(), ssearch("-n -3 -f -12 -g -4", cut, cut));
  Scheme other = dna_scheme();
  other.match = 2;
  other.mismatch = -3;
  expect_same_scores(pieces, other, ssearch("-n -3 -r +2/-3 -f -12 -g -4", cut, cut));
}

// The same shuffles, one after the other, by the plain way.
ShuffledScores shuffled_plainly(std::string_view query, std::string_view target,
                                const Scheme& scheme, std::uint32_t count, std::uint64_t seed) {
  tasks::Random random(seed);
  std::string shuffled(target);
  ShuffledScores result;
  for (std::uint32_t i = 0; i < count; ++i) {
    for (std::size_t left = shuffled.size(); left > 1; --left) {
      std::swap(shuffled[left - 1], shuffled[random.below(static_cast<std::uint32_t>(left))]);
    }
    const std::int64_t s = score(query, shuffled, scheme);
    result.sum += s;
    result.squares += s * s;
  }
  return result;
}

TEST(Align, ShufflesInLanesScoreAsOneByOne) {
  tasks::Random random(3);
  for (const std::uint32_t count : {1u, 7u, 8u, 9u, 30u}) {
    for (const bool dna : {false, true}) {
      const Scheme scheme = dna ? dna_scheme() : protein_scheme();
      std::string query, target;
      const std::string letters = dna ? "ACGT" : "ACDEFGHIKLMNPQRSTVWY";
      const auto size = static_cast<std::uint32_t>(letters.size());
      for (std::uint32_t k = 0; k < 5 + 3 * count; ++k) query += letters[random.below(size)];
      for (std::uint32_t k = 0; k < 60; ++k) target += letters[random.below(size)];
      const auto fast = shuffled_scores(query, target, scheme, Matrix(scheme), count, 11);
      const auto plain = shuffled_plainly(query, target, scheme, count, 11);
      EXPECT_EQ(fast.sum, plain.sum);
      EXPECT_EQ(fast.squares, plain.squares);
    }
  }
}

TEST(Align, ScoresThatNeedMoreThanSixteenBitsAreRight) {
  const std::string tryptophan(4'000, 'W');  // shuffles of it are itself
  const Scheme scheme = protein_scheme();
  const auto scores = shuffled_scores(tryptophan, tryptophan, scheme, Matrix(scheme), 2, 1);
  EXPECT_EQ(scores.sum, 2 * 44'000);
}

TEST(Align, ZScoreIsInStandardDeviations) {
  // 10, 12, 14: mean 12, standard deviation 2.
  EXPECT_NEAR(z_score(20, {36, 440}, 3).value(), 4.0, 1e-12);
  EXPECT_FALSE(z_score(20, {36, 432}, 3).has_value());  // 12, 12, 12
  EXPECT_FALSE(z_score(20, {12, 144}, 1).has_value());
}

TEST(Align, ZScoresTellRelativesFromStrangers) {
  const Scheme scheme = protein_scheme();
  const Matrix matrix(scheme);
  const auto z = [&](std::string_view a, std::string_view b) {
    return z_score(local_score(a, b, scheme, matrix), shuffled_scores(a, b, scheme, matrix, 200, 1),
                   200)
        .value();
  };
  EXPECT_GT(z(kHbbHuman, kMygEscgi), 8);
  std::string stranger(kMygEscgi);
  std::sort(stranger.begin(), stranger.end());
  std::string shuffled(kMygEscgi);
  tasks::Random random(5);
  for (std::size_t left = shuffled.size(); left > 1; --left) {
    std::swap(shuffled[left - 1], shuffled[random.below(static_cast<std::uint32_t>(left))]);
  }
  EXPECT_LT(std::abs(z(kHbbHuman, shuffled)), 5);
}

TEST(Align, BitsAreThoseOfBlastWithTheSamePenalties) {
  // BLAST prints 47.0 bits for a raw score of 110 with BLOSUM62, 11 and 1.
  EXPECT_NEAR(bit_score(110, protein_scheme()).value(), 47.0, 0.05);
  EXPECT_FALSE(bit_score(110, dna_scheme()).has_value());
}

TEST(Align, TilesHoldEachPairOnce) {
  tasks::Random random(1);
  std::vector<std::string> sequences;
  for (int i = 0; i < 40; ++i) sequences.emplace_back(1 + random.below(300), 'A');
  Params params;
  for (const std::uint64_t cells : {1ull, 200'000ull, 5'000'000ull, 1'000'000'000'000ull}) {
    for (const std::uint32_t queries : {0u, 1u, 13u}) {
      std::set<std::pair<std::uint32_t, std::uint32_t>> seen;
      for (const Tile& tile : tiles_of(sequences, queries, params, cells)) {
        std::size_t pairs = 0;
        for_each_pair(tile, [&](std::uint32_t query, std::uint32_t target) {
          ++pairs;
          EXPECT_TRUE(seen.emplace(query, target).second) << query << ' ' << target;
          EXPECT_EQ(tile.queries[query - tile.first_query], sequences[query]);
          EXPECT_EQ(tile.targets[target - tile.first_target], sequences[target]);
          EXPECT_TRUE(queries == 0 || (query < queries && target >= queries));
        });
        EXPECT_GT(pairs, 0u);
      }
      EXPECT_EQ(seen.size(), queries == 0 ? 40u * 39 / 2 : queries * (40u - queries));
    }
  }
}

TEST(Align, ResultsDoNotDependOnHowTilesAreCut) {
  std::vector<std::string> sequences;
  for (std::size_t i = 0; i < 6; ++i) sequences.push_back(std::string(kHbbHuman).substr(9 * i, 70));
  Params params;
  params.shuffles = 10;
  const auto all = [&](std::uint64_t cells) {
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::vector<std::int64_t>> scores;
    for (const Tile& tile : tiles_of(sequences, 0, params, cells)) {
      const Scores found = align_tile(params, tile);
      std::size_t next = 0;
      for_each_pair(tile, [&](std::uint32_t query, std::uint32_t target) {
        const PairScore& pair = found.pairs.at(next++);
        scores[{query, target}] = {pair.score, pair.shuffled_sum, pair.shuffled_squares};
      });
      EXPECT_EQ(next, found.pairs.size());
    }
    return scores;
  };
  EXPECT_EQ(all(1), all(1'000'000'000));
}

TEST(Align, KernelRefusesWhatMakesNoSense) {
  const Params params;
  EXPECT_THROW(align_tile(params, Tile{0, 1, {"ACD"}, {"AC-D"}}), std::invalid_argument);
  EXPECT_THROW(align_tile(params, Tile{0, 1, {""}, {"ACD"}}), std::invalid_argument);
  Params wrong;
  wrong.scheme.gap_open = -1;
  EXPECT_THROW(align_tile(wrong, Tile{0, 1, {"ACD"}, {"ACD"}}), std::invalid_argument);
}

TEST(Align, KernelTravels) {
  const KernelEntry entry = kernel();
  EXPECT_EQ(entry.name, "align");
  Params params;
  params.shuffles = 0;
  const Bytes input = encode(Tile{0, 1, {kHbbHuman}, {kMygEscgi}});
  const auto scores = decode<Scores>(entry.call(encode(params), UnitCall{0, ByteView(input)}));
  ASSERT_TRUE(scores);
  ASSERT_EQ(scores->pairs.size(), 1u);
  EXPECT_EQ(scores->pairs[0].score, 111);
}

}  // namespace
}  // namespace shoal::align
