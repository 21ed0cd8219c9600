#include "sdk/cli/kernel_build.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>
#include <utility>

#include "node/protocol/limits.h"
#include "sdk/cli/programs.h"
#include "sdk/cli/run_tool.h"

namespace shoal::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kPagesPerMib = 16;
// Pages that are not touched cost nothing, and a memory that has not grown is used again.
constexpr std::uint64_t kFirstMib = 16;
constexpr std::uint64_t kStackBytes = 1 << 20;

constexpr char kPackages[] =
    "clang-14 lld-14 wasi-libc libclang-rt-14-dev-wasm32 libc++-14-dev-wasm32 "
    "libc++abi-14-dev-wasm32";

tl::unexpected<Failure> missing(const std::string& what, const std::string& packages) {
  return fail(kError,
              what +
                  " is missing. On Debian 12, as root: apt-get install --no-install-recommends " +
                  packages);
}

// Where a header of the SDK lies: beside the installed programs, or in the tree that they were
// built in.
std::optional<fs::path> sdk_headers() {
  std::error_code none;
  for (const char* place : {"../include", "../../../sdk/include"}) {
    const fs::path folder = program_folder() / place;
    if (fs::exists(folder / "shoal" / "wasm_module.h", none)) return fs::canonical(folder, none);
  }
  return std::nullopt;
}

// The two libraries that the SDK's headers include are headers only, but lie among those of this
// machine, which a module must not see: they are linked into a folder of their own.
Result<void, Failure> link_headers(const fs::path& folder) {
  struct Library {
    const char* header;
    const char* package;
    std::array<const char*, 2> names;
  };
  constexpr std::array libraries = {
      Library{"msgpack.hpp", "libmsgpack-cxx-dev", {"msgpack.hpp", "msgpack"}},
      Library{"tl/expected.hpp", "libexpected-dev", {"tl", nullptr}}};
  std::error_code error;
  fs::create_directories(folder, error);
  for (const Library& library : libraries) {
    std::optional<fs::path> found;
    for (const char* place : {"/usr/local/include", "/usr/include"}) {
      if (!found && fs::exists(fs::path(place) / library.header, error)) found = place;
    }
    if (!found) return missing("The header " + std::string(library.header), library.package);
    for (const char* name : library.names) {
      if (name != nullptr) fs::create_symlink(*found / name, folder / name, error);
    }
  }
  return {};
}

struct Tools {
  std::string compiler;
  fs::path headers;
  fs::path libraries;
};

Result<Tools, Failure> find_tools(const fs::path& work) {
  Tools tools;
  for (const char* name : {"clang++-14", "clang++"}) {
    if (tools.compiler.empty()) tools.compiler = find_in_path(name).string();
  }
  if (tools.compiler.empty()) return missing("The compiler, clang++-14,", kPackages);
  std::error_code none;
  struct Piece {
    const char* what;
    const char* path;
  };
  for (const Piece& piece :
       {Piece{"The C library for WebAssembly", "/usr/lib/wasm32-wasi/crt1-reactor.o"},
        Piece{"The C++ library for WebAssembly", "/usr/include/wasm32-wasi/c++/v1/vector"},
        Piece{"The C++ library for WebAssembly", "/usr/lib/wasm32-wasi/libc++abi.a"}}) {
    if (!fs::exists(piece.path, none)) return missing(piece.what, kPackages);
  }
  if (find_in_path("wasm-ld-14").empty() && find_in_path("wasm-ld").empty()) {
    return missing("The linker, wasm-ld,", kPackages);
  }
  const auto headers = sdk_headers();
  if (!headers) {
    return fail(kError, "Shoal's headers are missing: they should be in " +
                            (program_folder() / "../include").lexically_normal().string() + ".");
  }
  tools.headers = *headers;
  tools.libraries = work / "include";
  if (auto linked = link_headers(tools.libraries); !linked) {
    return tl::unexpected(linked.error());
  }
  return tools;
}

Command compiler_command(const Tools& tools, const KernelBuild& wish) {
  Command command = {tools.compiler, "--target=wasm32-wasi", "-std=c++20", "-O3", "-DNDEBUG",
                     // A throw ends the unit: catch clauses are left out (wasm_module.h).
                     "-fexceptions", "-fvisibility=hidden", "-mbulk-memory", "-msimd128",
                     // WebAssembly has no fused multiply-add; natively it is to be off as well.
                     "-ffp-contract=off", "-isystem", tools.headers.string(), "-isystem",
                     tools.libraries.string()};
  for (const std::string& folder : wish.include_folders) command.push_back("-I" + folder);
  command.insert(command.end(), wish.flags.begin(), wish.flags.end());
  return command;
}

// Where somebody means to catch something. The compiler says so if it is told that nobody does.
std::vector<std::string> tries_in(const Tools& tools, const KernelBuild& wish,
                                  const fs::path& source) {
  constexpr std::string_view kFound = "cannot use 'try' with exceptions disabled";
  std::ifstream file(source);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (text.find("catch") == std::string::npos) return {};
  Command command = compiler_command(tools, wish);
  command.insert(command.end(), {"-fno-exceptions", "-fsyntax-only", "-ferror-limit=0",
                                 "-fno-caret-diagnostics", source.string()});
  const auto checked = run_tool(command);
  std::vector<std::string> tries;
  std::istringstream lines(checked ? "" : checked.error());
  for (std::string line; std::getline(lines, line);) {
    // "FILE:LINE:COLUMN: error: ..."
    if (line.find(kFound) == std::string::npos || !line.starts_with(source.string() + ":"))
      continue;
    const std::size_t number = source.string().size() + 1;
    tries.push_back(line.substr(0, line.find(':', number)));
  }
  return tries;
}

Result<void, Failure> compile(const Tools& tools, const KernelBuild& wish, const fs::path& source,
                              const fs::path& object) {
  Command command = compiler_command(tools, wish);
  command.insert(command.end(), {"-c", source.string(), "-o", object.string()});
  const auto compiled = run_tool(command);
  if (!compiled) {
    std::string hint;
    if (compiled.error().find("<filesystem>") != std::string::npos ||
        compiled.error().find("Filesystem library") != std::string::npos ||
        compiled.error().find("<thread>") != std::string::npos) {
      hint =
          "\nA module has no files and no threads: put what needs them between '#if "
          "!defined(__wasm__)' and '#endif'.";
    }
    return fail(kError,
                source.string() + " does not compile for WebAssembly:\n" + compiled.error() + hint);
  }
  return {};
}

Result<void, Failure> link(const Tools& tools, const KernelBuild& wish,
                           const std::vector<fs::path>& objects, const fs::path& module) {
  const auto bytes = [](std::uint64_t mib) {
    return std::to_string(mib * kPagesPerMib * kWasmPageBytes);
  };
  const std::uint64_t first = std::min(kFirstMib, wish.memory_mib);
  Command command = {tools.compiler, "--target=wasm32-wasi", "-mexec-model=reactor"};
  for (const fs::path& object : objects) command.push_back(object.string());
  for (const std::string& flag :
       std::vector<std::string>{"--import-memory", "--initial-memory=" + bytes(first),
                                "--max-memory=" + bytes(wish.memory_mib), "--stack-first",
                                "--gc-sections", "--strip-all"}) {
    command.push_back("-Wl," + flag);
  }
  command.push_back("-Wl,-z,stack-size=" + std::to_string(kStackBytes));
  command.insert(command.end(), {"-o", module.string()});
  const auto linked = run_tool(command);
  if (linked) return {};
  if (linked.error().find("__main_argc_argv") != std::string::npos) {
    return fail(kError,
                "There is no main(int, char**) in the sources. A module has the kernels that its "
                "main() hands to shoal::run, as a program has.");
  }
  return fail(kError, "The module cannot be linked:\n" + linked.error());
}

// What a refusal means for somebody who has written C++.
std::string explained(const std::string& refusal) {
  struct Hint {
    std::string_view part;
    std::string_view meaning;
  };
  constexpr std::array hints = {
      Hint{"clock_",
           "The kernel, or something that it uses, reads a clock: no two workers would "
           "agree on the output."},
      Hint{"random_get",
           "The kernel, or something that it uses, asks for random numbers: seed a "
           "generator with the unit's number instead."},
      Hint{"path_",
           "The kernel, or something that it uses, opens files: give it their contents as "
           "the unit's input."},
      Hint{"wasi_",
           "The kernel, or something that it uses, calls an operating system: a module "
           "has none."}};
  for (const Hint& hint : hints) {
    if (refusal.find(hint.part) != std::string::npos) {
      return refusal + "\n" + std::string(hint.meaning);
    }
  }
  return refusal;
}

Result<std::vector<ModuleKernel>, Failure> kernels_in(const fs::path& module) {
  const fs::path executor = program_folder() / "shoal-wasm-executor";
  if (!can_run(executor)) {
    return fail(kError, executor.string() +
                            " is missing, which names the module's kernels: it is built unless "
                            "Shoal is configured with SHOAL_WASM=OFF.");
  }
  const auto listed = run_tool({executor.string(), "--list", module.string()});
  if (!listed) return fail(kError, "The module does not run: " + listed.error());
  std::vector<ModuleKernel> kernels;
  std::istringstream lines(listed->out);
  for (std::string line; std::getline(lines, line);) {
    const bool compares = line.ends_with(" =");
    if (compares) line.resize(line.size() - 2);
    if (!is_kernel_name(line)) {
      return fail(kError, "A kernel cannot be called '" + line +
                              "': letters, digits, '_', '-' and '.' are allowed, and 64 of them.");
    }
    kernels.push_back({line, compares});
  }
  if (kernels.empty() || kernels.size() > limits::kModuleKernels) {
    return fail(kError, "main() hands " + std::to_string(kernels.size()) +
                            " kernels to shoal::run, and a module has 1 to " +
                            std::to_string(limits::kModuleKernels) + ".");
  }
  return kernels;
}

}  // namespace

Result<ModuleFile, Failure> read_module_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(kUsage, path.string() + " cannot be read.");
  ModuleFile module;
  module.bytes.resize(limits::kModuleBytes + 1);
  file.read(reinterpret_cast<char*>(module.bytes.data()),
            static_cast<std::streamsize>(module.bytes.size()));
  if (file.bad()) return fail(kError, path.string() + " cannot be read to its end.");
  module.bytes.resize(static_cast<std::size_t>(file.gcount()));
  auto info = check_module(module.bytes);
  if (!info) return fail(kUsage, path.string() + ": " + explained(info.error()));
  module.info = std::move(*info);
  return module;
}

Result<BuiltKernel, Failure> build_kernel(const KernelBuild& wish) {
  const TemporaryFolder work;
  if (work.path().empty()) return fail(kError, "No temporary folder can be made.");
  auto tools = find_tools(work.path());
  if (!tools) return tl::unexpected(tools.error());
  const fs::path support = work.path() / "module.cpp";
  std::ofstream(support) << "#include \"shoal/wasm_module.h\"\n";
  std::vector<fs::path> sources = wish.sources;
  sources.push_back(support);
  std::vector<std::string> tries;
  for (const fs::path& source : wish.sources) {
    const auto more = tries_in(*tools, wish, source);
    tries.insert(tries.end(), more.begin(), more.end());
  }
  std::vector<fs::path> objects;
  for (const fs::path& source : sources) {
    objects.push_back(work.path() / (std::to_string(objects.size()) + ".o"));
    if (auto compiled = compile(*tools, wish, source, objects.back()); !compiled) {
      return tl::unexpected(compiled.error());
    }
  }
  const fs::path linked = work.path() / "module.wasm";
  if (auto done = link(*tools, wish, objects, linked); !done) return tl::unexpected(done.error());
  auto module = read_module_file(linked);
  if (!module) {
    Failure failure = module.error();
    return fail(kError, "A worker would not take this module. " + failure.what);
  }
  auto kernels = kernels_in(linked);
  if (!kernels) return tl::unexpected(kernels.error());
  const Bytes named = with_kernels(module->bytes, *kernels);
  std::ofstream file(wish.output, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(named.data()),
             static_cast<std::streamsize>(named.size()));
  if (!file.flush()) return fail(kError, wish.output.string() + " cannot be written.");
  module->info.kernels = std::move(*kernels);
  return BuiltKernel{std::move(module->info), named.size(), std::move(tries)};
}

}  // namespace shoal::cli
