#include "worker/wasm/kernels.h"

#include <utility>

namespace shoal::wasm {

std::vector<KernelEntry> kernels_of(const ModuleInfo& info, std::shared_ptr<Instances> instances) {
  std::vector<KernelEntry> entries;
  for (const ModuleKernel& kernel : info.kernels) {
    KernelEntry entry;
    entry.name = kernel.name;
    entry.prepare = [instances, name = kernel.name](ByteView encoded) -> UnitFunction {
      return
          [instances, name, parameters = to_bytes(encoded)](const UnitCall& call, Bytes& output) {
            instances->run_unit({name, parameters, call.unit, call.input, call.cancelled}, output);
          };
    };
    if (kernel.has_equivalent) {
      entry.equivalent = [instances, name = kernel.name](ByteView first, ByteView second) {
        return instances->equivalent(name, first, second);
      };
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace shoal::wasm
