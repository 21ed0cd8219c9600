#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "node/protocol/bytes.h"
#include "node/protocol/program_output.h"
#include "node/protocol/result.h"

namespace shoal {

struct GatheredFile {
  std::string path;
  bool executable = false;
  Bytes bytes;
};

// Reads what the program was to leave behind in `work`: the files that `patterns`, already filled
// in, stand for, sorted by path. `inputs` are no outputs unless they are named. Links are not
// followed. The error is a sentence that says what is there instead.
Result<std::vector<GatheredFile>, std::string> gather_outputs(
    const std::filesystem::path& work, const std::vector<std::string>& patterns,
    const std::set<std::string>& inputs, std::uint64_t bytes_max);

// The other way round: writes a result into `folder`, which it makes. False: there is no room.
bool lay_out_result(const ProgramOutput& result, const std::filesystem::path& folder);

}  // namespace shoal
