#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tests/cluster/cluster.h"

// A job whose right answers are known: which Mersenne numbers are prime (OEIS A000043).
namespace shoal::cluster {

class Mersenne {
 public:
  // All primes from `first` to `last` are exponents, one a unit.
  Mersenne(const std::filesystem::path& folder, std::uint32_t first, std::uint32_t last);

  const std::vector<std::uint32_t>& exponents() const { return exponents_; }
  // `submit` with the job's own flags, and with `more`.
  Line submission(const Line& more = {}) const;
  // Fails the test unless `out` has every unit once, each verified, and right.
  void expect_right(const std::string& out) const;

 private:
  std::filesystem::path inputs_;
  std::vector<std::uint32_t> exponents_;
};

// For await_out(): so many lines are there.
Process::Holds has_lines(std::size_t count);
Process::Holds has_text(const std::string& text);

}  // namespace shoal::cluster
