#include "tasks/mandelbrot/mandelbrot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

#include "tasks/mandelbrot/kernel.h"

namespace shoal::mandelbrot {
namespace {

TEST(Mandelbrot, PointsInsideNeverLeave) {
  // Centres of the cardioid, of the disc of period 2, and of those of period 3; a tip of the
  // needle.
  EXPECT_EQ(escape_count(0, 0, 1000), 1000u);
  EXPECT_EQ(escape_count(-1, 0, 1000), 1000u);
  EXPECT_EQ(escape_count(-1.754877666246693, 0, 1000), 1000u);
  EXPECT_EQ(escape_count(-0.122561166876654, 0.744861766619744, 1000), 1000u);
  EXPECT_EQ(escape_count(-2, 0, 1000), 1000u);
  EXPECT_EQ(escape_count(0, 1, 1000), 1000u);  // i, -1 + i, -i, -1 + i, ...
}

TEST(Mandelbrot, PointsOutsideLeaveAfterAsManyStepsAsByHand) {
  EXPECT_EQ(escape_count(3, 0, 1000), 1u);
  EXPECT_EQ(escape_count(2.1, 0, 1000), 1u);
  EXPECT_EQ(escape_count(2, 0, 1000), 2u);   // 2 is not above 2, 6 is
  EXPECT_EQ(escape_count(1, 0, 1000), 3u);   // 1, 2, 5
  EXPECT_EQ(escape_count(0, -2, 1000), 2u);  // |-2i| = 2, then |-4 - 2i|
  EXPECT_EQ(escape_count(1, 1, 1000), 2u);   // 1 + i, then 1 + 3i
}

// Near the points -3/4 + i e and 1/4 + e the counts grow as pi / e and pi / sqrt(e): the first of
// these was found by Boll in 1991, and any slip in the arithmetic spoils it.
TEST(Mandelbrot, CountsNearTheNeckGivePi) {
  EXPECT_EQ(escape_count(-0.75, 0.001, 100'000), 3142u + 1);
  EXPECT_NEAR(escape_count(-0.75, 0.0001, 100'000) * 0.0001, 3.14159, 0.0003);
  EXPECT_NEAR(escape_count(0.250001, 0, 100'000) * 0.001, 3.14159, 0.01);
}

// Known to be 1.50659 (Mitchell's lattice counts); pixels and counts add what is said here.
TEST(Mandelbrot, AreaIsTheKnownOne) {
  Params params;
  params.pixels_x = 700;
  params.pixels_y = 560;
  params.iterations = 2'000;
  std::uint64_t inside = 0;
  for (std::uint64_t tile = 0; tile < tile_count(params); ++tile) {
    for (const std::uint32_t count : compute_tile(params, tile).counts) {
      inside += count == params.iterations ? 1 : 0;
    }
  }
  const double pixel = params.width / params.pixels_x;
  EXPECT_NEAR(static_cast<double>(inside) * pixel * pixel, 1.50659, 0.01);
}

TEST(Mandelbrot, TilesCoverThePictureOnce) {
  Params params;
  params.pixels_x = 130;
  params.pixels_y = 65;
  params.tile = 64;
  std::vector<int> seen(130 * 65, 0);
  ASSERT_EQ(tile_count(params), 6u);
  for (std::uint64_t tile = 0; tile < 6; ++tile) {
    const Rectangle area = tile_area(params, tile);
    for (std::uint32_t y = 0; y < area.height; ++y) {
      for (std::uint32_t x = 0; x < area.width; ++x) {
        ++seen.at((area.top + y) * 130 + area.left + x);
      }
    }
  }
  EXPECT_THAT(seen, testing::Each(1));
}

TEST(Mandelbrot, ATileShowsItsOwnPartOfThePicture) {
  Params params;
  params.pixels_x = 64;
  params.pixels_y = 48;
  params.tile = 64;
  params.iterations = 100;
  const std::vector<std::uint32_t> whole = compute_tile(params, 0).counts;
  params.tile = 16;
  for (std::uint64_t tile = 0; tile < tile_count(params); ++tile) {
    const Rectangle area = tile_area(params, tile);
    const std::vector<std::uint32_t> part = compute_tile(params, tile).counts;
    ASSERT_EQ(part.size(), 256u);
    for (std::uint32_t i = 0; i < 256; ++i) {
      EXPECT_EQ(part[i], whole[(area.top + i / 16) * 64 + area.left + i % 16]);
    }
  }
  // The set is symmetric to the real axis, which runs through the middle of the picture.
  for (std::uint32_t x = 0; x < 64; ++x) EXPECT_EQ(whole[x], whole[47 * 64 + x]);
}

TEST(Mandelbrot, RefusesWhatMakesNoSense) {
  Params params;
  EXPECT_THROW(compute_tile(params, tile_count(params)), std::invalid_argument);
  params.tile = 0;
  EXPECT_THROW(compute_tile(params, 0), std::invalid_argument);
  params = {};
  params.width = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(compute_tile(params, 0), std::invalid_argument);
  params = {};
  params.pixels_x = 0;
  EXPECT_THROW(compute_tile(params, 0), std::invalid_argument);
}

TEST(Mandelbrot, KernelTravels) {
  const KernelEntry entry = kernel();
  EXPECT_EQ(entry.name, "mandelbrot");
  Params params;
  params.iterations = 50;
  const auto counts = decode<Counts>(entry.call(encode(params), UnitCall{3}));
  ASSERT_TRUE(counts);
  EXPECT_EQ(counts->counts, compute_tile(params, 3).counts);
}

}  // namespace
}  // namespace shoal::mandelbrot
