#pragma once

#include <cstdint>
#include <vector>

#include "shoal/fields.h"

// The Mandelbrot set, in tiles. This folder is compiled without fused multiply-adds: with them a
// count near the border may differ between processors, and so would the outputs of two workers.
namespace shoal::mandelbrot {

struct Params {
  double centre_x = -0.75;
  double centre_y = 0;
  double width = 3.5;  // of the picture, in the plane; pixels are square
  std::uint32_t pixels_x = 1024;
  std::uint32_t pixels_y = 768;
  std::uint32_t tile = 64;  // pixels along a tile's edge; tiles at the right and below may be cut
  std::uint32_t iterations = 2000;  // of a point that does not leave
  SHOAL_FIELDS(centre_x, centre_y, width, pixels_x, pixels_y, tile, iterations)
};
inline constexpr std::uint32_t kPixelsMax = 65'536;
inline constexpr std::uint32_t kTileMax = 1024;

// How often z = z^2 + c is applied, from z = 0, before |z| exceeds 2; `most` if it never does.
std::uint32_t escape_count(double x, double y, std::uint32_t most);

struct Rectangle {
  std::uint32_t left = 0;
  std::uint32_t top = 0;
  std::uint32_t width = 0;
  std::uint32_t height = 0;
};
// Tiles are numbered row by row. The picture's upper left corner is pixel (0, 0).
std::uint64_t tile_count(const Params& params);
Rectangle tile_area(const Params& params, std::uint64_t tile);

struct Counts {
  std::vector<std::uint32_t> counts;  // of the tile's pixels, row by row
  SHOAL_FIELDS(counts)
};

// Throws std::invalid_argument if the parameters make no sense or there is no such tile.
Counts compute_tile(const Params& params, std::uint64_t tile);

// Throws std::invalid_argument with what is wrong with the parameters.
void check(const Params& params);

}  // namespace shoal::mandelbrot
