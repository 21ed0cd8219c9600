#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/sim/scheduling_compare.h"
#include "tests/sim/simulation.h"
#include "tests/sim/swarm.h"

namespace shoal::sim {
namespace {

constexpr const char* kUsage =
    "shoal-sim: the real peers by the thousand, in one process, on a virtual clock.\n"
    "\n"
    "  shoal-sim [--peers N] [--units N] [--seed S] [--quorum Q] [--unit-ms X] [--threads T] ...\n"
    "      One run. Prints the line that runs it again and one JSON line of figures.\n"
    "  shoal-sim --seeds A..B [--log | --trace]\n"
    "      Many small pools with random faults; prints failures only. Exit code 1 if there is "
    "one. Every twentieth runs twice and must do the same.\n"
    "  shoal-sim --compare-scheduling [--peers N] [--units N] ...\n"
    "      Three ways to hand out units, as simple models over the same load, machines, latencies\n"
    "      and sessions; a line of JSON for each. docs/scheduling.md says what they leave out.\n"
    "  shoal-sim --swarm [--peers N] [--content-mib N] [--mbit X] [--session-s MEAN] "
    "[--pause-s MEAN]\n"
    "      One content from one node to all others, by the real exchange: a line of JSON with how\n"
    "      long that took them, against a perfect swarm. Exit code 1 if one has not all of it.\n"
    "\n"
    "Load:    --jobs --units --quorum --unit-ms --spread-permille --output-bytes --program-bytes\n"
    "         --input-bytes --fail-every --noisy\n"
    "Nodes:   --peers --threads --speed-min --speed-max --speed-sigma --coordinators\n"
    "         --unreachable SHARE --drift-ppm --wall-skew-s\n"
    "Network: --latency-ms X | --latency-ms-min X --latency-ms-max X, --latency-sigma --links-max\n"
    "         --loss P --breaks P\n"
    "Faults:  --churn CRASHES-A-MINUTE --session-s MEAN --pause-s MEAN --leave-for-good SHARE\n"
    "         --keepers-stay (who keeps a job has no end of session) --power-cuts N\n"
    "         --partitions N --one-way N --full-disks TIMES-A-MINUTE --hung-disks TIMES-A-MINUTE\n"
    "         --lost-disks N (of workers that keep a job) --submitter-crashes\n"
    "         --coordinator-crashes --faults-s SECONDS --byzantine KIND:N (wrong-digest colluder\n"
    "         copier equivocator replayer free-rider hoarder garbage forger)\n"
    "Output:  --json (the JSON line alone) --log --trace --no-checks --limit-s SECONDS\n";

void print_violations(const SimReport& report) {
  for (const Violation& violation : report.violations) {
    std::printf("  %s at %.3f s: %s\n", violation.checker.c_str(),
                static_cast<double>(violation.at) / 1e9, violation.what.c_str());
  }
}

int run_one(const SimOptions& options, bool json_alone) {
  const auto begin = std::chrono::steady_clock::now();
  if (!json_alone) {
    std::printf("seed %llu\nagain: shoal-sim %s\n", static_cast<unsigned long long>(options.seed),
                flags_of(options).c_str());
    std::fflush(stdout);
  }
  const SimReport report = simulate(options);
  if (!json_alone) {
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    std::printf("%.1f virtual seconds in %.1f s\n", report.virtual_s, took.count());
    print_violations(report);
  }
  std::printf("%s\n", json_of(report).c_str());
  return report.violations.empty() && report.finished ? 0 : 1;
}

int run_models(const SimOptions& asked) {
  ComparisonOptions options;
  options.seed = asked.seed;
  options.workers = asked.peers;
  options.units = asked.units * asked.quorum;
  options.unit_s = asked.unit_ms / 1000.0;
  options.speed_sigma = asked.speed_sigma;
  options.latency_s = (asked.latency_ms_min + asked.latency_ms_max) / 2000.0;
  options.session_s = asked.session_s;
  options.pause_s = asked.pause_s;
  for (const Policy policy : kAllPolicies) {
    const ComparisonResult result = compare(policy, options);
    std::printf(
        "{\"policy\":\"%s\",\"efficiency\":%.4f,\"efficiency_until_90\":%.4f,\"lost\":%.4f,"
        "\"makespan_s\":%.1f,\"messages_a_unit\":%.3f}\n",
        name_of(policy), result.efficiency, result.efficiency_until_90, result.lost,
        result.makespan_s, result.messages_a_unit);
  }
  return 0;
}

int run_one_swarm(const SimOptions& asked, SwarmOptions options) {
  options.seed = asked.seed;
  options.peers = asked.peers;
  options.latency_min = Duration(static_cast<std::int64_t>(asked.latency_ms_min * 1e6));
  options.latency_max = Duration(static_cast<std::int64_t>(asked.latency_ms_max * 1e6));
  options.session_s = asked.session_s;
  options.pause_s = asked.pause_s;
  const SwarmReport report = run_swarm(options);
  std::printf("%s\n", json_of(report).c_str());
  return report.done == options.peers ? 0 : 1;
}

constexpr std::uint64_t kRerunEvery = 20;

int run_many(std::uint64_t first, std::uint64_t last, const SimOptions& asked) {
  std::uint64_t failed = 0;
  std::uint64_t rerun = 0;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    SimOptions options = random_options(seed);
    options.log = asked.log;
    options.trace = asked.trace;
    // A peer that finds a bug of its own ends the process: its seed must be on the screen then.
    std::fprintf(stderr, "\rseed %llu ", static_cast<unsigned long long>(seed));
    SimReport report = simulate(options);
    if (seed % kRerunEvery == 0) {
      ++rerun;
      if (simulate(options).hash != report.hash) {
        report.violations.push_back({"replay", 0, "two runs of this seed differ"});
      }
    }
    if (report.violations.empty() && report.finished) continue;
    ++failed;
    std::printf("seed %llu FAILED\n  again: shoal-sim %s\n", static_cast<unsigned long long>(seed),
                flags_of(options).c_str());
    print_violations(report);
    std::fflush(stdout);
  }
  std::fprintf(stderr, "\n");
  std::printf("%llu seeds, %llu of them twice, %llu failed\n",
              static_cast<unsigned long long>(last - first + 1),
              static_cast<unsigned long long>(rerun), static_cast<unsigned long long>(failed));
  return failed == 0 ? 0 : 1;
}

int wrong_usage(const std::string& why) {
  std::fprintf(stderr, "shoal-sim: %s\n\n%s", why.c_str(), kUsage);
  return 2;
}

int run(const std::vector<std::string>& arguments) {
  SimOptions options;
  bool json_alone = false;
  bool models = false;
  bool is_swarm = false;
  SwarmOptions swarm;
  std::string seeds;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& flag = arguments[i];
    const std::string value = i + 1 < arguments.size() ? arguments[i + 1] : "";
    if (flag == "--help") {
      std::fputs(kUsage, stdout);
      return 0;
    }
    if (flag == "--json") {
      json_alone = true;
      continue;
    }
    if (flag == "--compare-scheduling") {
      models = true;
      continue;
    }
    if (flag == "--swarm") {
      is_swarm = true;
      continue;
    }
    if (flag == "--content-mib" || flag == "--mbit") {
      char* rest = nullptr;
      const double number = std::strtod(value.c_str(), &rest);
      if (value.empty() || *rest != '\0' || !(number > 0 && number <= 1e6)) {
        return wrong_usage(flag + " wants a number above 0");
      }
      if (flag == "--mbit") swarm.mbit = number;
      if (flag == "--content-mib") swarm.content_mib = static_cast<std::uint64_t>(number);
      ++i;
      continue;
    }
    if (flag == "--seeds") {
      seeds = value;
      ++i;
      continue;
    }
    std::string error;
    const int taken = read_flag(flag, value, options, error);
    if (!error.empty()) return wrong_usage(error);
    if (taken == 0) return wrong_usage("there is no " + flag);
    i += static_cast<std::size_t>(taken - 1);
  }
  if (models) return run_models(options);
  if (is_swarm) return run_one_swarm(options, swarm);
  if (seeds.empty()) return run_one(options, json_alone);
  const std::size_t dots = seeds.find("..");
  if (dots == std::string::npos) return wrong_usage("--seeds wants A..B");
  return run_many(std::strtoull(seeds.c_str(), nullptr, 10),
                  std::strtoull(seeds.c_str() + dots + 2, nullptr, 10), options);
}

}  // namespace
}  // namespace shoal::sim

int main(int argc, char** argv) {
  return shoal::sim::run(std::vector<std::string>(argv + 1, argv + argc));
}
