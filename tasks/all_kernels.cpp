#include "tasks/all_kernels.h"

#include "tasks/align/kernel.h"
#include "tasks/ising/kernel.h"
#include "tasks/lucas_lehmer/kernel.h"
#include "tasks/mandelbrot/kernel.h"

namespace shoal::tasks {

std::vector<KernelEntry> all_kernels() {
  return {align::kernel(), ising::kernel(), lucas_lehmer::kernel(), mandelbrot::kernel()};
}

}  // namespace shoal::tasks
