#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "node/protocol/result.h"

namespace shoal {

// What each step of making a sandbox answers; the error is a sentence.
using Step = Result<void, std::string>;

// "what: Operation not permitted", by errno.
inline tl::unexpected<std::string> step_failed(const std::string& what) {
  return tl::unexpected(what + ": " + std::strerror(errno));
}

// In one call, as the kernel wants it in its own files.
inline Step write_file(const std::string& path, const std::string& text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return step_failed(path);
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const auto failed = step_failed(path);
  ::close(fd);
  if (!written) return failed;
  return {};
}

}  // namespace shoal
