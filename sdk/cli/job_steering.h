#pragma once

#include <cstdint>
#include <string>

#include "node/protocol/messages.h"
#include "sdk/cli/outcome.h"
#include "sdk/cli/settings.h"

namespace shoal::cli {

// Whether the job is as the command would have it, or over and past all commands.
bool obeys(const JobStatus& status, ControlCommand command, std::int32_t priority);

// Tells those who keep a job what its submitter wants of it, and says where it stands then. Works
// from any machine that has the submitter's key: the pool is asked who they are.
Outcome steer_job(const std::string& id, ControlCommand command, std::int32_t priority,
                  const Settings& settings);

}  // namespace shoal::cli
