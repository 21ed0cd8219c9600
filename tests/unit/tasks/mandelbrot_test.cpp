#include "tasks/mandelbrot/mandelbrot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "tasks/mandelbrot/kernel.h"
#include "tasks/mandelbrot/picture.h"

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

std::uint32_t number_at(const std::string& bytes, std::size_t at) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < 4; ++i)
    number = number << 8 | static_cast<std::uint8_t>(bytes.at(at + i));
  return number;
}

// The pixels of a PNG of 8 bits a colour and without interlacing, row by row, three bytes each, as
// its specification has it, with no more than what inflates. Nothing if it is no such file.
std::optional<std::vector<std::uint8_t>> read_png(const std::string& bytes, std::uint32_t width,
                                                  std::uint32_t height) {
  if (!bytes.starts_with("\x89PNG\r\n\x1a\n")) return std::nullopt;
  std::string packed;
  std::string header;
  bool ended = false;
  for (std::size_t at = 8; at < bytes.size() && !ended;) {
    const std::uint32_t size = number_at(bytes, at);
    const std::string chunk = bytes.substr(at + 4, std::size_t{4} + size);  // its type, its bytes
    const auto* data = reinterpret_cast<const Bytef*>(chunk.data());
    if (crc32(0, data, static_cast<uInt>(chunk.size())) != number_at(bytes, at + 8 + size)) {
      return std::nullopt;
    }
    if (chunk.starts_with("IHDR")) header = chunk.substr(4);
    if (chunk.starts_with("IDAT")) packed += chunk.substr(4);
    ended = chunk == "IEND";
    at += std::size_t{12} + size;
  }
  const std::string rest{8, 2, 0, 0, 0};  // bits, kind of colour, and three ways that are usual
  if (!ended || header.size() != 13 || number_at(header, 0) != width ||
      number_at(header, 4) != height || header.substr(8) != rest) {
    return std::nullopt;
  }
  const std::size_t row_bytes = std::size_t{3} * width;
  std::vector<std::uint8_t> filtered((row_bytes + 1) * height);
  uLongf got = filtered.size();
  if (uncompress(filtered.data(), &got, reinterpret_cast<const Bytef*>(packed.data()),
                 packed.size()) != Z_OK ||
      got != filtered.size()) {
    return std::nullopt;
  }
  std::vector<std::uint8_t> pixels(row_bytes * height);
  for (std::size_t row = 0; row < height; ++row) {
    const int filter = filtered[row * (row_bytes + 1)];
    for (std::size_t i = 0; i < row_bytes; ++i) {
      const auto pixel = [&](bool up, bool left) -> int {
        if ((up && row == 0) || (left && i < 3)) return 0;
        return pixels[(row - (up ? 1 : 0)) * row_bytes + i - (left ? 3 : 0)];
      };
      const int left = pixel(false, true), up = pixel(true, false), corner = pixel(true, true);
      const int guess = left + up - corner;
      const int far_left = std::abs(guess - left), far_up = std::abs(guess - up),
                far_corner = std::abs(guess - corner);
      const int paeth = far_left <= far_up && far_left <= far_corner ? left
                        : far_up <= far_corner                       ? up
                                                                     : corner;
      const int added[] = {0, left, up, (left + up) / 2, paeth};
      if (filter > 4) return std::nullopt;
      pixels[row * row_bytes + i] =
          static_cast<std::uint8_t>(filtered[row * (row_bytes + 1) + 1 + i] + added[filter]);
    }
  }
  return pixels;
}

TEST(Mandelbrot, AnotherReaderSeesTheTilesInThePng) {
  Params params;
  params.pixels_x = 130;
  params.pixels_y = 65;
  params.tile = 48;  // those at the edges are cut
  params.iterations = 200;
  const std::uint64_t missing = 4;
  Picture picture(params);
  for (std::uint64_t tile = 0; tile < tile_count(params); ++tile) {
    if (tile == missing) continue;
    EXPECT_TRUE(picture.put(tile, compute_tile(params, tile)));
  }
  std::string name = (std::filesystem::temp_directory_path() / "shoal-png-XXXXXX").string();
  const int fd = ::mkstemp(name.data());
  ASSERT_GE(fd, 0);
  ::close(fd);
  ASSERT_EQ(picture.write_png(name), std::nullopt);
  std::ifstream file(name, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::filesystem::remove(name);
  const auto pixels = read_png(bytes, params.pixels_x, params.pixels_y);
  ASSERT_TRUE(pixels);

  // Each count has one colour wherever it is, and those inside are black alone.
  using Seen = std::array<std::uint8_t, 3>;
  std::map<std::uint32_t, Seen> colours;
  for (std::uint64_t tile = 0; tile < tile_count(params); ++tile) {
    const Rectangle area = tile_area(params, tile);
    const std::vector<std::uint32_t> counts = compute_tile(params, tile).counts;
    for (std::uint32_t i = 0; i < counts.size(); ++i) {
      const std::size_t at = std::size_t{3} * ((area.top + i / area.width) * params.pixels_x +
                                               area.left + i % area.width);
      const Seen seen{pixels->at(at), pixels->at(at + 1), pixels->at(at + 2)};
      if (tile == missing) {
        ASSERT_EQ(seen, (Seen{0x80, 0x80, 0x80}));
        continue;
      }
      ASSERT_EQ(colours.emplace(counts[i], seen).first->second, seen) << tile << ' ' << i;
      ASSERT_EQ(counts[i] == params.iterations, seen == (Seen{0, 0, 0})) << tile << ' ' << i;
    }
  }
  std::set<Seen> different;
  for (const auto& [count, colour] : colours) different.insert(colour);
  EXPECT_GT(different.size(), 20U);
  EXPECT_EQ(colours.at(1), (Seen{78, 125, 213})) << "by hand: red, green, blue where all leave";
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
