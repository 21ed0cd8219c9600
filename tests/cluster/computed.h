#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "tests/cluster/cluster.h"

namespace shoal::cluster {

// How many units that worker has computed of all that there were.
inline std::uint64_t computed_by(const Cluster& cluster, const std::string& name) {
  const std::string ready = cluster.worker(name).out();
  std::uint64_t units = 0;
  // Who has much to do may not answer in time.
  EXPECT_TRUE(comes_true([&] {
    const auto seen = cluster.json({"worker", "list", "--json"});
    for (const auto& worker : seen["workers"]) {
      if (ready.find(worker["node"].get<std::string>()) == std::string::npos) continue;
      if (worker["status"].is_null()) return false;
      units = worker["status"]["units_computed"].get<std::uint64_t>();
      return true;
    }
    return false;
  })) << name
      << " does not answer";
  return units;
}

}  // namespace shoal::cluster
