#include <cstdio>
#include <cstring>

#include "sdk/host/host.h"
#include "tasks/all_kernels.h"

// shoal-executor: the kernels that ship with Shoal, in a process that a worker starts.
int main(int argc, char** argv) {
  const std::vector<shoal::KernelEntry> kernels = shoal::tasks::all_kernels();
  if (argc == 2 && std::strcmp(argv[1], "--list") == 0) {
    for (const shoal::KernelEntry& kernel : kernels) std::printf("%s\n", kernel.name.c_str());
    return 0;
  }
  const auto channels = shoal::take_host_channels();
  if (!channels || argc != 1) {
    std::fprintf(stderr,
                 "shoal-executor runs units for shoal-worker, which starts it; there is nothing to "
                 "start by hand.\nshoal-executor --list prints the names of its kernels.\n");
    return 2;
  }
  return shoal::serve_executor(kernels, *channels);
}
