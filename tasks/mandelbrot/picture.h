#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tasks/mandelbrot/mandelbrot.h"

namespace shoal::mandelbrot {

struct Colour {
  std::uint8_t red = 0;
  std::uint8_t green = 0;
  std::uint8_t blue = 0;
};

// A picture that is filled tile by tile, in any order. Tiles that never come stay grey.
class Picture {
 public:
  explicit Picture(const Params& params);
  // False if the tile does not have as many counts as pixels.
  bool put(std::uint64_t tile, const Counts& counts);
  // As a PNG. An error names the file.
  std::optional<std::string> write_png(const std::string& path) const;

 private:
  Params params_;
  std::vector<Colour> palette_;
  std::vector<std::uint8_t> pixels_;  // three bytes each
};

}  // namespace shoal::mandelbrot
