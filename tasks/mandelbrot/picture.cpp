#include "tasks/mandelbrot/picture.h"

#include <png.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <numbers>

namespace shoal::mandelbrot {
namespace {

constexpr std::size_t kColours = 256;

std::vector<Colour> make_palette() {
  std::vector<Colour> palette;
  const auto wave = [](std::size_t i, double phase) {
    const double angle = 2 * std::numbers::pi * (static_cast<double>(i) / kColours + phase);
    return static_cast<std::uint8_t>(127.5 - 127.5 * std::cos(angle));
  };
  for (std::size_t i = 0; i < kColours; ++i) {
    palette.push_back({wave(i, 0.0), wave(i, 0.06), wave(i, 0.18)});
  }
  return palette;
}

}  // namespace

Picture::Picture(const Params& params)
    : params_(params),
      palette_(make_palette()),
      pixels_(std::size_t{3} * params.pixels_x * params.pixels_y, 0x80) {}

bool Picture::put(std::uint64_t tile, const Counts& counts) {
  const Rectangle area = tile_area(params_, tile);
  if (counts.counts.size() != std::size_t{area.width} * area.height) return false;
  std::size_t next = 0;
  for (std::uint32_t row = 0; row < area.height; ++row) {
    std::size_t at = 3 * (std::size_t{area.top + row} * params_.pixels_x + area.left);
    for (std::uint32_t column = 0; column < area.width; ++column, at += 3) {
      const std::uint32_t count = counts.counts[next++];
      // Counts grow without bound towards the border; their logarithm shows all of it.
      const double place = 48 * std::log2(1.0 + count);
      const Colour colour = count >= params_.iterations
                                ? Colour{}
                                : palette_[static_cast<std::size_t>(place) % kColours];
      pixels_[at] = colour.red;
      pixels_[at + 1] = colour.green;
      pixels_[at + 2] = colour.blue;
    }
  }
  return true;
}

std::optional<std::string> Picture::write_png(const std::string& path) const {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = params_.pixels_x;
  image.height = params_.pixels_y;
  image.format = PNG_FORMAT_RGB;
  if (png_image_write_to_file(&image, path.c_str(), 0, pixels_.data(), 0, nullptr) == 0) {
    const std::string why = image.message;
    png_image_free(&image);
    return path + ": cannot be written: " + why;
  }
  return std::nullopt;
}

}  // namespace shoal::mandelbrot
