#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/fields.h"

// Local alignment of sequences by Smith and Waterman (1981), with the affine gaps of Gotoh (1982).
namespace shoal::align {

// What matches and gaps are worth. A gap of k residues costs gap_open + k * gap_extend, as in
// ssearch36 (-f -11 -g -1) and BLAST. EMBOSS water counts the first residue into the opening: its
// -gapopen is gap_open + gap_extend here.
struct Scheme {
  bool dna = false;
  // For DNA only: two equal bases, two different ones. N is worth -1 beside anything, as in
  // ssearch36.
  std::int32_t match = 5;
  std::int32_t mismatch = -4;
  std::int32_t gap_open = 11;
  std::int32_t gap_extend = 1;
  SHOAL_FIELDS(dna, match, mismatch, gap_open, gap_extend)
};
inline constexpr std::int32_t kPenaltyMax = 1000;

// BLOSUM62 as ssearch36 has it: U counts as C, O as K, J as the better of I and L.
inline Scheme protein_scheme() { return {}; }
inline Scheme dna_scheme() { return {true, 5, -4, 12, 4}; }

// What is wrong with a scheme; nothing if it can be used.
std::optional<std::string> fault_of(const Scheme& scheme);

// The worth of each pair of letters 'A' to 'Z'.
class Matrix {
 public:
  explicit Matrix(const Scheme& scheme);
  int of(char a, char b) const { return worth_[index(a)][index(b)]; }
  // By the second letter's index.
  const std::int16_t* row(char a) const { return worth_[index(a)].data(); }
  int highest() const { return highest_; }
  static std::size_t index(char letter) { return static_cast<std::size_t>(letter - 'A'); }

 private:
  std::array<std::array<std::int16_t, 26>, 26> worth_{};
  int highest_ = 0;
};

// The score of the best local alignment; 0 if no pair of residues is worth anything.
std::int32_t local_score(std::string_view query, std::string_view target, const Scheme& scheme,
                         const Matrix& matrix);

// The scores of `query` against `count` shuffles of `target`, as sums: exact on every machine.
struct ShuffledScores {
  std::int64_t sum = 0;
  std::int64_t squares = 0;
};
ShuffledScores shuffled_scores(std::string_view query, std::string_view target,
                               const Scheme& scheme, const Matrix& matrix, std::uint32_t count,
                               std::uint64_t seed);

// How many standard deviations of the shuffles a score lies above their mean. Nothing for fewer
// than two shuffles, or if all of them scored the same.
std::optional<double> z_score(std::int32_t score, const ShuffledScores& shuffled,
                              std::uint32_t count);

// The score in bits, by the statistics of Karlin and Altschul: nothing for schemes whose constants
// are not known here. They are known for BLOSUM62 with gaps of 11 + k.
std::optional<double> bit_score(std::int32_t score, const Scheme& scheme);

struct Params {
  Scheme scheme;
  std::uint32_t shuffles = 100;
  std::uint64_t seed = 1;
  SHOAL_FIELDS(scheme, shuffles, seed)
};

// The work of one unit: some sequences against some others. It carries the residues with it, since
// parameters travel with every unit and are to be small. Sequences are numbered through all of a
// job; a pair is computed if its target has the higher number, so that each is computed once.
struct Tile {
  std::uint32_t first_query = 0;
  std::uint32_t first_target = 0;
  std::vector<std::string> queries;
  std::vector<std::string> targets;
  SHOAL_FIELDS(first_query, first_target, queries, targets)
};

struct PairScore {
  std::int32_t score = 0;
  std::int64_t shuffled_sum = 0;
  std::int64_t shuffled_squares = 0;
  SHOAL_FIELDS(score, shuffled_sum, shuffled_squares)
};

struct Scores {
  std::vector<PairScore> pairs;  // those of the tile, query by query
  SHOAL_FIELDS(pairs)
};

// Throws std::invalid_argument if the parameters or the tile make no sense.
Scores align_tile(const Params& params, const Tile& tile);

// Calls see(query, target), numbers of the job's sequences, for each pair of a tile, in the order
// of Scores::pairs.
template <class See>
void for_each_pair(const Tile& tile, const See& see) {
  for (std::uint32_t i = 0; i < tile.queries.size(); ++i) {
    for (std::uint32_t j = 0; j < tile.targets.size(); ++j) {
      const std::uint32_t query = tile.first_query + i;
      const std::uint32_t target = tile.first_target + j;
      if (query < target) see(query, target);
    }
  }
}

// Cuts the pairs of sequences into tiles of at most about `cells` cells of the alignment matrix,
// all shuffles counted; a tile has at least one pair. With `queries` the first so many sequences
// are compared with the others; with 0, all are compared with all.
std::vector<Tile> tiles_of(const std::vector<std::string>& sequences, std::uint32_t queries,
                           const Params& params, std::uint64_t cells);

// Some 20 ms of a core; more where there would be too many tiles to keep in memory.
std::uint64_t cells_per_tile(const std::vector<std::string>& sequences, const Params& params);

}  // namespace shoal::align
