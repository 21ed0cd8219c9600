#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tasks/align/fasta.h"
#include "tasks/align/kernel.h"
#include "tasks/front/front.h"

// shoal-align: Smith-Waterman of sequences from FASTA, all against all or queries against targets.
namespace {

using namespace shoal;

struct Options {
  std::string file;
  std::string query_file;
  bool dna = false;
  bool protein = false;
  std::optional<std::int32_t> gap_open;
  std::optional<std::int32_t> gap_extend;
  std::optional<std::int32_t> match;
  std::optional<std::int32_t> mismatch;
  std::uint32_t shuffles = 100;
  std::uint64_t seed = 1;
  std::uint64_t top = 25;
};

void declare(CLI::App& app, Options& options) {
  app.add_option("FASTA", options.file, "Sequences: all against all, each pair once")->required();
  app.add_option("--query", options.query_file, "Compare the sequences of this file with those")
      ->type_name("FASTA");
  auto* dna = app.add_flag("--dna", options.dna, "DNA; without either: what the letters look like");
  app.add_flag("--protein", options.protein, "Protein, by BLOSUM62")->excludes(dna);
  app.add_option("--gap-open", options.gap_open,
                 "A gap of k residues costs OPEN + k EXTEND [protein 11, DNA 12]")
      ->type_name("OPEN");
  app.add_option("--gap-extend", options.gap_extend, "[protein 1, DNA 4]")->type_name("EXTEND");
  app.add_option("--match", options.match, "DNA: two equal bases [5]")->type_name("SCORE");
  app.add_option("--mismatch", options.mismatch, "DNA: two different bases [-4]")
      ->type_name("SCORE");
  app.add_option("--shuffles", options.shuffles,
                 "Shuffles of each target, for the z-score; 0 for none")
      ->check(CLI::Range(0, 100'000))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Of the shuffles")->capture_default_str();
  app.add_option("--top", options.top, "Print the best N pairs; 0 for all")
      ->type_name("N")
      ->capture_default_str();
}

struct Input {
  std::vector<std::string> names;
  std::vector<std::string> residues;
  std::uint32_t queries = 0;  // the first so many; 0: all against all
  bool dna = false;
};

Input read_input(const Options& options) {
  std::vector<std::string> files;
  if (!options.query_file.empty()) files.push_back(options.query_file);
  files.push_back(options.file);
  std::vector<std::string> texts;
  bool looks_like_dna = true;
  for (const std::string& file : files) {
    auto text = align::read_text(file);
    if (!text) front::usage(text.error());
    looks_like_dna = looks_like_dna && align::guess_alphabet(*text) == align::Alphabet::kDna;
    texts.push_back(std::move(*text));
  }
  Input input;
  input.dna = options.dna || (!options.protein && looks_like_dna);
  const auto alphabet = input.dna ? align::Alphabet::kDna : align::Alphabet::kProtein;
  for (std::size_t i = 0; i < files.size(); ++i) {
    auto sequences = align::parse_fasta(texts[i], files[i], alphabet);
    if (!sequences) front::usage(sequences.error());
    if (files.size() == 2 && i == 0) input.queries = static_cast<std::uint32_t>(sequences->size());
    for (align::Sequence& sequence : *sequences) {
      input.names.push_back(std::move(sequence.name));
      input.residues.push_back(std::move(sequence.residues));
    }
  }
  if (input.residues.size() < 2) {
    front::usage(options.file + ": holds one sequence, and there is nothing to compare it with");
  }
  return input;
}

align::Params params_of(const Options& options, bool dna) {
  align::Params params;
  params.scheme = dna ? align::dna_scheme() : align::protein_scheme();
  if (!dna && (options.match || options.mismatch)) {
    front::usage("--match and --mismatch are for DNA; proteins are scored by BLOSUM62");
  }
  params.scheme.gap_open = options.gap_open.value_or(params.scheme.gap_open);
  params.scheme.gap_extend = options.gap_extend.value_or(params.scheme.gap_extend);
  params.scheme.match = options.match.value_or(params.scheme.match);
  params.scheme.mismatch = options.mismatch.value_or(params.scheme.mismatch);
  if (const auto fault = align::fault_of(params.scheme)) front::usage(*fault);
  params.shuffles = options.shuffles;
  params.seed = options.seed;
  return params;
}

struct Hit {
  std::uint32_t query = 0;
  std::uint32_t target = 0;
  std::int32_t score = 0;
  std::optional<double> z;
};

// The best first; pairs that are equally good in the order of the files, so that the table is the
// same however the results came in.
bool better(const Hit& a, const Hit& b) {
  const auto key = [](const Hit& hit) {
    return std::make_tuple(-hit.z.value_or(-1e300), -hit.score, hit.query, hit.target);
  };
  return key(a) < key(b);
}

// The best `most` of many hits, without keeping all of them.
class Ranking {
 public:
  explicit Ranking(std::uint64_t most) : most_(most) {}
  void add(Hit hit) {
    hits_.push_back(hit);
    if (most_ != 0 && hits_.size() >= 4096 && hits_.size() / 2 >= most_) cut();
  }
  std::vector<Hit> take() {
    cut();
    return std::move(hits_);
  }

 private:
  void cut() {
    std::sort(hits_.begin(), hits_.end(), better);
    if (most_ != 0 && hits_.size() > most_) hits_.resize(most_);
  }
  std::uint64_t most_;
  std::vector<Hit> hits_;
};

front::Table table_of(const std::vector<Hit>& hits, const Input& input,
                      const align::Params& params) {
  front::Table table{"The best alignments",
                     {"query", "target", "score", "z-score", "bits"},
                     {},
                     {false, false, true, true, true}};
  for (const Hit& hit : hits) {
    const auto bits = align::bit_score(hit.score, params.scheme);
    table.rows.push_back({input.names[hit.query], input.names[hit.target],
                          std::to_string(hit.score), hit.z ? front::fixed(*hit.z, 2) : "-",
                          bits ? front::fixed(*bits, 1) : "-"});
  }
  return table;
}

void print_tsv(const front::Table& table) {
  const auto line = [](const std::vector<std::string>& cells) {
    std::string text;
    for (const std::string& cell : cells) text += (text.empty() ? "" : "\t") + cell;
    std::printf("%s\n", text.c_str());
  };
  line(table.columns);
  for (const auto& row : table.rows) line(row);
}

void print_json(const std::vector<Hit>& hits, const Input& input, const align::Params& params,
                nlohmann::json summary) {
  auto pairs = nlohmann::json::array();
  for (const Hit& hit : hits) {
    const auto bits = align::bit_score(hit.score, params.scheme);
    pairs.push_back({{"query", input.names[hit.query]},
                     {"target", input.names[hit.target]},
                     {"score", hit.score},
                     {"z_score", hit.z ? nlohmann::json(*hit.z) : nullptr},
                     {"bits", bits ? nlohmann::json(*bits) : nullptr}});
  }
  summary["pairs"] = std::move(pairs);
  front::print_json(summary);
}

int align_all(Session& session, front::Front& front, const Options& options) {
  const Input input = read_input(options);
  const align::Params params = params_of(options, input.dna);
  const std::vector<align::Tile> tiles = align::tiles_of(
      input.residues, input.queries, params, align::cells_per_tile(input.residues, params));
  std::fprintf(stderr, "align: %zu sequences of %s, %zu units\n", input.residues.size(),
               input.dna ? "DNA" : "protein", tiles.size());

  Ranking ranking(options.top);
  auto job = front.job(session, align::kernel(), params, tiles);
  front.collect<align::Scores>(job, tiles.size(), [&](std::uint64_t unit, align::Scores scores) {
    std::size_t next = 0;
    align::for_each_pair(tiles[unit], [&](std::uint32_t query, std::uint32_t target) {
      if (next >= scores.pairs.size()) {
        throw Error(ErrorCode::kBadOutput, "the unit's output has too few pairs");
      }
      const align::PairScore& pair = scores.pairs[next++];
      ranking.add({query, target, pair.score,
                   align::z_score(pair.score, {pair.shuffled_sum, pair.shuffled_squares},
                                  params.shuffles)});
    });
  });

  const std::vector<Hit> hits = ranking.take();
  const front::Table table = table_of(hits, input, params);
  if (front.json()) {
    print_json(hits, input, params, front.summary());
  } else {
    print_tsv(table);
  }
  return front.finish({table});
}

}  // namespace

// The command line is looked at before shoal::run, so that --help needs no pool. A program whose
// kernel does not ship must call shoal::run first: workers start it too.
int main(int argc, char** argv) {
  Options options;
  front::Front front("align", "Scores local alignments of proteins or DNA (Smith-Waterman).",
                     "shoal-align globins.fa --top 10 --pool @ticket");
  declare(front.app(), options);
  if (const auto code = front.parse(argc, argv)) return *code;
  front.start_clock();
  return run(argc, argv, {align::kernel()},
             [&](Session& session) { return align_all(session, front, options); });
}
