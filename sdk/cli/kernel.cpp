#include <memory>
#include <string>
#include <vector>

#include "sdk/cli/commands.h"
#include "sdk/cli/kernel_build.h"
#include "sdk/cli/output.h"
#include "sdk/cli/schema.h"

// shoal kernel build, shoal kernel check
namespace shoal::cli {
namespace {

constexpr const char* kFooter = R"(
The source is that of a program with Shoal's SDK, as it is: plain structs, a function, a main() that
calls shoal::run. The module holds the kernels that main() hands to it, and runs anywhere, for
anybody: workers need not trust you.

  shoal kernel build collatz.cpp
  shoal submit collatz.wasm --kernel collatz --params '{"block": 1000}' --units 1000

A module has no files, threads, clock or random device, and
whatever is thrown in it ends the unit.)";

std::string kernels_text(const ModuleInfo& info) {
  std::string text;
  for (const ModuleKernel& kernel : info.kernels) {
    text += (text.empty() ? "" : ", ") + kernel.name;
  }
  return text;
}

Outcome run_build(KernelBuild wish, const Settings& settings) {
  if (wish.output.empty()) {
    wish.output = wish.sources.front().filename().replace_extension(".wasm");
  }
  const auto built = build_kernel(wish);
  if (!built) return tl::unexpected(built.error());
  for (const std::string& place : built->tries) {
    say("warning: " + place +
        ": a module has no catch clauses: whatever is thrown within this 'try' ends the unit");
  }
  print(settings.json ? json_line(module_json(wish.output.string(), built->bytes, built->info))
                      : wish.output.string());
  if (!settings.quiet) {
    say(wish.output.string() + ": " + std::to_string(built->bytes) +
        " bytes, kernels: " + kernels_text(built->info));
  }
  return kSuccess;
}

Outcome run_check(const std::string& file, const Settings& settings) {
  const auto module = read_module_file(file);
  if (!module) return tl::unexpected(module.error());
  if (settings.json) {
    print(json_line(module_json(file, module->bytes.size(), module->info)));
    return kSuccess;
  }
  for (const ModuleKernel& kernel : module->info.kernels) print(kernel.name);
  return kSuccess;
}

}  // namespace

void add_kernel(CLI::App& app, Chosen& chosen) {
  CLI::App* kernel = app.add_subcommand("kernel",
                                        "Kernels as WebAssembly modules, which run for "
                                        "anybody");
  kernel->require_subcommand(1);
  CLI::App* build = kernel->add_subcommand("build", "Make a module of a program's source");
  build->footer(kFooter);
  auto wish = std::make_shared<KernelBuild>();
  auto sources = std::make_shared<std::vector<std::string>>();
  auto output = std::make_shared<std::string>();
  build->add_option("SOURCE", *sources, "C++ files")->required()->check(CLI::ExistingFile);
  build->add_option("-o,--output", *output, "The module (default: the first source's name)")
      ->type_name("FILE");
  build->add_option("-I,--include", wish->include_folders, "Folders of headers")
      ->type_name("FOLDER")
      ->take_all()
      ->allow_extra_args(false);
  build->add_option("-D,--define", wish->flags, "Definitions")
      ->type_name("NAME[=VALUE]")
      ->allow_extra_args(false)
      ->transform([](std::string text) { return "-D" + text; });
  build->add_option("--memory", wish->memory_mib, "MiB that a unit may use at most")
      ->check(CLI::Range(std::uint64_t{2}, std::uint64_t{limits::kMemoryPages / 16}))
      ->capture_default_str();
  add_common(*build, chosen);
  build->callback([wish, sources, output, &chosen] {
    wish->sources.assign(sources->begin(), sources->end());
    wish->output = *output;
    chosen.run = [wish](const Settings& settings) { return run_build(*wish, settings); };
  });

  CLI::App* check = kernel->add_subcommand("check", "Say whether a worker would take a module");
  auto file = std::make_shared<std::string>();
  check->add_option("MODULE", *file, "A WebAssembly module")->required();
  add_common(*check, chosen);
  check->callback([file, &chosen] {
    chosen.run = [file](const Settings& settings) { return run_check(*file, settings); };
  });
}

}  // namespace shoal::cli
