#pragma once

#include <cstddef>
#include <cstdint>

#include "node/protocol/bytes.h"

namespace shoal {

// Which blocks of a content somebody holds: a bit a block, as Holdings carries them.
class BlockBits {
 public:
  BlockBits() = default;
  explicit BlockBits(std::uint64_t blocks) : bits_((blocks + 7) / 8), blocks_(blocks) {}

  // False for what is past the end.
  bool test(std::uint64_t block) const {
    return block < blocks_ && ((bits_[block / 8] >> (block % 8)) & 1) != 0;
  }
  // True: it was not set before. block < blocks().
  bool set(std::uint64_t block) {
    if (test(block)) return false;
    bits_[block / 8] = static_cast<std::uint8_t>(bits_[block / 8] | (1 << (block % 8)));
    ++count_;
    return true;
  }
  bool reset(std::uint64_t block) {
    if (!test(block)) return false;
    bits_[block / 8] = static_cast<std::uint8_t>(bits_[block / 8] & ~(1 << (block % 8)));
    --count_;
    return true;
  }
  std::uint64_t blocks() const { return blocks_; }
  std::uint64_t count() const { return count_; }
  bool all() const { return count_ == blocks_; }
  ByteView bytes() const { return bits_; }

 private:
  Bytes bits_;
  std::uint64_t blocks_ = 0;
  std::uint64_t count_ = 0;
};

}  // namespace shoal
