#include "worker/core/usage_tally.h"

#include <algorithm>
#include <bit>

namespace shoal {
namespace {

constexpr int kDigits = 5;

// How many of its last binary digits are not told apart.
int blurred_digits(std::uint32_t number) {
  return std::max(0, static_cast<int>(std::bit_width(number)) - kDigits);
}

}  // namespace

void SpreadTally::add(std::uint32_t number) {
  const int blurred = blurred_digits(number);
  ++counts_[number >> blurred << blurred];
  ++count_;
  most_ = std::max(most_, number);
}

Spread SpreadTally::spread() const {
  std::uint64_t below = 0;
  for (const auto& [least, count] : counts_) {
    below += count;
    if (2 * below < count_) continue;
    // The middle of those that are counted there.
    const std::uint32_t middle = least + ((std::uint32_t{1} << blurred_digits(least)) >> 1);
    return {std::min(middle, most_), most_};
  }
  return {};
}

void UsageTally::note(const Receipt& receipt) {
  if (receipt.end != UnitEnd::kVerified) return;
  for (const UnitCost& cost : receipt.outputs.costs) {
    if (cost == UnitCost()) continue;  // beside others that were measured, this one was not
    ++units_;
    cpu_ms_ += cost.cpu_ms;
    wall_ms_.add(cost.wall_ms);
    cpu_ms_each_.add(cost.cpu_ms);
    memory_kib_.add(cost.memory_kib);
  }
}

JobUsage UsageTally::usage() const {
  return {units_, cpu_ms_, wall_ms_.spread(), cpu_ms_each_.spread(), memory_kib_.spread()};
}

}  // namespace shoal
