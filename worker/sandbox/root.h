#pragma once

#include <string>
#include <vector>

#include "worker/sandbox/policy.h"
#include "worker/sandbox/steps.h"

// The file system that a sandbox sees: a root of its own, with nothing in it but what is listed
// here.
//
//   /usr, /bin, /lib...   as outside, read-only; and a few files of /etc
//   /program              what runs
//   /scratch/work         its folder to work in; HOME
//   /tmp, /dev/shm        parts of /scratch, which has one limit for all
//   /dev, /proc           null, zero, full, random, urandom; the processes of the sandbox
//
// All of it is nosuid and, but for the scratch folder, read-only.
namespace shoal {

inline constexpr char kSandboxProgram[] = "/program";
inline constexpr char kSandboxWork[] = "/scratch/work";

struct SandboxRoot {
  std::vector<std::string> mounts;  // what lies on the root, to be taken away by empty_root()
  bool proc = false;                // a container may forbid to mount it; then there is none
};

// What was opened for reading before root became nobody. Files whose path nobody can reach, as in
// root's own folders, are copied from here: they take memory, which they do for no other user.
struct OpenedFiles {
  int program = -1;
  std::vector<int> read_only;  // one for each of the policy's; -1: it could not be opened
};

// For the first process of a process namespace, which must hold a mount namespace of its own and
// CAP_SYS_ADMIN in it.
Result<SandboxRoot, std::string> build_root(const SandboxPolicy& policy, const OpenedFiles& opened);

// Leaves an empty, read-only root to all processes in it. What they have mapped stays mapped.
Step empty_root(const SandboxRoot& root);

}  // namespace shoal
