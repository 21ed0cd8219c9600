#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace shoal::bench {

enum class Sense : std::uint8_t { kAtLeast, kAtMost };
// What a bound is put on: the value itself, its ratio to the reference, or how much more it is.
enum class Judged : std::uint8_t { kValue, kRatio, kDifference };

struct Bound {
  Judged judged = Judged::kRatio;
  Sense sense = Sense::kAtLeast;
  double bound = 0;
  std::optional<double> fine;  // what would be a fine result
};

// One figure: how often it was measured, and beside what.
struct Figure {
  std::string name;
  std::string unit;
  std::vector<double> values;  // one a run; the figure is their median
  // In the same unit; empty: there is none. As many as there are values: each was measured beside
  // the value at its place, and the figure's ratio is the median of the runs' own.
  std::vector<double> references;
  std::string reference_is;  // for people
  std::optional<Bound> bound;
};

// Of at least one.
double median(std::vector<double> values);
// Of the figure to its reference; none without a reference above zero.
std::optional<double> ratio_of(const Figure& figure);
// How much more the figure is than its reference; none without one.
std::optional<double> difference_of(const Figure& figure);

// As it is written to the JSON file; README.md tells of its fields.
nlohmann::json to_json(const Figure& figure);
nlohmann::json failed_figure(const std::string& name, const std::string& error);

// Whether it was measured, and keeps its bound if it has one.
bool is_measured(const nlohmann::json& figure);
bool is_met(const nlohmann::json& figure);

std::string table_head();
std::string table_row(const nlohmann::json& figure);

}  // namespace shoal::bench
