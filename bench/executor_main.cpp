#include <cstdio>
#include <cstring>
#include <vector>

#include "bench/kernels.h"
#include "sdk/host/host.h"

// shoal-bench-executor: the measured kernels, in a process that a worker starts.
int main(int argc, char** argv) {
  const std::vector<shoal::KernelEntry> kernels{shoal::bench::noop_kernel(),
                                                shoal::bench::spin_kernel()};
  if (argc == 2 && std::strcmp(argv[1], "--list") == 0) {
    for (const shoal::KernelEntry& kernel : kernels) std::printf("%s\n", kernel.name.c_str());
    return 0;
  }
  const auto channels = shoal::take_host_channels();
  if (!channels || argc != 1) {
    std::fprintf(stderr, "shoal-bench-executor is started by the workers that bench/run starts.\n");
    return 2;
  }
  return shoal::serve_executor(kernels, *channels);
}
