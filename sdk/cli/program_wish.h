#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "node/protocol/program_spec.h"
#include "sdk/cli/outcome.h"

// What the user asks for with `shoal submit ... -- PROGRAM ARGS...` or with a job file, in his own
// words.
namespace shoal::cli {

struct ProgramWish {
  std::vector<std::string> command;  // what follows --
  std::string array;                 // "1-100", "0-90:10", "1,2,5"
  std::string lines_file;
  std::string json_file;
  std::string column_separator;  // of the lines; empty: a line is not split
  std::vector<std::string> inputs;
  std::vector<std::string> ships;  // the same, executable
  std::vector<std::string> outputs;
  bool standard_output = false;
  std::vector<std::string> needs;
  std::vector<std::string> environment;  // NAME=VALUE
  std::vector<unsigned> exit_statuses;
  std::string compare = "bytes";
  std::vector<std::string> compare_with;  // a command; empty: by `compare`
  std::vector<std::string> dropped;
  std::string time_limit;  // of a unit
  std::string memory;      // of a unit
  std::string output_limit;
  std::string results_folder;
  bool resume = false;
  bool retry_failed = false;

  // Whether anything but the lines and the limits was asked for: then there must be a command.
  bool any() const;
  bool any_limit() const { return !time_limit.empty() || !memory.empty() || !output_limit.empty(); }
};

// What a unit may take, of a program or of a kernel. Nothing: as usual.
struct UnitLimits {
  std::optional<std::uint64_t> wall_ms;
  std::optional<std::uint64_t> memory_bytes;
  std::optional<std::uint64_t> output_bytes;
};
Result<UnitLimits, Failure> limits_of(const ProgramWish& wish);

// The settings of a TOML file, which have the names of the flags, and those of `given` above them:
// the command line wins. Paths in the file are taken from where the file is.
struct JobFile {
  ProgramWish wish;
  std::string name;
  unsigned quorum = 0;        // 0: not said
  unsigned max_attempts = 0;  // likewise
  std::string keep_for;       // "" likewise
};
Result<JobFile, Failure> read_job_file(const std::string& file, const ProgramWish& given);

// The units, in their order. At least one.
Result<std::vector<ProgramUnit>, Failure> units_of(const ProgramWish& wish);

// "bytes", "text", "numeric:1e-6", "numeric:1e-6,abs=1e-9,drop=REGEX"; a pattern takes the rest.
Result<ProgramComparison, Failure> comparison_of(const ProgramWish& wish);

}  // namespace shoal::cli
