#pragma once

#include <cstdint>
#include <map>

#include "node/protocol/messages.h"

// What a job's units took, in little memory however many there are.
namespace shoal {

// Counts numbers by their first five binary digits: at most some 460 counts.
class SpreadTally {
 public:
  void add(std::uint32_t number);
  Spread spread() const;

 private:
  std::map<std::uint32_t, std::uint64_t> counts_;  // by the least number that is counted there
  std::uint64_t count_ = 0;
  std::uint32_t most_ = 0;
};

class UsageTally {
 public:
  // Of the receipt of units that have just ended: those that were verified, and measured.
  void note(const Receipt& receipt);
  JobUsage usage() const;

 private:
  std::uint64_t units_ = 0;
  std::uint64_t cpu_ms_ = 0;
  SpreadTally wall_ms_;
  SpreadTally cpu_ms_each_;
  SpreadTally memory_kib_;
};

}  // namespace shoal
