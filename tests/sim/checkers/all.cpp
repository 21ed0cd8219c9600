#include "tests/sim/checkers/checkers.h"
#include "tests/sim/world.h"

namespace shoal::sim {

void add_all_checkers(World& world) {
  world.add_checker(accepted_is_true());
  world.add_checker(no_undisputed_change());
  world.add_checker(acknowledged_not_lost());
  world.add_checker(no_honest_ban());
  world.add_checker(queues_within_limits());
  world.add_checker(every_job_finishes());
  world.add_checker(copies_kept());
  world.add_checker(overlay_connected());
  world.add_checker(coordinator_frugal());
  world.add_checker(messages_within_budget());
}

}  // namespace shoal::sim
