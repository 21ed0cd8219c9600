#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "node/protocol/bytes.h"
#include "node/protocol/ids.h"

namespace shoal {

// SHA-256 of `bytes`, or of the parts one after another.
Hash256 sha256(ByteView bytes);
Hash256 sha256(std::initializer_list<ByteView> parts);

inline constexpr std::size_t kContentLeafBytes = 16 * 1024;

// The name of a run of bytes. Up to one leaf: SHA-256(0x00 | length as 8 little-endian bytes |
// bytes). Above: SHA-256(0x01 | length | root), where root is the Merkle root over the leaves'
// SHA-256(0x02 | leaf bytes). The length is bound, and the two forms cannot be mistaken for each
// other. The digest of a unit's output is its content id.
ContentId content_id(ByteView bytes);
Hash256 content_leaf(ByteView leaf_bytes);
// The id from the leaves' hashes. `leaves` must not be empty where length > kContentLeafBytes.
ContentId content_id_from_leaves(std::uint64_t length, std::span<const Hash256> leaves);
ContentId content_id_from_root(std::uint64_t length, const Hash256& root);

// A binary Merkle tree: parent = SHA-256(0x03 | left | right); the last node of an odd level moves
// up unchanged. One leaf is its own root; no leaf at all is the zero hash.
Hash256 merkle_root(std::span<const Hash256> leaves);
// The siblings that prove leaves [first, last) of the tree, bottom up, left before right. Empty
// when the run is the whole tree. 0 <= first < last <= leaves.size().
std::vector<Hash256> merkle_range_proof(std::span<const Hash256> leaves, std::uint64_t first,
                                        std::uint64_t last);
// All of the tree above some leaves, for those who want many proofs: each costs no more than it is
// long, where merkle_range_proof() hashes the whole tree. Takes twice the memory of the leaves.
class MerkleTree {
 public:
  explicit MerkleTree(std::vector<Hash256> leaves);
  std::span<const Hash256> leaves() const { return std::span(nodes_).first(leaves_); }
  std::size_t nodes() const { return nodes_.size(); }
  // As merkle_root() and merkle_range_proof() of the leaves.
  Hash256 root() const { return nodes_.empty() ? Hash256{} : nodes_.back(); }
  std::vector<Hash256> range_proof(std::uint64_t first, std::uint64_t last) const;

 private:
  std::vector<Hash256> nodes_;  // level after level, the leaves first and the root last
  std::size_t leaves_;
};

// The root that `part` (leaves [first, first + part.size()) of a tree of `count` leaves) and
// `proof` lead to; nothing where the proof does not have the shape that such a run needs.
std::optional<Hash256> merkle_root_of_range(std::uint64_t count, std::uint64_t first,
                                            std::span<const Hash256> part,
                                            std::span<const Hash256> proof);

}  // namespace shoal
