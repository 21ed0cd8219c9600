#include <charconv>
#include <cstdlib>
#include <functional>

#include "tests/sim/simulation.h"

// The command line of shoal-sim, both ways: a run prints the line that runs it again.
namespace shoal::sim {
namespace {

std::string text_of(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return {text, end};
}

// Everything that is one number.
struct Number {
  const char* flag;
  std::function<std::string(const SimOptions&)> get;
  std::function<bool(SimOptions&, const std::string&)> set;
};

template <class T>
Number number(const char* flag, T SimOptions::*member) {
  return {flag,
          [member](const SimOptions& o) {
            if constexpr (std::is_floating_point_v<T>) return text_of(o.*member);
            if constexpr (!std::is_floating_point_v<T>) return std::to_string(o.*member);
          },
          [member](SimOptions& o, const std::string& text) {
            char* end = nullptr;
            if constexpr (std::is_floating_point_v<T>) {
              o.*member = std::strtod(text.c_str(), &end);
            } else {
              if (text.empty() || text[0] == '-') return false;
              o.*member = static_cast<T>(std::strtoull(text.c_str(), &end, 10));
            }
            return !text.empty() && *end == '\0';
          }};
}

const std::vector<Number>& numbers() {
  static const std::vector<Number> all = {
      number("--seed", &SimOptions::seed),
      number("--peers", &SimOptions::peers),
      number("--coordinators", &SimOptions::coordinators),
      number("--jobs", &SimOptions::jobs),
      number("--units", &SimOptions::units),
      number("--quorum", &SimOptions::quorum),
      number("--threads", &SimOptions::threads),
      number("--unit-ms", &SimOptions::unit_ms),
      number("--spread-permille", &SimOptions::spread_permille),
      number("--speed-min", &SimOptions::speed_min),
      number("--speed-max", &SimOptions::speed_max),
      number("--speed-sigma", &SimOptions::speed_sigma),
      number("--output-bytes", &SimOptions::output_bytes),
      number("--program-bytes", &SimOptions::program_bytes),
      number("--input-bytes", &SimOptions::input_bytes),
      number("--fail-every", &SimOptions::fail_every),
      number("--latency-ms-min", &SimOptions::latency_ms_min),
      number("--latency-ms-max", &SimOptions::latency_ms_max),
      number("--latency-sigma", &SimOptions::latency_sigma),
      number("--links-max", &SimOptions::links_max),
      number("--loss", &SimOptions::loss),
      number("--breaks", &SimOptions::breaks),
      number("--drift-ppm", &SimOptions::drift_ppm),
      number("--wall-skew-s", &SimOptions::wall_skew_s),
      number("--unreachable", &SimOptions::unreachable),
      number("--churn", &SimOptions::churn),
      number("--session-s", &SimOptions::session_s),
      number("--pause-s", &SimOptions::pause_s),
      number("--leave-for-good", &SimOptions::leave_for_good),
      number("--partitions", &SimOptions::partitions),
      number("--one-way", &SimOptions::one_way),
      number("--power-cuts", &SimOptions::power_cuts),
      number("--full-disks", &SimOptions::full_disks),
      number("--hung-disks", &SimOptions::hung_disks),
      number("--lost-disks", &SimOptions::lost_disks),
      number("--faults-s", &SimOptions::faults_s),
      number("--limit-s", &SimOptions::limit_s),
  };
  return all;
}

struct Switch {
  const char* flag;
  bool SimOptions::*member;
  bool value;
};
constexpr Switch kSwitches[] = {
    {"--noisy", &SimOptions::noisy, true},
    {"--submitter-crashes", &SimOptions::submitter_crashes, true},
    {"--coordinator-crashes", &SimOptions::coordinator_crashes, true},
    {"--keepers-stay", &SimOptions::keepers_stay, true},
    {"--no-checks", &SimOptions::checks, false},
    {"--log", &SimOptions::log, true},
    {"--trace", &SimOptions::trace, true},
};

}  // namespace

std::string flags_of(const SimOptions& options) {
  const SimOptions defaults;
  std::string text = "--seed " + std::to_string(options.seed);
  for (const Number& n : numbers()) {
    if (std::string_view(n.flag) == "--seed" || n.get(options) == n.get(defaults)) continue;
    text += std::string(" ") + n.flag + " " + n.get(options);
  }
  for (const Switch& s : kSwitches) {
    if (options.*s.member == s.value) text += std::string(" ") + s.flag;
  }
  for (const auto& [behaviour, count] : options.byzantine) {
    text += " --byzantine " + std::string(name_of(behaviour)) + ":" + std::to_string(count);
  }
  return text;
}

int read_flag(const std::string& flag, const std::string& value, SimOptions& options,
              std::string& error) {
  for (const Switch& s : kSwitches) {
    if (flag != s.flag) continue;
    options.*s.member = s.value;
    return 1;
  }
  for (const Number& n : numbers()) {
    if (flag != n.flag) continue;
    if (!n.set(options, value)) error = flag + " wants a number, not '" + value + "'";
    return 2;
  }
  if (flag == "--latency-ms") {
    options.latency_ms_min = options.latency_ms_max = std::atof(value.c_str());
    return 2;
  }
  if (flag != "--byzantine") return 0;
  const std::size_t colon = value.find(':');
  const auto behaviour = behaviour_of(value.substr(0, colon));
  const int count = colon == std::string::npos ? 1 : std::atoi(value.c_str() + colon + 1);
  if (!behaviour || count < 0) {
    error = "--byzantine wants KIND:N, with KIND one of";
    for (const Behaviour kind : kAllBehaviours) error += " " + std::string(name_of(kind));
    return 2;
  }
  options.byzantine[*behaviour] = static_cast<std::uint32_t>(count);
  return 2;
}

}  // namespace shoal::sim
