#include "node/protocol/program_compare.h"

#include <regex.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

namespace shoal {
namespace {

// Of a line, as far as patterns look at it and as far as it is shown.
constexpr std::size_t kMatchedBytes = 4096;
constexpr std::size_t kShownBytes = 200;
constexpr std::string_view kBlanks = " \t\r\v\f";

// A stranger wrote it: for people to look at, not for a terminal to obey.
std::string shown(std::string_view line) {
  std::string text;
  for (const char c : line.substr(0, kShownBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    text.push_back(byte < 0x20 || byte >= 0x7f ? '?' : c);
  }
  if (line.size() > kShownBytes) text += "...";
  return "'" + text + "'";
}

std::optional<double> number_in(std::string_view word) {
  if (word.starts_with('+')) word.remove_prefix(1);
  double value = 0;
  const auto [end, fault] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (end != word.data() + word.size()) return std::nullopt;
  // Too small to be told from zero, or too large for any tolerance.
  if (fault == std::errc::result_out_of_range) return std::nullopt;
  if (fault != std::errc()) return std::nullopt;
  return value;
}

// Takes the next line off `text`, counting it.
std::string_view next_line(std::string_view& text, std::size_t& number) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  ++number;
  return line;
}

std::string_view next_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
  const std::size_t end = std::min(line.find_first_of(kBlanks), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(end);
  return word;
}

std::optional<std::string> difference_of_bytes(ByteView a, ByteView b) {
  if (std::equal(a.begin(), a.end(), b.begin(), b.end())) return std::nullopt;
  const auto apart = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  const auto at = static_cast<std::size_t>(apart.first - a.begin());
  const auto line = 1 + std::count(a.begin(), apart.first, std::uint8_t{'\n'});
  const auto line_at = [at](ByteView bytes) {
    const std::string_view text = as_text(bytes);
    const std::size_t before = at == 0 ? std::string_view::npos : text.rfind('\n', at - 1);
    const std::size_t begin = before == std::string_view::npos ? 0 : before + 1;
    return text.substr(begin, std::min(text.find('\n', at), text.size()) - begin);
  };
  return "from byte " + std::to_string(at) + " on, in line " + std::to_string(line) + ": " +
         shown(line_at(a)) + " and " + shown(line_at(b));
}

}  // namespace

struct ProgramComparer::Patterns {
  std::vector<regex_t> compiled;

  Patterns() = default;
  ~Patterns() {
    for (regex_t& each : compiled) ::regfree(&each);
  }
  Patterns(const Patterns&) = delete;
  Patterns& operator=(const Patterns&) = delete;

  bool drop(std::string_view line) const {
    if (compiled.empty()) return false;
    const std::string text(line.substr(0, kMatchedBytes));
    return std::any_of(compiled.begin(), compiled.end(), [&](const regex_t& each) {
      return ::regexec(&each, text.c_str(), 0, nullptr, 0) == 0;
    });
  }
};

Result<ProgramComparer, std::string> ProgramComparer::make(const ProgramComparison& rules) {
  auto patterns = std::make_shared<Patterns>();
  for (const std::string& text : rules.dropped) {
    regex_t compiled{};
    const int fault = ::regcomp(&compiled, text.c_str(), REG_EXTENDED | REG_NOSUB);
    if (fault != 0) {
      char why[256];
      ::regerror(fault, &compiled, why, sizeof why);
      return tl::unexpected("'" + text + "' is no pattern: " + why);
    }
    patterns->compiled.push_back(compiled);
  }
  ProgramComparer comparer;
  comparer.rules_ = rules;
  comparer.patterns_ = std::move(patterns);
  return comparer;
}

bool ProgramComparer::same_word(std::string_view a, std::string_view b) const {
  if (a == b) return true;
  const auto x = number_in(a);
  const auto y = number_in(b);
  if (!x || !y) return false;
  const double apart = std::abs(*x - *y);
  return apart <= rules_.absolute ||
         apart <= rules_.relative * std::max(std::abs(*x), std::abs(*y));
}

bool ProgramComparer::same_line(std::string_view a, std::string_view b) const {
  if (a == b) return true;
  if (rules_.relative == 0 && rules_.absolute == 0) return false;
  while (true) {
    const std::string_view word = next_word(a);
    if (!same_word(word, next_word(b))) return false;
    if (word.empty()) return true;
  }
}

std::optional<std::string> ProgramComparer::difference_of_texts(ByteView a, ByteView b) const {
  std::string_view left = as_text(a);
  std::string_view right = as_text(b);
  std::size_t left_number = 0;
  std::size_t right_number = 0;
  // Nothing at the end of the text.
  const auto next_kept = [&](std::string_view& text,
                             std::size_t& number) -> std::optional<std::string_view> {
    while (!text.empty()) {
      const std::string_view line = next_line(text, number);
      if (!patterns_->drop(line)) return line;
    }
    return std::nullopt;
  };
  while (true) {
    const auto one = next_kept(left, left_number);
    const auto other = next_kept(right, right_number);
    if (!one && !other) return std::nullopt;
    if (one && other && same_line(*one, *other)) continue;
    const auto quote = [](const std::optional<std::string_view>& line) {
      return line ? shown(*line) : std::string("no more lines");
    };
    return "in line " + std::to_string(one ? left_number : right_number) + ": " + quote(one) +
           " and " + quote(other);
  }
}

std::optional<Bytes> ProgramComparer::without_dropped(ByteView text) const {
  if (patterns_->compiled.empty()) return std::nullopt;
  std::string_view left = as_text(text);
  if (left.find('\0') != std::string_view::npos) return std::nullopt;
  Bytes kept;
  kept.reserve(text.size());
  std::size_t number = 0;
  while (!left.empty()) {
    const std::string_view from = left;
    const std::string_view line = next_line(left, number);
    if (patterns_->drop(line)) continue;
    const ByteView whole = as_bytes(from.substr(0, from.size() - left.size()));
    kept.insert(kept.end(), whole.begin(), whole.end());
  }
  if (kept.size() == text.size()) return std::nullopt;
  return kept;
}

std::optional<std::string> ProgramComparer::difference(const ProgramOutput& a,
                                                       const ProgramOutput& b) const {
  if (a.exit_status != b.exit_status) {
    return "the exit status: " + std::to_string(a.exit_status) + " and " +
           std::to_string(b.exit_status);
  }
  const auto compare = [&](const std::string& name, ByteView x,
                           ByteView y) -> std::optional<std::string> {
    auto apart = rules_.text ? difference_of_texts(x, y) : difference_of_bytes(x, y);
    if (apart) return name + " differs " + *apart;
    return std::nullopt;
  };
  if (a.standard_output.has_value() != b.standard_output.has_value()) {
    return "one has what went to stdout, the other has not";
  }
  if (a.standard_output) {
    if (auto apart = compare("stdout", *a.standard_output, *b.standard_output)) return apart;
  }
  for (std::size_t i = 0; i < std::max(a.files.size(), b.files.size()); ++i) {
    const bool here = i < a.files.size();
    if (!here || i >= b.files.size() || a.files[i].path != b.files[i].path) {
      return "not the same files: " + shown(here ? a.files[i].path : b.files[i].path) +
             " is in one of them alone";
    }
    if (a.files[i].executable != b.files[i].executable) {
      return shown(a.files[i].path) + " is a program in one of them alone";
    }
    if (auto apart = compare(shown(a.files[i].path), a.files[i].bytes, b.files[i].bytes)) {
      return apart;
    }
  }
  if (a.name != b.name) return "they are of units with different names";
  return std::nullopt;
}

}  // namespace shoal
