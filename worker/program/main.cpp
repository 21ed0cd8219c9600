#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "sdk/host/host.h"
#include "worker/program/program_kernel.h"

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
  const std::vector<std::filesystem::path> contents(argv + 1, argv + argc);
  std::error_code error;
  const std::filesystem::path scratch = std::filesystem::current_path(error);
  if (error) {
    std::fprintf(stderr, "shoal-program-executor: no folder to work in: %s\n",
                 error.message().c_str());
    return 1;
  }
  return shoal::serve_executor({shoal::program_kernel(contents, scratch)}, *channels);
}
