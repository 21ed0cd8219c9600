#pragma once

#include <string_view>

namespace shoal {

// What a worker says in the line of its status about another process with its key, and what
// `shoal doctor` looks for there.
inline constexpr std::string_view kKeyIsShared = "another process has this worker's key";

}  // namespace shoal
