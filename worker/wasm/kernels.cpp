#include "worker/wasm/kernels.h"

#include <utility>

namespace shoal::wasm {

std::vector<KernelEntry> kernels_of(const ModuleInfo& info, const GetInstances& get) {
  std::vector<KernelEntry> entries;
  for (const ModuleKernel& kernel : info.kernels) {
    KernelEntry entry;
    entry.name = kernel.name;
    entry.prepare = [get, name = kernel.name](ByteView encoded) -> UnitFunction {
      return [instances = get(), name, parameters = to_bytes(encoded)](const UnitCall& call,
                                                                       Bytes& output) {
        instances->run_unit({name, parameters, call.unit, call.input, call.cancelled, call.state},
                            output);
      };
    };
    if (kernel.has_equivalent) {
      entry.equivalent = [get, name = kernel.name](ByteView first, ByteView second) {
        return get()->equivalent(name, first, second);
      };
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace shoal::wasm
