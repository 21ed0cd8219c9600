#pragma once

#include <cstdint>
#include <string>

#include "worker/sandbox/steps.h"

namespace shoal {

// Makes the file `path`, which may not be there yet, with the first `bytes` of what `from` has
// open: for those who may not open it themselves.
Step copy_file(const std::string& path, int from, std::uint64_t bytes);

}  // namespace shoal
