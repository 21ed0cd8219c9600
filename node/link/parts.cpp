#include "node/link/parts.h"

#include <utility>

namespace shoal {
namespace {

constexpr std::uint32_t kMark = 0xffffffff;

std::uint32_t number_at(ByteView bytes, std::size_t at) {
  std::uint32_t number = 0;
  for (unsigned i = 0; i < 4; ++i) number |= std::uint32_t{bytes[at + i]} << (8 * i);
  return number;
}

}  // namespace

PartHead part_head(std::size_t bytes_after) {
  PartHead head;
  for (unsigned i = 0; i < 4; ++i) {
    head[i] = static_cast<std::uint8_t>(kMark >> (8 * i));
    head[4 + i] = static_cast<std::uint8_t>(bytes_after >> (8 * i));
  }
  return head;
}

bool PartReader::is_part(ByteView frame) {
  return frame.size() > kPartHeaderBytes && number_at(frame, 0) == kMark;
}

bool PartReader::take(ByteView frame, std::size_t bytes_max) {
  const ByteView bytes = frame.subspan(kPartHeaderBytes);
  const std::size_t after = number_at(frame, 4);
  const bool first = bytes_.empty();
  if (bytes.size() + after > bytes_max) return false;
  if (!first && bytes.size() + after != to_come_) return false;
  if (first) bytes_.reserve(bytes.size() + after);
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  to_come_ = after;
  return true;
}

std::optional<Bytes> PartReader::take_message() {
  if (to_come_ > 0 || bytes_.empty()) return std::nullopt;
  return std::exchange(bytes_, {});
}

}  // namespace shoal
