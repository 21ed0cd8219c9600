#include <shoal/shoal.h>

#include <cstdint>
#include <iostream>
#include <string>

// A unit that cannot end unless it goes on from where an interrupted attempt at it has left off:
// each of its first attempts makes some of the steps, and then waits for its worker's end. What
// comes out is the same, however often it was interrupted.
struct Params {
  std::uint64_t steps = 0;
  std::uint64_t interruptions = 0;
  SHOAL_FIELDS(steps, interruptions)
};
struct State {
  std::uint64_t step = 0;
  std::uint64_t value = 0;
  std::uint64_t attempts = 0;
  SHOAL_FIELDS(step, value, attempts)
};

std::uint64_t walk(shoal::Unit& unit, const Params& params, std::uint64_t index) {
  State state = unit.saved<State>().value_or(State{0, index, 0});
  const bool waits = state.attempts < params.interruptions;
  state.attempts += 1;
  const std::uint64_t end =
      waits ? params.steps * state.attempts / (params.interruptions + 1) : params.steps;
  while (state.step < end) {
    state.value = (state.value ^ state.step) * 6'364'136'223'846'793'005U + 1;
    state.step += 1;
    unit.save(state);
  }
  while (waits && !unit.cancelled()) unit.save(state);
  return state.value;
}

const shoal::Kernel<Params, std::uint64_t, std::uint64_t> kWalk{"walk", walk};

// UNITS INTERRUPTIONS QUORUM [MODULE]
int main(int argc, char** argv) {
  return shoal::run(argc, argv, {kWalk}, [](shoal::Session& session) {
    const auto& words = session.arguments();
    shoal::JobOptions options{.quorum = static_cast<unsigned>(std::stoul(words.at(2)))};
    if (words.size() > 3) options.module = words[3];
    const Params params{.steps = 100'000, .interruptions = std::stoull(words.at(1))};
    auto job = session.map(kWalk, params, shoal::IndexSpace{std::stoull(words.at(0))}, options);
    for (const auto& result : job.results()) {
      std::cout << result.unit() << ' '
                << (result.ok() ? std::to_string(result.value()) : result.failure().message)
                << std::endl;
    }
    return 0;
  });
}
