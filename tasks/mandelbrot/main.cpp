#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>

#include "tasks/front/front.h"
#include "tasks/mandelbrot/kernel.h"
#include "tasks/mandelbrot/picture.h"

// shoal-mandelbrot: a PNG of the Mandelbrot set, or of a part of it.
namespace {

using namespace shoal;

struct Options {
  mandelbrot::Params params;
  std::string file;
};

void declare(CLI::App& app, Options& options) {
  app.add_option("PNG", options.file, "The picture to write")->required();
  app.add_option("--x", options.params.centre_x, "Centre, real part")->capture_default_str();
  app.add_option("--y", options.params.centre_y, "Centre, imaginary part")->capture_default_str();
  app.add_option("--width", options.params.width, "Width in the plane")->capture_default_str();
  app.add_option("--pixels-x", options.params.pixels_x, "Width of the picture")
      ->capture_default_str();
  app.add_option("--pixels-y", options.params.pixels_y, "Height of the picture")
      ->capture_default_str();
  app.add_option("--tile", options.params.tile, "Pixels along a tile's edge")
      ->capture_default_str();
  app.add_option("--iterations", options.params.iterations, "Of points that do not leave")
      ->capture_default_str();
}

int draw(Session& session, front::Front& front, const Options& options) {
  try {
    mandelbrot::check(options.params);
  } catch (const std::invalid_argument& wrong) {
    front::usage(wrong.what());
  }
  front::check_writable(options.file);
  const std::uint64_t tiles = mandelbrot::tile_count(options.params);
  mandelbrot::Picture picture(options.params);
  auto job = front.job(session, mandelbrot::kernel(), options.params, IndexSpace{tiles});
  front.collect<mandelbrot::Counts>(job, tiles, [&](std::uint64_t tile, mandelbrot::Counts counts) {
    if (!picture.put(tile, counts)) {
      throw Error(ErrorCode::kBadOutput, "the tile has another size than it must have");
    }
  });
  if (const auto fault = picture.write_png(options.file)) throw Error(ErrorCode::kState, *fault);
  if (front.json()) {
    nlohmann::json summary = front.summary();
    summary["picture"] = options.file;
    front::print_json(summary);
  } else {
    std::printf("%s\n", options.file.c_str());
  }
  return front.finish({});
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  front::Front front("mandelbrot", "Draws the Mandelbrot set, tile by tile.",
                     "shoal-mandelbrot set.png --pixels-x 1920 --pixels-y 1080 --pool @ticket");
  declare(front.app(), options);
  if (const auto code = front.parse(argc, argv)) return *code;
  front.start_clock();
  return run(argc, argv, {mandelbrot::kernel()},
             [&](Session& session) { return draw(session, front, options); });
}
