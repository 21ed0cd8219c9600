#pragma once

#include <optional>

#include "tests/sim/simulation.h"

// What a world that has run comes to in figures: everything of the report but its verdict.
namespace shoal::sim {

// Notes how far machines and units are when a tenth of all units has ended, and when nine have: what
// a long job wastes is seen best without its first minutes, in which all begin at once, and its
// last, in which there is not work for everybody.
class Milestones final : public Checker {
 public:
  explicit Milestones(SimReport& report) : report_(report) {}
  std::string_view name() const override { return "milestones"; }
  void on_receipt(World&, const JobRun&, const Receipt&) override;

 private:
  struct Mark {
    double ideal = 0;  // since the first job was accepted
    double useful = 0;
  };
  SimReport& report_;
  std::optional<Mark> tenth_;
  bool done_ = false;
};

void measure(World&, SimReport&);

}  // namespace shoal::sim
