#pragma once

#include <string>
#include <vector>

#include "worker/sandbox/policy.h"

// Which layers of the sandbox work on this machine.
namespace shoal {

struct SandboxReport {
  // Each empty: it works. Else why not.
  std::string namespaces;  // with a root of its own
  std::string proc;        // of its own, within them
  std::string seccomp;
  std::string nobody;        // who root's executors are; where this is not root it is nothing to do
  std::string cgroup;        // of this process, to be divided; nothing needs it
  int landlock_version = 0;  // 0: there is none
};

// Makes a sandbox around `program` (shoal-sandbox itself), which says what it sees from inside.
// Forks and waits: for a process of one thread.
SandboxReport probe_sandbox(const std::string& program);

// What of the machine's settings forbids user namespaces, and what would allow them; empty where
// nothing is known to. `proc` is /proc, or a folder like it.
std::string what_forbids_namespaces(const std::string& proc);

// What it says to its inner self, and what that answers with on stdout.
inline constexpr char kLookAround[] = "--look-around";
std::string look_around();

// One line a layer, as `shoal-sandbox --probe` prints them and parse_report() reads them.
std::string to_text(const SandboxReport& report);
Result<SandboxReport, std::string> parse_report(const std::string& text);

// Empty: code of this kind may run on a machine with this report, at the level that goes with it.
// Else the sentence that says which layer is missing.
std::string why_not(SandboxKind kind, const SandboxReport& report);
SandboxLevel level_for(const SandboxReport& report);

}  // namespace shoal
