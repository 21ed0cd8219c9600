#include "worker/sandbox/landlock.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace shoal {
namespace {

// The headers of the oldest system that we build on know version 2.
constexpr std::uint64_t kTruncate = 1ULL << 14;        // version 3
constexpr std::uint64_t kDeviceCommands = 1ULL << 15;  // version 5
constexpr std::uint64_t kTcp = 3;                      // bind and connect, version 4
constexpr std::uint64_t kScopes = 3;                   // abstract sockets and signals, version 6

struct Ruleset {
  std::uint64_t files = 0;
  std::uint64_t network = 0;
  std::uint64_t scopes = 0;
};

constexpr std::uint64_t kRead =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
// What can be asked of a file that is no folder.
constexpr std::uint64_t kOfFiles = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |
                                   LANDLOCK_ACCESS_FS_WRITE_FILE | kTruncate | kDeviceCommands;

std::uint64_t all_of_files(int version) {
  std::uint64_t all = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
  if (version >= 2) all |= LANDLOCK_ACCESS_FS_REFER;
  if (version >= 3) all |= kTruncate;
  if (version >= 5) all |= kDeviceCommands;
  return all;
}

Step allow(int ruleset, const std::string& path, std::uint64_t access) {
  const int fd = ::open(path.c_str(), O_PATH | O_CLOEXEC);
  if (fd < 0) return {};
  struct stat about {};
  if (::fstat(fd, &about) == 0 && !S_ISDIR(about.st_mode)) access &= kOfFiles;
  landlock_path_beneath_attr rule{};
  rule.allowed_access = access;
  rule.parent_fd = fd;
  const long added =
      ::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  const auto failed = step_failed("Landlock: " + path);
  ::close(fd);
  if (added != 0) return failed;
  return {};
}

Step allow_all(int ruleset, const LandlockRules& rules, std::uint64_t all) {
  for (const std::string& path : rules.readable) {
    if (auto done = allow(ruleset, path, kRead); !done) return done;
  }
  for (const std::string& path : rules.writable) {
    if (auto done = allow(ruleset, path, all & ~kDeviceCommands); !done) return done;
  }
  return {};
}

}  // namespace

int landlock_version() {
  const long version =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return version > 0 ? static_cast<int>(version) : 0;
}

Step restrict_files(const LandlockRules& rules) {
  const int version = landlock_version();
  if (version == 0) return step_failed("Landlock");
  Ruleset handled;
  handled.files = all_of_files(version);
  if (version >= 4) handled.network = kTcp;
  if (version >= 6) handled.scopes = kScopes;
  // An older kernel takes no longer structure than it knows, unless the rest is zero.
  const int ruleset =
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0));
  if (ruleset < 0) return step_failed("Landlock");
  auto done = allow_all(ruleset, rules, handled.files);
  if (done && ::syscall(SYS_landlock_restrict_self, ruleset, 0) != 0) {
    done = step_failed("Landlock");
  }
  ::close(ruleset);
  return done;
}

}  // namespace shoal
