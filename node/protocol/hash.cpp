// OpenSSL's low-level SHA-256 is marked deprecated in favour of EVP, whose set-up for each message
// costs more than the hash of a small output does; two hashes a unit are on the hot path. The
// warning is silenced for this file alone.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "node/protocol/hash.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <bit>
#include <initializer_list>
#include <utility>

#include "node/protocol/result.h"

namespace shoal {
namespace {

// The first hashed byte says what is hashed, so that no bytes can pass for something else.
enum class Form : std::uint8_t { kSmallContent = 0, kLargeContent = 1, kLeaf = 2, kParent = 3 };

class Hasher {
 public:
  Hasher() { SHA256_Init(&context_); }
  void add(ByteView bytes) { SHA256_Update(&context_, bytes.data(), bytes.size()); }
  template <class I>
  I end() {
    I id;
    SHA256_Final(id.bytes.data(), &context_);
    return id;
  }

 private:
  SHA256_CTX context_;
};

std::array<std::uint8_t, 9> content_prefix(Form form, std::uint64_t length) {
  std::array<std::uint8_t, 9> prefix;
  prefix[0] = static_cast<std::uint8_t>(form);
  for (std::size_t i = 0; i < 8; ++i) prefix[1 + i] = static_cast<std::uint8_t>(length >> (8 * i));
  return prefix;
}

Hash256 parent(const Hash256& left, const Hash256& right) {
  std::array<std::uint8_t, 65> node;
  node[0] = static_cast<std::uint8_t>(Form::kParent);
  std::copy(left.bytes.begin(), left.bytes.end(), node.begin() + 1);
  std::copy(right.bytes.begin(), right.bytes.end(), node.begin() + 33);
  return sha256(node);
}

// The Merkle root of leaves that come one after another. Keeps one node for each complete subtree
// on the right edge, as the ones of the binary count of leaves: no allocation, 2 KiB of stack.
class RootBuilder {
 public:
  void add(Hash256 node) {
    std::size_t height = 0;
    for (std::uint64_t c = count_; (c & 1) != 0; c >>= 1) node = parent(edge_[height++], node);
    edge_[height] = node;
    ++count_;
  }
  Hash256 root() const {
    Hash256 node;
    bool any = false;
    for (std::size_t height = 0; height < edge_.size(); ++height) {
      if (((count_ >> height) & 1) == 0) continue;
      node = any ? parent(edge_[height], node) : edge_[height];
      any = true;
    }
    return node;
  }

 private:
  std::array<Hash256, 64> edge_;
  std::uint64_t count_ = 0;
};

// One level of a tree, of which the nodes [first, last) are known or to be proved.
struct Level {
  std::uint64_t width;
  std::uint64_t first;
  std::uint64_t last;

  bool whole() const { return first == 0 && last == width; }
  bool left_sibling() const { return first % 2 != 0; }
  // An odd number of nodes up to `last`, and not because the level ends there.
  bool right_sibling() const { return last % 2 != 0 && last < width; }
  // Halved and rounded up without an addition that could overflow.
  void rise() {
    width = width / 2 + width % 2;
    first = first / 2;
    last = last / 2 + last % 2;
  }
};

// Replaces a run of nodes by their parents, in place. The run starts at an even place of its level;
// an odd last node is the level's last, and moves up.
void raise_nodes(std::vector<Hash256>& nodes) {
  const std::size_t pairs = nodes.size() / 2;
  for (std::size_t i = 0; i < pairs; ++i) nodes[i] = parent(nodes[2 * i], nodes[2 * i + 1]);
  if (nodes.size() % 2 != 0) nodes[pairs] = nodes.back();
  nodes.resize(pairs + nodes.size() % 2);
}

}  // namespace

Hash256 sha256(ByteView bytes) {
  Hasher hasher;
  hasher.add(bytes);
  return hasher.end<Hash256>();
}

Hash256 sha256(std::initializer_list<ByteView> parts) {
  Hasher hasher;
  for (ByteView part : parts) hasher.add(part);
  return hasher.end<Hash256>();
}

ContentId content_id(ByteView bytes) {
  if (bytes.size() <= kContentLeafBytes) {
    Hasher hasher;
    hasher.add(content_prefix(Form::kSmallContent, bytes.size()));
    hasher.add(bytes);
    return hasher.end<ContentId>();
  }
  RootBuilder tree;
  for (std::size_t at = 0; at < bytes.size(); at += kContentLeafBytes) {
    tree.add(content_leaf(bytes.subspan(at, std::min(kContentLeafBytes, bytes.size() - at))));
  }
  return content_id_from_root(bytes.size(), tree.root());
}

Hash256 content_leaf(ByteView leaf_bytes) {
  Hasher hasher;
  const auto form = static_cast<std::uint8_t>(Form::kLeaf);
  hasher.add({&form, 1});
  hasher.add(leaf_bytes);
  return hasher.end<Hash256>();
}

ContentId content_id_from_leaves(std::uint64_t length, std::span<const Hash256> leaves) {
  return content_id_from_root(length, merkle_root(leaves));
}

ContentId content_id_from_root(std::uint64_t length, const Hash256& root) {
  Hasher hasher;
  hasher.add(content_prefix(Form::kLargeContent, length));
  hasher.add(root.view());
  return hasher.end<ContentId>();
}

Hash256 merkle_root(std::span<const Hash256> leaves) {
  RootBuilder tree;
  for (const Hash256& leaf : leaves) tree.add(leaf);
  return tree.root();
}

std::vector<Hash256> merkle_range_proof(std::span<const Hash256> leaves, std::uint64_t first,
                                        std::uint64_t last) {
  check(first < last && last <= leaves.size(), "merkle_range_proof: a run outside of the tree");
  std::vector<Hash256> proof;
  Level level{leaves.size(), first, last};
  if (level.whole()) return proof;
  std::vector<Hash256> nodes(leaves.begin(), leaves.end());
  for (; !level.whole(); level.rise()) {
    if (level.left_sibling()) proof.push_back(nodes[level.first - 1]);
    if (level.right_sibling()) proof.push_back(nodes[level.last]);
    raise_nodes(nodes);
  }
  return proof;
}

MerkleTree::MerkleTree(std::vector<Hash256> leaves)
    : nodes_(std::move(leaves)), leaves_(nodes_.size()) {
  nodes_.reserve(2 * leaves_ + std::bit_width(leaves_));
  std::size_t level = 0;
  for (std::size_t width = leaves_; width > 1; width = width / 2 + width % 2) {
    for (std::size_t i = level; i + 1 < level + width; i += 2) {
      nodes_.push_back(parent(nodes_[i], nodes_[i + 1]));
    }
    level += width;
    if (width % 2 != 0) nodes_.push_back(Hash256(nodes_[level - 1]));
  }
}

std::vector<Hash256> MerkleTree::range_proof(std::uint64_t first, std::uint64_t last) const {
  check(first < last && last <= leaves_, "MerkleTree: a run outside of the tree");
  std::vector<Hash256> proof;
  std::span<const Hash256> nodes(nodes_);
  for (Level level{leaves_, first, last}; !level.whole(); level.rise()) {
    if (level.left_sibling()) proof.push_back(nodes[level.first - 1]);
    if (level.right_sibling()) proof.push_back(nodes[level.last]);
    nodes = nodes.subspan(level.width);
  }
  return proof;
}

std::optional<Hash256> merkle_root_of_range(std::uint64_t count, std::uint64_t first,
                                            std::span<const Hash256> part,
                                            std::span<const Hash256> proof) {
  if (part.empty() || first >= count || part.size() > count - first) return std::nullopt;
  Level level{count, first, first + part.size()};
  std::vector<Hash256> nodes;
  nodes.reserve(part.size() + 2);
  nodes.assign(part.begin(), part.end());
  for (; !level.whole(); level.rise()) {
    const std::size_t siblings =
        (level.left_sibling() ? 1U : 0U) + (level.right_sibling() ? 1U : 0U);
    if (proof.size() < siblings) return std::nullopt;
    if (level.left_sibling()) nodes.insert(nodes.begin(), proof.front());
    if (level.right_sibling()) nodes.push_back(proof[siblings - 1]);
    proof = proof.subspan(siblings);
    raise_nodes(nodes);
  }
  if (!proof.empty()) return std::nullopt;
  return merkle_root(nodes);
}

}  // namespace shoal
