#pragma once

#include "worker/sandbox/policy.h"

namespace shoal {

// What the sentences begin with that it writes to stderr where it fails.
inline constexpr char kComplaint[] = "shoal-sandbox: ";

// Runs the policy's program inside its sandbox, and ends the way that it ends. For a process of one
// thread, whose descriptors 0 to 4 are the program's. Where the sandbox cannot be made, says why on
// stderr and ends with status 126; where the program cannot be executed, with 127.
//
// Three processes at the full level, each of which dies with the one before:
//
//   outer    in the worker's own process namespace: its child, whose end it sees
//   first    the first process of the namespace: builds the root, reaps, freezes (herd.h)
//   program  limits, Landlock, seccomp, and then the program itself
//
// The outer and the first process keep their priority, so that they act at once on a busy machine.
[[noreturn]] void confine(const SandboxPolicy& policy);

inline constexpr int kNoSandbox = 126;
inline constexpr int kNoProgram = 127;

}  // namespace shoal
