#pragma once

#include <cstdint>
#include <optional>

#include "node/protocol/messages.h"

// Where a content's blocks lie, and whether a block is what it claims to be.
namespace shoal {

// Blocks of kBlockLeaves leaves that a content of `length` bytes is sent in; none if it is empty.
std::uint64_t blocks_of(std::uint64_t length);
// The leaf that block `index` starts with.
std::uint64_t first_leaf_of(std::uint64_t index);
// The bytes of block `index` of a content of `length` bytes; index < blocks_of(length).
std::uint64_t block_bytes(std::uint64_t length, std::uint64_t index);
// The root over the leaves of one block's bytes. It is also the block's node in the Merkle tree of
// its content, since blocks begin at multiples of a power of two. `bytes` must not be empty.
Hash256 block_root(ByteView bytes);
// The id of a content of more than one leaf, from its blocks' roots.
ContentId content_id_from_block_roots(std::uint64_t length, std::span<const Hash256> roots);
// True if `block` holds the bytes of the content `id` of `length` bytes at block.first_leaf. The id
// binds the length: a block of the right content under a wrong length does not belong either.
bool block_belongs(const ContentId& id, std::uint64_t length, const Block& block);
// The same, with the block's root where it belongs: nobody need hash it again.
std::optional<Hash256> root_if_it_belongs(const ContentId& id, std::uint64_t length,
                                          const Block& block);

}  // namespace shoal
