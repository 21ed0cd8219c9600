#pragma once

#include <filesystem>

namespace shoal {

// $HOME, where that is an absolute path; else what the system knows of this user: cron, systemd and
// others start programs without the variable.
std::filesystem::path home_folder();

}  // namespace shoal
