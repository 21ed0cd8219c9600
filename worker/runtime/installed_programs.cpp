#include "worker/runtime/installed_programs.h"

#include <unistd.h>

#include <algorithm>
#include <system_error>

namespace shoal {
namespace {

namespace fs = std::filesystem;

bool is_program(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) && ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

std::set<std::string> installed_programs(std::string_view folders) {
  std::set<std::string> names;
  while (!folders.empty()) {
    const std::size_t end = std::min(folders.find(':'), folders.size());
    std::error_code error;
    for (fs::directory_iterator at(folders.substr(0, end), error), last; !error && at != last;
         at.increment(error)) {
      if (is_program(at->path())) names.insert(at->path().filename().string());
    }
    folders.remove_prefix(std::min(end + 1, folders.size()));
  }
  return names;
}

fs::path find_program_executor(const fs::path& program_folder) {
  for (const fs::path& folder :
       {program_folder, program_folder.parent_path() / "libexec" / "shoal"}) {
    if (is_program(folder / "shoal-program-executor")) return folder / "shoal-program-executor";
  }
  return {};
}

}  // namespace shoal
