#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "node/wasm/module.h"
#include "sdk/cli/outcome.h"

// `shoal kernel build`: a scientist's source made into a WebAssembly module, with Debian's clang
// and the standard library that comes for it. What the module must be is in docs/wasm.md.
namespace shoal::cli {

struct KernelBuild {
  std::vector<std::filesystem::path> sources;
  std::filesystem::path output;
  std::vector<std::string> include_folders;
  std::vector<std::string> flags;  // for the compiler, as they are
  std::uint64_t memory_mib = 256;  // that a unit may use at most
};

struct BuiltKernel {
  ModuleInfo info;
  std::size_t bytes = 0;
  // "FILE:LINE" of each `try` in the sources: the module has none of their catch clauses.
  std::vector<std::string> tries;
};

// The error says what is missing, and how to get it. Blocks for some seconds.
Result<BuiltKernel, Failure> build_kernel(const KernelBuild& wish);

// A module in a file, checked as a worker will check it.
struct ModuleFile {
  Bytes bytes;
  ModuleInfo info;
};
Result<ModuleFile, Failure> read_module_file(const std::filesystem::path& file);

}  // namespace shoal::cli
