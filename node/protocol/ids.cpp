#include "node/protocol/ids.h"

namespace shoal {
namespace {

// The value of a hexadecimal digit; -1 for any other character, whatever the locale.
int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string to_hex(ByteView bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (std::uint8_t b : bytes) {
    hex.push_back(kDigits[b >> 4]);
    hex.push_back(kDigits[b & 15]);
  }
  return hex;
}

std::optional<Bytes> from_hex(std::string_view hex, std::size_t size) {
  // Halved instead of `size` doubled: no size can overflow.
  if (hex.size() % 2 != 0 || hex.size() / 2 != size) return std::nullopt;
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    const int high = digit_value(hex[2 * i]);
    const int low = digit_value(hex[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return bytes;
}

}  // namespace shoal
