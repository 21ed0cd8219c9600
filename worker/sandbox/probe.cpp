#include "worker/sandbox/probe.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "worker/sandbox/cgroup.h"
#include "worker/sandbox/confine.h"
#include "worker/sandbox/landlock.h"
#include "worker/sandbox/nobody.h"
#include "worker/sandbox/steps.h"

namespace shoal {
namespace {

constexpr char kWorks[] = "yes";
constexpr char kInside[] = "inside";

std::string read_all(int fd) {
  std::string text;
  std::array<char, 1024> buffer{};
  for (;;) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

// What the inner self wrote to stdout and stderr.
Result<std::string, std::string> run_inside(const std::string& program) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return step_failed("pipe");
  const pid_t pid = ::fork();
  if (pid < 0) return step_failed("fork");
  if (pid == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    ::dup2(ends[1], STDERR_FILENO);
    SandboxPolicy policy;
    policy.program = program;
    policy.arguments = {kLookAround};
    confine(policy);
  }
  ::close(ends[1]);
  std::string text = read_all(ends[0]);
  ::close(ends[0]);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (text.starts_with(kComplaint)) text.erase(0, sizeof kComplaint - 1);
  if (!text.starts_with(kInside)) {
    return tl::unexpected(text.empty() ? "the sandbox died" : text);
  }
  return text;
}

// The first line of a small file; empty where there is none.
std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

bool has_filter(const std::string& proc) {
  std::ifstream in(proc + "/self/status");
  for (std::string line; std::getline(in, line);) {
    if (line == "Seccomp:\t2") return true;
  }
  return false;
}

std::string seccomp_fault() {
  std::uint32_t action = SECCOMP_RET_ERRNO;
  if (::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0) return {};
  return step_failed("seccomp").value();
}

}  // namespace

std::string look_around() {
  const bool proc = ::access("/proc/self/status", R_OK) == 0;
  return std::string(kInside) + (proc ? " with /proc" : " without /proc");
}

std::string what_forbids_namespaces(const std::string& proc) {
  const std::string kernel = proc + "/sys/kernel/";
  if (first_line(proc + "/sys/user/max_user_namespaces") == "0") {
    return "user.max_user_namespaces is 0; root allows them by 'sysctl "
           "user.max_user_namespaces=10000'";
  }
  if (first_line(kernel + "unprivileged_userns_clone") == "0") {
    return "root allows them by 'sysctl kernel.unprivileged_userns_clone=1'";
  }
  if (first_line(kernel + "apparmor_restrict_unprivileged_userns") == "1") {
    return "root allows them by 'sysctl kernel.apparmor_restrict_unprivileged_userns=0', or by an "
           "AppArmor profile for shoal-sandbox";
  }
  if (has_filter(proc)) {
    return "a seccomp filter is around this process, as around a container's; those who start it "
           "can leave it out, as by 'docker run --security-opt seccomp=unconfined'";
  }
  return {};
}

SandboxReport probe_sandbox(const std::string& program) {
  SandboxReport report;
  report.landlock_version = landlock_version();
  report.seccomp = seccomp_fault();
  report.nobody = nobody_fault();
  if (const auto group = delegated_group(); !group) report.cgroup = group.error();
  const auto inside = run_inside(program);
  if (!inside) {
    report.namespaces = inside.error();
    const std::string remedy = what_forbids_namespaces("/proc");
    if (!remedy.empty()) report.namespaces += " (" + remedy + ")";
    report.proc = "there are no namespaces";
  } else if (*inside != std::string(kInside) + " with /proc") {
    report.proc = "it may not be mounted here, as where a container hides a part of its own";
  }
  return report;
}

std::string to_text(const SandboxReport& report) {
  const auto line = [](const char* name, const std::string& fault) {
    std::string text = std::string(name) + ": " + (fault.empty() ? kWorks : fault);
    for (char& c : text) {
      if (c == '\n') c = ' ';
    }
    return text + "\n";
  };
  return line("namespaces", report.namespaces) + line("proc", report.proc) +
         line("seccomp", report.seccomp) + line("not root", report.nobody) +
         line("cgroup", report.cgroup) + "landlock: " + std::to_string(report.landlock_version) +
         "\n";
}

Result<SandboxReport, std::string> parse_report(const std::string& text) {
  SandboxReport report;
  std::istringstream lines(text);
  int found = 0;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t colon = line.find(": ");
    if (colon == std::string::npos) continue;
    const std::string name = line.substr(0, colon);
    std::string value = line.substr(colon + 2);
    ++found;
    if (name == "landlock") {
      report.landlock_version = std::atoi(value.c_str());
      continue;
    }
    if (value == kWorks) value.clear();
    if (name == "namespaces") {
      report.namespaces = std::move(value);
    } else if (name == "proc") {
      report.proc = std::move(value);
    } else if (name == "seccomp") {
      report.seccomp = std::move(value);
    } else if (name == "not root") {
      report.nobody = std::move(value);
    } else if (name == "cgroup") {
      report.cgroup = std::move(value);
    } else {
      --found;
    }
  }
  if (found != 6) return tl::unexpected("shoal-sandbox --probe answered '" + text + "'");
  return report;
}

SandboxLevel level_for(const SandboxReport& report) {
  return report.namespaces.empty() ? SandboxLevel::kFull : SandboxLevel::kWeak;
}

std::string why_not(SandboxKind kind, const SandboxReport& report) {
  if (!report.seccomp.empty()) return "the sandbox has no seccomp here: " + report.seccomp;
  if (!report.nobody.empty()) return "an executor would be root here: " + report.nobody;
  if (report.namespaces.empty()) return {};
  switch (kind) {
    case SandboxKind::kShipped:
    case SandboxKind::kWasm:
      if (report.landlock_version > 0) return {};
      return "the sandbox has neither namespaces (" + report.namespaces + ") nor Landlock here";
    case SandboxKind::kNative:
    case SandboxKind::kProgram:
      return "the sandbox has no namespaces here: " + report.namespaces;
  }
  return "this kind of code is not known";
}

}  // namespace shoal
