#include "node/protocol/program_template.h"

#include <algorithm>
#include <array>
#include <optional>

namespace shoal {
namespace {

constexpr std::size_t kNameBytes = 100;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view without_folders(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string_view without_extension(std::string_view path) {
  const std::size_t dot = path.rfind('.');
  const std::size_t slash = path.rfind('/');
  const std::size_t name = slash == std::string_view::npos ? 0 : slash + 1;
  return dot == std::string_view::npos || dot <= name ? path : path.substr(0, dot);
}

std::string_view folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

const std::string* field_of(const ProgramUnit& unit, std::string_view name) {
  for (const auto& [field, value] : unit.fields) {
    if (field == name) return &value;
  }
  return nullptr;
}

bool is_sign(std::string_view word) {
  constexpr std::array<std::string_view, 6> kSigns{"", "#", ".", "/", "//", "/."};
  return std::find(kSigns.begin(), kSigns.end(), word) != kSigns.end();
}
bool is_field_name(std::string_view word) {
  return !word.empty() && (is_letter(word[0]) || word[0] == '_') &&
         std::all_of(word.begin(), word.end(),
                     [](char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '-'; });
}
bool is_column(std::string_view word) {
  return !word.empty() && std::all_of(word.begin(), word.end(), is_digit);
}

std::optional<std::string> value_of(std::string_view word, const ProgramUnit& unit) {
  if (word.empty()) return unit.entry;
  if (word == "#") return std::to_string(unit.number + 1);
  if (word == ".") return std::string(without_extension(unit.entry));
  if (word == "/") return std::string(without_folders(unit.entry));
  if (word == "/.") return std::string(without_extension(without_folders(unit.entry)));
  if (word == "//") return std::string(folder_of(unit.entry));
  if (const std::string* field = field_of(unit, word)) return *field;
  if (word == "name") return name_of(unit);
  return std::nullopt;
}

}  // namespace

Result<std::string, std::string> fill_template(std::string_view text, const ProgramUnit& unit) {
  std::string filled;
  while (true) {
    const std::size_t open = std::min(text.find('{'), text.size());
    filled.append(text.substr(0, open));
    text.remove_prefix(open);
    if (text.empty()) return filled;
    const bool doubled = text.starts_with("{{");
    const std::string_view inside = text.substr(doubled ? 2 : 1);
    const std::size_t close = inside.find_first_of("{}");
    const std::string_view word = inside.substr(0, close == std::string_view::npos ? 0 : close);
    const bool closed =
        close != std::string_view::npos && inside.substr(close).starts_with(doubled ? "}}" : "}");
    const bool placeholder =
        closed && (is_sign(word) || is_field_name(word) ||
                   (is_column(word) && (doubled || field_of(unit, word) != nullptr)));
    if (!placeholder) {
      filled.push_back('{');
      text.remove_prefix(1);
      continue;
    }
    text = inside.substr(close + (doubled ? 2 : 1));
    if (doubled) {
      filled.append("{").append(word).append("}");
      continue;
    }
    auto value = value_of(word, unit);
    if (!value) return tl::unexpected("{" + std::string(word) + "}");
    filled.append(*value);
  }
}

std::string name_of(const ProgramUnit& unit) {
  std::string_view from;
  if (const std::string* field = field_of(unit, "name")) {
    from = *field;
  } else if (const std::string* column = field_of(unit, "1");
             column != nullptr || unit.fields.empty()) {
    from = without_folders(column != nullptr ? *column : unit.entry);
    const std::string_view bare = without_extension(from);
    // The end of "3.14" is no extension.
    if (bare.size() + 1 < from.size() && is_letter(from[bare.size() + 1])) from = bare;
  }
  std::string name;
  for (const char c : from.substr(0, kNameBytes)) {
    name.push_back(is_letter(c) || is_digit(c) || c == '.' || c == '_' || c == '-' ? c : '_');
  }
  // Neither a hidden file nor an option.
  if (!name.empty() && (name.front() == '.' || name.front() == '-')) name.front() = '_';
  return name.empty() ? std::to_string(unit.number + 1) : name;
}

bool matches_pattern(std::string_view pattern, std::string_view path) {
  // The last star, and how much it stood for: one place to come back to is enough.
  std::size_t p = 0;
  std::size_t t = 0;
  std::optional<std::pair<std::size_t, std::size_t>> star;
  while (t < path.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = {++p, t};
    } else if (p < pattern.size() &&
               (pattern[p] == path[t] || (pattern[p] == '?' && path[t] != '/'))) {
      ++p;
      ++t;
    } else if (star && path[star->second] != '/') {
      t = ++star->second;
      p = star->first;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace shoal
