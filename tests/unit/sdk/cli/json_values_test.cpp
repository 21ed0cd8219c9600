#include "sdk/cli/json_values.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "shoal/values.h"

namespace shoal::cli {
namespace {

struct Inner {
  std::int32_t depth = -3;
  SHOAL_FIELDS(depth)
};
struct Params {
  double width = 3.5;
  std::uint64_t large = 0;
  std::vector<Inner> inner;
  std::string name = "as it was";
  std::vector<std::uint32_t> counts;
  std::optional<bool> flag;
  SHOAL_FIELDS(width, large, inner, name, counts, flag)
};

TEST(JsonValuesTest, AnObjectIsAStructWhoseMissingFieldsKeepTheirDefaults) {
  const auto bytes = bytes_of_json(
      R"({"width": 1, "large": 18446744073709551615, "inner": [{"depth": -70000}, {}],
          "counts": [1, 2, 3], "flag": true})");
  ASSERT_TRUE(bytes) << bytes.error();
  const auto params = decode<Params>(*bytes);
  ASSERT_TRUE(params) << params.error().what;
  EXPECT_EQ(params->width, 1.0);
  EXPECT_EQ(params->large, std::numeric_limits<std::uint64_t>::max());
  ASSERT_EQ(params->inner.size(), 2U);
  EXPECT_EQ(params->inner[0].depth, -70000);
  EXPECT_EQ(params->inner[1].depth, -3);
  EXPECT_EQ(params->name, "as it was");
  EXPECT_EQ(params->counts, (std::vector<std::uint32_t>{1, 2, 3}));
  EXPECT_EQ(params->flag, true);
}

TEST(JsonValuesTest, NumbersTextAndNothing) {
  EXPECT_EQ(decode<std::uint32_t>(*bytes_of_json("4253")).value(), 4253U);
  EXPECT_EQ(decode<double>(*bytes_of_json("0.1")).value(), 0.1);
  EXPECT_EQ(decode<float>(*bytes_of_json("-2.5")).value(), -2.5F);
  EXPECT_TRUE(decode<Nothing>(*bytes_of_json("null")));
  // What `shoal submit` sends where nothing is said.
  EXPECT_TRUE(decode<Nothing>(*bytes_of_json("{}")));
  EXPECT_FALSE(decode<Nothing>(*bytes_of_json(R"({"a": 1})")));
  EXPECT_FALSE(decode<Nothing>(*bytes_of_json("[]")));
  EXPECT_EQ(decode<std::string>(bytes_of_text("a \"line\"")).value(), "a \"line\"");
}

TEST(JsonValuesTest, TextThatIsNotJsonIsSaid) {
  for (const char* text : {"", "{", "nul", "{\"a\": 1} x"}) {
    const auto bytes = bytes_of_json(text);
    ASSERT_FALSE(bytes) << text;
    EXPECT_FALSE(bytes.error().empty());
  }
}

TEST(JsonValuesTest, OutputsAreReadAsTheyWereWritten) {
  Params params;
  params.inner.resize(1);
  params.counts = {1, 256};
  EXPECT_EQ(
      json_of_bytes(encode(params)),
      nlohmann::json::parse(R"([3.5, 0, [[-3]], "as it was", {"hex": "0100000000010000"}, null])"));
  EXPECT_EQ(json_of_bytes(encode(std::map<std::string, int>{{"a", 1}})),
            nlohmann::json::parse(R"({"a": 1})"));
  EXPECT_EQ(json_of_bytes(encode(std::map<int, bool>{{7, true}})),
            nlohmann::json::parse(R"({"7": true})"));
  EXPECT_EQ(json_of_bytes(encode(std::numeric_limits<double>::quiet_NaN())), nullptr);
}

TEST(JsonValuesTest, WhatIsReadBackMayBeGivenAgain) {
  Params params;
  params.inner = {{7}, {-9}};
  params.counts = {1, 256, 70'000};
  params.flag = false;
  const Bytes bytes = encode(params);
  const auto again = bytes_of_json(json_of_bytes(bytes).dump());
  ASSERT_TRUE(again) << again.error();
  const auto decoded = decode<Params>(*again);
  ASSERT_TRUE(decoded) << decoded.error().what;
  EXPECT_EQ(encode(*decoded), bytes);
  // What is no pair of digits is what it says.
  const auto text = decode<std::map<std::string, std::string>>(*bytes_of_json(R"({"hex": "abc"})"));
  ASSERT_TRUE(text) << text.error().what;
  EXPECT_EQ(text->at("hex"), "abc");
}

TEST(JsonValuesTest, AnyBytesGiveSomething) {
  EXPECT_EQ(json_of_bytes({}), nlohmann::json::parse(R"({"hex": ""})"));
  const Bytes cut{0xdc, 0xff, 0xff, 0x01};
  EXPECT_EQ(json_of_bytes(cut), nlohmann::json::parse(R"({"hex": "dcffff01"})"));
  // Lists within lists, far deeper than any stack.
  const Bytes deep(1 << 20, 0x91);
  EXPECT_TRUE(json_of_bytes(deep).contains("hex"));
}

}  // namespace
}  // namespace shoal::cli
