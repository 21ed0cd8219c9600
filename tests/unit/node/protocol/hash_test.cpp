#include "node/protocol/hash.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>

#include "node/protocol/rng.h"

namespace shoal {
namespace {

using Leaves = std::vector<Hash256>;

Leaves leaves_of(std::uint64_t count) {
  Leaves leaves;
  for (std::uint64_t i = 0; i < count; ++i) {
    leaves.push_back(sha256(as_bytes("leaf " + std::to_string(i))));
  }
  return leaves;
}

Hash256 naive_parent(const Hash256& left, const Hash256& right) {
  Bytes node{3};
  node.insert(node.end(), left.bytes.begin(), left.bytes.end());
  node.insert(node.end(), right.bytes.begin(), right.bytes.end());
  return sha256(node);
}

// All levels of the tree, leaves first, each made from the one below as the header says.
std::vector<Leaves> naive_tree(Leaves level) {
  std::vector<Leaves> levels{level};
  while (level.size() > 1) {
    Leaves above;
    for (std::size_t i = 0; i + 1 < level.size(); i += 2) {
      above.push_back(naive_parent(level[i], level[i + 1]));
    }
    if (level.size() % 2 != 0) above.push_back(level.back());
    levels.push_back(above);
    level = above;
  }
  return levels;
}

// The proof by its meaning: at each level the siblings of known nodes that are not known
// themselves, where a node counts as known as soon as all leaves below it are.
Leaves naive_proof(const Leaves& leaves, std::uint64_t first, std::uint64_t last) {
  Leaves proof;
  std::vector<bool> known(leaves.size());
  for (std::uint64_t i = first; i < last; ++i) known[i] = true;
  for (const Leaves& level : naive_tree(leaves)) {
    std::vector<bool> above;
    for (std::size_t i = 0; i < level.size(); i += 2) {
      const bool pair = i + 1 < level.size();
      const bool left = known[i];
      const bool right = pair && known[i + 1];
      if (pair && left != right) proof.push_back(left ? level[i + 1] : level[i]);
      above.push_back(left || right);
    }
    known = above;
  }
  return proof;
}

Hash256 with_flipped_bit(Hash256 hash, std::size_t bit) {
  hash.bytes[bit / 8] = static_cast<std::uint8_t>(hash.bytes[bit / 8] ^ (1U << bit % 8));
  return hash;
}

std::span<const Hash256> part_of(const Leaves& leaves, std::uint64_t first, std::uint64_t last) {
  return std::span(leaves).subspan(first, last - first);
}

Bytes pattern(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + 3);
  return bytes;
}

TEST(Sha256, GivesThePublishedDigests) {
  EXPECT_EQ(to_hex(sha256(ByteView{})),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(to_hex(sha256(as_bytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, PartsCountAsOneRunOfBytes) {
  EXPECT_EQ(sha256({as_bytes("a"), ByteView{}, as_bytes("bc")}), sha256(as_bytes("abc")));
  EXPECT_EQ(sha256({}), sha256(ByteView{}));
}

// From an independent implementation of the header's words.
TEST(ContentName, IsWhatTheHeaderSays) {
  EXPECT_EQ(to_hex(content_id({})),
            "3e7077fd2f66d689e0cee6a7cf5b37bf2dca7c979af356d0a31cbc5c85605c7d");
  EXPECT_EQ(to_hex(content_id(as_bytes("abc"))),
            "7e47cb99d8e4af79b92f2b180f4c9324720a2d16aa3b2e4aaed908e654902595");
  EXPECT_EQ(to_hex(content_id(pattern(16384))),
            "f6dab9139b33021552b3dbcd437d997549a673bf9b165b2853a25e7a47835973");
  EXPECT_EQ(to_hex(content_id(pattern(16385))),
            "378ca0204746dfda27a741f78afd2a7f4df96b2cdce5b1c5df7ff668844c757c");
  EXPECT_EQ(to_hex(content_id(pattern(40000))),
            "e0636aa2279c39387d852ee1b49fc79936b25e71d3311ae45392ff377b7d9393");
}

TEST(ContentName, FollowsFromTheLeavesAndFromTheRoot) {
  const Bytes bytes = pattern(5 * kContentLeafBytes + 1);
  Leaves leaves;
  for (std::size_t at = 0; at < bytes.size(); at += kContentLeafBytes) {
    leaves.push_back(
        content_leaf(ByteView(bytes).subspan(at, std::min(kContentLeafBytes, bytes.size() - at))));
  }
  ASSERT_EQ(leaves.size(), 6U);
  const ContentId id = content_id(bytes);
  EXPECT_EQ(content_id_from_leaves(bytes.size(), leaves), id);
  EXPECT_EQ(content_id_from_root(bytes.size(), merkle_root(leaves)), id);
  EXPECT_NE(content_id_from_root(bytes.size() - 1, merkle_root(leaves)), id);
}

TEST(ContentName, ChangesWithTheLengthAndTheForm) {
  EXPECT_NE(content_id(Bytes(1)), content_id(Bytes(2)));
  EXPECT_NE(content_id(Bytes(kContentLeafBytes)), content_id(Bytes(kContentLeafBytes + 1)));
  // A small content whose bytes are a root is not the large content of that root.
  const Hash256 root = merkle_root(leaves_of(3));
  EXPECT_NE(content_id(root.view()), content_id_from_root(32, root));
}

TEST(MerkleRoot, AgreesWithTheTreeBuiltLevelByLevel) {
  EXPECT_EQ(merkle_root({}), Hash256{});
  for (std::uint64_t count = 1; count <= 130; ++count) {
    const Leaves leaves = leaves_of(count);
    EXPECT_EQ(merkle_root(leaves), naive_tree(leaves).back().front()) << count;
  }
  EXPECT_EQ(merkle_root(leaves_of(1)), leaves_of(1).front());
}

TEST(MerkleRoot, ChangesWithEveryLeafAndTheirOrder) {
  for (std::uint64_t count = 1; count <= 17; ++count) {
    const Hash256 root = merkle_root(leaves_of(count));
    for (std::uint64_t i = 0; i < count; ++i) {
      Leaves leaves = leaves_of(count);
      leaves[i] = with_flipped_bit(leaves[i], i);
      EXPECT_NE(merkle_root(leaves), root);
      if (i == 0) continue;
      leaves = leaves_of(count);
      std::swap(leaves[i - 1], leaves[i]);
      EXPECT_NE(merkle_root(leaves), root);
    }
  }
}

template <class Check>
void for_all_runs(std::uint64_t max_count, Check check_run) {
  for (std::uint64_t count = 1; count <= max_count; ++count) {
    const Leaves leaves = leaves_of(count);
    for (std::uint64_t first = 0; first < count; ++first) {
      for (std::uint64_t last = first + 1; last <= count; ++last) check_run(leaves, first, last);
    }
  }
}

TEST(MerkleRange, ProofIsTheSiblingsBottomUpLeftBeforeRight) {
  for_all_runs(20, [](const Leaves& leaves, std::uint64_t first, std::uint64_t last) {
    EXPECT_EQ(merkle_range_proof(leaves, first, last), naive_proof(leaves, first, last))
        << leaves.size() << " leaves, run " << first << " to " << last;
  });
}

TEST(MerkleRange, ATreeThatIsKeptGivesTheSameProofs) {
  for_all_runs(20, [](const Leaves& leaves, std::uint64_t first, std::uint64_t last) {
    const MerkleTree tree(leaves);
    EXPECT_EQ(tree.root(), merkle_root(leaves));
    EXPECT_EQ(Leaves(tree.leaves().begin(), tree.leaves().end()), leaves);
    EXPECT_EQ(tree.range_proof(first, last), merkle_range_proof(leaves, first, last))
        << leaves.size() << " leaves, run " << first << " to " << last;
  });
  EXPECT_EQ(MerkleTree({}).root(), merkle_root({}));
  EXPECT_DEATH(MerkleTree(leaves_of(4)).range_proof(2, 5), "internal error");
}

TEST(MerkleRange, TheWholeTreeNeedsNoProof) {
  const Leaves leaves = leaves_of(13);
  EXPECT_TRUE(merkle_range_proof(leaves, 0, 13).empty());
  EXPECT_EQ(merkle_root_of_range(13, 0, leaves, {}), merkle_root(leaves));
}

TEST(MerkleRange, EveryRunLeadsToTheRoot) {
  for_all_runs(20, [](const Leaves& leaves, std::uint64_t first, std::uint64_t last) {
    const Leaves proof = merkle_range_proof(leaves, first, last);
    EXPECT_EQ(merkle_root_of_range(leaves.size(), first, part_of(leaves, first, last), proof),
              merkle_root(leaves));
  });
}

TEST(MerkleRange, AChangedProofDoesNotLeadToTheRoot) {
  for_all_runs(20, [](const Leaves& leaves, std::uint64_t first, std::uint64_t last) {
    const Hash256 root = merkle_root(leaves);
    const auto part = part_of(leaves, first, last);
    const Leaves proof = merkle_range_proof(leaves, first, last);
    for (std::size_t i = 0; i < proof.size(); ++i) {
      Leaves changed = proof;
      changed[i] = with_flipped_bit(changed[i], first + i);
      EXPECT_NE(merkle_root_of_range(leaves.size(), first, part, changed), root);
      changed = proof;
      changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(i));
      EXPECT_EQ(merkle_root_of_range(leaves.size(), first, part, changed), std::nullopt);
      if (i == 0) continue;
      changed = proof;
      std::swap(changed[i - 1], changed[i]);
      EXPECT_NE(merkle_root_of_range(leaves.size(), first, part, changed), root);
    }
    Leaves longer = proof;
    longer.push_back(root);
    EXPECT_EQ(merkle_root_of_range(leaves.size(), first, part, longer), std::nullopt);
  });
}

TEST(MerkleRange, AChangedPartOrPlaceDoesNotLeadToTheRoot) {
  for_all_runs(20, [](const Leaves& leaves, std::uint64_t first, std::uint64_t last) {
    const Hash256 root = merkle_root(leaves);
    const auto part = part_of(leaves, first, last);
    const Leaves proof = merkle_range_proof(leaves, first, last);
    for (std::size_t i = 0; i < part.size(); ++i) {
      Leaves changed(part.begin(), part.end());
      changed[i] = with_flipped_bit(changed[i], last + i);
      EXPECT_NE(merkle_root_of_range(leaves.size(), first, changed, proof), root);
    }
    EXPECT_NE(merkle_root_of_range(leaves.size(), first, part.first(part.size() - 1), proof), root);
    for (std::uint64_t other = 0; other <= leaves.size(); ++other) {
      if (other == first) continue;
      EXPECT_NE(merkle_root_of_range(leaves.size(), other, part, proof), root);
    }
  });
}

TEST(MerkleRange, RefusesRunsOutsideOfTheTree) {
  const Leaves leaves = leaves_of(4);
  const std::uint64_t max = std::numeric_limits<std::uint64_t>::max();
  EXPECT_FALSE(merkle_root_of_range(0, 0, {}, {}));
  EXPECT_FALSE(merkle_root_of_range(4, 0, {}, {}));
  EXPECT_FALSE(merkle_root_of_range(0, 0, leaves, {}));
  EXPECT_FALSE(merkle_root_of_range(3, 0, leaves, {}));
  EXPECT_FALSE(merkle_root_of_range(4, 1, leaves, {}));
  EXPECT_FALSE(merkle_root_of_range(4, max, leaves, {}));
  // first + 4 wraps round to 2.
  EXPECT_FALSE(merkle_root_of_range(max, max - 1, leaves, {}));
}

// Work and memory follow what was sent, never the number of leaves that was claimed.
TEST(MerkleRange, ClaimsOfHugeTreesEndAtOnce) {
  Rng rng(11);
  const Leaves hashes = leaves_of(70);
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t count = rng.next() >> rng.below(64);
    const std::uint64_t first = rng.next() >> rng.below(64);
    const auto part = std::span(hashes).first(rng.below(6));
    const auto proof = std::span(hashes).last(rng.below(70));
    const auto root = merkle_root_of_range(count, first, part, proof);
    if (first >= count || part.empty()) {
      EXPECT_FALSE(root);
    }
  }
  // One leaf at the front of 2^50 has a right sibling on each of 50 levels.
  const std::uint64_t count = std::uint64_t{1} << 50;
  const auto leaf = std::span(hashes).first(1);
  EXPECT_TRUE(merkle_root_of_range(count, 0, leaf, std::span(hashes).first(50)));
  EXPECT_FALSE(merkle_root_of_range(count, 0, leaf, std::span(hashes).first(49)));
  EXPECT_FALSE(merkle_root_of_range(count, 0, leaf, std::span(hashes).first(51)));
  const std::uint64_t max = std::numeric_limits<std::uint64_t>::max();
  EXPECT_TRUE(merkle_root_of_range(max, 0, leaf, std::span(hashes).first(64)));
}

TEST(MerkleRangeDeathTest, AProofOfNothingIsABugOfTheCaller) {
  const Leaves leaves = leaves_of(4);
  EXPECT_DEATH(merkle_range_proof(leaves, 2, 2), "internal error");
  EXPECT_DEATH(merkle_range_proof(leaves, 2, 5), "internal error");
}

}  // namespace
}  // namespace shoal
