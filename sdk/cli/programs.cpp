#include "sdk/cli/programs.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace shoal::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "shoal-";
constexpr auto kNoTasks = std::to_array<std::string_view>({
    "shoal-bench",
    "shoal-bench-executor",
    "shoal-coordinator",
    "shoal-executor",
    "shoal-program-executor",
    "shoal-sandbox",
    "shoal-sim",
    "shoal-wasm-executor",
    "shoal-worker",
});

}  // namespace

fs::path program_folder() {
  std::error_code unknown;
  return fs::read_symlink("/proc/self/exe", unknown).parent_path();
}

bool can_run(const fs::path& program) {
  std::error_code ignored;
  return ::access(program.c_str(), X_OK) == 0 && fs::is_regular_file(program, ignored);
}

std::string task_program(const std::string& task) {
  std::string name = std::string(kPrefix) + task;
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

std::vector<std::string> tasks_there() {
  std::vector<std::string> tasks;
  std::error_code error;
  for (fs::directory_iterator it(program_folder(), error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(kPrefix) || !can_run(it->path()) ||
        std::find(kNoTasks.begin(), kNoTasks.end(), name) != kNoTasks.end()) {
      continue;
    }
    tasks.push_back(name.substr(kPrefix.size()));
  }
  std::sort(tasks.begin(), tasks.end());
  return tasks;
}

Failure become(const std::string& program, const std::vector<std::string>& arguments) {
  const fs::path path = program_folder() / program;
  std::string name = path.string();
  std::vector<std::string> texts = arguments;
  std::vector<char*> argv{name.data()};
  for (std::string& text : texts) argv.push_back(text.data());
  argv.push_back(nullptr);
  ::execv(path.c_str(), argv.data());
  const int error = errno;
  if (program_folder().empty()) {
    return {kError, program + " cannot be started: " + kNoProc + ". Mount it."};
  }
  return {kError, path.string() + " cannot be started (" + std::strerror(error) + "). Install " +
                      program + " beside shoal."};
}

}  // namespace shoal::cli
