#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "tasks/front/front.h"
#include "tasks/lucas_lehmer/kernel.h"

// shoal-lucas-lehmer: which Mersenne numbers of a range are prime.
namespace {

using namespace shoal;

struct Options {
  std::uint32_t from = 2;
  std::uint32_t to = 0;
  bool all = false;
};

std::vector<std::uint32_t> exponents_of(const Options& options) {
  if (options.from > options.to) front::usage("FROM must not be above TO");
  std::vector<std::uint32_t> exponents;
  for (std::uint32_t p = options.from; p <= options.to; ++p) {
    if (lucas_lehmer::is_prime(p)) exponents.push_back(p);
  }
  if (exponents.empty()) {
    front::usage("there is no prime from " + std::to_string(options.from) + " to " +
                 std::to_string(options.to) + ", and other exponents never give a prime");
  }
  // The longest first, so that none of them is left for the end, when the others are done.
  std::reverse(exponents.begin(), exponents.end());
  return exponents;
}

std::string hexadecimal(std::uint64_t value) {
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016" PRIx64, value);
  return text.data();
}

int test_all(Session& session, front::Front& front, const Options& options) {
  const std::vector<std::uint32_t> exponents = exponents_of(options);
  std::vector<lucas_lehmer::Verdict> verdicts;
  auto job = front.job(session, lucas_lehmer::kernel(), lucas_lehmer::Params{}, exponents);
  front.collect<lucas_lehmer::Verdict>(job, exponents.size(),
                                       [&](std::uint64_t, lucas_lehmer::Verdict verdict) {
                                         if (verdict.prime || options.all) {
                                           verdicts.push_back(verdict);
                                         }
                                       });
  std::sort(verdicts.begin(), verdicts.end(),
            [](const auto& a, const auto& b) { return a.exponent < b.exponent; });

  front::Table table{"Mersenne numbers", {"exponent", "prime", "residue"}, {}, {true, false, true}};
  for (const auto& verdict : verdicts) {
    table.rows.push_back({std::to_string(verdict.exponent), verdict.prime ? "yes" : "no",
                          hexadecimal(verdict.residue)});
  }
  if (front.json()) {
    nlohmann::json summary = front.summary();
    summary["exponents"] = nlohmann::json::array();
    for (const auto& verdict : verdicts) {
      summary["exponents"].push_back({{"exponent", verdict.exponent},
                                      {"prime", verdict.prime},
                                      {"residue", hexadecimal(verdict.residue)}});
    }
    front::print_json(summary);
  } else {
    std::puts("exponent\tprime\tresidue");
    for (const auto& row : table.rows) {
      std::printf("%s\t%s\t%s\n", row[0].c_str(), row[1].c_str(), row[2].c_str());
    }
  }
  return front.finish({table});
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  front::Front front("lucas_lehmer",
                     "Tests Mersenne numbers 2^p - 1 for primality, p from FROM to TO.",
                     "shoal-lucas-lehmer 2 5000 --pool @ticket");
  const CLI::Range range(2, static_cast<int>(lucas_lehmer::kExponentMax));
  front.app().add_option("FROM", options.from, "The least exponent")->required()->check(range);
  front.app().add_option("TO", options.to, "The greatest exponent")->required()->check(range);
  front.app().add_flag("--all", options.all, "Print those that are not prime as well");
  if (const auto code = front.parse(argc, argv)) return *code;
  front.start_clock();
  return run(argc, argv, {lucas_lehmer::kernel()},
             [&](Session& session) { return test_all(session, front, options); });
}
