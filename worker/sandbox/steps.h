#pragma once

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

}  // namespace shoal
