#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "node/protocol/bytes.h"
#include "node/protocol/decode_error.h"
#include "node/protocol/range.h"

// What a job of KernelKind::kProgram runs: a command line for each unit, the files that it finds in
// its working folder, and those that it leaves there as its result. program.capnp says what each
// field means. The spec is the manifest's parameters, so the job's id covers it.
//
// A spec comes from a stranger. Its decoder lets no path through that leads out of the working
// folder; what the program itself then does is the sandbox's business.
namespace shoal {

// The kernel's name in manifests of such jobs.
inline constexpr char kProgramKernel[] = "program";

// Where programs that are installed are looked for, on every worker alike: for Manifest::needs, and
// the PATH of what runs.
inline constexpr char kProgramPath[] = "/usr/local/bin:/usr/bin:/bin:/usr/games";

namespace limits {
inline constexpr std::size_t kProgramArguments = 4096;
inline constexpr std::size_t kProgramArgumentBytes = 64 * 1024;
inline constexpr std::size_t kProgramFiles = 4096;
inline constexpr std::size_t kProgramOutputs = 64;
inline constexpr std::size_t kProgramVariables = 64;
inline constexpr std::size_t kProgramDropped = 32;
inline constexpr std::size_t kProgramPathBytes = 1024;
inline constexpr std::size_t kProgramFields = 256;             // a unit's
inline constexpr std::size_t kProgramUnitBytes = 1024 * 1024;  // one encoded unit
inline constexpr std::int64_t kProgramStepMax = 1'000'000;
inline constexpr std::size_t kProgramOutputFiles = 65'536;  // a unit's
}  // namespace limits

struct ProgramFile {
  std::string path;
  std::uint32_t content = 0;
  bool folder = false;
  bool executable = false;
  friend bool operator==(const ProgramFile&, const ProgramFile&) = default;
};

using ProgramVariable = std::pair<std::string, std::string>;  // name and value

struct ProgramComparison {
  bool text = false;  // else bytes, and nothing below counts
  std::vector<std::string> dropped;
  double relative = 0;
  double absolute = 0;
  bool images = false;  // image_notes.h
  std::vector<std::string> program = {};
  friend bool operator==(const ProgramComparison&, const ProgramComparison&) = default;
};

struct ProgramSpec {
  std::vector<std::string> arguments;  // at least the program
  std::vector<ProgramFile> files;
  std::vector<std::string> outputs;
  bool standard_output = false;
  std::vector<ProgramVariable> environment;
  std::vector<std::uint8_t> exit_statuses = {0};
  std::uint64_t wall_ms = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t output_bytes_max = 0;
  std::int64_t first = 0;
  std::int64_t step = 1;
  ProgramComparison comparison;
  friend bool operator==(const ProgramSpec&, const ProgramSpec&) = default;
};

// What one unit is called with.
struct ProgramUnit {
  std::string entry;
  std::vector<ProgramVariable> fields = {};  // of a JSON object, by name
  // From 0, in the submitter's list. A job that goes on with a part of another one's units has
  // other indices for them; what a unit is called must not depend on that.
  std::uint64_t number = 0;
  friend bool operator==(const ProgramUnit&, const ProgramUnit&) = default;
};

// The unit of a job without inputs.
ProgramUnit numbered_unit(const ProgramSpec& spec, UnitIndex unit);

// Whether `path` names something below the folder that it is looked up in, in one way only: not
// empty, not absolute, no "." or ".." and no empty part, no control character.
bool is_path_below(std::string_view path);

// The same spec has the same bytes. What is past a limit is our own bug: the caller checks.
Bytes encode(const ProgramSpec& spec);
Bytes encode(const ProgramUnit& unit);
// Total: any bytes give a value within the limits, or an error.
Result<ProgramSpec, DecodeError> decode_program_spec(ByteView bytes);
Result<ProgramUnit, DecodeError> decode_program_unit(ByteView bytes);

}  // namespace shoal
