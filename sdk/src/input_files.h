#pragma once

#include <cstdint>
#include <filesystem>

#include "node/protocol/bytes.h"

namespace shoal {

// Of a file that is to be a unit's input. Throws Error(kUsage) where it cannot be one, and says
// why.
std::uint64_t size_of_input(const std::filesystem::path& file);
// All that is in it. Throws UnitRefused where it cannot be read any more.
Bytes read_input(const std::filesystem::path& file);

}  // namespace shoal
