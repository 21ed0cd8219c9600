#include <shoal/shoal.h>

#include <cstdint>
#include <iostream>

// Which number below a million takes the most steps to reach 1? One unit looks at `block` numbers.
struct Params {
  std::uint64_t block = 1000;
  SHOAL_FIELDS(block)
};
struct Longest {
  std::uint64_t number = 1;
  std::uint32_t steps = 0;
  SHOAL_FIELDS(number, steps)
};

Longest search(const Params& params, std::uint64_t unit) {
  Longest best;
  for (std::uint64_t n = unit * params.block + 1; n <= (unit + 1) * params.block; ++n) {
    std::uint32_t steps = 0;
    for (std::uint64_t x = n; x != 1; x = x % 2 == 0 ? x / 2 : 3 * x + 1) ++steps;
    if (steps > best.steps) best = {n, steps};
  }
  return best;
}

const shoal::Kernel<Params, std::uint64_t, Longest> kSearch{"collatz", search};

int program(shoal::Session& session) {
  Longest best;
  auto job = session.map(kSearch, {.block = 1000}, shoal::IndexSpace{1000});
  for (const auto& result : job.results()) {
    if (!result.ok()) {
      std::cerr << "unit " << result.unit() << ": " << result.failure().message << '\n';
    } else if (const Longest found = result.value(); found.steps > best.steps) {
      best = found;
    }
  }
  std::cout << best.number << " takes " << best.steps << " steps\n";
  return 0;
}

int main(int argc, char** argv) { return shoal::run(argc, argv, {kSearch}, program); }
