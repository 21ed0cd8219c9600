#include "worker/runtime/sandbox_choice.h"

#include <array>
#include <vector>

#include "worker/sandbox/namespaces.h"
#include "worker/sandbox/nobody.h"

namespace shoal {
namespace {

constexpr int kProbeMs = 10'000;

struct Kind {
  KernelKind kernel;
  SandboxKind sandbox;
  const char* what;
};
constexpr std::array kKinds = {
    Kind{KernelKind::kShipped, SandboxKind::kShipped, "kernels that ship with Shoal"},
    Kind{KernelKind::kNative, SandboxKind::kNative, "native programs"},
    Kind{KernelKind::kWasm, SandboxKind::kWasm, "WebAssembly"},
    Kind{KernelKind::kProgram, SandboxKind::kProgram, "programs"},
};

std::string layers_of(const SandboxReport& report) {
  std::string layers = report.namespaces.empty() ? "namespaces" : "no namespaces";
  layers += report.landlock_version > 0 ? ", Landlock " + std::to_string(report.landlock_version)
                                        : std::string(", no Landlock");
  return layers + (report.seccomp.empty() ? ", seccomp" : ", no seccomp");
}

// Where the sandbox is off; empty: nothing does.
std::string what_runs_bare(const std::set<KernelKind>& kinds) {
  if (kinds.contains(KernelKind::kNative) || kinds.contains(KernelKind::kProgram)) {
    return "native programs and programs of trusted submitters (--trust, --kinds)";
  }
  return kinds.contains(KernelKind::kShipped) ? "kernels that ship with Shoal" : "";
}

}  // namespace

SandboxChoice choose_sandbox(const WorkerOptions& options, const SandboxReport& report) {
  SandboxChoice choice;
  choice.settings.read_only = options.readable;
  choice.settings.scratch_bytes = options.scratch_bytes;
  if (options.sandbox) {
    choice.settings.level = level_for(report);
    choice.summary = "sandbox: " + layers_of(report);
  } else {
    choice.settings.level = SandboxLevel::kNone;
    choice.native_from_anyone = false;
    choice.summary = "sandbox: off";
    const std::string bare = what_runs_bare(options.kinds);
    if (!bare.empty()) {
      choice.warnings.push_back("THE SANDBOX IS OFF: " + bare +
                                " run here with all the rights of this worker's user");
    }
  }
  std::string declined;
  for (const Kind& kind : kKinds) {
    // It is not there that a layer for it is missed, nor that anybody has to be warned.
    if (!options.kinds.contains(kind.kernel)) {
      choice.cannot_run[kind.kernel] =
          std::string("its owner takes no ") + kind.what + " (--kinds)";
      declined += (declined.empty() ? "" : ", ") + std::string(name_of(kind.sandbox));
      continue;
    }
    // Modules are strangers' code whoever sent them, and seal themselves without us.
    if (!options.sandbox && kind.kernel != KernelKind::kWasm) continue;
    const std::string fault = why_not(kind.sandbox, report);
    if (fault.empty()) continue;
    choice.cannot_run[kind.kernel] = fault;
    choice.warnings.push_back(std::string("takes no ") + kind.what + ": " + fault);
  }
  if (!declined.empty()) choice.summary += "; declined by the owner (--kinds): " + declined;
  return choice;
}

void leave_out_closed_folders(SandboxChoice& choice) {
  if (choice.settings.level == SandboxLevel::kNone) return;
  std::erase_if(choice.settings.read_only, [&](const std::filesystem::path& path) {
    const std::string closed = closed_to_sandbox(path.string());
    if (closed.empty()) return false;
    const bool itself = closed == path;
    choice.warnings.push_back(
        "--readable " + path.string() + " is left out: " + closed + " is closed to whom kernels " +
        "run as here" +
        (is_root_of_the_system() ? ", which is nobody, since this worker is root's" : "") +
        ". Open it (chmod " + (itself ? "-R o+rX " : "o+x ") + closed + ")" +
        (is_root_of_the_system() ? ", or run the worker as an ordinary user" : ""));
    return true;
  });
}

Result<SandboxReport, std::string> ask_sandbox(const std::filesystem::path& sandbox_program) {
  const auto text = run_and_read(sandbox_program, "--probe", kProbeMs);
  if (!text) return tl::unexpected(text.error());
  return parse_report(*text);
}

}  // namespace shoal
