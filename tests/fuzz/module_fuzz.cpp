#include <cstddef>
#include <cstdint>

#include "node/protocol/result.h"
#include "node/wasm/module.h"

// The gate for WebAssembly modules: total, and what it lets in keeps the limits and can be named.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace shoal;
  const ByteView module(data, size);
  const auto info = check_module(module);
  if (!info) {
    check(!info.error().empty(), "a module is refused without a reason");
    return 0;
  }
  check(!info->kernels.empty() && info->kernels.size() <= limits::kModuleKernels,
        "a module without kernels is let in");
  check(info->pages <= info->pages_max && info->pages_max <= limits::kMemoryPages,
        "a module with too much memory is let in");
  for (const ModuleKernel& kernel : info->kernels) {
    check(is_kernel_name(kernel.name), "a kernel has a name that it may not have");
  }
  if (info->names_kernels) return 0;
  const auto named = check_module(with_kernels(module, info->kernels));
  check(named && named->kernels == info->kernels, "a module that names its kernels is another one");
  return 0;
}
