#pragma once

#include <string>

#include "node/protocol/result.h"

namespace shoal {

enum class DecodeFault : std::uint8_t {
  kMalformed,  // not a message of ours at all
  kTooLarge,   // a field or the whole is past a limit
  kBadValue,   // a field's value is outside its domain
  kUnknown,    // a newer kind of message: to be ignored, not punished
};

struct DecodeError {
  DecodeFault fault = DecodeFault::kMalformed;
  std::string what;  // names the field
};

}  // namespace shoal
