#pragma once

#include <cstdint>

#include "node/protocol/messages.h"
#include "tests/sim/event_queue.h"

// The kernel of the simulated executors. Its manifest's parameters say how long units take and what
// they give, so that anybody who has the manifest knows the true output of every unit.
namespace shoal::sim {

struct SimKernel {
  std::uint64_t unit_ns = 0;          // of a unit on a node of speed 1
  std::uint32_t spread_permille = 0;  // unit times lie evenly within so much of unit_ns, either way
  std::uint32_t output_bytes = 8;  // at least 8; above limits::kInlineOutputBytes they are content
  std::uint32_t fail_every = 0;    // every unit with (index + 1) % fail_every == 0 throws; 0: none
  bool noisy = false;  // the last byte differs from node to node: a job for Comparison::kEquivalent

  static constexpr const char* kName = "sim";
};

Bytes encode_kernel(const SimKernel&);
// Asserts that `parameters` are those of a simulated job: nobody else submits here.
SimKernel kernel_of(const Manifest&);

bool unit_fails(const SimKernel&, UnitIndex);
Time unit_time(const SimKernel&, const JobId&, UnitIndex, double speed);
// What the kernel gives for a unit. `twist` 0 is the truth; every other value is a lie of its own.
// `noise` is the last byte of noisy kernels.
Bytes unit_output(const SimKernel&, const JobId&, UnitIndex, std::uint64_t twist,
                  std::uint8_t noise);
// Appends the first 8 bytes of it: all of it for kernels with 8 bytes of output.
std::uint64_t unit_word(const JobId&, UnitIndex, std::uint64_t twist);
// As the job's `equivalent` judges: noise apart, the same.
bool equivalent_outputs(const SimKernel&, ByteView a, ByteView b);

}  // namespace shoal::sim
