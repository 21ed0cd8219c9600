#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "node/protocol/bytes.h"

namespace shoal::wasm {

// Reads the pieces that WebAssembly's binary format is made of. Never reads past the end: once
// something does not fit, every further answer is zero or empty, and failed() says why. The first
// reason stays.
class Reader {
 public:
  explicit Reader(ByteView bytes) : bytes_(bytes) {}

  bool failed() const { return !fault_.empty(); }
  const std::string& fault() const { return fault_; }
  void fail(std::string why) {
    if (fault_.empty()) fault_ = std::move(why);
    bytes_ = {};
  }
  bool at_end() const { return bytes_.empty(); }
  std::size_t left() const { return bytes_.size(); }

  std::uint8_t byte() {
    if (bytes_.empty()) return cut_off(), std::uint8_t{0};
    const std::uint8_t value = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return value;
  }
  // LEB128 of at most 32 bits; the same, signed, of 32 or 64 bits, whose value nobody asks for.
  std::uint32_t u32() {
    std::uint32_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
      const std::uint8_t next = byte();
      if (shift == 28 && (next & 0xf0) != 0) break;
      value |= static_cast<std::uint32_t>(next & 0x7f) << shift;
      if ((next & 0x80) == 0) return value;
    }
    fail("a number in the module is malformed");
    return 0;
  }
  void skip_signed(unsigned bits) {
    for (unsigned shift = 0; shift < bits; shift += 7) {
      if ((byte() & 0x80) == 0) return;
    }
    fail("a number in the module is malformed");
  }
  ByteView bytes(std::size_t count) {
    if (count > bytes_.size()) {
      cut_off();
      return {};
    }
    const ByteView taken = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return taken;
  }
  std::string_view name() { return as_text(bytes(u32())); }

 private:
  void cut_off() { fail("the module is cut off, or a part of it claims to be larger than it is"); }

  ByteView bytes_;
  std::string fault_;
};

}  // namespace shoal::wasm
