#pragma once

#include "worker/sandbox/steps.h"

// Which calls of the system a sandbox may make. A filter cannot be taken back, and holds for all
// that is started later. Needs no_new_privs.
namespace shoal {

// For programs: all but what reaches beyond the sandbox, or is there to attack the kernel with.
// Those fail with EPERM, or with ENOSYS where programs know another way. For the calling thread.
Step deny_dangerous_calls();

// For an engine that has all it needs: memory, threads, clocks, and the descriptors that are open.
// What only an attacker would call ends the process with SIGSYS; all else fails with EPERM. For all
// threads of the process.
Step allow_computing_alone();

}  // namespace shoal
