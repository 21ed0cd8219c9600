#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "node/protocol/messages.h"
#include "tests/sim/job_run.h"

namespace shoal::sim {

class World;

// One thing that must always hold. A checker watches the world and tells it of violations
// (World::violated); it never changes anything.
class Checker {
 public:
  virtual ~Checker() = default;
  virtual std::string_view name() const = 0;
  virtual void on_accepted(World&, const JobRun&) {}
  virtual void on_receipt(World&, const JobRun&, const Receipt&) {}
  virtual void on_drop(World&, NodeIndex /*by*/, NodeIndex /*of*/, const std::string& /*why*/) {}
  virtual void on_restart(World&, NodeIndex) {}
  virtual void on_tick(World&) {}     // every few virtual seconds
  virtual void at_the_end(World&) {}  // faults have stopped, and there was time to finish
};

struct Violation {
  std::string checker;
  Time at = 0;
  std::string what;
};

}  // namespace shoal::sim
