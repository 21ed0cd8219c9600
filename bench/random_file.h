#pragma once

#include <cstdint>
#include <filesystem>

#include "bench/run.h"

namespace shoal::bench {

// The same bytes for the same length; nothing can make them smaller on their way.
Measured write_random_file(const std::filesystem::path& path, std::uint64_t bytes);

}  // namespace shoal::bench
