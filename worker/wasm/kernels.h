#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "shoal/kernel.h"
#include "worker/wasm/instances.h"

namespace shoal::wasm {

// What runs a module's kernels, once that is compiled: waits for it, and throws UnitRefused where
// it cannot be used. Called from several threads.
using GetInstances = std::function<std::shared_ptr<Instances>()>;

// A module's kernels, as an executor serves them. Safe to call from several threads.
std::vector<KernelEntry> kernels_of(const ModuleInfo& info, const GetInstances& get);

}  // namespace shoal::wasm
