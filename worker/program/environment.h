#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "node/protocol/program_spec.h"

namespace shoal {

struct UnitPlace {
  std::filesystem::path work;  // the working folder
  std::filesystem::path home;
  std::filesystem::path tmp;
};

// All that a program sees of an environment, as "NAME=value". The same on every machine: what
// differs between machines, and would show in results, is fixed here. What the spec sets comes last
// and wins.
std::vector<std::string> environment_of(const ProgramSpec& spec, const ProgramUnit& unit,
                                        const UnitPlace& place);

// The path of an installed program; empty: there is none of that name.
std::filesystem::path find_installed(const std::string& name);

}  // namespace shoal
