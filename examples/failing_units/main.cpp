#include <shoal/shoal.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

// How errors look. A unit that fails is one element of the loop; the others do not notice.
struct Params {
  bool crash = false;
  SHOAL_FIELDS(crash)
};

std::uint64_t compute(shoal::Unit& unit, const Params& params, const std::uint64_t& n) {
  switch (n) {
    case 3:
      throw std::runtime_error("no result for 3");
    case 5:
      unit.log("this line comes back with the failure");
      unit.fail("5 is out of the question");
    case 7:
      if (params.crash) std::abort();
      break;
    default:
      break;
  }
  return n * n;
}

const shoal::Kernel<Params, std::uint64_t, std::uint64_t> kCompute{"failing", compute};

const char* name_of(shoal::FailureReason reason) {
  switch (reason) {
    case shoal::FailureReason::kThrew:
      return "threw";
    case shoal::FailureReason::kCrashed:
      return "crashed";
    case shoal::FailureReason::kTimedOut:
      return "timed out";
    case shoal::FailureReason::kOutOfMemory:
      return "ran out of memory";
    case shoal::FailureReason::kBadAnswer:
      return "answered with something else than an output";
    case shoal::FailureReason::kRefused:
      return "was refused";
    case shoal::FailureReason::kDisputed:
      return "is disputed";
  }
  return "failed";
}

int program(shoal::Session& session) {
  // In a pool a crash costs its unit; here it would end this very program.
  const Params params{.crash = !session.is_local()};
  auto job = session.map(kCompute, params, shoal::IndexSpace{10});
  std::uint64_t sum = 0;
  int failed = 0;
  for (const auto& result : job.in_order()) {
    if (result.ok()) {
      sum += result.value();
      continue;
    }
    const shoal::UnitError& error = result.failure();
    ++failed;
    std::printf("unit %llu %s: %s (on %u workers)\n",
                static_cast<unsigned long long>(result.unit()), name_of(error.kind),
                error.message.c_str(), error.attempts);
    if (!error.stderr_end.empty()) std::printf("  stderr: %s\n", error.stderr_end.c_str());
  }
  std::printf("%d units failed, the squares of the others are %llu\n", failed,
              static_cast<unsigned long long>(sum));
  return 0;
}

int main(int argc, char** argv) { return shoal::run(argc, argv, {kCompute}, program); }
