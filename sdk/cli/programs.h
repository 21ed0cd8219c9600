#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sdk/cli/outcome.h"

// The other programs of Shoal, which are installed beside this one.
namespace shoal::cli {

// Where this one is. Empty: the system does not say, as where no /proc is mounted.
std::filesystem::path program_folder();
// What is to be said then.
inline constexpr const char* kNoProc =
    "it cannot be told where shoal is installed: no /proc is mounted here, as in a bare chroot";
bool can_run(const std::filesystem::path& program);
// The task's program: underscores are dashes in its name.
std::string task_program(const std::string& task);
// Names of the tasks whose programs are there.
std::vector<std::string> tasks_there();

// Becomes that program. Returns only where it cannot be started.
Failure become(const std::string& program, const std::vector<std::string>& arguments);

}  // namespace shoal::cli
