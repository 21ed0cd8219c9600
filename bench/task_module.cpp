#include "bench/task_module.h"

#include <chrono>
#include <vector>

#include "bench/process.h"

namespace shoal::bench {
namespace {

constexpr std::chrono::minutes kPatience{4};

}  // namespace

Result<std::filesystem::path, std::string> build_task_module(const Run& run) {
  std::filesystem::path module = run.folder / "tasks.wasm";
  std::vector<std::string> arguments = {"kernel",        "build", "-o",
                                        module.string(), "-I",    SHOAL_SOURCE_DIR};
  for (const char* source : {SHOAL_MODULE_SOURCES}) arguments.emplace_back(source);
  auto process = Process::start({run.programs / "shoal", arguments, {}, {}});
  if (!process) return tl::unexpected(process.error());
  std::string line;
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  if ((*process)->read_line(line, deadline) != Process::Read::kLine) {
    return tl::unexpected(std::string("shoal kernel build has made no module"));
  }
  (*process)->end();
  return module;
}

}  // namespace shoal::bench
