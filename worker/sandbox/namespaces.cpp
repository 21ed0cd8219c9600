#include "worker/sandbox/namespaces.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdio>

namespace shoal {
namespace {

constexpr char kHostName[] = "shoal";

}  // namespace

bool is_root_of_the_system() {
  if (::geteuid() != 0) return false;
  const int fd = ::open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
  std::array<char, 128> text{};
  const ssize_t got = fd >= 0 ? ::read(fd, text.data(), text.size() - 1) : -1;
  if (fd >= 0) ::close(fd);
  unsigned long inside = 0;
  unsigned long outside = 0;
  if (got <= 0 || std::sscanf(text.data(), "%lu %lu", &inside, &outside) != 2) return true;
  return inside != 0 || outside == 0;
}

Step stop_being_root() {
  if (!is_root_of_the_system()) return {};
  if (::setgroups(0, nullptr) != 0 || ::setresgid(kNobody, kNobody, kNobody) != 0 ||
      ::setresuid(kNobody, kNobody, kNobody) != 0) {
    return step_failed(
        "root cannot become nobody here; a worker of an ordinary user has no need to");
  }
  // Or /proc/self would still be root's, and the maps of users could not be written.
  if (::prctl(PR_SET_DUMPABLE, 1) != 0) return step_failed("PR_SET_DUMPABLE");
  return {};
}

Step enter_namespaces() {
  const std::string user = std::to_string(::geteuid());
  const std::string group = std::to_string(::getegid());
  const int wanted =
      CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
  if (::unshare(wanted | CLONE_NEWCGROUP) != 0 && ::unshare(wanted) != 0) {
    return step_failed("making them");
  }
  const std::string inside = std::to_string(kSandboxUser);
  if (auto done = write_file("/proc/self/setgroups", "deny"); !done) return done;
  if (auto done = write_file("/proc/self/uid_map", inside + " " + user + " 1"); !done) return done;
  if (auto done = write_file("/proc/self/gid_map", inside + " " + group + " 1"); !done) return done;
  // A service manager may forbid it (systemd's ProtectHostname); that is no reason to run nothing.
  [[maybe_unused]] const int named = ::sethostname(kHostName, sizeof kHostName - 1);
  return {};
}

Step drop_capabilities(std::uint64_t kept) {
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (unsigned capability = 0; capability < 64; ++capability) {
    // Fails where there are no more of them, or the right to do it is not there, and nothing to
    // lose either: no_new_privs keeps the set from being used.
    ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[2]{};
  for (unsigned half = 0; half < 2; ++half) {
    const auto bits = static_cast<std::uint32_t>(kept >> (32 * half));
    sets[half].effective = sets[half].permitted = bits;
  }
  if (::syscall(SYS_capset, &header, sets) != 0) return step_failed("capset");
  return {};
}

}  // namespace shoal
