#include "tasks/align/align.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "tasks/random/random.h"

namespace shoal::align {
namespace {

constexpr std::string_view kBlosumLetters = "ARNDCQEGHILKMFPSTWYVBZX";
constexpr signed char kBlosum62[23][23] = {
    {4, -1, -2, -2, 0, -1, -1, 0, -2, -1, -1, -1, -1, -2, -1, 1, 0, -3, -2, 0, -2, -1, 0},
    {-1, 5, 0, -2, -3, 1, 0, -2, 0, -3, -2, 2, -1, -3, -2, -1, -1, -3, -2, -3, -1, 0, -1},
    {-2, 0, 6, 1, -3, 0, 0, 0, 1, -3, -3, 0, -2, -3, -2, 1, 0, -4, -2, -3, 3, 0, -1},
    {-2, -2, 1, 6, -3, 0, 2, -1, -1, -3, -4, -1, -3, -3, -1, 0, -1, -4, -3, -3, 4, 1, -1},
    {0, -3, -3, -3, 9, -3, -4, -3, -3, -1, -1, -3, -1, -2, -3, -1, -1, -2, -2, -1, -3, -3, -2},
    {-1, 1, 0, 0, -3, 5, 2, -2, 0, -3, -2, 1, 0, -3, -1, 0, -1, -2, -1, -2, 0, 3, -1},
    {-1, 0, 0, 2, -4, 2, 5, -2, 0, -3, -3, 1, -2, -3, -1, 0, -1, -3, -2, -2, 1, 4, -1},
    {0, -2, 0, -1, -3, -2, -2, 6, -2, -4, -4, -2, -3, -3, -2, 0, -2, -2, -3, -3, -1, -2, -1},
    {-2, 0, 1, -1, -3, 0, 0, -2, 8, -3, -3, -1, -2, -1, -2, -1, -2, -2, 2, -3, 0, 0, -1},
    {-1, -3, -3, -3, -1, -3, -3, -4, -3, 4, 2, -3, 1, 0, -3, -2, -1, -3, -1, 3, -3, -3, -1},
    {-1, -2, -3, -4, -1, -2, -3, -4, -3, 2, 4, -2, 2, 0, -3, -2, -1, -2, -1, 1, -4, -3, -1},
    {-1, 2, 0, -1, -3, 1, 1, -2, -1, -3, -2, 5, -1, -3, -1, 0, -1, -3, -2, -2, 0, 1, -1},
    {-1, -1, -2, -3, -1, 0, -2, -3, -2, 1, 2, -1, 5, 0, -2, -1, -1, -1, -1, 1, -3, -1, -1},
    {-2, -3, -3, -3, -2, -3, -3, -3, -1, 0, 0, -3, 0, 6, -4, -2, -2, 1, 3, -1, -3, -3, -1},
    {-1, -2, -2, -1, -3, -1, -1, -2, -2, -3, -3, -1, -2, -4, 7, -1, -1, -4, -3, -2, -2, -1, -2},
    {1, -1, 1, 0, -1, 0, 0, 0, -1, -2, -2, 0, -1, -2, -1, 4, 1, -3, -2, -2, 0, 0, 0},
    {0, -1, 0, -1, -1, -1, -1, -2, -2, -1, -1, -1, -1, -2, -1, 1, 5, -2, -2, 0, -1, -1, 0},
    {-3, -3, -4, -4, -2, -2, -3, -2, -2, -3, -2, -3, -1, 1, -4, -3, -2, 11, 2, -3, -4, -3, -2},
    {-2, -2, -2, -3, -2, -1, -2, -3, 2, -1, -1, -2, -1, 3, -3, -2, -2, 2, 7, -1, -3, -2, -1},
    {0, -3, -3, -3, -1, -2, -2, -3, -3, 3, 1, -2, 1, -1, -2, -2, 0, -3, -1, 4, -3, -2, -1},
    {-2, -1, 3, 4, -3, 0, 1, -1, 0, -3, -4, 0, -3, -3, -2, 0, -1, -4, -3, -3, 4, 1, -1},
    {-1, 0, 0, 1, -3, 3, 4, -2, 0, -3, -3, 1, -1, -3, -1, 0, -1, -3, -2, -2, 1, 4, -1},
    {0, -1, -1, -1, -2, -1, -1, -1, -1, -1, -1, -1, -1, -1, -2, 0, 0, -2, -1, -1, -1, -1, -1},
};

bool is_rare(char letter) { return letter == 'J' || letter == 'O' || letter == 'U'; }

int blosum62(char a, char b) {
  if (a != b && is_rare(a) && is_rare(b)) return 0;  // as ssearch36 has it
  if (a == 'J') return std::max(blosum62('I', b), blosum62('L', b));
  if (b == 'J') return blosum62(b, a);
  const auto place = [](char letter) {
    return kBlosumLetters.find(letter == 'U' ? 'C' : letter == 'O' ? 'K' : letter);
  };
  return kBlosum62[place(a)][place(b)];
}

int dna_worth(const Scheme& scheme, char a, char b) {
  constexpr std::string_view bases = "ACGT";
  if (bases.find(a) == bases.npos || bases.find(b) == bases.npos) return -1;
  return a == b ? scheme.match : scheme.mismatch;
}

// Eight alignments at a time, one in each lane. Sixteen bytes are what every 64-bit processor has.
constexpr std::size_t kLanes = 8;
using Lanes = std::int16_t __attribute__((vector_size(2 * kLanes)));

Lanes lanes_of(int value) { return Lanes{} + static_cast<std::int16_t>(value); }
Lanes larger(Lanes a, Lanes b) { return a > b ? a : b; }

Lanes lanes_at(const std::int16_t* from) {
  Lanes lanes;
  std::memcpy(&lanes, from, sizeof lanes);
  return lanes;
}

// Aligns one query with kLanes targets of the same length. What the targets' letters are worth is
// looked up once for each letter that the query has, instead of once for each of its residues.
class LaneAligner {
 public:
  LaneAligner(std::string_view query, std::size_t target_size, const Scheme& scheme,
              const Matrix& matrix)
      : query_(query),
        size_(target_size),
        matrix_(matrix),
        first_(lanes_of(scheme.gap_open + scheme.gap_extend)),
        extend_(lanes_of(scheme.gap_extend)),
        targets_(size_ * kLanes, 'A') {
    for (const char letter : query) {
      auto& worth = worth_[Matrix::index(letter)];
      if (worth.empty()) worth.resize(targets_.size());
    }
    best_.resize(size_);
    gap_.resize(size_);
  }

  // No score may leave 16 bits, and the table must not outgrow the processor's cache by far.
  static bool fits(std::string_view query, std::size_t target_size, const Matrix& matrix) {
    return static_cast<std::uint64_t>(matrix.highest()) * std::min(query.size(), target_size) <
               30'000 &&
           target_size <= 20'000;
  }

  void set_target(std::size_t lane, std::string_view target) {
    char* to = targets_.data() + lane;
    for (const char letter : target) {
      *to = letter;
      to += kLanes;
    }
  }

  Lanes scores() {
    look_up();
    const Lanes nothing = lanes_of(0);
    std::fill(best_.begin(), best_.end(), nothing);
    std::fill(gap_.begin(), gap_.end(), nothing - first_);
    Lanes highest = nothing;
    std::size_t i = 0;
    for (; i + 1 < query_.size(); i += 2) {
      highest = larger(highest, fill_rows(row_of(query_[i]), row_of(query_[i + 1])));
    }
    return i < query_.size() ? larger(highest, fill_rows(row_of(query_[i]))) : highest;
  }

 private:
  // One of the matrix, and what its next cell needs of the one before.
  struct Row {
    const std::int16_t* worth = nullptr;
    Lanes diagonal;
    Lanes across;
  };
  Row row_of(char letter) const {
    return {worth_[Matrix::index(letter)].data(), lanes_of(0), lanes_of(0) - first_};
  }

  void look_up() {
    const char* const targets = targets_.data();
    for (char letter = 'A'; letter <= 'Z'; ++letter) {
      const std::int16_t* const row = matrix_.row(letter);
      auto& worth = worth_[Matrix::index(letter)];
      for (std::size_t k = 0; k < worth.size(); ++k) worth[k] = row[Matrix::index(targets[k])];
    }
  }

  // Rows that follow each other, cell by cell, so that what one leaves to the next need not be
  // stored. The best score in them.
  template <class... Rows>
  Lanes fill_rows(Rows... rows) {
    // Not the members: for all that a compiler knows, what is stored below may lie in them.
    const Lanes nothing = lanes_of(0), first = first_, extend = extend_;
    Lanes* const bests = best_.data();
    Lanes* const gaps = gap_.data();
    const std::size_t size = size_;
    Lanes highest = nothing;
    for (std::size_t j = 0; j < size; ++j) {
      Lanes best = bests[j];
      Lanes gap = gaps[j];
      const auto fill_cell = [&](Row& row) {
        const Lanes here = larger(larger(row.diagonal + lanes_at(row.worth + j * kLanes), nothing),
                                  larger(gap, row.across));
        row.diagonal = best;
        best = here;
        highest = larger(highest, here);
        const Lanes opened = here - first;
        gap = larger(gap - extend, opened);
        row.across = larger(row.across - extend, opened);
      };
      (fill_cell(rows), ...);
      bests[j] = best;
      gaps[j] = gap;
    }
    return highest;
  }

  std::string_view query_;
  std::size_t size_;
  const Matrix& matrix_;
  Lanes first_;  // the cost of a gap's first residue
  Lanes extend_;
  std::vector<char> targets_;                        // residue by residue, in it lane by lane
  std::array<std::vector<std::int16_t>, 26> worth_;  // of the targets, by the query's letter
  std::vector<Lanes> best_;  // the row above: the best alignment that ends at each residue
  std::vector<Lanes> gap_;   // the same, ending in a gap in the target
};

void shuffle(std::string& residues, tasks::Random& random) {
  char* const at = residues.data();
  for (std::size_t left = residues.size(); left > 1; --left) {
    std::swap(at[left - 1], at[random.below(static_cast<std::uint32_t>(left))]);
  }
}

void check_sequences(const std::vector<std::string>& sequences) {
  for (const std::string& residues : sequences) {
    const bool letters = std::all_of(residues.begin(), residues.end(),
                                     [](char letter) { return letter >= 'A' && letter <= 'Z'; });
    if (residues.empty() || !letters) {
      throw std::invalid_argument("a sequence must be one or more letters A to Z");
    }
  }
}

// Neighbours, together of about `residues` residues; at least one sequence.
struct Group {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
};
std::vector<Group> groups_of(const std::vector<std::string>& sequences, std::uint32_t first,
                             std::uint32_t last, double residues) {
  std::vector<Group> groups;
  double filled = 0;
  for (std::uint32_t i = first; i < last; ++i) {
    const auto size = static_cast<double>(sequences[i].size());
    if (groups.empty() || filled + size > residues) {
      groups.push_back({i, i});
      filled = 0;
    }
    groups.back().last = i + 1;
    filled += size;
  }
  return groups;
}

Tile tile_of(const std::vector<std::string>& sequences, const Group& queries,
             const Group& targets) {
  const auto at = [&](std::uint32_t i) { return sequences.begin() + i; };
  return {queries.first,
          targets.first,
          {at(queries.first), at(queries.last)},
          {at(targets.first), at(targets.last)}};
}

}  // namespace

std::optional<std::string> fault_of(const Scheme& scheme) {
  const auto outside = [](std::int32_t value, std::int32_t least, std::int32_t most) {
    return value < least || value > most;
  };
  if (outside(scheme.gap_open, 0, kPenaltyMax)) {
    return "the gap opening penalty must be between 0 and " + std::to_string(kPenaltyMax);
  }
  if (outside(scheme.gap_extend, 0, kPenaltyMax)) {
    return "the gap extension penalty must be between 0 and " + std::to_string(kPenaltyMax);
  }
  if (scheme.dna && outside(scheme.match, 1, kPenaltyMax)) {
    return "a match must be worth between 1 and " + std::to_string(kPenaltyMax);
  }
  if (scheme.dna && outside(scheme.mismatch, -kPenaltyMax, 0)) {
    return "a mismatch must be worth between -" + std::to_string(kPenaltyMax) + " and 0";
  }
  return std::nullopt;
}

Matrix::Matrix(const Scheme& scheme) {
  for (char a = 'A'; a <= 'Z'; ++a) {
    for (char b = 'A'; b <= 'Z'; ++b) {
      const int worth = scheme.dna ? dna_worth(scheme, a, b) : blosum62(a, b);
      worth_[index(a)][index(b)] = static_cast<std::int16_t>(worth);
      highest_ = std::max(highest_, worth);
    }
  }
}

std::int32_t local_score(std::string_view query, std::string_view target, const Scheme& scheme,
                         const Matrix& matrix) {
  const std::int32_t first = scheme.gap_open + scheme.gap_extend;
  std::vector<std::int32_t> best(target.size(), 0);  // of the row above
  std::vector<std::int32_t> gap(target.size(), -first);
  std::int32_t highest = 0;
  for (const char letter : query) {
    std::int32_t diagonal = 0;
    std::int32_t across = -first;
    for (std::size_t j = 0; j < target.size(); ++j) {
      const std::int32_t here =
          std::max({0, diagonal + matrix.of(letter, target[j]), gap[j], across});
      diagonal = best[j];
      best[j] = here;
      highest = std::max(highest, here);
      gap[j] = std::max(gap[j] - scheme.gap_extend, here - first);
      across = std::max(across - scheme.gap_extend, here - first);
    }
  }
  return highest;
}

ShuffledScores shuffled_scores(std::string_view query, std::string_view target,
                               const Scheme& scheme, const Matrix& matrix, std::uint32_t count,
                               std::uint64_t seed) {
  ShuffledScores result;
  const auto add = [&](std::int64_t score) {
    result.sum += score;
    result.squares += score * score;
  };
  tasks::Random random(seed);
  std::string shuffled(target);
  if (!LaneAligner::fits(query, target.size(), matrix)) {
    for (std::uint32_t i = 0; i < count; ++i) {
      shuffle(shuffled, random);
      add(local_score(query, shuffled, scheme, matrix));
    }
    return result;
  }
  LaneAligner aligner(query, target.size(), scheme, matrix);
  for (std::uint32_t done = 0; done < count;) {
    const std::size_t wanted = std::min<std::size_t>(kLanes, count - done);
    for (std::size_t lane = 0; lane < wanted; ++lane) {
      shuffle(shuffled, random);
      aligner.set_target(lane, shuffled);
    }
    const Lanes scores = aligner.scores();
    for (std::size_t lane = 0; lane < wanted; ++lane) add(scores[lane]);
    done += static_cast<std::uint32_t>(wanted);
  }
  return result;
}

std::optional<double> z_score(std::int32_t score, const ShuffledScores& shuffled,
                              std::uint32_t count) {
  if (count < 2) return std::nullopt;
  const double n = count;
  const double mean = static_cast<double>(shuffled.sum) / n;
  const double variance =
      (static_cast<double>(shuffled.squares) - static_cast<double>(shuffled.sum) * mean) / (n - 1);
  if (!(variance > 0)) return std::nullopt;
  return (score - mean) / std::sqrt(variance);
}

std::optional<double> bit_score(std::int32_t score, const Scheme& scheme) {
  if (scheme.dna || scheme.gap_open != 11 || scheme.gap_extend != 1) return std::nullopt;
  constexpr double lambda = 0.267;
  constexpr double k = 0.041;
  return (lambda * score - std::log(k)) / std::log(2.0);
}

Scores align_tile(const Params& params, const Tile& tile) {
  if (const auto fault = fault_of(params.scheme)) throw std::invalid_argument(*fault);
  check_sequences(tile.queries);
  check_sequences(tile.targets);
  const Matrix matrix(params.scheme);
  Scores scores;
  for_each_pair(tile, [&](std::uint32_t query_number, std::uint32_t target_number) {
    const std::string& query = tile.queries[query_number - tile.first_query];
    const std::string& target = tile.targets[target_number - tile.first_target];
    // By the pair, not by the unit: where tiles are cut does not change a result.
    const std::uint64_t pair = (std::uint64_t{query_number} << 32) | target_number;
    const ShuffledScores shuffled =
        shuffled_scores(query, target, params.scheme, matrix, params.shuffles,
                        tasks::Random::seed_of(params.seed, pair));
    scores.pairs.push_back(
        {local_score(query, target, params.scheme, matrix), shuffled.sum, shuffled.squares});
  });
  return scores;
}

std::vector<Tile> tiles_of(const std::vector<std::string>& sequences, std::uint32_t queries,
                           const Params& params, std::uint64_t cells) {
  const auto count = static_cast<std::uint32_t>(sequences.size());
  // A tile of two such groups has the cells asked for.
  const double residues =
      std::sqrt(static_cast<double>(cells) / (1 + static_cast<double>(params.shuffles)));
  std::vector<Tile> tiles;
  if (queries != 0) {
    const std::uint32_t rows = std::min(queries, count);
    const auto targets = groups_of(sequences, rows, count, residues);
    for (const Group& query : groups_of(sequences, 0, rows, residues)) {
      for (const Group& target : targets) tiles.push_back(tile_of(sequences, query, target));
    }
    return tiles;
  }
  const auto groups = groups_of(sequences, 0, count, residues);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    // A sequence alone has no pair with itself.
    const bool alone = groups[i].last - groups[i].first == 1;
    for (std::size_t j = alone ? i + 1 : i; j < groups.size(); ++j) {
      tiles.push_back(tile_of(sequences, groups[i], groups[j]));
    }
  }
  return tiles;
}

std::uint64_t cells_per_tile(const std::vector<std::string>& sequences, const Params& params) {
  constexpr double least = 50e6;
  constexpr double tiles_max = 50e3;
  double residues = 0;
  for (const std::string& sequence : sequences) residues += static_cast<double>(sequence.size());
  const double cells = residues * residues / 2 * (1 + static_cast<double>(params.shuffles));
  return static_cast<std::uint64_t>(std::min(std::max(least, cells / tiles_max), 1e18));
}

}  // namespace shoal::align
