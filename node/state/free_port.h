#pragma once

#include <cstdint>

namespace shoal {

// A port of loopback that nobody listens on just now: another process may take it before the caller
// does. For what must name its port before it listens. 0: there is none.
std::uint16_t free_port();

}  // namespace shoal
