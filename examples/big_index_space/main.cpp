#include <shoal/shoal.h>

#include <array>
#include <cstdint>
#include <cstdio>

// 10^9 units and no list of them: they are numbers, handed out in ranges. The loop takes results as
// it needs them and stops when it has seen enough.
//
// Which numbers are the sum of the factorials of their digits? There are four.
bool is_factorion(const shoal::Nothing&, std::uint64_t unit) {
  constexpr std::array<std::uint64_t, 10> factorials = {1,   1,   2,    6,     24,
                                                        120, 720, 5040, 40320, 362880};
  std::uint64_t sum = 0;
  for (std::uint64_t rest = unit; rest != 0; rest /= 10) sum += factorials[rest % 10];
  return unit != 0 && sum == unit;
}

const shoal::Kernel<shoal::Nothing, std::uint64_t, bool> kFactorion{"factorion", is_factorion};

int program(shoal::Session& session) {
  auto job = session.map(kFactorion, {}, shoal::IndexSpace{1'000'000'000});
  int found = 0;
  std::uint64_t seen = 0;
  for (const auto& result : job.in_order()) {
    ++seen;
    if (!result.ok() || !result.value()) continue;
    std::printf("%llu\n", static_cast<unsigned long long>(result.unit()));
    if (++found == 4) break;
  }
  // Leaving the loop does not stop a job in a pool, nor does dropping the handle.
  job.cancel();
  std::printf("%d found in the first %llu of 1000000000 units\n", found,
              static_cast<unsigned long long>(seen));
  return 0;
}

int main(int argc, char** argv) { return shoal::run(argc, argv, {kFactorion}, program); }
