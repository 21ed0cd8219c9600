#include "tests/unit/tidy/scan.h"

#include <algorithm>
#include <cctype>
#include <cstddef>

namespace shoal::tidy {
namespace {

bool word_char(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// Blanks [from, to) except for line ends.
void blank(std::string& out, std::size_t from, std::size_t to) {
  for (std::size_t i = from; i < to && i < out.size(); ++i) {
    if (out[i] != '\n') out[i] = ' ';
  }
}

// Past the closing quote of the literal whose opening quote stands at `at`.
std::size_t end_of_literal(std::string_view text, std::size_t at) {
  const char quote = text[at];
  for (std::size_t i = at + 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == quote || text[i] == '\n') {
      return i + 1;
    }
  }
  return text.size();
}

// Past the raw string whose opening quote stands at `at`, after an R.
std::size_t end_of_raw_string(std::string_view text, std::size_t at) {
  const std::size_t open = text.find('(', at);
  if (open == std::string_view::npos) return text.size();
  const std::string close = ")" + std::string(text.substr(at + 1, open - at - 1)) + "\"";
  const std::size_t end = text.find(close, open);
  return end == std::string_view::npos ? text.size() : end + close.size();
}

}  // namespace

bool is_identifier(std::string_view token) {
  return !token.empty() && word_char(token[0]) &&
         std::isdigit(static_cast<unsigned char>(token[0])) == 0;
}

std::string code_only(std::string_view text) {
  std::string out(text);
  std::size_t i = 0;
  while (i < text.size()) {
    const char c = text[i];
    const std::string_view two = text.substr(i, 2);
    std::size_t end = i + 1;
    if (two == "//") {
      end = std::min(text.find('\n', i), text.size());
      blank(out, i, end);
    } else if (two == "/*") {
      const std::size_t close = text.find("*/", i + 2);
      end = close == std::string_view::npos ? text.size() : close + 2;
      blank(out, i, end);
    } else if (c == '"') {
      const bool raw = i > 0 && text[i - 1] == 'R';
      end = raw ? end_of_raw_string(text, i) : end_of_literal(text, i);
      blank(out, i + 1, end - 1);
    } else if (c == '\'' && (i == 0 || !word_char(text[i - 1]))) {  // else it parts digits
      end = end_of_literal(text, i);
      blank(out, i + 1, end - 1);
    }
    i = end;
  }
  return out;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

std::vector<Include> includes_of(std::string_view text) {
  const std::string code = code_only(text);
  const std::vector<std::string_view> blanked = lines_of(code);
  const std::vector<std::string_view> written = lines_of(text);
  std::vector<Include> includes;
  for (std::size_t n = 0; n < blanked.size(); ++n) {
    const std::size_t hash = blanked[n].find_first_not_of(" \t");
    if (hash == std::string_view::npos || blanked[n][hash] != '#') continue;
    const std::size_t word = blanked[n].find_first_not_of(" \t", hash + 1);
    if (word == std::string_view::npos || !blanked[n].substr(word).starts_with("include")) continue;
    const std::size_t open = written[n].find_first_of("<\"", word);
    if (open == std::string_view::npos) continue;
    const bool quoted = written[n][open] == '"';
    const std::size_t close = written[n].find(quoted ? '"' : '>', open + 1);
    if (close == std::string_view::npos) continue;
    includes.push_back({.target = std::string(written[n].substr(open + 1, close - open - 1)),
                        .quoted = quoted,
                        .line = static_cast<int>(n) + 1});
  }
  return includes;
}

std::vector<Token> tokens_of(std::string_view code) {
  std::vector<Token> tokens;
  int line = 0;
  for (const std::string_view text : lines_of(code)) {
    ++line;
    const std::size_t first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos || text[first] == '#') continue;
    std::size_t i = first;
    while (i < text.size()) {
      std::size_t end = i + 1;
      if (word_char(text[i])) {
        while (end < text.size() && word_char(text[end])) ++end;
      } else if (text.substr(i, 2) == "::" || text.substr(i, 2) == "->") {
        end = i + 2;
      } else if (text[i] == ' ' || text[i] == '\t') {
        i = end;
        continue;
      }
      tokens.push_back({.text = text.substr(i, end - i), .line = line});
      i = end;
    }
  }
  return tokens;
}

}  // namespace shoal::tidy
