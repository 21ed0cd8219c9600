#include "node/protocol/input_pack.h"

#include <string_view>

#include "node/protocol/limits.h"

namespace shoal {
namespace {

constexpr std::string_view kMagic = "shoalin1";
constexpr std::size_t kHeaderBytes = 16;
constexpr std::size_t kOffsetBytes = 8;

std::uint64_t read_u64(ByteView bytes, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value |= std::uint64_t{bytes[at + i]} << (8 * i);
  return value;
}

void append_u64(Bytes& bytes, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

tl::unexpected<DecodeError> refused(DecodeFault fault, const char* what) {
  return tl::unexpected(DecodeError{fault, what});
}

}  // namespace

Result<InputPack, DecodeError> InputPack::open(ByteView bytes) {
  if (bytes.size() < kHeaderBytes) {
    return refused(DecodeFault::kMalformed, "input pack: shorter than its header");
  }
  if (as_text(bytes.first(kMagic.size())) != kMagic) {
    return refused(DecodeFault::kMalformed, "input pack: does not begin with \"shoalin1\"");
  }
  const std::uint64_t units = read_u64(bytes, kMagic.size());
  if (units > limits::kUnitsPerJob) {
    return refused(DecodeFault::kTooLarge, "input pack: more units than a job may have");
  }
  // Compared by division: a large count cannot overflow its way past the check.
  if ((bytes.size() - kHeaderBytes) / kOffsetBytes <= units) {
    return refused(DecodeFault::kMalformed, "input pack: the table of offsets is cut off");
  }
  const std::size_t table_end = kHeaderBytes + (units + 1) * kOffsetBytes;
  std::uint64_t end = 0;
  for (std::size_t at = kHeaderBytes; at < table_end; at += kOffsetBytes) {
    const std::uint64_t offset = read_u64(bytes, at);
    if (at == kHeaderBytes && offset != 0) {
      return refused(DecodeFault::kBadValue, "input pack: the first input is not at the start");
    }
    if (offset < end) {
      return refused(DecodeFault::kBadValue, "input pack: the offsets are not in order");
    }
    end = offset;
  }
  if (end != bytes.size() - table_end) {
    return refused(DecodeFault::kBadValue, "input pack: the offsets do not fit the size");
  }
  InputPack pack;
  pack.bytes_ = bytes;
  pack.units_ = units;
  return pack;
}

ByteView InputPack::input(UnitIndex unit) const {
  // A pack may hold fewer inputs than a manifest claims; a claim of others must not end the node.
  if (unit >= units_) return {};
  const std::size_t entry = kHeaderBytes + unit * kOffsetBytes;
  const std::size_t table_end = kHeaderBytes + (units_ + 1) * kOffsetBytes;
  const std::uint64_t begin = read_u64(bytes_, entry);
  const std::uint64_t end = read_u64(bytes_, entry + kOffsetBytes);
  return bytes_.subspan(table_end + begin, end - begin);
}

Bytes pack_head(const std::vector<std::uint64_t>& sizes) {
  Bytes head;
  head.reserve(kHeaderBytes + (sizes.size() + 1) * kOffsetBytes);
  head.insert(head.end(), kMagic.begin(), kMagic.end());
  append_u64(head, sizes.size());
  std::uint64_t offset = 0;
  append_u64(head, offset);
  for (const std::uint64_t size : sizes) append_u64(head, offset += size);
  return head;
}

Bytes pack_inputs(const std::vector<Bytes>& inputs) {
  std::vector<std::uint64_t> sizes;
  sizes.reserve(inputs.size());
  std::size_t total = 0;
  for (const Bytes& input : inputs) {
    sizes.push_back(input.size());
    total += input.size();
  }
  Bytes pack = pack_head(sizes);
  pack.reserve(pack.size() + total);
  for (const Bytes& input : inputs) pack.insert(pack.end(), input.begin(), input.end());
  return pack;
}

}  // namespace shoal
