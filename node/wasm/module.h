#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "node/protocol/bytes.h"
#include "node/protocol/result.h"

// What a WebAssembly module must be like before anybody runs it as a kernel. The submitter asks
// before he submits, and the donor asks again, since he believes nobody. docs/wasm.md has the
// rules in prose, and what a module must export.
//
// This is a gate, not a validator: types and indices are the engine's to check, which does so
// before it compiles. What is refused here is what the engine would accept and a donor must not:
// imports (all that a module could reach), memory without a limit, shared memory and atomics
// (threads), instructions whose results differ between processors (relaxed SIMD), and whatever
// costs more to compile or to instantiate than its size lets expect.
//
// Cost: one pass over the bytes, some 200 MB/s; memory in proportion to the module's functions.
namespace shoal {

namespace limits {
inline constexpr std::uint32_t kModuleTypes = 10'000;
inline constexpr std::uint32_t kModuleFunctions = 30'000;
inline constexpr std::uint32_t kModuleGlobals = 10'000;
inline constexpr std::uint32_t kModuleExports = 1'000;
inline constexpr std::uint32_t kModuleSegments = 20'000;  // of data, and of the table
inline constexpr std::uint32_t kTableEntries = 65'536;
// Compiling takes more time than in proportion to a function's size.
inline constexpr std::uint32_t kFunctionBytes = 128 * 1024;
inline constexpr std::uint32_t kFunctionLocals = 5'000;
inline constexpr std::uint32_t kFunctionParameters = 200;
inline constexpr std::uint32_t kBlockDepth = 4'000;
// What the engine keeps while it compiles grows with a function's blocks times its local variables;
// loops weigh four times as much. A function of a million takes a second or two and 150 MB.
inline constexpr std::uint64_t kFunctionWeight = 1'000'000;
inline constexpr std::uint64_t kModuleWeight = 16'000'000;
inline constexpr std::uint32_t kMemoryPages = 16'384;  // of 64 KiB: 1 GiB
inline constexpr std::size_t kModuleKernels = 64;
inline constexpr std::size_t kKernelNameBytes = 64;
}  // namespace limits

inline constexpr std::uint64_t kWasmPageBytes = 65'536;

// The section in which a module names its kernels, one a line; a line that ends in " =" is a kernel
// that compares outputs itself. A module without it has one kernel, of this name.
inline constexpr char kKernelsSection[] = "shoal.kernels";
inline constexpr char kOnlyKernel[] = "kernel";

struct ModuleKernel {
  std::string name;
  bool has_equivalent = false;
  friend bool operator==(const ModuleKernel&, const ModuleKernel&) = default;
};

struct ModuleInfo {
  std::vector<ModuleKernel> kernels;  // at least one
  bool names_kernels = false;         // it has the section
  bool has_initialize = false;        // exports _initialize, to be called first
  bool exports_equivalent = false;
  bool exports_list = false;
  std::uint32_t pages = 0;      // that it starts with
  std::uint32_t pages_max = 0;  // that it may grow to
};

// Total: any bytes give what the module is, or a sentence about why it is refused.
Result<ModuleInfo, std::string> check_module(ByteView module);

// Whether a kernel may be called that: letters, digits, '_', '-', '.', and not too many.
bool is_kernel_name(std::string_view name);

// The same module with a section that names its kernels. `module` has passed check_module and has
// no such section yet.
Bytes with_kernels(ByteView module, const std::vector<ModuleKernel>& kernels);

}  // namespace shoal
