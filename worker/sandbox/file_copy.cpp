#include "worker/sandbox/file_copy.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <unistd.h>

namespace shoal {

Step copy_file(const std::string& path, int from, std::uint64_t bytes) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0555);
  if (fd < 0) return step_failed(path);
  std::uint64_t left = bytes;
  off_t at = 0;
  while (left > 0) {
    const ssize_t sent = ::sendfile(fd, from, &at, left);
    if (sent <= 0) break;
    left -= static_cast<std::uint64_t>(sent);
  }
  const auto failed = step_failed(path);
  ::close(fd);
  if (left > 0) return failed;
  return {};
}

}  // namespace shoal
