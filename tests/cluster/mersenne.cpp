#include "tests/cluster/mersenne.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "tasks/lucas_lehmer/lucas_lehmer.h"

namespace shoal::cluster {
namespace {

// Exponents of Mersenne primes, as far as these tests go.
const std::set<std::uint32_t> kPrimeExponents{2,    3,    5,    7,    13,   17,   19,   31,
                                              61,   89,   107,  127,  521,  607,  1279, 2203,
                                              2281, 3217, 4253, 4423, 9689, 9941, 11213};
// Every so many units' residues are computed here again: all of them would take as long as the job.
constexpr std::size_t kResidueEvery = 25;

}  // namespace

Mersenne::Mersenne(const std::filesystem::path& folder, std::uint32_t first, std::uint32_t last)
    : inputs_(folder / ("exponents-" + std::to_string(first) + "-" + std::to_string(last))) {
  std::ofstream file(inputs_);
  for (std::uint32_t n = first; n <= last; ++n) {
    if (!lucas_lehmer::is_prime(n)) continue;
    exponents_.push_back(n);
    file << n << '\n';
  }
}

Line Mersenne::submission(const Line& more) const {
  Line line{"submit", "--kernel", "lucas_lehmer", "--inputs", inputs_.string()};
  line.insert(line.end(), more.begin(), more.end());
  return line;
}

void Mersenne::expect_right(const std::string& out) const {
  std::map<std::uint64_t, nlohmann::json> values;
  for (const auto& line : json_lines(out)) {
    if (line["type"] != "result") continue;
    ASSERT_EQ(line["ok"], true) << line;
    EXPECT_TRUE(values.emplace(line["unit"], line["value"]).second) << "twice: " << line;
  }
  ASSERT_EQ(values.size(), exponents_.size());
  for (std::size_t unit = 0; unit < exponents_.size(); ++unit) {
    const nlohmann::json& value = values.at(unit);  // exponent, prime, residue
    ASSERT_EQ(value.size(), 3U) << value;
    EXPECT_EQ(value[0], exponents_[unit]);
    EXPECT_EQ(value[1], kPrimeExponents.contains(exponents_[unit])) << "2^" << exponents_[unit];
    if (unit % kResidueEvery != 0) continue;
    EXPECT_EQ(value[2], lucas_lehmer::test({}, exponents_[unit]).residue);
  }
}

Process::Holds has_lines(std::size_t count) {
  return [count](const std::string& text) { return count_lines(text) >= count; };
}

Process::Holds has_text(const std::string& text) {
  return [text](const std::string& all) { return all.find(text) != std::string::npos; };
}

}  // namespace shoal::cluster
