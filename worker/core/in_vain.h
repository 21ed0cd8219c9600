#pragma once

#include <cstdint>

namespace shoal {

// What becomes of this worker's requests to the leader of a job.
enum class InVain : std::uint8_t {
  kNo,          // it gets units, or asks for none
  kRefused,     // it has nothing to do, nothing that it did has failed, and it is given nothing
  kUnanswered,  // request after request, over a link that stands
};

}  // namespace shoal
