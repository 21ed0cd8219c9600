#include "worker/sandbox/seal.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "node/protocol/sanitized.h"
#include "worker/sandbox/filter.h"
#include "worker/sandbox/landlock.h"

namespace shoal {
namespace {

// The mounts belong to the first process of the sandbox, which has the right to take them away.
Step ask_for_empty_root(int fd) {
  char answer = 'n';
  const bool answered = ::send(fd, "s", 1, MSG_NOSIGNAL) == 1 && ::recv(fd, &answer, 1, 0) == 1;
  ::close(fd);
  if (!answered || answer != 'y') return tl::unexpected(std::string("the root is not empty"));
  return {};
}

}  // namespace

Result<void, std::string> seal_for_wasm() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return step_failed("no_new_privs");
  const char* fd = std::getenv(kSealVariable);
  if (fd != nullptr) {
    if (auto done = ask_for_empty_root(std::atoi(fd)); !done) return done;
    ::unsetenv(kSealVariable);
  }
  if (kSanitized) return {};
  if (landlock_version() > 0) {
    if (auto done = restrict_files({}); !done) return done;
  } else if (fd == nullptr) {
    return tl::unexpected(std::string("neither namespaces nor Landlock are here"));
  }
  return allow_computing_alone();
}

}  // namespace shoal
