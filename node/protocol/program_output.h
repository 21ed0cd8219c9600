#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "node/protocol/bytes.h"
#include "node/protocol/decode_error.h"

namespace shoal {

// What a unit of a program has left behind, as one run of bytes: those are the unit's output, which
// workers must agree on. So there is nothing in it that depends on when or where it was made.
//
//   "shoalpo1" | exit status, 1 byte | flags, 1 byte | name | stdout, if flags & 1
//   | number of files, 4 bytes | the files, each: path | executable, 1 byte | bytes
//
// Numbers are little-endian; names and paths have their length in 4 bytes in front, stdout and the
// files' bytes in 8. Files are sorted by path and all different. One value has one encoding.
//
// The bytes belong to somebody else: to what was decoded, or to whoever made the value.
struct ProgramOutput {
  struct File {
    std::string path;
    bool executable = false;
    ByteView bytes;
  };
  std::string name;  // the unit's, as in program_template.h
  std::uint8_t exit_status = 0;
  std::optional<ByteView> standard_output;
  std::vector<File> files;
};

// The files must be sorted by path.
Bytes encode(const ProgramOutput& output);
// Total, and strict: what it accepts is encoded to the same bytes again.
Result<ProgramOutput, DecodeError> decode_program_output(ByteView bytes);

}  // namespace shoal
