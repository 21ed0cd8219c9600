#pragma once

#include <filesystem>
#include <string>

#include "worker/runtime/settings.h"

namespace shoal {

// The settings of a TOML file. The error is a sentence that names the file, and the line where
// there is one; a name that is no setting is an error, since it is most likely mistyped.
Result<Settings, std::string> read_config_file(const std::filesystem::path& file);

}  // namespace shoal
