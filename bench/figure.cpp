#include "bench/figure.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <iterator>
#include <utility>

namespace shoal::bench {
namespace {

using nlohmann::json;

bool keeps(const Bound& bound, double number) {
  return bound.sense == Sense::kAtLeast ? number >= bound.bound : number <= bound.bound;
}

std::string short_number(double number) {
  std::array<char, 40> text{};
  const double size = std::abs(number);
  const int digits = size >= 1000 ? 0 : size >= 10 ? 1 : 3;
  std::snprintf(text.data(), text.size(), "%.*f", digits, number);
  return text.data();
}

std::string shown(const json& figure, const char* field) {
  const json& number = figure.at(field);
  return number.is_number() ? short_number(number.get<double>()) : "-";
}

std::string shown_bound(const json& figure, const char* field) {
  const json& number = figure.at(field);
  if (!number.is_number()) return "-";
  const bool at_least = figure.at("sense") == "at_least";
  std::array<char, 40> text{};
  const bool more = figure.at("judged") == "difference";
  std::snprintf(text.data(), text.size(), "%s %s%g", at_least ? ">=" : "<=", more ? "+" : "",
                number.get<double>());
  return text.data();
}

std::string row(const std::array<std::string, 8>& cells) {
  std::array<char, 512> text{};
  std::snprintf(text.data(), text.size(), "%-28s %10s %-9s %10s %7s  %-8s %-8s %s\n",
                cells[0].c_str(), cells[1].c_str(), cells[2].c_str(), cells[3].c_str(),
                cells[4].c_str(), cells[5].c_str(), cells[6].c_str(), cells[7].c_str());
  return text.data();
}

// With the reference beside it where each run has one.
template <class Operation>
std::optional<double> compared(const Figure& figure, Operation operation) {
  const std::vector<double>& references = figure.references;
  if (references.empty() || figure.values.empty()) return std::nullopt;
  if (references.size() != figure.values.size()) {
    return operation(median(figure.values), median(references));
  }
  std::vector<double> all;
  std::transform(figure.values.begin(), figure.values.end(), references.begin(),
                 std::back_inserter(all), operation);
  return median(std::move(all));
}

// The number that a bound is put on, and its name in the file.
std::pair<const char*, std::optional<double>> judged_of(const Figure& figure, Judged judged) {
  switch (judged) {
    case Judged::kValue:
      return {"value", median(figure.values)};
    case Judged::kRatio:
      return {"ratio", ratio_of(figure)};
    case Judged::kDifference:
      return {"difference", difference_of(figure)};
  }
  return {"value", std::nullopt};
}

}  // namespace

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::optional<double> ratio_of(const Figure& figure) {
  const std::vector<double>& references = figure.references;
  const bool above_zero =
      std::all_of(references.begin(), references.end(), [](double each) { return each > 0; });
  if (!above_zero) return std::nullopt;
  return compared(figure, std::divides<>());
}

std::optional<double> difference_of(const Figure& figure) {
  return compared(figure, std::minus<>());
}

json to_json(const Figure& figure) {
  json out = failed_figure(figure.name, "");
  out["error"] = nullptr;
  out["unit"] = figure.unit;
  out["values"] = figure.values;
  out["references"] = figure.references;
  if (figure.values.empty()) return failed_figure(figure.name, "it was never measured");
  const double value = median(figure.values);
  out["value"] = value;
  const std::optional<double> ratio = ratio_of(figure);
  if (!figure.references.empty()) {
    out["reference"] = median(figure.references);
    out["reference_is"] = figure.reference_is;
  }
  if (ratio) out["ratio"] = *ratio;
  if (const auto more = difference_of(figure)) out["difference"] = *more;
  if (!figure.bound) return out;
  const Bound& bound = *figure.bound;
  const auto [judged, number] = judged_of(figure, bound.judged);
  out["judged"] = judged;
  out["sense"] = bound.sense == Sense::kAtLeast ? "at_least" : "at_most";
  out["bound"] = bound.bound;
  if (bound.fine) out["fine"] = *bound.fine;
  out["met"] = number && keeps(bound, *number);
  return out;
}

json failed_figure(const std::string& name, const std::string& error) {
  return {{"name", name},
          {"value", nullptr},
          {"unit", ""},
          {"reference", nullptr},
          {"reference_is", nullptr},
          {"ratio", nullptr},
          {"difference", nullptr},
          {"judged", nullptr},
          {"sense", nullptr},
          {"bound", nullptr},
          {"fine", nullptr},
          {"met", nullptr},
          {"values", json::array()},
          {"error", error},
          {"references", json::array()}};
}

bool is_measured(const json& figure) { return figure.at("error").is_null(); }

bool is_met(const json& figure) {
  return is_measured(figure) && (figure.at("met").is_null() || figure.at("met").get<bool>());
}

std::string table_head() {
  return row({"figure", "value", "unit", "reference", "ratio", "bound", "fine", ""});
}

std::string table_row(const json& figure) {
  const std::string name = figure.at("name").get<std::string>();
  if (!is_measured(figure)) return name + ": " + figure.at("error").get<std::string>() + "\n";
  const json& met = figure.at("met");
  return row({name, shown(figure, "value"), figure.at("unit").get<std::string>(),
              shown(figure, "reference"), shown(figure, "ratio"), shown_bound(figure, "bound"),
              shown_bound(figure, "fine"),
              met.is_null()     ? ""
              : met.get<bool>() ? "met"
                                : "MISSED"});
}

}  // namespace shoal::bench
