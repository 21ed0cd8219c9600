#pragma once

// shoal::run where a program is built as a WebAssembly module (`shoal kernel build`): main() is
// called for each unit, and comes here. `program` is never called, so that nothing it needs, a
// session above all, has to be in the module. Included by session.h.

#if !defined(__wasm__)
#error "for kernels built with `shoal kernel build` only"
#endif

#include <string>
#include <vector>

#include "shoal/kernel.h"

namespace shoal::wasm {

// Does what the host has asked for: a unit, a comparison, the names.
void serve(const std::vector<KernelEntry>& kernels);

}  // namespace shoal::wasm

namespace shoal {

// Always inline: else the module would hold `program` only to hand it over.
template <class Program>
[[gnu::always_inline]] inline int run(int, char**, const std::vector<KernelEntry>& kernels,
                                      const Program&) {
  wasm::serve(kernels);
  return 0;
}

}  // namespace shoal
