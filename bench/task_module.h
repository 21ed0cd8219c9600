#pragma once

#include <filesystem>
#include <string>

#include "bench/run.h"

namespace shoal::bench {

// The kernels that ship, as a WebAssembly module: built anew, in the run's folder. Only where there
// is an engine for it (SHOAL_WASM).
Result<std::filesystem::path, std::string> build_task_module(const Run& run);

}  // namespace shoal::bench
