#pragma once

#include "node/protocol/bytes.h"
#include "node/protocol/decode_error.h"
#include "node/protocol/range.h"

namespace shoal {

// The inputs of a job as one content: a header of 16 bytes ("shoalin1", N as 8 little-endian
// bytes), N + 1 offsets of 8 bytes counted from the end of the table, then the inputs one after
// another. An index at the front lets a worker read one unit's input without the rest.
class InputPack {
 public:
  // Checks the table against the size. Keeps no copy: `bytes` must outlive the pack.
  static Result<InputPack, DecodeError> open(ByteView bytes);
  std::uint64_t units() const { return units_; }
  ByteView input(UnitIndex unit) const;

 private:
  ByteView bytes_;
  std::uint64_t units_ = 0;
};

// The largest input of one unit that an executor is handed.
inline constexpr std::uint64_t kInputBytesMax = 1ULL << 30;

// What stands in a pack before inputs of these sizes.
Bytes pack_head(const std::vector<std::uint64_t>& sizes);
Bytes pack_inputs(const std::vector<Bytes>& inputs);

}  // namespace shoal
