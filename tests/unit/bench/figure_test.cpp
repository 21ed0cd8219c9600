// What shoal-bench writes of a figure, and what its --check goes by.
#include "bench/figure.h"

#include <gtest/gtest.h>

#include <utility>

namespace shoal::bench {
namespace {

Figure figure_of(std::vector<double> values, std::vector<double> references, Bound bound) {
  return {.name = "noop",
          .unit = "units/s",
          .values = std::move(values),
          .references = std::move(references),
          .reference_is = "the same without it",
          .bound = bound};
}

Bound at_least(double bound, Judged judged = Judged::kRatio) {
  return {.judged = judged, .sense = Sense::kAtLeast, .bound = bound, .fine = {}};
}

TEST(FigureTest, HasTheseFields) {
  const auto json = to_json(
      figure_of({3, 1, 2}, {4, 4, 4},
                {.judged = Judged::kRatio, .sense = Sense::kAtLeast, .bound = 0.5, .fine = 0.9}));
  EXPECT_EQ(json, nlohmann::json::parse(R"({
    "name": "noop", "value": 2.0, "unit": "units/s", "values": [3.0, 1.0, 2.0],
    "reference": 4.0, "references": [4.0, 4.0, 4.0], "reference_is": "the same without it",
    "ratio": 0.5, "difference": -2.0, "judged": "ratio", "sense": "at_least", "bound": 0.5,
    "fine": 0.9, "met": true, "error": null})"));
}

TEST(FigureTest, ABoundIsMetOnItsOwnSide) {
  const auto met = [](double value, Sense sense) {
    return is_met(to_json(figure_of(
        {value}, {}, {.judged = Judged::kValue, .sense = sense, .bound = 10, .fine = {}})));
  };
  EXPECT_TRUE(met(10, Sense::kAtLeast));
  EXPECT_FALSE(met(9.99, Sense::kAtLeast));
  EXPECT_TRUE(met(10, Sense::kAtMost));
  EXPECT_FALSE(met(10.01, Sense::kAtMost));
}

TEST(FigureTest, EachRunIsComparedWithWhatWasMeasuredBesideIt) {
  // The machine was half as quick in the second run, for both.
  const auto json = to_json(figure_of({10, 5, 9}, {10, 5, 10}, at_least(1)));
  EXPECT_EQ(json["ratio"], 1.0);
  EXPECT_TRUE(is_met(json));
  EXPECT_EQ(
      to_json(figure_of({10, 5, 9}, {10, 5, 10}, at_least(0, Judged::kDifference)))["difference"],
      0.0);
}

TEST(FigureTest, WithoutAReferenceThereIsNoRatioAndABoundOnItIsMissed) {
  const auto json = to_json(figure_of({10}, {0}, at_least(1)));
  EXPECT_TRUE(json["ratio"].is_null());
  EXPECT_EQ(json["met"], false);
  EXPECT_FALSE(is_met(json));
}

TEST(FigureTest, WhatCouldNotBeMeasuredIsNotMet) {
  const auto json = failed_figure("noop", "its process died");
  EXPECT_FALSE(is_measured(json));
  EXPECT_FALSE(is_met(json));
  EXPECT_EQ(table_row(json), "noop: its process died\n");
  EXPECT_FALSE(is_met(to_json(figure_of({}, {}, at_least(1)))));
}

TEST(FigureTest, WithoutABoundItIsMetByHavingBeenMeasured) {
  Figure figure = figure_of({1, 2}, {}, at_least(1));
  figure.bound.reset();
  const auto json = to_json(figure);
  EXPECT_TRUE(json["met"].is_null());
  EXPECT_TRUE(is_met(json));
  EXPECT_EQ(json["value"], 1.5) << "between the two in the middle";
}

TEST(FigureTest, ATableSaysWhatWasMissed) {
  const Bound bound = at_least(5, Judged::kValue);
  EXPECT_NE(table_row(to_json(figure_of({4}, {}, bound))).find("MISSED"), std::string::npos);
  EXPECT_NE(table_row(to_json(figure_of({6}, {}, bound))).find("met"), std::string::npos);
}

}  // namespace
}  // namespace shoal::bench
