#pragma once

#include <memory>

#include "tests/sim/checker.h"

// What must always hold, one checker a line. Each has a planted bug in tests/negative that it
// catches.
namespace shoal::sim {

// A verified receipt has q distinct supporters and, unless q workers collude or the leader is one
// of them, it is true. Units end as failed or disputed only where somebody deserves it.
std::unique_ptr<Checker> accepted_is_true();
// What was delivered as verified is never delivered as something else.
std::unique_ptr<Checker> no_undisputed_change();
// An acknowledged job and its delivered receipts are on the steward's disk, and outlive its crash.
std::unique_ptr<Checker> acknowledged_not_lost();
// No honest node bans another: the reason of a Drop that is a ban begins with "banned", of one for
// bytes that cannot be read with "bad message".
std::unique_ptr<Checker> no_honest_ban();
// Nodes' own invariants hold, and nothing that the world can count is past its limit.
std::unique_ptr<Checker> queues_within_limits();
// Once faults stop, every job that was not cancelled finishes and is closed.
std::unique_ptr<Checker> every_job_finishes();
// Once faults stop, each large output that one worker still holds is held by two. Judged where all
// are honest and can be dialled.
std::unique_ptr<Checker> copies_kept();
// Once faults stop, the honest workers' links hang together.
std::unique_ptr<Checker> overlay_connected();
// Coordinators carry no unit, result or content, and few bytes for each link.
std::unique_ptr<Checker> coordinator_frugal();
// The messages of honest nodes stay within the budget, however many there are. Not judged where
// hostile ones ask for answers.
std::unique_ptr<Checker> messages_within_budget();

void add_all_checkers(World&);

}  // namespace shoal::sim
