#include "shoal/values.h"

#include <gtest/gtest.h>

#include <bit>
#include <random>
#include <variant>

#include "shoal/kernel.h"

namespace shoal {
namespace {

enum class Colour : std::uint8_t { kRed = 1, kBlue = 200 };

struct Point {
  double x = 0;
  double y = -1;
  SHOAL_FIELDS(x, y)
  friend bool operator==(const Point&, const Point&) = default;
};

// What a struct adds to one that has the line is lost, unless it has a line of its own.
struct Labelled : Point {
  std::string label;
};
struct Renamed : Point {
  double norm() const { return x * x + y * y; }
};
struct Weighted : Point {
  double weight = 1;
  SHOAL_FIELDS(x, y, weight)
  friend bool operator==(const Weighted&, const Weighted&) = default;
};
static_assert(detail::adds_to_inherited_fields<Labelled>());
static_assert(!detail::adds_to_inherited_fields<Point>());
static_assert(!detail::adds_to_inherited_fields<Renamed>());
static_assert(!detail::adds_to_inherited_fields<Weighted>());

struct Everything {
  bool yes = false;
  std::int8_t tiny = 0;
  std::int64_t low = 0;
  std::uint64_t high = 0;
  float single = 0;
  Colour colour = Colour::kRed;
  std::string text;
  Bytes bytes;
  std::vector<double> doubles;
  std::vector<bool> bits;
  std::array<std::int32_t, 3> three{};
  std::vector<Point> points;
  std::map<std::string, std::vector<std::uint16_t>> table;
  std::pair<int, std::string> pair;
  std::optional<Point> maybe;
  std::set<int> set;
  std::complex<double> z;
  std::vector<std::complex<float>> zs;
  std::tuple<int, bool> tuple;
  Nothing nothing;
  SHOAL_FIELDS(yes, tiny, low, high, single, colour, text, bytes, doubles, bits, three, points,
               table, pair, maybe, set, z, zs, tuple, nothing)
  friend bool operator==(const Everything&, const Everything&) = default;
};

Everything sample() {
  Everything e;
  e.yes = true;
  e.tiny = -128;
  e.low = INT64_MIN;
  e.high = UINT64_MAX;
  e.single = 0.1F;
  e.colour = Colour::kBlue;
  e.text = "grüße";
  e.bytes = {0, 255};
  e.doubles = {1, -0.0, 1e300};
  e.bits = {true, false, true};
  e.three = {-1, 0, 1};
  e.points = {{1, 2}, {3, 4}};
  e.table = {{"b", {1}}, {"a", {}}};
  e.pair = {-7, "seven"};
  e.maybe = Point{5, 6};
  e.set = {3, 1, 2};
  e.z = {1, -2};
  e.zs = {{1, 2}, {3, 4}};
  e.tuple = {9, true};
  return e;
}

// What a struct's fields are asked before anything else is made of them: the compiler's one
// sentence.
static_assert(wire::AllTravel<std::tuple<int&, std::vector<std::string>&>>);
static_assert(!wire::AllTravel<std::tuple<int&, std::variant<int, double>&>>);
static_assert(!wire::AllTravel<std::tuple<int*&>>);

TEST(Values, ComeBackAsTheyWere) {
  const auto back = decode<Everything>(encode(sample()));
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(*back, sample());
  EXPECT_EQ(*decode<Everything>(encode(Everything{})), Everything{});
}

TEST(Values, AStructThatNamesWhatItInheritsComesBackWhole) {
  Weighted sent;
  sent.x = 2;
  sent.weight = 7;
  const auto got = decode<Weighted>(encode(sent));
  ASSERT_TRUE(got) << got.error().what;
  EXPECT_EQ(*got, sent);
  const auto plain = decode<Renamed>(encode(Renamed{{3, 4}}));
  ASSERT_TRUE(plain) << plain.error().what;
  EXPECT_EQ(plain->norm(), 25);
}

TEST(Values, ZerosKeepTheirSign) {
  const auto zero = decode<double>(encode(-0.0));
  ASSERT_TRUE(zero);
  EXPECT_TRUE(std::signbit(*zero));
  EXPECT_NE(encode(0.0), encode(-0.0));
}

TEST(Values, EveryNanIsTheSameNan) {
  const double odd = std::bit_cast<double>(0xfff8'0000'dead'beefULL);
  const double usual = std::numeric_limits<double>::quiet_NaN();
  ASSERT_TRUE(std::isnan(odd));
  EXPECT_EQ(encode(odd), encode(usual));
  EXPECT_EQ(encode(std::vector<double>{1, odd}), encode(std::vector<double>{1, usual}));
  EXPECT_EQ(encode(std::complex<double>(odd, 1)), encode(std::complex<double>(usual, 1)));
  EXPECT_EQ(encode(std::vector<std::complex<double>>{{1, odd}}),
            encode(std::vector<std::complex<double>>{{1, usual}}));
  const float odd_single = std::bit_cast<float>(0xffc0'1234U);
  EXPECT_EQ(encode(odd_single), encode(std::numeric_limits<float>::quiet_NaN()));
}

TEST(Values, NumbersTravelAsOneRun) {
  const std::vector<double> values(1000, 0.5);
  EXPECT_EQ(encode(values).size(), 3 + 1000 * sizeof(double));
  EXPECT_EQ(encode(std::vector<std::uint16_t>{0x0102}), (Bytes{0xc4, 2, 0x02, 0x01}));
}

// Pins the format: outputs of old and new workers are compared with each other.
TEST(Values, HaveTheBytesThatTheyAlwaysHad) {
  EXPECT_EQ(encode(std::uint64_t{5}), (Bytes{5}));
  EXPECT_EQ(encode(-1), (Bytes{0xff}));
  EXPECT_EQ(encode(1.0), (Bytes{0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(encode(std::string("ab")), (Bytes{0xa2, 'a', 'b'}));
  EXPECT_EQ(encode(Nothing{}), (Bytes{0xc0}));
  EXPECT_EQ(encode(std::map<int, bool>{{2, true}, {1, false}}), (Bytes{0x82, 1, 0xc2, 2, 0xc3}));
  const Bytes point = {0x92, 0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xcb, 0x40, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_EQ(encode(Point{1, 2}), point);
}

TEST(Values, BytesAsAWholeAreLeftAlone) {
  const Bytes raw = {0xc1, 0, 7};
  EXPECT_EQ(encode(raw), raw);
  EXPECT_EQ(*decode<Bytes>(raw), raw);
  EXPECT_EQ(decode<Bytes>({})->size(), 0U);
}

TEST(Values, AStructMayComeAsAMapOfNames) {
  const auto point = decode<Point>(encode(std::map<std::string, int>{{"x", 3}}));
  ASSERT_TRUE(point) << point.error().what;
  EXPECT_EQ(*point, (Point{3, -1}));
  const auto wrong = decode<Point>(encode(std::map<std::string, int>{{"z", 3}}));
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().what, "there is no field \"z\", only x, y");
}

TEST(Values, SayWhichFieldDoesNotFit) {
  using Wrong = std::vector<std::pair<double, std::string>>;
  const auto failed = decode<std::vector<Point>>(encode(Wrong{{1, "one"}}));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().what, "[0].y must be a number, is text");
  EXPECT_EQ(decode<std::uint8_t>(encode(300)).error().what, "is an integer out of range");
  EXPECT_EQ(decode<std::uint8_t>(encode(-1)).error().what, "is an integer out of range");
  EXPECT_FALSE(decode<int>(encode(1.5)));
  EXPECT_FALSE((decode<std::array<int, 2>>(encode(std::array<int, 3>{}))));
  EXPECT_FALSE(decode<std::vector<double>>(encode(std::vector<std::uint8_t>{1, 2, 3})));
}

TEST(Values, RefuseWhatIsNotOneValue) {
  EXPECT_FALSE(decode<int>({}));
  EXPECT_FALSE(decode<int>(Bytes{1, 2}));
  EXPECT_FALSE(decode<std::string>(Bytes{0xa5, 'a'}));
  EXPECT_FALSE(decode<int>(Bytes{0xc1}));
}

TEST(Values, ASizeThatIsNotThereTakesNoMemory) {
  // Lists that claim 2^32 - 1 items, one in another.
  Bytes claims;
  for (int i = 0; i < 100; ++i) {
    const Bytes claim = {0xdd, 0xff, 0xff, 0xff, 0xff};
    claims.insert(claims.end(), claim.begin(), claim.end());
  }
  EXPECT_FALSE(decode<std::vector<std::vector<std::string>>>(claims));
  EXPECT_FALSE(decode<Point>(Bytes(100'000, 0x91)));  // a list in a list in a list…
}

TEST(Values, AnyBytesGiveAValueOrAFailure) {
  const Bytes good = encode(sample());
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(decode<Everything>(ByteView(good).first(size)));
  }
  std::mt19937 engine(7);
  std::size_t failed = 0;
  for (int i = 0; i < 20'000; ++i) {
    Bytes mutated = good;
    for (int k = 0; k < 2; ++k) {
      mutated[engine() % mutated.size()] = static_cast<std::uint8_t>(engine());
    }
    if (!decode<Everything>(mutated)) ++failed;
  }
  EXPECT_GT(failed, 0U);
  EXPECT_LT(failed, 20'000U);
}

static_assert(!Value<std::optional<std::optional<int>>>, "the two empty ones would be the same");
static_assert(!Value<long double>, "it has another format on other machines");
static_assert(!Value<int*>);

double scaled(const Point& point, const double& input) { return point.x * input; }
std::uint64_t plus_index(Unit& unit, const Nothing&, std::uint64_t input) {
  if (input == 13) unit.fail("thirteen");
  return unit.index() * 1000 + input;
}

TEST(KernelTest, RunsWithoutItsTypes) {
  const Kernel<Point, double, double> kernel{"scaled", scaled};
  EXPECT_EQ(kernel({2, 0}, 1.5), 3.0);
  const KernelEntry entry = kernel;
  EXPECT_EQ(entry.name, "scaled");
  EXPECT_FALSE(entry.equivalent);
  const Bytes input = encode(1.5);
  EXPECT_EQ(entry.call(encode(Point{2, 0}), {0, input, nullptr}), encode(3.0));
}

TEST(KernelTest, AnIndexIsTheInputWhereThereIsNone) {
  const KernelEntry entry = Kernel{"plus_index", plus_index};
  EXPECT_EQ(entry.call(encode(Nothing{}), {4, {}, nullptr}), encode(std::uint64_t{4004}));
  const Bytes input = encode(std::uint64_t{7});
  EXPECT_EQ(entry.call(encode(Nothing{}), {4, input, nullptr}), encode(std::uint64_t{4007}));
  EXPECT_THROW(entry.call(encode(Nothing{}), {13, {}, nullptr}), UnitFailure);
}

TEST(KernelTest, RefusesWhatDoesNotFit) {
  const KernelEntry entry = Kernel<Point, double, double>{"scaled", scaled};
  const Bytes text = encode(std::string("x"));
  EXPECT_THROW(entry.prepare(text), UnitRefused);
  EXPECT_THROW(entry.call(encode(Point{}), {0, text, nullptr}), UnitRefused);
  EXPECT_THROW(entry.call(encode(Point{}), {0, {}, nullptr}), UnitRefused);
}

std::uint64_t by_value(Nothing, std::uint64_t unit) { return unit + 1; }
const std::uint64_t& by_reference(Unit&, const Nothing&, const std::uint64_t& unit) { return unit; }

TEST(KernelTest, ItsTypesAreThoseOfAFunctionOrALambdaHoweverItTakesItsArguments) {
  using Squares = Kernel<Nothing, std::uint64_t, std::uint64_t>;
  const Kernel plain{"by_value", by_value};
  const Kernel reference{"by_reference", by_reference};
  const Kernel lambda{"lambda", [](Nothing, std::uint64_t unit) { return unit * unit; }};
  const Kernel with_unit{"with_unit", [](Unit& unit, Nothing, double x) noexcept {
                           return x + static_cast<double>(unit.index());
                         }};
  static_assert(std::is_same_v<decltype(plain), const Squares>);
  static_assert(std::is_same_v<decltype(reference), const Squares>);
  static_assert(std::is_same_v<decltype(lambda), const Squares>);
  static_assert(std::is_same_v<decltype(with_unit), const Kernel<Nothing, double, double>>);
  EXPECT_EQ(plain({}, 3), 4U);
  EXPECT_EQ(reference({}, 3), 3U);
  EXPECT_EQ(lambda({}, 3), 9U);
  EXPECT_EQ(with_unit({}, 0.5, 2), 2.5);
}

TEST(KernelTest, OutputsAreAppended) {
  const auto unit = KernelEntry(Kernel{"plus_index", plus_index}).prepare(encode(Nothing{}));
  Bytes output = {99};
  unit({0, {}, nullptr}, output);
  EXPECT_EQ(output, (Bytes{99, 0}));
}

TEST(KernelTest, ComparesByItsOwnMeasure) {
  const KernelEntry entry = Kernel<Point, double, double>{"scaled", scaled}.equivalent(
      [](const double& a, const double& b) { return std::abs(a - b) < 0.1; });
  EXPECT_TRUE(entry.equivalent(encode(1.0), encode(1.05)));
  EXPECT_FALSE(entry.equivalent(encode(1.0), encode(1.5)));
  EXPECT_THROW(entry.equivalent(encode(1.0), encode(std::string("one"))), UnitRefused);
}

}  // namespace
}  // namespace shoal
