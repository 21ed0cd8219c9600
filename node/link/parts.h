#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "node/protocol/bytes.h"

namespace shoal {

// A bulk message travels in parts, so that smaller messages go between them. A part begins with a
// mark that no message begins with (it would be one of 2^32 segments), and with the number of bytes
// of the message that are still to come after it.
inline constexpr std::size_t kPartHeaderBytes = 8;

using PartHead = std::array<std::uint8_t, kPartHeaderBytes>;
PartHead part_head(std::size_t bytes_after);

// Puts the parts of one sender together again. They come in order, and one message at a time.
class PartReader {
 public:
  static bool is_part(ByteView frame);
  // False: it is not the part that has to follow, or of a message of more than `bytes_max`.
  bool take(ByteView frame, std::size_t bytes_max);
  // The message, once its last part has come.
  std::optional<Bytes> take_message();
  std::size_t held_bytes() const { return bytes_.size(); }

 private:
  Bytes bytes_;
  std::size_t to_come_ = 0;
};

}  // namespace shoal
