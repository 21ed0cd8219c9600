#pragma once

#include <cstdint>

#include "worker/sandbox/steps.h"

// The rights of a process, and what it sees of the others.
namespace shoal {

// The one user inside a sandbox.
inline constexpr unsigned kSandboxUser = 1000;

// The user and the group that root's executors have.
inline constexpr unsigned kNobody = 65534;

// Inside a user namespace, as that of a container without root, user 0 is somebody else outside,
// who owns nothing of the system's. Where this cannot be told, it counts as root.
bool is_root_of_the_system();

// Root becomes the user nobody. As root, a process in a user namespace still owns the files under
// /proc/sys, and has no limit on its processes. Does nothing for other users, nor for the root of a
// container that is an ordinary user outside of it. Takes back the signal that tells of the
// parent's death, as any change of user does.
Step stop_being_root();

// Of the calling process: user, mount, network, IPC, host name and, where there are such, cgroup
// namespaces; and a process namespace for the children it has from now on. It must have one thread.
Step enter_namespaces();

// Keeps nothing but `kept` (a bit mask of capabilities; 0: nothing), neither now nor after exec.
Step drop_capabilities(std::uint64_t kept = 0);

}  // namespace shoal
