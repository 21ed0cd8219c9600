#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "tasks/front/front.h"
#include "tasks/ising/kernel.h"
#include "tasks/random/random.h"

// shoal-ising: energy and magnetisation of the 2-D Ising model beside Onsager's exact solution.
namespace {

using namespace shoal;

struct Options {
  ising::Params params;
  std::vector<double> temperatures = {1.5, 1.8, 2.0, 2.1, 2.2, 2.3, 2.5, 3.0, 4.0};
  std::uint32_t walks = 8;
  std::uint64_t seed = 1;
};

void declare(CLI::App& app, Options& options) {
  app.add_option("--temperatures", options.temperatures, "In units of J/k, separated by commas")
      ->delimiter(',')
      ->check(CLI::Range(0.1, 1000.0))
      ->type_name("T,T,...")
      ->capture_default_str();
  app.add_option("--size", options.params.size, "Spins along an edge")->capture_default_str();
  app.add_option("--walks", options.walks, "Independent walks at each temperature")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--warmup", options.params.warmup_sweeps, "Sweeps before anything is measured")
      ->capture_default_str();
  app.add_option("--bins", options.params.bins, "Bins of each walk, for the errors")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--bin-sweeps", options.params.sweeps_per_bin, "Sweeps in a bin")
      ->check(CLI::Range(1, 1'000'000'000))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Of the walks")->capture_default_str();
}

std::vector<ising::Walk> walks_of(const Options& options) {
  std::vector<ising::Walk> walks;
  for (const double temperature : options.temperatures) {
    for (std::uint32_t i = 0; i < options.walks; ++i) {
      walks.push_back(
          ising::walk_at(temperature, tasks::Random::seed_of(options.seed, walks.size())));
    }
  }
  return walks;
}

int measure(Session& session, front::Front& front, const Options& options) {
  const ising::Params& params = options.params;
  if (params.size < 2 || params.size > ising::kSizeMax) {
    front::usage("--size must be from 2 to " + std::to_string(ising::kSizeMax));
  }
  const std::vector<ising::Walk> walks = walks_of(options);
  std::vector<std::vector<ising::Bin>> by_walk(walks.size());
  auto job = front.job(session, ising::kernel(), params, walks);
  front.collect<ising::Bins>(job, walks.size(), [&](std::uint64_t unit, ising::Bins bins) {
    by_walk[unit] = std::move(bins.bins);
  });

  front::Table table{"Per spin, measured and exact (infinite lattice)",
                     {"T", "energy", "error", "exact", "magnetisation", "error", "exact"},
                     {},
                     std::vector<bool>(7, true)};
  auto points = nlohmann::json::array();
  for (std::size_t i = 0; i < options.temperatures.size(); ++i) {
    const double t = options.temperatures[i];
    // In the order of the walks, not of their arrival: sums of doubles depend on the order.
    std::vector<ising::Bin> bins;
    for (std::size_t k = i * options.walks; k < (i + 1) * options.walks; ++k) {
      bins.insert(bins.end(), by_walk[k].begin(), by_walk[k].end());
    }
    if (bins.empty()) continue;  // all its walks failed
    const ising::Estimates found = ising::estimate(params, bins);
    const double energy = ising::exact_energy(t);
    const double magnetisation = ising::exact_magnetisation(t);
    table.rows.push_back({front::fixed(t, 4), front::fixed(found.energy.mean, 5),
                          front::fixed(found.energy.error, 5), front::fixed(energy, 5),
                          front::fixed(found.magnetisation.mean, 5),
                          front::fixed(found.magnetisation.error, 5),
                          front::fixed(magnetisation, 5)});
    // JSON has no infinity, which is what the error is with one bin.
    const auto number = [](double x) { return std::isfinite(x) ? nlohmann::json(x) : nullptr; };
    points.push_back({{"temperature", t},
                      {"energy", found.energy.mean},
                      {"energy_error", number(found.energy.error)},
                      {"energy_exact", energy},
                      {"magnetisation", found.magnetisation.mean},
                      {"magnetisation_error", number(found.magnetisation.error)},
                      {"magnetisation_exact", magnetisation}});
  }
  if (front.json()) {
    nlohmann::json summary = front.summary();
    summary["temperatures"] = std::move(points);
    front::print_json(summary);
  } else {
    std::puts("T\tenergy\terror\texact\tmagnetisation\terror\texact");
    for (const auto& row : table.rows) {
      for (std::size_t i = 0; i < row.size(); ++i) {
        std::printf("%s%s", i == 0 ? "" : "\t", row[i].c_str());
      }
      std::putchar('\n');
    }
  }
  return front.finish({table});
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  front::Front front("ising", "The 2-D Ising model by Metropolis, beside Onsager's solution.",
                     "shoal-ising --temperatures 1.5,2.0,3.0 --walks 16 --pool @ticket");
  declare(front.app(), options);
  if (const auto code = front.parse(argc, argv)) return *code;
  front.start_clock();
  return run(argc, argv, {ising::kernel()},
             [&](Session& session) { return measure(session, front, options); });
}
