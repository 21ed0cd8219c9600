#pragma once

#include <cstdio>
#include <cstdlib>
#include <tl/expected.hpp>

namespace shoal {

// Every call that can fail for a reason outside our own code returns one of these. Each module has
// one exhaustive `enum class` of its errors, or a struct that carries such an enum and a text.
template <class T, class E>
using Result = tl::expected<T, E>;

// A bug of ours, in release builds too: says where, and ends the process.
// (The builtins are what std::source_location is made of; clang 14 has no other name for them.)
inline void check(bool holds, const char* what, const char* file = __builtin_FILE(),
                  unsigned line = __builtin_LINE()) {
  if (holds) return;
  std::fprintf(stderr, "%s:%u: internal error: %s\n", file, line, what);
  std::abort();
}

}  // namespace shoal
