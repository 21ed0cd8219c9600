#pragma once

#include <string>

#include "worker/sandbox/policy.h"

namespace shoal {

// Root becomes nobody in the policy's scratch folder, where there are no namespaces to do it in.
// The answer is the policy as nobody can follow it: the scratch folder is ".", and files whose path
// nobody can reach, as in root's own folders, are copies in there. For other users it is the same
// policy, and nothing is done. Takes back the signal that tells of the parent's death.
Result<SandboxPolicy, std::string> become_nobody(SandboxPolicy policy);

// Empty: root can become nobody on this machine, and end what nobody runs; or this is not root.
// Else why not. Forks and waits.
std::string nobody_fault();

// The first folder on the way to a folder, itself included, that is closed to the user whom a
// sandbox started here is of; empty: there is none, or `path` is no folder. (Files are copied where
// they cannot be reached.) Forks and waits.
std::string closed_to_sandbox(const std::string& path);

}  // namespace shoal
