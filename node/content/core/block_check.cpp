#include "node/content/core/block_check.h"

#include <algorithm>
#include <vector>

#include "node/protocol/hash.h"
#include "node/protocol/limits.h"
#include "node/protocol/result.h"

namespace shoal {

namespace {

constexpr std::uint64_t kBlockBytes = limits::kBlockLeaves * kContentLeafBytes;
static_assert((limits::kBlockLeaves & (limits::kBlockLeaves - 1)) == 0,
              "a block must be a whole subtree of the content's Merkle tree");

std::vector<Hash256> leaves_of(ByteView bytes) {
  std::vector<Hash256> leaves;
  leaves.reserve(bytes.size() / kContentLeafBytes + 1);
  for (std::size_t at = 0; at < bytes.size(); at += kContentLeafBytes) {
    leaves.push_back(
        content_leaf(bytes.subspan(at, std::min(kContentLeafBytes, bytes.size() - at))));
  }
  return leaves;
}

}  // namespace

std::uint64_t blocks_of(std::uint64_t length) {
  return length / kBlockBytes + (length % kBlockBytes != 0 ? 1 : 0);
}

std::uint64_t first_leaf_of(std::uint64_t index) { return index * limits::kBlockLeaves; }

std::uint64_t block_bytes(std::uint64_t length, std::uint64_t index) {
  check(index < blocks_of(length), "a block past the end of its content");
  return std::min(kBlockBytes, length - index * kBlockBytes);
}

Hash256 block_root(ByteView bytes) { return merkle_root(leaves_of(bytes)); }

ContentId content_id_from_block_roots(std::uint64_t length, std::span<const Hash256> roots) {
  return content_id_from_root(length, merkle_root(roots));
}

bool block_belongs(const ContentId& id, std::uint64_t length, const Block& block) {
  return root_if_it_belongs(id, length, block).has_value();
}

std::optional<Hash256> root_if_it_belongs(const ContentId& id, std::uint64_t length,
                                          const Block& block) {
  if (block.missing || block.content != id || length > limits::kContentBytes) return std::nullopt;
  if (length <= kContentLeafBytes) {
    const bool belongs = block.first_leaf == 0 && block.proof.empty() &&
                         block.bytes.size() == length && content_id(block.bytes) == id;
    return belongs ? std::optional(content_leaf(block.bytes)) : std::nullopt;
  }
  if (block.first_leaf % limits::kBlockLeaves != 0) return std::nullopt;
  const std::uint64_t index = block.first_leaf / limits::kBlockLeaves;
  if (index >= blocks_of(length) || block.bytes.size() != block_bytes(length, index)) {
    return std::nullopt;
  }
  const std::uint64_t count = (length + kContentLeafBytes - 1) / kContentLeafBytes;
  const std::vector<Hash256> leaves = leaves_of(block.bytes);
  const auto root = merkle_root_of_range(count, block.first_leaf, leaves, block.proof);
  if (!root || content_id_from_root(length, *root) != id) return std::nullopt;
  return merkle_root(leaves);
}

}  // namespace shoal
