#include <shoal/shoal.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

// Results that agree only within a tolerance. exp() may differ in its last bit from one processor's
// library to another's, so two honest workers may return sums that are not the same bytes. With
// equivalent() their outputs count as equal if they are near enough, and one of them is the result.
struct Params {
  double step = 1e-5;
  SHOAL_FIELDS(step)
};
struct Slice {
  double from = 0;
  double to = 0;
  SHOAL_FIELDS(from, to)
};

double integrate(const Params& params, const Slice& slice) {
  const auto steps = static_cast<std::uint64_t>(std::ceil((slice.to - slice.from) / params.step));
  const double width = (slice.to - slice.from) / static_cast<double>(steps);
  double sum = 0;
  for (std::uint64_t i = 0; i < steps; ++i) {
    const double x = slice.from + width * (static_cast<double>(i) + 0.5);
    sum += std::exp(-x * x) * width;
  }
  return sum;
}

// Symmetric, and of nothing but its two arguments.
bool near(const double& a, const double& b) { return std::abs(a - b) <= 1e-9; }

const auto kIntegrate =
    shoal::Kernel<Params, Slice, double>{"integrate", integrate}.equivalent(near);

int program(shoal::Session& session) {
  std::vector<Slice> slices;
  for (int i = -8; i < 8; ++i) slices.push_back({i * 1.0, i + 1.0});
  auto job = session.map(kIntegrate, {.step = 1e-5}, slices);
  double sum = 0;
  // In order, since a sum of doubles depends on the order.
  for (const auto& result : job.in_order()) {
    if (!result.ok()) {
      std::fprintf(stderr, "unit %llu: %s\n", static_cast<unsigned long long>(result.unit()),
                   result.failure().message.c_str());
      return 1;
    }
    sum += result.value();
  }
  std::printf("%.7f, and the square root of pi is %.7f\n", sum, std::sqrt(std::acos(-1.0)));
  return 0;
}

int main(int argc, char** argv) { return shoal::run(argc, argv, {kIntegrate}, program); }
