#pragma once

#include <filesystem>
#include <vector>

#include "shoal/kernel.h"

namespace shoal {

// Programs as a kernel: a unit is one process, in a folder of its own, and its output is an encoded
// ProgramOutput. `contents` are the job's, by the order of its manifest; `scratch` is an existing
// folder that nobody else uses. Units may run on several threads at once. In the folders of
// `common`, which nobody else may use either, nothing of a unit stays behind.
//
// A unit whose program ends in any way but a good one ends as UnitEnded, whose message says how,
// after how long and with how much memory.
KernelEntry program_kernel(std::vector<std::filesystem::path> contents,
                           std::filesystem::path scratch,
                           std::vector<std::filesystem::path> common = {});

}  // namespace shoal
