#include <cstdio>
#include <nlohmann/json.hpp>

#include "tests/sim/simulation.h"

namespace shoal::sim {
namespace {

// Figures are compared by eye and by scripts: four digits after the point are enough for both.
double rounded(double value) {
  return static_cast<double>(static_cast<std::int64_t>(value * 1e4 + 0.5)) / 1e4;
}

}  // namespace

std::string json_of(const SimReport& report) {
  nlohmann::ordered_json json;
  json["schema"] = 1;
  json["seed"] = report.options.seed;
  json["peers"] = report.options.peers;
  json["units"] = report.options.units;
  json["quorum"] = report.options.quorum;
  json["finished"] = report.finished;
  json["efficiency"] = rounded(report.efficiency);
  json["efficiency_until_90"] = rounded(report.efficiency_until_90);
  json["busy_until_90"] = rounded(report.busy_until_90);
  json["efficiency_best"] = rounded(report.efficiency_best);
  json["makespan_best_s"] = rounded(report.makespan_best_s);
  json["share_redundant"] = rounded(report.share_redundant);
  json["share_cancelled"] = rounded(report.share_cancelled);
  json["share_in_hand"] = rounded(report.share_in_hand);
  json["share_idle"] = rounded(report.share_idle);
  json["makespan_s"] = rounded(report.makespan_s);
  json["messages_a_unit"] = rounded(report.messages_a_unit);
  json["bytes_a_unit"] = rounded(report.bytes_a_unit);
  json["messages_a_node_minute"] = rounded(report.messages_a_node_minute);
  json["messages_a_node_minute_max"] = rounded(report.messages_a_node_minute_max);
  json["messages_a_keeper_minute"] = rounded(report.messages_a_keeper_minute);
  json["links_median"] = report.links_median;
  json["links_p99"] = report.links_p99;
  json["links_keeper"] = report.links_keeper;
  json["turned_away"] = report.turned_away;
  json["redundancy"] = rounded(report.redundancy);
  json["steals_share"] = rounded(report.steals_share);
  json["units_verified"] = report.units_verified;
  json["wrong_results_accepted"] = report.wrong_accepted;
  json["receipts"] = report.receipts;
  json["bad_receipts"] = report.bad_receipts;
  json["coordinator_bytes_a_node"] = rounded(report.coordinator_bytes_a_node);
  json["virtual_s"] = rounded(report.virtual_s);
  json["events"] = report.events;
  json["violations"] = report.violations.size();
  char hash[17];
  std::snprintf(hash, sizeof hash, "%016llx", static_cast<unsigned long long>(report.hash));
  json["hash"] = hash;
  return json.dump();
}

}  // namespace shoal::sim
