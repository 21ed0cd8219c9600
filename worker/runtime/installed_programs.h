#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>

namespace shoal {

// The names of the programs in `folders`, which are separated by colons as in PATH: what a job may
// ask for by Manifest::needs. Reads the folders once; a program that is installed later counts when
// the worker is started again.
std::set<std::string> installed_programs(std::string_view folders);

// The program that runs other programs for a worker; empty: it is not installed beside it.
std::filesystem::path find_program_executor(const std::filesystem::path& program_folder);

}  // namespace shoal
