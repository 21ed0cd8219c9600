#pragma once

#include <filesystem>
#include <vector>

#include "tests/unit/tidy/rules.h"

namespace shoal::tidy {

// All sources, schemas, CMake files, scripts and pages below `top`, in order of their paths; not
// what is hidden or built.
std::vector<SourceFile> read_tree(const std::filesystem::path& top);

}  // namespace shoal::tidy
