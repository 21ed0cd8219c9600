#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <tuple>

#include "node/protocol/limits.h"
#include "sdk/cli/program_wish.h"
#include "sdk/cli/quantities.h"

namespace shoal::cli {
namespace {

using nlohmann::json;
using Units = std::vector<ProgramUnit>;

// Listed units are held in memory here, and their inputs on the stewards' disks.
constexpr std::size_t kUnitsListed = 50'000'000;
// A page of a module's; no process does with so little.
constexpr std::uint64_t kMemoryLeast = 64 * 1024;

Result<std::string, Failure> read_all(const std::string& file) {
  std::ifstream opened;
  if (file != "-") opened.open(file, std::ios::binary);
  std::istream& from = file == "-" ? std::cin : opened;
  std::ostringstream text;
  if (from) text << from.rdbuf();
  if (!from || from.bad()) {
    return fail(kUsage, file + " cannot be read (" + std::strerror(errno) +
                            "). Name a file, or - for stdin.");
  }
  return text.str();
}

std::optional<std::int64_t> number_in(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

// One part of "1-100:2,200".
Result<void, std::string> add_run(std::string_view part, Units& units) {
  const std::size_t colon = part.find(':');
  const auto step = colon == std::string_view::npos ? std::optional(std::int64_t{1})
                                                    : number_in(part.substr(colon + 1));
  part = part.substr(0, colon);
  const std::size_t dash = part.find('-');
  const auto first = number_in(part.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : number_in(part.substr(dash + 1));
  if (!first || !last || !step || *step == 0 || *last < *first) {
    return tl::unexpected(std::string("write FIRST-LAST, FIRST-LAST:STEP, or several with commas"));
  }
  for (std::int64_t value = *first; value <= *last; value += *step) {
    if (units.size() >= kUnitsListed)
      return tl::unexpected(std::string("these are too many units"));
    units.push_back({std::to_string(value), {}, units.size()});
    if (*last - value < *step) break;
  }
  return {};
}

Result<Units, Failure> from_array(std::string_view text) {
  Units units;
  const std::string all(text);
  while (true) {
    const std::size_t comma = std::min(text.find(','), text.size());
    if (auto added = add_run(text.substr(0, comma), units); !added) {
      return fail(kUsage, "--array " + all + ": " + added.error() + ".");
    }
    if (comma == text.size()) return units;
    text.remove_prefix(comma + 1);
  }
}

ProgramUnit unit_of_line(std::string_view line, const std::string& separator,
                         std::uint64_t number) {
  ProgramUnit unit{std::string(line), {}, number};
  if (separator.empty()) return unit;
  for (std::size_t column = 1;; ++column) {
    const std::size_t end = std::min(line.find(separator), line.size());
    unit.fields.emplace_back(std::to_string(column), line.substr(0, end));
    if (end == line.size()) return unit;
    line.remove_prefix(end + separator.size());
  }
}

Result<Units, Failure> from_lines(const ProgramWish& wish) {
  const auto text = read_all(wish.lines_file);
  if (!text) return tl::unexpected(text.error());
  std::string separator = wish.column_separator;
  if (separator == "\\t") separator = "\t";
  Units units;
  // Editors of Windows begin files with a mark of UTF-8, which nobody sees; it is no part of a
  // line.
  std::istringstream lines(text->starts_with("\xEF\xBB\xBF") ? text->substr(3) : *text);
  std::string line;
  while (std::getline(lines, line)) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) units.push_back(unit_of_line(line, separator, units.size()));
  }
  return units;
}

std::string text_of(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

ProgramUnit unit_of_json(const json& value, std::uint64_t number) {
  ProgramUnit unit{text_of(value), {}, number};
  if (value.is_object()) {
    for (const auto& [name, field] : value.items()) unit.fields.emplace_back(name, text_of(field));
  }
  return unit;
}

// A list, or one value a line.
Result<Units, Failure> from_json(const std::string& file) {
  const auto text = read_all(file);
  if (!text) return tl::unexpected(text.error());
  Units units;
  const json whole = json::parse(*text, nullptr, false);
  if (whole.is_array()) {
    for (const json& value : whole) units.push_back(unit_of_json(value, units.size()));
    return units;
  }
  std::istringstream lines(*text);
  std::string line;
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const json value = json::parse(line, nullptr, false);
    if (value.is_discarded()) {
      return fail(kUsage, file + " is neither a JSON list nor one JSON value a line: line " +
                              std::to_string(number) + " does not parse.");
    }
    units.push_back(unit_of_json(value, units.size()));
  }
  return units;
}

}  // namespace

bool ProgramWish::any() const {
  return !array.empty() || !json_file.empty() || !column_separator.empty() || !inputs.empty() ||
         !ships.empty() || !outputs.empty() || standard_output || !needs.empty() ||
         !environment.empty() || !exit_statuses.empty() || compare != "bytes" ||
         !compare_with.empty() || !dropped.empty() || !results_folder.empty() || resume ||
         retry_failed;
}

Result<UnitLimits, Failure> limits_of(const ProgramWish& wish) {
  UnitLimits limit;
  if (!wish.time_limit.empty()) {
    const auto time = parse_duration(wish.time_limit);
    if (!time || time->count() <= 0) {
      return fail(kUsage,
                  "--time-limit " + wish.time_limit + " is no time. Write 90, 90s, 10m, 2h or 1d.");
    }
    limit.wall_ms = static_cast<std::uint64_t>(time->count());
  }
  for (const auto& [flag, text, to] :
       {std::tuple("--memory", &wish.memory, &limit.memory_bytes),
        std::tuple("--output-limit", &wish.output_limit, &limit.output_bytes)}) {
    if (text->empty()) continue;
    *to = parse_bytes(*text);
    if (!*to)
      return fail(kUsage, std::string(flag) + " " + *text + " is no size. Write 512M or 2G.");
  }
  // Who writes 512 means megabytes, as with other programs of this kind.
  if (limit.memory_bytes && *limit.memory_bytes < kMemoryLeast) {
    return fail(kUsage, "--memory " + wish.memory + " is " + std::to_string(*limit.memory_bytes) +
                            " bytes, in which no program starts. Write 512M or 2G.");
  }
  if (limit.output_bytes.value_or(0) > limits::kOutputBytes) {
    return fail(kUsage, "A unit's output may have " + std::to_string(limits::kOutputBytes >> 20) +
                            " MiB at most.");
  }
  return limit;
}

Result<Units, Failure> units_of(const ProgramWish& wish) {
  const int sources = (wish.array.empty() ? 0 : 1) + (wish.lines_file.empty() ? 0 : 1) +
                      (wish.json_file.empty() ? 0 : 1);
  if (sources > 1) {
    return fail(kUsage, "Say what the units are in one way: --array, --each-line or --from-json.");
  }
  if (!wish.column_separator.empty() && wish.lines_file.empty()) {
    return fail(kUsage, "--colsep splits the lines of --each-line FILE; there is none.");
  }
  auto units = !wish.array.empty()        ? from_array(wish.array)
               : !wish.lines_file.empty() ? from_lines(wish)
               : !wish.json_file.empty()  ? from_json(wish.json_file)
                                          : Result<Units, Failure>(Units{{"1", {}, 0}});
  if (!units) return units;
  if (units->empty()) {
    return fail(kUsage, std::string("There are no units: the file has no ") +
                            (wish.json_file.empty() ? "line." : "value."));
  }
  if (units->size() > kUnitsListed) {
    return fail(kUsage, "These are too many units for one job. Make several jobs of them.");
  }
  for (const ProgramUnit& unit : *units) {
    const std::string where = "unit " + std::to_string(unit.number + 1);
    if (unit.fields.size() > limits::kProgramFields) {
      return fail(kUsage, "There are too many fields in " + where + ".");
    }
    if (unit.entry.size() > limits::kProgramUnitBytes / 4 ||
        unit.entry.find('\0') != std::string::npos) {
      return fail(kUsage, "What is to be the argument of " + where +
                              " is too long or has a zero byte in it. Put it into a file.");
    }
  }
  return units;
}

Result<ProgramComparison, Failure> comparison_of(const ProgramWish& wish) {
  ProgramComparison rules;
  rules.dropped = wish.dropped;
  std::string_view text = wish.compare;
  const auto wrong = [&] {
    return fail(kUsage, "--compare " + wish.compare +
                            " is not understood. Write bytes, text, image, numeric:TOLERANCE, "
                            "numeric:TOLERANCE,abs=TOLERANCE or any of these with ,drop=PATTERN.");
  };
  const auto tolerance = [&](double& kept) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const auto [end, fault] = std::from_chars(text.data(), text.data() + comma, kept);
    const bool good =
        fault == std::errc() && end == text.data() + comma && kept >= 0 && kept < 1e300;
    text.remove_prefix(comma);
    return good;
  };
  if (const std::size_t drop = text.find(",drop="); drop != std::string_view::npos) {
    rules.dropped.emplace_back(text.substr(drop + 6));
    text = text.substr(0, drop);
  }
  if (text.starts_with("numeric:")) {
    rules.text = true;
    text.remove_prefix(8);
    if (!tolerance(rules.relative)) return wrong();
    if (text.starts_with(",abs=")) {
      text.remove_prefix(5);
      if (!tolerance(rules.absolute)) return wrong();
    }
    if (!text.empty()) return wrong();
  } else if (text == "text") {
    rules.text = true;
  } else if (text == "image") {
    rules.images = true;
  } else if (text != "bytes") {
    return wrong();
  }
  if (!rules.dropped.empty()) rules.text = true;
  rules.program = wish.compare_with;
  if (!rules.program.empty() && (rules.relative > 0 || rules.absolute > 0)) {
    return fail(kUsage, "Either --compare numeric: or --compare-with says what is equal.");
  }
  return rules;
}

}  // namespace shoal::cli
