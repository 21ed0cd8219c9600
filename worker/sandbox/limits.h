#pragma once

#include "worker/sandbox/policy.h"

namespace shoal {

// For the calling process and what it starts. A limit that is lower already stays.
void apply_limits(const SandboxPolicy& policy);

// Runs, reads and writes only when nothing else wants to.
void become_idle();

// The system ends this process, and those that it starts, before all others when memory runs out.
void be_the_first_to_go();

}  // namespace shoal
