#pragma once

#include <cstdio>
#include <cstdlib>
#include <source_location>
#include <tl/expected.hpp>

namespace shoal {

// Every call that can fail for a reason outside our own code returns one of these. Each module has
// one exhaustive `enum class` of its errors, or a struct that carries such an enum and a text.
template <class T, class E>
using Result = tl::expected<T, E>;

// A bug of ours, in release builds too: says where, and ends the process.
inline void check(bool holds, const char* what,
                  std::source_location at = std::source_location::current()) {
  if (holds) return;
  std::fprintf(stderr, "%s:%u: internal error: %s\n", at.file_name(),
               static_cast<unsigned>(at.line()), what);
  std::abort();
}

}  // namespace shoal
