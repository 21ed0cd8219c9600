#pragma once

#include <memory>
#include <string>
#include <vector>

#include "shoal/kernel.h"
#include "worker/wasm/instances.h"

namespace shoal::wasm {

// A module's kernels, as an executor serves them. Safe to call from several threads.
std::vector<KernelEntry> kernels_of(const ModuleInfo& info, std::shared_ptr<Instances> instances);

}  // namespace shoal::wasm
