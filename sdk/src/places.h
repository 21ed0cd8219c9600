#pragma once

#include <filesystem>
#include <string>

// Where a user's files are, by the XDG rules. Nothing is created here.
namespace shoal {

std::filesystem::path config_folder();  // $XDG_CONFIG_HOME/shoal
std::filesystem::path state_folder();   // $XDG_STATE_HOME/shoal
std::filesystem::path cache_folder();   // $XDG_CACHE_HOME/shoal
inline std::filesystem::path default_ticket_file() { return config_folder() / "pool"; }

}  // namespace shoal
