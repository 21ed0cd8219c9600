#include "tasks/mandelbrot/mandelbrot.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace shoal::mandelbrot {
namespace {

std::uint32_t tiles_across(const Params& params) {
  return (params.pixels_x + params.tile - 1) / params.tile;
}

// Inside the main cardioid or the disc to its left no point ever leaves, and counting to the end
// would be most of the work.
bool known_inside(double x, double y) {
  const double y2 = y * y;
  const double from_quarter = x - 0.25;
  const double q = from_quarter * from_quarter + y2;
  if (q * (q + from_quarter) <= 0.25 * y2) return true;
  return (x + 1) * (x + 1) + y2 <= 0.0625;
}

}  // namespace

std::uint32_t escape_count(double x, double y, std::uint32_t most) {
  if (known_inside(x, y)) return most;
  double a = 0;
  double b = 0;
  for (std::uint32_t count = 0; count < most; ++count) {
    const double a2 = a * a;
    const double b2 = b * b;
    if (a2 + b2 > 4) return count;
    b = 2 * (a * b) + y;
    a = a2 - b2 + x;
  }
  return most;
}

void check(const Params& params) {
  const auto demand = [](bool holds, const std::string& what) {
    if (!holds) throw std::invalid_argument(what);
  };
  const auto pixels = [](std::uint32_t n) { return n >= 1 && n <= kPixelsMax; };
  demand(std::isfinite(params.centre_x) && std::isfinite(params.centre_y),
         "the centre must be two finite numbers");
  demand(std::isfinite(params.width) && params.width > 0, "the width must be above 0");
  demand(pixels(params.pixels_x) && pixels(params.pixels_y),
         "a picture has from 1 to " + std::to_string(kPixelsMax) + " pixels along an edge");
  demand(params.tile >= 1 && params.tile <= kTileMax,
         "a tile has from 1 to " + std::to_string(kTileMax) + " pixels along an edge");
  demand(params.iterations >= 1, "there must be at least one iteration");
}

std::uint64_t tile_count(const Params& params) {
  const std::uint64_t down = (params.pixels_y + params.tile - 1) / params.tile;
  return down * tiles_across(params);
}

Rectangle tile_area(const Params& params, std::uint64_t tile) {
  const std::uint32_t across = tiles_across(params);
  Rectangle area;
  area.left = static_cast<std::uint32_t>(tile % across) * params.tile;
  area.top = static_cast<std::uint32_t>(tile / across) * params.tile;
  area.width = std::min(params.tile, params.pixels_x - area.left);
  area.height = std::min(params.tile, params.pixels_y - area.top);
  return area;
}

Counts compute_tile(const Params& params, std::uint64_t tile) {
  check(params);
  if (tile >= tile_count(params)) {
    throw std::invalid_argument("the picture has no tile " + std::to_string(tile));
  }
  const Rectangle area = tile_area(params, tile);
  const double step = params.width / params.pixels_x;
  const double left = params.centre_x - step * (params.pixels_x / 2.0 - 0.5);
  const double top = params.centre_y + step * (params.pixels_y / 2.0 - 0.5);
  Counts result;
  result.counts.reserve(std::size_t{area.width} * area.height);
  for (std::uint32_t row = 0; row < area.height; ++row) {
    const double y = top - step * (area.top + row);
    for (std::uint32_t column = 0; column < area.width; ++column) {
      const double x = left + step * (area.left + column);
      result.counts.push_back(escape_count(x, y, params.iterations));
    }
  }
  return result;
}

}  // namespace shoal::mandelbrot
