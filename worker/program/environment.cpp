#include "worker/program/environment.h"

#include <unistd.h>

#include <map>
#include <string_view>

#include "node/protocol/program_template.h"

namespace shoal {
namespace {

constexpr const char* kFixed[][2] = {
    {"PATH", kProgramPath},
    {"LANG", "C.UTF-8"},
    {"LC_ALL", "C.UTF-8"},
    {"TZ", "UTC"},
    {"USER", "shoal"},
    {"LOGNAME", "shoal"},
    {"SHELL", "/bin/sh"},
    {"TERM", "dumb"},
    // glibc picks other variants of exp() and its like on other processors, with other last bits.
    {"GLIBC_TUNABLES", "glibc.cpu.hwcaps=-FMA,-FMA4,-AVX2"},
    // And so do numerical libraries: the variants that every processor has.
    {"OPENBLAS_CORETYPE", "Nehalem"},
    {"MKL_CBWR", "COMPATIBLE"},
    // A sum in another order is another sum; and a unit has one thread.
    {"OMP_NUM_THREADS", "1"},
    {"OPENBLAS_NUM_THREADS", "1"},
    {"MKL_NUM_THREADS", "1"},
    {"NUMEXPR_NUM_THREADS", "1"},
    {"RAYON_NUM_THREADS", "1"},
    // The first moment that archives of all kinds can name.
    {"SOURCE_DATE_EPOCH", "315532800"},
    {"PYTHONHASHSEED", "0"},
    {"PYTHONDONTWRITEBYTECODE", "1"},
    // The order of what is in a hash.
    {"PERL_HASH_SEED", "0"},
    {"PERL_PERTURB_KEYS", "0"},
    // A program of Open MPI's that is started alone would have a daemon beside it, which wants a
    // network.
    {"OMPI_MCA_ess_singleton_isolated", "1"},
};

}  // namespace

std::vector<std::string> environment_of(const ProgramSpec& spec, const ProgramUnit& unit,
                                        const UnitPlace& place) {
  std::map<std::string, std::string> variables;
  for (const auto& [name, value] : kFixed) variables[name] = value;
  variables["HOME"] = place.home.string();
  variables["TMPDIR"] = place.tmp.string();
  variables["SHOAL_ENTRY"] = unit.entry;
  variables["SHOAL_NAME"] = name_of(unit);
  for (const auto& [name, value] : spec.environment) variables[name] = value;
  std::vector<std::string> environment;
  for (const auto& [name, value] : variables) environment.push_back(name + "=" + value);
  return environment;
}

std::filesystem::path find_installed(const std::string& name) {
  std::string_view folders = kProgramPath;
  while (!folders.empty()) {
    const std::size_t end = std::min(folders.find(':'), folders.size());
    std::filesystem::path path = std::filesystem::path(folders.substr(0, end)) / name;
    std::error_code unreadable;
    if (std::filesystem::is_regular_file(path, unreadable) && ::access(path.c_str(), X_OK) == 0) {
      return path;
    }
    folders.remove_prefix(std::min(end + 1, folders.size()));
  }
  return {};
}

}  // namespace shoal
