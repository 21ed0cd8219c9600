#pragma once

#include <filesystem>

namespace shoal {

// With all that is in it, however deep, and whatever its program has forbidden. What cannot be
// removed stays. Follows no links.
void remove_folder(const std::filesystem::path& folder);

}  // namespace shoal
