#pragma once

#include "tests/sim/simulation.h"

// What a world that has run comes to in figures: everything of the report but its verdict.
namespace shoal::sim {

// Notes when nine tenths of all units have ended: what a long job wastes is seen best without its
// last minutes, in which there is not work for everybody.
class NinetyPercent final : public Checker {
 public:
  explicit NinetyPercent(SimReport& report) : report_(report) {}
  std::string_view name() const override { return "ninety_percent"; }
  void on_receipt(World&, const JobRun&, const Receipt&) override;

 private:
  SimReport& report_;
};

void measure(World&, SimReport&);

}  // namespace shoal::sim
