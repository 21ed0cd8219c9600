#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "sdk/host/host.h"
#include "worker/program/program_kernel.h"

namespace {

namespace fs = std::filesystem;

// Where the scratch folder is the sandbox's, /tmp and /dev/shm are parts of it. Elsewhere they are
// everybody's.
std::vector<fs::path> common_folders(const fs::path& scratch) {
  std::vector<fs::path> folders;
  if (scratch != "/scratch/work") return folders;
  for (const auto& [place, part] : {std::pair{"/tmp", "tmp"}, std::pair{"/dev/shm", "shm"}}) {
    std::error_code error;
    if (fs::equivalent(place, scratch.parent_path() / part, error)) folders.emplace_back(place);
  }
  return folders;
}

}  // namespace

// shoal-program-executor CONTENT...: runs programs for a worker, which starts it in a scratch
// folder, one for each job. Its arguments are the paths of the job's contents, in their order.
int main(int argc, char** argv) {
  const auto channels = shoal::take_host_channels();
  if (!channels) {
    std::fprintf(stderr,
                 "shoal-program-executor runs programs for shoal-worker, which starts it; there is "
                 "nothing to start by hand.\n");
    return 2;
  }
  const std::vector<fs::path> contents(argv + 1, argv + argc);
  std::error_code error;
  const fs::path scratch = fs::current_path(error);
  if (error) {
    std::fprintf(stderr, "shoal-program-executor: no folder to work in: %s\n",
                 error.message().c_str());
    return 1;
  }
  return shoal::serve_executor({shoal::program_kernel(contents, scratch, common_folders(scratch))},
                               *channels);
}
