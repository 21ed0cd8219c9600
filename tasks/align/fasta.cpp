#include "tasks/align/fasta.h"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <optional>

namespace shoal::align {
namespace {

using Failure = tl::unexpected<std::string>;

// What files that are not FASTA look like; nothing if this one may be.
std::optional<std::string> other_format(std::string_view text) {
  if (text.starts_with("\x1f\x8b")) {
    return "is compressed with gzip; unpack it first: gunzip -c FILE.gz > FILE";
  }
  if (text.starts_with("# STOCKHOLM")) return "is a Stockholm alignment, not FASTA";
  if (text.starts_with("@")) return "looks like FASTQ, not FASTA";
  if (text.starts_with("LOCUS ")) return "is a GenBank entry, not FASTA";
  if (text.starts_with("ID  ")) return "is a UniProt or EMBL entry, not FASTA";
  return std::nullopt;
}

char upper(char letter) {
  return letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 'a' + 'A') : letter;
}

// The residue that a letter of a file stands for; 0 if it stands for none.
char residue_of(char letter, Alphabet alphabet) {
  const char capital = upper(letter);
  if (alphabet == Alphabet::kProtein) return capital >= 'A' && capital <= 'Z' ? capital : '\0';
  switch (capital) {
    case 'A':
    case 'C':
    case 'G':
    case 'T':
      return capital;
    case 'U':
      return 'T';
    default:
      return capital != '\0' && std::strchr("NRYMWSKDHVBX", capital) != nullptr ? 'N' : '\0';
  }
}

std::string shown(char letter) {
  const auto byte = static_cast<unsigned char>(letter);
  if (byte > 0x20 && byte < 0x7f) return {'\'', letter, '\''};
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "0x%02x", byte);
  return std::string("the byte ") + text.data();
}

class Parser {
 public:
  Parser(const std::string& name, Alphabet alphabet) : name_(name), alphabet_(alphabet) {}

  // An error, or nothing.
  std::optional<std::string> line(std::string_view text) {
    ++line_;
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (text.starts_with('>')) return header(text.substr(1));
    if (text.find_first_not_of(" \t") == std::string_view::npos) return std::nullopt;
    if (sequences_.empty()) {
      return at(line_, "a FASTA file starts with '>' and a name; this line starts with " +
                           shown(text.front()));
    }
    return residues(text);
  }
  std::optional<std::string> end_of_sequence() {
    if (sequences_.empty() || !sequences_.back().residues.empty()) return std::nullopt;
    return at(header_line_, "the sequence '" + sequences_.back().name + "' has no residues");
  }
  std::vector<Sequence> take() { return std::move(sequences_); }

 private:
  std::optional<std::string> header(std::string_view text) {
    if (auto fault = end_of_sequence()) return fault;
    const std::size_t from = text.find_first_not_of(" \t");
    if (from == std::string_view::npos) return at(line_, "the sequence has no name after '>'");
    text.remove_prefix(from);
    std::string name(text.substr(0, text.find_first_of(" \t")));
    const auto [known, fresh] = names_.emplace(name, line_);
    if (!fresh) {
      return at(line_, "the name '" + name + "' was already used in line " +
                           std::to_string(known->second) + "; the table needs distinct names");
    }
    sequences_.push_back({std::move(name), {}});
    header_line_ = line_;
    stopped_ = false;
    return std::nullopt;
  }
  std::optional<std::string> residues(std::string_view text) {
    for (std::size_t column = 0; column < text.size(); ++column) {
      const char letter = text[column];
      if (letter == ' ' || letter == '\t') continue;
      const std::string where = " in column " + std::to_string(column + 1);
      if (stopped_) return at(line_, "a residue after the stop '*'" + where);
      if (letter == '*' && alphabet_ == Alphabet::kProtein) {
        stopped_ = true;
        continue;
      }
      const char residue = residue_of(letter, alphabet_);
      if (residue == '\0') return at(line_, refusal(letter) + where);
      sequences_.back().residues.push_back(residue);
    }
    return std::nullopt;
  }
  std::string refusal(char letter) const {
    if (letter == '-' || letter == '.') {
      return "a gap " + shown(letter) + ": this is an alignment, take the gaps out first";
    }
    return shown(letter) + " is no letter of " +
           (alphabet_ == Alphabet::kProtein ? "a protein" : "DNA");
  }
  std::string at(std::size_t line, const std::string& what) const {
    return name_ + ":" + std::to_string(line) + ": " + what;
  }

  const std::string& name_;
  Alphabet alphabet_;
  std::size_t line_ = 0;
  std::size_t header_line_ = 0;
  bool stopped_ = false;
  std::vector<Sequence> sequences_;
  std::map<std::string, std::size_t> names_;  // and the line that each came in
};

}  // namespace

tl::expected<std::string, std::string> read_text(const std::filesystem::path& path) {
  const auto fault = [&](const char* what) {
    return Failure(path.string() + ": " + what + ": " + std::strerror(errno));
  };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             &std::fclose);
  if (!file) return fault("cannot be opened");
  std::string text;
  std::array<char, 1 << 16> piece;
  while (const std::size_t size = std::fread(piece.data(), 1, piece.size(), file.get())) {
    text.append(piece.data(), size);
  }
  if (std::ferror(file.get()) != 0) return fault("cannot be read");
  return text;
}

tl::expected<std::vector<Sequence>, std::string> parse_fasta(std::string_view text,
                                                             const std::string& name,
                                                             Alphabet alphabet) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // a mark that some editors leave
  if (const auto format = other_format(text)) return Failure(name + ": " + *format);
  Parser parser(name, alphabet);
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (auto fault = parser.line(text.substr(0, end))) return Failure(std::move(*fault));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  if (auto fault = parser.end_of_sequence()) return Failure(std::move(*fault));
  std::vector<Sequence> sequences = parser.take();
  if (sequences.empty()) return Failure(name + ": holds no sequence");
  return sequences;
}

tl::expected<std::vector<Sequence>, std::string> read_fasta(const std::filesystem::path& path,
                                                            Alphabet alphabet) {
  const auto text = read_text(path);
  if (!text) return Failure(text.error());
  return parse_fasta(*text, path.string(), alphabet);
}

Alphabet guess_alphabet(std::string_view fasta) {
  bool in_header = false;
  bool at_start = true;
  for (const char letter : fasta) {
    if (at_start) in_header = letter == '>';
    at_start = letter == '\n';
    if (in_header || letter == '\r' || letter == '\n' || letter == ' ' || letter == '\t') continue;
    const char capital = upper(letter);
    if (capital == '\0' || std::strchr("ACGTUN", capital) == nullptr) return Alphabet::kProtein;
  }
  return Alphabet::kDna;
}

}  // namespace shoal::align
