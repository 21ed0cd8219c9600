#pragma once

#include "worker/sandbox/policy.h"

namespace shoal {

// For the calling process and what it starts. A limit that is lower already stays.
void apply_limits(const SandboxPolicy& policy);

// Runs, reads and writes only when nothing else wants to.
void become_idle();

// The system ends this process, and those that it starts, before all others when memory runs out.
void be_the_first_to_go();

// No core of this process and those that it starts is written, nor handed to a program that the
// system has for that: one would be started as root, outside of any sandbox, and fed by whoever
// made the process die.
void forbid_cores();

}  // namespace shoal
