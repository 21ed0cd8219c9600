#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "node/protocol/facts.h"

namespace shoal {

// Thrown through a UnitFunction by a host that knows better than the kernel how the unit has ended:
// an engine whose sandbox has stopped it, or a program that has run in a process of its own.
class UnitEnded : public std::runtime_error {
 public:
  UnitEnded(FailureKind kind, const std::string& what, std::string stderr_end = {})
      : std::runtime_error(what), kind_(kind), stderr_end_(std::move(stderr_end)) {}
  FailureKind kind() const { return kind_; }
  // What this unit alone has written to stderr, its end; empty: that is not known.
  const std::string& stderr_end() const { return stderr_end_; }

 private:
  FailureKind kind_;
  std::string stderr_end_;
};

}  // namespace shoal
