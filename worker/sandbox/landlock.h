#pragma once

#include <string>
#include <vector>

#include "worker/sandbox/steps.h"

// Landlock: rules about files that a process lays on itself and its children.
namespace shoal {

struct LandlockRules {
  std::vector<std::string> readable;  // and executable, with all that is below
  std::vector<std::string> writable;  // and readable and executable, likewise
};

// The version of its interface; 0: the kernel has none, or it is off.
int landlock_version();

// Leaves nothing but `rules`, and no TCP, no abstract UNIX sockets and no signals to processes
// outside as far as the kernel's version knows how. For the calling thread and those that it will
// start. Paths that are not there are left out. Needs no_new_privs.
Step restrict_files(const LandlockRules& rules);

}  // namespace shoal
