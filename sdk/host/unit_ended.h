#pragma once

#include <stdexcept>
#include <string>

#include "node/protocol/facts.h"

namespace shoal {

// Thrown through a UnitFunction by a host that knows better than the kernel how the unit has ended:
// an engine whose sandbox has stopped it.
class UnitEnded : public std::runtime_error {
 public:
  UnitEnded(FailureKind kind, const std::string& what) : std::runtime_error(what), kind_(kind) {}
  FailureKind kind() const { return kind_; }

 private:
  FailureKind kind_;
};

}  // namespace shoal
