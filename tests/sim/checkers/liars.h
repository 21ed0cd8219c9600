#pragma once

#include <algorithm>

#include "tests/sim/world.h"

namespace shoal::sim {

// Who in the world may lie about results, as far as it concerns one job.
struct Liars {
  std::size_t hostile = 0;
  std::size_t colluders = 0;
  std::size_t largest_group = 0;  // that tell the same lie
  bool colluder_leads = false;
  // What is promised of results holds only while this is false.
  bool may_win(const JobRun& job) const {
    return colluder_leads || largest_group >= job.manifest.quorum;
  }
};

// Nodes are only ever added to a world: each is looked at once.
class LiarCensus {
 public:
  Liars of(World& world, const JobRun& job) {
    for (; counted_ < world.nodes().size(); ++counted_) {
      const Node& node = *world.nodes()[counted_];
      if (node.honest()) continue;
      ++liars_.hostile;
      if (node.worker.behaviour == "colluder") ++liars_.colluders;
    }
    Liars liars = liars_;
    liars.largest_group = std::max<std::size_t>(liars.colluders, liars.hostile > 0 ? 1 : 0);
    liars.colluder_leads = job.steward && world.node(*job.steward).worker.behaviour == "colluder";
    return liars;
  }

 private:
  Liars liars_;
  std::size_t counted_ = 0;
};

}  // namespace shoal::sim
