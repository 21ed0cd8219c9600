#include "shoal/shoal.h"
#include "tasks/all_kernels.h"

// The kernels that ship with Shoal, as one WebAssembly module: `shoal kernel build` over this file
// and those of the kernels.
int main(int argc, char** argv) {
  return shoal::run(argc, argv, shoal::tasks::all_kernels(), [](shoal::Session&) { return 0; });
}
