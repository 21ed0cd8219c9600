#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "node/protocol/bytes.h"

namespace shoal::wasm {

struct BodyCheck {
  std::string fault;         // empty, or why a kernel may not have this function
  std::uint64_t weight = 0;  // limits::kFunctionWeight says of what
};

// Walks through the instructions of one function, which has so many parameters. What is not known
// here is refused, so that an engine which learns more does not open a door.
BodyCheck check_body(ByteView body, std::size_t parameters);

}  // namespace shoal::wasm
